"""What is in a recording: both channels as the API gives them, tones, numbered frames."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import wave
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np
from world import DATA, World, wait_for

from callcenter.events import RecordingSealed
from callcenter.telephony.media import g711

with warnings.catch_warnings():  # an invalid escape in a docstring of theirs
    warnings.simplefilter("ignore")
    from whisper_normalizer.english import EnglishTextNormalizer

Channel = np.ndarray[Any, np.dtype[np.int16]]
"""8 kHz samples of one leg."""


def sealed_sound(world: World, call: str) -> tuple[Channel, Channel, dict[str, Any]]:
    """The two channels (agent, customer) of the recording as the API gives them, at 8 kHz."""
    api = world.api("sara")
    record = wait_for(lambda: api.interaction(call), "the interaction")
    world.wait_fact(RecordingSealed, call=call)
    meta = wait_for(
        lambda: (
            answer.json()
            if (answer := api.http.get(f"/interactions/{record['id']}/recording")).is_success
            else None
        ),
        "the recording's metadata",
    )
    sound = api.http.get(f"/recordings/{meta['id']}/audio")
    assert sound.status_code == 200
    path = world.folder / f"{call}.audio"
    path.write_bytes(sound.content)
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=8000)
    blocks: list[Channel] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for block in resampler.resample(frame):
                blocks.append(block.to_ndarray().reshape(-1, 2).astype(np.int16))
    stereo = np.concatenate(blocks)
    return stereo[:, 0].copy(), stereo[:, 1].copy(), meta


def tone_share(channel: Channel, frequency: float) -> float:
    """How much of a channel's energy lies within 25 Hz of `frequency`, 0..1."""
    spectrum = np.abs(np.fft.rfft(channel.astype(float))) ** 2
    near = np.abs(np.fft.rfftfreq(len(channel), 1 / 8000) - frequency) < 25
    return float(spectrum[near].sum() / max(spectrum.sum(), 1e-9))


def lag_seconds(early: Channel, late: Channel) -> float:
    """By how much the beeps of `late` follow those of `early` (cross-correlation of loudness)."""
    blocks = [np.abs(one[: len(one) // 40 * 40]).reshape(-1, 40).mean(1) for one in (early, late)]
    left, right = (block - block.mean() for block in blocks)
    size = 1 << (2 * len(left)).bit_length()
    both = np.fft.irfft(np.conj(np.fft.rfft(left, size)) * np.fft.rfft(right, size))
    shift = int(np.argmax(both))
    return (shift if shift < size // 2 else shift - size) * 40 / 8000


EDGE = 10
"""Frames at the ends of a call that are not asked for: SIPp starts its stream some
milliseconds after the ACK, and what it sends beside its BYE may come after the end."""


def frames_found(channel: Channel, sent: int, folder: Path) -> float:
    """The share of the caller's numbered frames that is in the channel (see mkaudio.py)."""
    expected = sent - EDGE
    path = folder / "channel.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(channel.astype("<i2").tobytes())
    check = [sys.executable, str(DATA / "sipp" / "chkwav.py"), str(expected), str(path)]
    said = subprocess.run(check, capture_output=True, text=True, check=False).stdout
    return float(said.split()[1])


def word_error_rate(spoken: str, heard: str) -> float:
    """Share of words that are wrong, spelling and punctuation apart."""
    normal = EnglishTextNormalizer()
    return float(jiwer.wer(normal(spoken), normal(heard)))


def ulaw_of(clip: Path) -> bytes:
    """An 8 kHz mono 16-bit WAV as a telephone says it."""
    with wave.open(str(clip), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return g711.encode(np.frombuffer(file.readframes(file.getnframes()), "<i2"))


def clips() -> dict[str, dict[str, Any]]:
    """The speech clips of the tests by name, with their spoken text."""
    items = json.loads((DATA / "speech" / "manifest.json").read_text(encoding="utf-8"))
    return {Path(item["file"]).stem: item for item in items}
