"""Lines that answer by themselves: the status of a complaint by keys."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedCaller, Stage

from callcenter.config import Language
from callcenter.errors import ConfigError
from callcenter.events import CallAnswered, CallEnded, CallQueued, CallRang
from callcenter.telephony import inquiring
from callcenter.telephony.adapters import prompt_files
from callcenter.telephony.inquiry import Inquiry, Question
from callcenter.telephony.media import tones
from callcenter.telephony.ports import Sound
from callcenter.telephony.prompts import texts

StageMaker = Callable[..., Any]
LANGUAGES: tuple[Language, ...] = ("en", "fa", "he")


TOLD = ["complaint", *(f"digit_{key}" for key in "7533992"), "stage_investigating"]


def told() -> Inquiry:
    """One that was told the stage; the last entry was ended by hash."""
    inquiry = Inquiry()
    pressed(inquiry, "7533992")
    inquiry.answered("digits")
    pressed(inquiry, "#456#")
    inquiry.answered("investigating")
    return inquiry


def pressed(inquiry: Inquiry, keys: str) -> list[Question]:
    found = [inquiry.press(key) for key in keys]
    return [question for question in found if question]


# --- What is asked and said -------------------------------------------------------------------


def test_a_code_is_told_its_stage_digit_by_digit() -> None:
    inquiry = Inquiry()
    assert inquiry.begin() == ["welcome", "code"]
    assert pressed(inquiry, "7533992#") == [Question("7533992")]
    assert inquiry.answered("investigating") == [*TOLD, "again"]
    assert (inquiry.told, inquiry.over) == (True, False)
    assert inquiry.silent() == ["goodbye"]
    assert (inquiry.over, inquiry.result) == (True, "complaint status told")


def test_what_was_told_is_told_again_for_its_key_a_few_times() -> None:
    inquiry = told()
    assert inquiry.choose("1") == inquiry.choose("1") == [*TOLD, "again"]
    assert not inquiry.over
    assert inquiry.choose("1") == [*TOLD, "goodbye"], "the last time no key is named"
    assert (inquiry.over, inquiry.result) == (True, "complaint status told")


@pytest.mark.parametrize("key", ["2", "0", "*", "#"])
def test_any_other_key_ends_it(key: str) -> None:
    inquiry = told()
    assert inquiry.choose(key) == ["goodbye"]
    assert (inquiry.over, inquiry.result) == (True, "complaint status told")


def test_the_hash_after_the_last_digit_of_an_entry_ends_nothing() -> None:
    inquiry = Inquiry()
    assert pressed(inquiry, "7533992") == [Question("7533992")]
    inquiry.answered("investigating")
    assert inquiry.choose("#") == []
    assert not inquiry.over
    assert inquiry.choose("#") == ["goodbye"]


def test_the_number_is_asked_for_where_the_caller_is_somebody_else() -> None:
    inquiry = Inquiry()
    assert pressed(inquiry, "7533992") == [Question("7533992")], "full is full, without hash"
    assert inquiry.answered("digits") == ["number"]
    assert pressed(inquiry, "#4567#") == [Question("7533992", "4567")]
    assert inquiry.answered("closed")[-2:] == ["stage_closed", "again"]


def test_an_entry_is_taken_back_with_the_star() -> None:
    assert pressed(Inquiry(), "99*#7533992#") == [Question("7533992")]
    assert pressed(Inquiry(), "99#") == [Question("99")]


def test_three_wrong_codes_end_it() -> None:
    inquiry = Inquiry()
    said = []
    for _ in range(3):
        pressed(inquiry, "1111111#")
        inquiry.answered("digits")
        pressed(inquiry, "0000#")
        said.append(inquiry.answered("unknown"))
    assert said == [["unknown", "code"], ["unknown", "code"], ["unknown", "goodbye"]]
    assert (inquiry.over, inquiry.result) == (True, "three wrong codes")


def test_too_many_tries_and_silence_end_it() -> None:
    inquiry = Inquiry()
    pressed(inquiry, "1111111#")
    assert inquiry.answered("later") == ["later", "goodbye"]
    assert Inquiry().silent() == ["goodbye"]


# --- The call ---------------------------------------------------------------------------------


class Statuses:
    """Knows one code; `asked` is what was looked up."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []

    def stage(self, keys: str, digits: str, caller: str | None) -> Any:
        self.asked.append((keys, digits, caller))
        if keys == "5555555":
            raise RuntimeError("the database is away")
        if keys != "7533992":
            return "unknown" if digits else "digits"
        return "investigating"


LINE = {"number": "100", "queue": "support", "language": "en", "service": "complaint_status"}


