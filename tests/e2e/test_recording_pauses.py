"""Recording by policy on a running system: a caller who declines leaves nothing on the disk; a
pause is silence on the disk and no captions, from Chromium, from a form, and after a kill."""

from __future__ import annotations

import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from soft_agent import SoftAgent
from sounds import Channel, sealed_sound, ulaw_of
from world import DATA, World, finish, running, wait_for

from callcenter.events import (
    CallEnded,
    CallRang,
    ConsentSettled,
    RecordingPaused,
    RecordingResumed,
    RecordingSealed,
    RecordingStarted,
    UtteranceHeard,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FORM = {"name": "Card payment", "url": "https://pay.example.com/form"}


def announcement(path: Path) -> Path:
    """A second of a hum in place of words; the warning tone comes before it by itself."""
    hum = (8000 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 8000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(hum.tobytes())
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("policy"))
    lines = [
        {"number": "100", "queue": "support", "language": "en", "record": "always"},
        {"number": "200", "queue": "support", "language": "en", "record": "ask"},
    ]
    recording = {
        "format": "wav",
        "announcements": {"en": str(announcement(folder / "ask.wav"))},
        "decline_seconds": 1,
        "pause_seconds": 300,
        "forms": [FORM],
    }
    queues = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 120}]
    speech = {"second_pass": "off"}
    with running(folder, lines=lines, recording=recording, queues=queues, speech=speech) as started:
        started.add_user("dana")
        started.add_user("omid")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def on_disk(world: World, call: str) -> list[str]:
    """Every file that is named after the call."""
    return sorted(str(path) for path in world.folder.rglob("*") if call in str(path))


def journal(world: World, call: str, leg: str) -> bytes:
    (path,) = world.folder.rglob(f".journal/{call}/{leg}.pcmu")
    return path.read_bytes()


def silent(channel: Channel, begin: float, end: float) -> bool:
    """Whether there is nothing between the two seconds; a millisecond is the facts' rounding."""
    part = channel[round((begin + 0.001) * 8000) : round((end - 0.001) * 8000)]
    return len(part) > 0 and int(np.abs(part).max()) <= 8  # µ-law's two zeros


def test_a_caller_who_declines_by_the_key_leaves_nothing_on_the_disk(world: World) -> None:
    omid = SoftAgent(world, "omid").connect_audio().available()
    caller = world.sipp("uac_declines.xml", to="200", seconds=6)
    pop = omid.wait("call.ringing")
    call = pop["call"]["id"]
    assert (pop["policy"], pop["call"]["consent"]) == ("ask", "declined")
    omid.order("call.answer", call=call)
    wait_for(lambda: omid.loudness() > 500, "the two talk")
    assert on_disk(world, call) == []
    refused = omid.ask("recording.pause", call=call)
    assert refused["problem"]["status"] == 409
    finish(caller)
    omid.wait("call.ended", call=call)
    end = world.wait_fact(CallEnded, call=call)
    assert end.reason == "completed"
    assert end.talk_seconds > 1
    kinds = (RecordingStarted, RecordingSealed, UtteranceHeard)
    assert world.facts(*kinds, call=call) == []
    assert [fact.consent for fact in world.facts(ConsentSettled, call=call)] == ["declined"]
    assert on_disk(world, call) == []
    record = world.api("sara").interaction(call)
    assert (record["policy"], record["consent"]) == ("ask", "declined")
    assert (record["recording_state"], record["transcript_state"]) == ("none", "none")
    omid.close()


