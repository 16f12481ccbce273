"""One real call from SIPp's INVITE to the sealed recording and the transcript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound, tone_share
from world import World, finish, running, wait_for

from callcenter.events import (
    AgentOffered,
    CallAnswered,
    CallEnded,
    CallRang,
    RecordingStarted,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def dana(world: World) -> Iterator[SoftAgent]:
    agent = SoftAgent(world, "dana").connect_audio().available()
    yield agent
    agent.close()


def test_a_call_pops_is_answered_talks_and_is_kept(world: World, dana: SoftAgent) -> None:
    caller = world.sipp("uac_record.xml", seconds=6)
    pop = dana.wait("call.ringing")
    call = pop["call"]["id"]
    assert (pop["call"]["state"], pop["queue"], pop["policy"]) == ("ringing", "support", "always")
    assert pop["caller"]["number"] == "+15551"
    dana.order("pop.seen", seq=pop["seq"])
    answered = dana.order("call.answer", call=call)
    assert answered["call"]["state"] == "talking"
    wait_for(lambda: dana.loudness() > 1000, "the agent hears the caller")
    finish(caller)

    ended = dana.wait("call.ended", call=call)
    assert ended["reason"] == "completed"
    end = world.wait_fact(CallEnded, call=call)
    assert 5.5 < end.talk_seconds < 8
    order = [
        world.wait_fact(kind, call=call).at
        for kind in (CallRang, AgentOffered, RecordingStarted, CallEnded)
    ]
    assert order == sorted(order)
    assert pop["seq"] < min(p["seq"] for p in dana.saw("call.updated", call=call))

    agent, customer, meta = sealed_sound(world, call)
    assert abs(meta["seconds"] - end.talk_seconds) < 0.5
    assert tone_share(agent, 1000) > 0.8
    assert tone_share(customer, 1000) < 0.3
    record = dana.api.interaction(call)
    assert (record["outcome"], record["queue"]) == ("completed", "support")
    assert record["agent"]["id"] == dana.id
    assert abs(record["talk_seconds"] - end.talk_seconds) < 0.1


def test_every_frame_of_the_caller_is_in_a_lossless_recording(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running(Path(tmp_path_factory.mktemp("wav")), recording={"format": "wav"}) as world:
        world.add_user("dana")
        dana = SoftAgent(world, "dana").connect_audio().available()
        world.add_user("sara", "supervisor")
        caller = world.sipp("uac_record.xml", seconds=8)
        call = dana.answer_next()
        finish(caller)
        dana.close()
        agent, customer, _ = sealed_sound(world, call)
        assert len(agent) == len(customer)
        assert frames_found(customer, 400, world.folder) >= 0.99
        assert world.wait_fact(CallAnswered, call=call)
