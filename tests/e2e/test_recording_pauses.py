"""Recording by policy on a running system: a caller who declines leaves nothing on the disk; a
pause is silence on the disk, also after a kill."""

from __future__ import annotations

import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from soft_agent import SoftAgent
from sounds import Channel, sealed_sound
from world import World, finish, running, wait_for

from callcenter.events import (
    CallEnded,
    ConsentSettled,
    RecordingPaused,
    RecordingSealed,
    RecordingStarted,
    UtteranceHeard,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


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
    }
    queues = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 120}]
    speech = {"second_pass": "off"}
    with running(folder, lines=lines, recording=recording, queues=queues, speech=speech) as started:
        started.add_user("omid")
        started.add_user("sara", "supervisor")
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
