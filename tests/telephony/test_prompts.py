"""What customers hear: every text in every language, and codes that can be written down."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from callcenter.crm.complaints.codes import ALPHABET
from callcenter.errors import TelephonyError
from callcenter.telephony.adapters import prompt_files
from callcenter.telephony.media import tones
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.prompts import receipt, texts

LANGUAGES = ("en", "fa", "he")


def test_each_language_has_the_same_prompts() -> None:
    assert texts("en").keys() == texts("fa").keys() == texts("he").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_code_is_spelled_twice_with_a_pause_after_each_character(language: str) -> None:
    said = receipt(language, "C-7K3F9XA")
    spelled = ["letter_c", "digit_7", "letter_k", "digit_3", "letter_f", "digit_9", "letter_x"]
    spelled.append("letter_a")
    once = [name for one in spelled for name in (one, "")]
    twice = ["receipt", "", *once, "receipt_again", "", *once]
    assert [name for name, _ in said] == [*twice, "again"]
    assert all(words or not name for name, words in said)
    last = receipt(language, "C-7K3F9XA", more=False)
    assert [name for name, _ in last] == twice, "no key is named that does nothing"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_character_that_a_code_can_have_has_a_name_of_its_own(language: str) -> None:
    names = {char: receipt(language, char)[2] for char in ALPHABET}
    assert len({name for name, _ in names.values()}) == len(ALPHABET)
    assert len({words for _, words in names.values()}) == len(ALPHABET)


@pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing: apt-get install espeak-ng"
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_spoken_slowly_enough_to_be_written_down(tmp_path: Path, language: str) -> None:
    sound = prompt_files.receipt(tmp_path, language, "C-7K3F9XA", True)
    frames = 0
    while sound.frame(frames) is not None:
        frames += 1
    seconds = frames * 0.02
    assert 16 * prompt_files.PAUSE + 8 < seconds < 45


def test_a_recorded_file_takes_the_place_of_the_machines_voice(tmp_path: Path) -> None:
    """Everything recorded: espeak-ng is not asked."""
    for name, _ in receipt("en", "C-7"):
        if name:
            (tmp_path / "en").mkdir(exist_ok=True)
            (tmp_path / "en" / f"{name}.wav").write_bytes(bytes([len(name)]) * 160)
    sound = prompt_files.receipt(tmp_path, "en", "C-7", True)
    assert sound.frame(0) == bytes([len("receipt")]) * 160
    pause = int(prompt_files.PAUSE * SAMPLE_RATE) // 160
    assert sound.frame(1) == tones.pause(0.02).frame(0)
    assert sound.frame(1 + pause) == bytes([len("letter_c")]) * 160


def test_without_a_voice_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TelephonyError, match="install espeak-ng, or record it"):
        prompt_files.receipt(tmp_path, "en", "C-7K3F9XA", True)
    with pytest.raises(TelephonyError, match="nothing can be read out in ar"):
        prompt_files.receipt(tmp_path, "ar", "C-7K3F9XA", True)