def prepared(floor: Stage) -> Statuses:
    words: dict[str, Sound] = {
        name: tones.Clip(bytes([at]) * 160) for at, name in enumerate(texts("en"))
    }
    floor.prompts["en"] = words
    statuses = floor.service._parts.statuses = Statuses()
    return statuses


def heard(floor: Stage) -> list[str]:
    """The prompts that the caller hears now, by the byte of their frames."""
    names, sound = list(texts("en")), floor.customer.hears
    frames = sound._frames if isinstance(sound, tones.Clip) else []
    return [names[frame[0]] for frame in frames]


async def calling(floor: Stage) -> ScriptedCaller:
    inbound = floor.calls()
    await floor.happens(lambda: bool(floor.media.legs) and heard(floor) == ["welcome", "code"])
    return inbound


@pytest.mark.parametrize("way", ["rtp", "info"])
def test_a_caller_hears_where_the_complaint_stands(stage: StageMaker, way: str) -> None:
    async def scene() -> None:
        async with stage(lines=[LINE]) as floor:
            statuses = prepared(floor)
            await floor.seat("a")
            inbound = await calling(floor)
            for key in "7533992#":
                (floor.customer.press if way == "rtp" else inbound._on_digit)(key)
            await floor.happens(lambda: "stage_investigating" in heard(floor))
            first = floor.customer.hears
            assert heard(floor) == [*TOLD, "again"]
            press = floor.customer.press if way == "rtp" else inbound._on_digit
            press("1")
            await floor.happens(lambda: floor.customer.hears is not first)
            assert heard(floor) == [*TOLD, "again"]
            press("0")
            await floor.happens(lambda: heard(floor) == ["goodbye"])
            floor.media.finish_playing(floor.customer)
            await floor.until("CallEnded")
            assert statuses.asked == [("7533992", "", "+989121234567")]
            ended = floor.last(CallEnded)
            assert (ended.reason, ended.by, ended.detail) == (
                "completed", "system", "complaint status told",
            )  # fmt: skip
            kinds = {type(entry.fact) for entry in floor.log.of_call(floor.call)}
            assert not kinds & {CallQueued, CallAnswered}, "nobody was rung"
            assert floor.last(CallRang).policy == "never"
            assert floor.recordings.journals == []
            assert inbound.did == ["200", "BYE"]

    asyncio.run(scene())


def test_who_presses_no_key_is_said_goodbye_after_the_last_word(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiring, "AGAIN_PATIENCE", 0.0)

    async def scene() -> None:
        async with stage(lines=[LINE]) as floor:
            prepared(floor)
            await calling(floor)
            floor.customer.press("7533992#")
            await floor.happens(lambda: heard(floor) == [*TOLD, "again"])
            await asyncio.sleep(1.5)  # the watch looks every second
            assert heard(floor) == [*TOLD, "again"], "it is said to its end"
            floor.media.finish_playing(floor.customer)
            await floor.happens(lambda: heard(floor) == ["goodbye"])
            floor.media.finish_playing(floor.customer)
            await floor.until("CallEnded")
            assert floor.last(CallEnded).detail == "complaint status told"

    asyncio.run(scene())


def test_a_caller_who_hangs_up_missed_nobody(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(lines=[LINE]) as floor:
            prepared(floor)
            inbound = await calling(floor)
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "completed"

    asyncio.run(scene())


def test_a_database_that_is_away_is_said_to_the_caller(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(lines=[LINE]) as floor:
            prepared(floor)
            await calling(floor)
            floor.customer.press("5555555#")
            await floor.happens(lambda: heard(floor) == ["later", "goodbye"])

    asyncio.run(scene())


# --- The words --------------------------------------------------------------------------------


def test_every_language_has_every_prompt() -> None:
    names = [list(texts(language)) for language in LANGUAGES]
    assert names[0] == names[1] == names[2]
    assert all(all(texts(language).values()) for language in LANGUAGES)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_prompts_are_spoken_once_and_can_be_replaced(tmp_path: Path) -> None:
    made = prompt_files.load(tmp_path, ["he", "he"])
    assert list(made) == ["he"]
    file = tmp_path / "he" / "stage_closed.wav"
    before = file.stat().st_mtime_ns
    (tmp_path / "he" / "goodbye.wav").write_bytes(b"\x10" * 320)
    again = prompt_files.load(tmp_path, ["he"])
    assert file.stat().st_mtime_ns == before
    assert again["he"]["goodbye"].frame(1) == b"\x10" * 160
    assert again["he"]["goodbye"].frame(2) is None


def test_without_a_synthesiser_the_missing_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"install espeak-ng, or record it"):
        prompt_files.load(tmp_path, ["en"])
