"""Telephone-quality clips with their texts."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callcenter.telephony.media.g711 import Samples

ROOT = Path(__file__).parents[3]
CLIPS = ROOT / "tests" / "data" / "speech"


@dataclass(frozen=True)
class Clip:
    file: str
    lang: str
    text: str
    samples: Samples


def clip(name: str) -> Clip:
    entry = next(e for e in manifest() if e["file"] == f"{name}.wav")
    with wave.open(str(CLIPS / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return Clip(entry["file"], entry["lang"], entry["text"], samples)


def manifest() -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads((CLIPS / "manifest.json").read_text())
    return entries
