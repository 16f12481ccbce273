"""kill -9 of each process in turn during a call: what the rules of the architecture promise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from soft_agent import SoftAgent
from sounds import clips, frames_found, sealed_sound, tone_share, ulaw_of
from world import DATA, Api, World, finish, running, wait_for

from callcenter.events import (
    CallEnded,
    CallRang,
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


def test_when_all_is_killed_with_ten_calls_in_all_states_each_has_its_end_after_the_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A14: talking, held, wrap-up with a draft, ringing, waiting; drafts and states are right."""
    folder = Path(tmp_path_factory.mktemp("all"))
    quiet = {"live": {"en": "off", "fa": "off", "he": "off"}, "second_pass": "off"}
    queue = [{"name": "support", "wrap_up_seconds": 600, "ring_seconds": 300}]
    with running(folder, recording={"format": "wav"}, queues=queue, speech=quiet) as world:
        for name in ("dana", "omid", "rita", "lena"):
            world.add_user(name)
        world.add_user("sara", "supervisor")
        agents = {name: SoftAgent(world, name).connect_audio() for name in USERS}
        wrapped = call_of(world, agents["rita"], seconds=2)
        agents["rita"].wait("call.ended", call=wrapped)
        draft(world, "rita", wrapped, "she wants a call on Monday")
        held = call_of(world, agents["omid"], seconds=300)
        agents["omid"].order("call.hold", call=held)
        talking = call_of(world, agents["dana"], seconds=300)
        agents["lena"].available()
        world.sipp("uac_record.xml", "-r", "10", calls=7, seconds=300)
        world.wait_fact(CallRang, count=10)
        agents["lena"].wait("call.ringing")
        wait_for(lambda: agents["dana"].loudness() > 1000, "the two talk")
        time.sleep(3)  # so that the recording has something to lose
        for agent in agents.values():
            agent.socket.reconnection = False
        killed = datetime.now(UTC)
        world.kill_all()
        for agent in agents.values():
            agent.close()
        world.start()
        wait_for(lambda: len(world.facts(CallEnded)) == 10, "ten ends")
        ends = {end.call: end for end in world.facts(CallEnded)}
        assert ends.pop(wrapped).reason == "completed"
        assert {end.reason for end in ends.values()} == {"interrupted"}
        for call, end in ends.items():
            (rang,) = world.facts(CallRang, call=call)
            assert rang.at.timestamp() + end.seconds <= killed.timestamp() + 0.1
        _, customer, _ = sealed_sound(world, talking)
        assert frames_found(customer, 100, folder) >= 0.99
        sara = world.api("sara")
        wait_for(lambda: not open_rows(sara), "no row is left open")
        assert len(sara.get("/interactions")["items"]) == 10
        assert sara.interaction(wrapped)["draft"] == "she wants a call on Monday"
        states = {one["username"]: one["state"] for one in sara.get("/agents")["items"]}
        assert not set(states.values()) & {"ringing", "on_call"}, states


USERS = ("dana", "omid", "rita", "lena")


def call_of(world: World, agent: SoftAgent, seconds: float) -> str:
    """A call that this agent, the only one available, has answered."""
    agent.available()
    world.sipp("uac_record.xml", seconds=seconds)
    return agent.answer_next()


def draft(world: World, username: str, call: str, text: str) -> None:
    """Notes that nobody has saved."""
    api = world.api(username)
    row = wait_for(lambda: api.interaction(call), "the interaction")
    api.send("PATCH", f"/interactions/{row['id']}", {"draft": text, "version": row["version"]})


def open_rows(api: Api) -> list[str]:
    """Calls without an outcome."""
    return [row["id"] for row in api.get("/interactions")["items"] if not row["outcome"]]


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