def test_a_pause_is_silence_on_the_disk_without_captions_by_button_and_by_form(
    world: World, browser: Browser
) -> None:
    dana = AgentPage(browser, world, "dana").start_shift()
    sound = ulaw_of(DATA / "speech" / "joe04.wav") + b"\xff" * 8_000
    caller = world.sipp("uac_talk.xml", to="200", seconds=300, sound=sound * 30)
    expect(dana.hook("pop-card")).to_be_visible()
    call = str(world.facts(CallRang)[-1].call)
    assert world.wait_fact(ConsentSettled, call=call).consent == "given"  # no key was pressed
    assert world.facts(RecordingStarted, call=call) == []
    dana.answer()
    state = dana.hook("recording-state")
    expect(state).to_have_attribute("data-state", "running")
    said(world, call, after=0.0)

    dana.hook("recording-pause").click()
    expect(state).to_have_attribute("data-state", "paused")
    paused = world.wait_fact(RecordingPaused, call=call, cause="button")
    first = round(paused.position * 8000) + 8
    wait_for(lambda: len(journal(world, call, "customer")) > first + 4 * 8000, "the journal grows")
    for leg in ("agent", "customer"):
        assert set(journal(world, call, leg)[first:]) == {0xFF}
        assert set(journal(world, call, leg)[:first]) != {0xFF}
    dana.hook("recording-resume").click()
    expect(state).to_have_attribute("data-state", "running")
    resumed = world.wait_fact(RecordingResumed, call=call, by=dana_id(world))
    said(world, call, after=resumed.position)

    dana.hook("recording-form").click()
    form = dana.hook("unrecorded-form")
    expect(form).to_have_attribute("data-state", "formOpen")
    expect(state).to_have_attribute("data-state", "paused")
    expect(dana.hook("unrecorded-page")).to_have_attribute("href", FORM["url"])
    closed = world.wait_fact(RecordingPaused, call=call, cause="form").position
    size = len(journal(world, call, "customer"))
    wait_for(lambda: len(journal(world, call, "customer")) > size + 16_000, "the journal grows")
    dana.hook("unrecorded-done").click()
    expect(state).to_have_attribute("data-state", "running")
    opened = world.wait_fact(RecordingResumed, count=2, call=call).position
    size = len(journal(world, call, "customer"))
    wait_for(lambda: len(journal(world, call, "customer")) > size + 16_000, "the journal grows")

    dana.hook("call-end").click()
    caller.kill()
    spans = [(paused.position, resumed.position), (closed, opened)]
    for begin, end in spans:
        assert [u for u in heard(world, call) if begin + 1 < u.t0 < end - 0.5] == []
    agent, customer, _ = sealed_sound(world, call)
    for channel in (agent, customer):
        assert all(silent(channel, begin, end) for begin, end in spans)
    assert not silent(customer, 0, paused.position)
    assert not silent(customer, resumed.position, closed)
    assert not silent(customer, opened, opened + 60)
    record = world.api("sara").interaction(call)
    assert record["pauses"] == [list(span) for span in spans]
    dana.page.goto(f"/calls/{record['id']}")
    expect(dana.hook("kept-pause")).to_have_count(2)
    dana.close()


def test_after_a_kill_in_a_pause_the_disk_holds_nothing_of_it(world: World) -> None:
    omid = SoftAgent(world, "omid").connect_audio().available()
    caller = world.sipp("uac_record.xml", seconds=120)
    call = omid.answer_next()
    wait_for(lambda: omid.loudness() > 500, "the two talk")
    wait_for(lambda: len(journal(world, call, "customer")) > 16_000, "the journal grows")
    omid.order("recording.pause", call=call)
    position = world.wait_fact(RecordingPaused, call=call).position
    first = round(position * 8000) + 8
    time.sleep(2)  # of card numbers, as it were
    world.kill("telephony")
    caller.kill()
    assert world.wait_fact(CallEnded, call=call).reason == "interrupted"
    world.wait_fact(RecordingSealed, call=call, interrupted=True)
    agent, customer, meta = sealed_sound(world, call)
    assert not silent(customer, 0, position)
    for channel in (agent, customer):
        assert np.abs(channel[first:]).max(initial=0) <= 8
    assert meta["seconds"] >= position
    assert world.api("sara").interaction(call)["pauses"] == [[position, None]]
    omid.close()


def heard(world: World, call: str) -> list[Any]:
    return [fact for fact in world.facts(UtteranceHeard, call=call) if fact.leg == "customer"]


def said(world: World, call: str, *, after: float) -> None:
    """Wait for words that the customer said after that second."""
    wait_for(lambda: [u for u in heard(world, call) if u.t0 >= after - 0.5], "captions")


def dana_id(world: World) -> str:
    return str(world.api("dana").user["id"])
