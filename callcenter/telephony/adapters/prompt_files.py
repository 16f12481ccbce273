"""Spoken prompts: `<folder>/<language>/<name>.wav`, made by espeak-ng where there is none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from callcenter.errors import ConfigError, TelephonyError
from callcenter.telephony.media import tones
from callcenter.telephony.ports import Sound
from callcenter.telephony.prompts import receipt as texts_of_receipt
from callcenter.telephony.prompts import texts

_VOICES = {"en": "en-us", "fa": "fa", "he": "he"}
_WORDS_PER_MINUTE = "140"
PAUSE = 0.5
"""Seconds between the characters of a code: somebody writes it down."""


def load(folder: Path, languages: Iterable[str]) -> dict[str, dict[str, Sound]]:
    """Language → name → sound. Raises ConfigError for a file that is neither there nor makeable."""
    return {
        language: {
            name: _sound(folder / language / f"{name}.wav", words, _VOICES[language])
            for name, words in texts(language).items()
        }
        for language in sorted(set(languages))
    }


def receipt(folder: Path, language: str, code: str, more: bool) -> Sound:
    """What a customer hears who is told the code, and the key for once `more` where there is that.
    Raises TelephonyError where it cannot be made.

    May take seconds where espeak-ng says something for the first time.
    """
    if language not in _VOICES:
        raise TelephonyError(f"nothing can be read out in {language}")
    try:
        return tones.joined(
            [
                _sound(folder / language / f"{name}.wav", words, _VOICES[language])
                if name
                else tones.pause(PAUSE)
                for name, words in texts_of_receipt(language, code, more=more)
            ]
        )
    except ConfigError as error:
        raise TelephonyError(error.problems[0].removeprefix("lines[].service: ")) from error


def _sound(file: Path, words: str, voice: str) -> Sound:
    try:
        if not file.exists():
            _speak(file, words, voice)
        return tones.announcement(file.read_bytes())
    except (OSError, subprocess.SubprocessError) as error:
        reason = "install espeak-ng, or record it"
        raise ConfigError([f"lines[].service: {file} cannot be made: {reason}"]) from error
    except TelephonyError as error:
        raise ConfigError([f"lines[].service: {file}: {error.detail}"]) from error


def _speak(file: Path, words: str, voice: str) -> None:
    """Whole or not at all: a file that is cut off would be taken for a recorded one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".part")
    command = ["espeak-ng", "-v", voice, "-s", _WORDS_PER_MINUTE, "-w", str(temporary), words]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    temporary.replace(file)
