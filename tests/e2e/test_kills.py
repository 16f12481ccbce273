"""kill -9 of each process in turn during a call: what the rules of the architecture promise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from soft_agent import SoftAgent
from sounds import clips, frames_found, sealed_sound, tone_share, ulaw_of
from world import DATA, World, finish, running, wait_for

from callcenter.events import (
    CallEnded,
    RecordingSealed,
    TranscriptCompleted,
    UtteranceHeard,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("kills"))
    queue = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}]
    with running(folder, recording={"format": "wav"}, queues=queue) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture
def dana(world: World) -> Iterator[SoftAgent]:
    agent = SoftAgent(world, "dana").connect_audio().available()
    yield agent
    agent.close()


def test_without_the_web_process_the_two_talk_on_and_the_agent_comes_back_to_the_call(
    world: World, dana: SoftAgent
) -> None:
    caller = world.sipp("uac_record.xml", seconds=600)
    call = dana.answer_next()
    last = max(payload["seq"] for _, payload in dana.events if "seq" in payload)
    world.kill("web")
    wait_for(lambda: dana.loudness() > 1000, "the sound goes on")
    world.wait_ready()
    wait_for(lambda: dana.socket.connected, "the socket is back")
    state = wait_for(lambda: dana.ask("resume", last_seq=last), "resume")
    assert state["ok"]
    assert state["call"]["call"]["id"] == call
    dana.order("call.hangup", call=call)
    caller.kill()
    dana.wait("call.ended", call=call)
    end = world.wait_fact(CallEnded, call=call)
    assert (end.reason, end.by) == ("completed", "agent")
    _, customer, _ = sealed_sound(world, call)
    assert frames_found(customer, int(end.talk_seconds * 50) - 25, world.folder) >= 0.99


def test_without_the_speech_process_nothing_of_the_recording_is_lost(
    world: World, dana: SoftAgent
) -> None:
    caller = world.sipp("uac_record.xml", seconds=12)
    call = dana.answer_next()
    time.sleep(2)
    world.kill("speech")
    finish(caller)
    assert world.wait_fact(CallEnded, call=call).reason == "completed"
    agent, customer, _ = sealed_sound(world, call)
    assert frames_found(customer, 12 * 50, world.folder) >= 0.99
    assert tone_share(agent, 1000) > 0.8
    world.wait_ready()


def test_a_recording_is_sealed_although_the_jobs_process_was_killed(
    world: World, dana: SoftAgent
) -> None:
    caller = world.sipp("uac_record.xml", seconds=5)
    call = dana.answer_next()
    world.kill("jobs")
    finish(caller)
    wait_for(lambda: world.pids("jobs"), "jobs runs again")
    world.kill("jobs")
    world.wait_fact(RecordingSealed, call=call)
    assert len(world.facts(RecordingSealed, call=call)) == 1
    _, customer, _ = sealed_sound(world, call)
    assert frames_found(customer, 5 * 50, world.folder) >= 0.99


def test_without_the_telephony_process_the_call_is_interrupted_and_at_most_a_second_is_lost(
    world: World, dana: SoftAgent
) -> None:
    caller = world.sipp("uac_record.xml", seconds=60)
    call = dana.answer_next()
    wait_for(lambda: dana.loudness() > 1000, "the agent hears the caller")
    time.sleep(4)
    before = time.time()
    world.kill("telephony")
    caller.kill()
    end = world.wait_fact(CallEnded, call=call)
    assert end.reason == "interrupted"
    dana.wait("call.ended", call=call)
    world.wait_fact(RecordingSealed, call=call, interrupted=True)
    _, customer, meta = sealed_sound(world, call)
    answered = dana.saw("call.updated", call=call)[0]["call"]["answered_at"]
    spoken = before - datetime.fromisoformat(answered).timestamp()
    assert meta["seconds"] > spoken - 1.5, (meta["seconds"], spoken)
    assert frames_found(customer, int((spoken - 1.5) * 50), world.folder) >= 0.99
    assert world.api("sara").interaction(call)["outcome"] == "interrupted"
    # The next call works: the agent is seated again, only the audio must be offered anew.
    world.wait_ready()
    wait_for(
        lambda: world.api("sara").get("/agents")["items"][0]["state"] == "available",
        "the agent is available again",
    )
    dana.connect_audio()
    again = world.sipp("uac_record.xml", seconds=3)
    second = dana.answer_next()
    assert second != call
    finish(again)
    assert world.wait_fact(CallEnded, call=second).reason == "completed"


def test_when_all_is_killed_at_once_every_call_has_its_end_after_the_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = Path(tmp_path_factory.mktemp("all"))
    with running(folder, recording={"format": "wav"}) as world:
        world.add_user("dana")
        world.add_user("sara", "supervisor")
        dana = SoftAgent(world, "dana").connect_audio().available()
        world.sipp("uac_record.xml", "-r", "3", calls=3, seconds=60)
        call = dana.answer_next()
        time.sleep(3)
        dana.socket.reconnection = False
        world.kill_all()
        dana.close()
        world.start()
        wait_for(lambda: len(world.facts(CallEnded)) == 3, "three ends")
        assert {end.reason for end in world.facts(CallEnded)} == {"interrupted"}
        _, customer, _ = sealed_sound(world, call)
        assert frames_found(customer, 100, folder) >= 0.99
        states = {item["outcome"] for item in world.api("sara").get("/interactions")["items"]}
        assert states == {"interrupted"}


def test_captions_go_on_after_the_speech_process_was_killed(world: World, dana: SoftAgent) -> None:
    clip = ulaw_of(DATA / "speech" / "joe04.wav")
    pause = b"\xff" * 8000
    caller = world.sipp("uac_record.xml", seconds=40, sound=(clip + pause) * 6)
    call = dana.answer_next()
    dana.wait("caption", call=call, leg="customer", kind="final")
    world.kill("speech")
    world.wait_ready()
    heard = len(world.facts(UtteranceHeard, call=call))
    wait_for(lambda: len(world.facts(UtteranceHeard, call=call)) > heard, "captions go on")
    finish(caller)
    done = world.wait_fact(TranscriptCompleted, call=call, revision=2)
    final = [u.text for u in world.facts(UtteranceHeard, call=call) if u.revision == 2]
    assert done.utterances == len(final)
    assert sum("invoice" in text for text in final) >= 4, (final, clips()["joe04"]["text"])
