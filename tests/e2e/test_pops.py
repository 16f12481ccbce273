"""A19: at most one pop on the eye, never none; web process and socket fail at the worst moment.

The eye is what a page shows: it knows a pop by its `seq`, as the front end does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from soft_agent import SoftAgent
from world import World, finish, running, wait_for

from callcenter.events import AgentOffered, CallAnswered, CallEnded

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
FAULTS = Path(__file__).parent / "faults"


@pytest.fixture(scope="module")
def armoury(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("armoury"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, armoury: Path) -> Iterator[World]:
    queue = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 120}]
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(FAULTS))
    patch.setenv("CALLCENTER_TEST_FAULTS", str(armoury))
    try:
        with running(Path(tmp_path_factory.mktemp("pops")), queues=queue) as started:
            started.add_user("dana")
            yield started
    finally:
        patch.undo()


@pytest.fixture
def dana(world: World) -> Iterator[SoftAgent]:
    agent = SoftAgent(world, "dana").connect_audio().available()
    yield agent
    agent.close()


def newest(agent: SoftAgent) -> int:
    """What a page that saw these events sends as `last_seq`."""
    return max((payload["seq"] for _, payload in agent.events if "seq" in payload), default=0)


def resumed(agent: SoftAgent, last_seq: int | None) -> dict[str, Any]:
    """The answer to `resume`, once the socket is back."""
    wait_for(lambda: agent.socket.connected, "the socket is back")

    def ask() -> dict[str, Any] | None:
        try:
            answer = agent.ask("resume", last_seq=last_seq)
        except socketio.exceptions.SocketIOError:
            return None  # the connection was cut meanwhile: a page asks again, too
        return answer if answer["ok"] else None

    answer: dict[str, Any] = wait_for(ask, "resume")
    return answer


def rung(world: World, offers: int) -> AgentOffered:
    """The newest offer to an agent."""
    offer: AgentOffered = world.wait_fact(AgentOffered, count=offers + 1)
    return offer


def end(world: World, agent: SoftAgent, call: str) -> None:
    """Both talked: the agent hangs up, exactly one answer is in the log."""
    assert len(world.facts(CallAnswered, call=call)) == 1
    agent.order("call.hangup", call=call)
    agent.wait("call.ended", call=call)
    assert world.wait_fact(CallEnded, call=call).reason == "completed"


def test_killed_between_the_commit_of_a_pop_and_its_emission(
    world: World, dana: SoftAgent, armoury: Path
) -> None:
    last, before, offers = newest(dana), world.pids("web"), len(world.facts(AgentOffered))
    (armoury / "committed-not-emitted").touch()
    caller = world.sipp("uac_record.xml", seconds=600)
    call = rung(world, offers).call
    wait_for(lambda: not set(before) & set(world.pids("web")), "the web process died")
    assert dana.saw("call.ringing", call=call) == []
    world.wait_ready()
    answer = resumed(dana, last)
    pop = dana.wait("call.ringing", call=call)
    assert len(dana.saw("call.ringing", call=call)) == 1, "sent once"
    assert answer["ringing"]["seq"] == pop["seq"], "and the picture shows the same pop"
    assert answer["ringing"]["caller"] == pop["caller"]
    assert dana.order("pop.seen", seq=pop["seq"])["first"] is True
    dana.order("call.answer", call=call)
    end(world, dana, call)
    caller.kill()


def test_killed_between_the_emission_and_the_eyes_receipt(
    world: World, dana: SoftAgent, armoury: Path
) -> None:
    before = world.pids("web")
    (armoury / "emitted-not-seen").touch()
    caller = world.sipp("uac_record.xml", seconds=600)
    pop = dana.wait("call.ringing")
    call = pop["call"]["id"]
    dana.socket.emit("pop.seen", {"seq": pop["seq"]})
    wait_for(lambda: not set(before) & set(world.pids("web")), "the web process died")
    world.wait_ready()
    answer = resumed(dana, pop["seq"])
    assert [one["seq"] for one in dana.saw("call.ringing", call=call)] == [pop["seq"]]
    assert answer["ringing"]["seq"] == pop["seq"]
    # A page that had not taken it in gets it again as itself: the eye tells by the number.
    resumed(dana, pop["seq"] - 1)
    dana.wait("call.ringing", call=call, count=2)
    assert {one["seq"] for one in dana.saw("call.ringing", call=call)} == {pop["seq"]}
    assert dana.order("pop.seen", seq=pop["seq"])["first"] is True, "nobody had noted it"
    dana.order("call.answer", call=call)
    end(world, dana, call)
    caller.kill()


def test_a_pop_of_the_time_without_a_socket_comes_with_resume(
    world: World, dana: SoftAgent
) -> None:
    last, offers = newest(dana), len(world.facts(AgentOffered))
    dana.socket.disconnect()
    caller = world.sipp("uac_record.xml", seconds=600)
    call = rung(world, offers).call
    dana.connect()
    answer = resumed(dana, last)
    pop = dana.wait("call.ringing", call=call)
    assert answer["ringing"]["seq"] == pop["seq"]
    assert len(dana.saw("call.ringing", call=call)) == 1
    dana.order("call.answer", call=call)
    end(world, dana, call)
    caller.kill()


def test_a_page_that_knows_nothing_sees_the_call_that_rings_already(
    world: World, dana: SoftAgent
) -> None:
    caller = world.sipp("uac_record.xml", seconds=600)
    pop = dana.wait("call.ringing")
    call = pop["call"]["id"]
    page = SoftAgent(world, "dana")
    answer = resumed(page, None)
    assert page.saw("call.ringing") == [], "the past is not told to a page that knows nothing"
    shown = answer["ringing"]
    assert (shown["seq"], shown["call"]["id"]) == (pop["seq"], call)
    assert (shown["caller"], shown["matches"]) == (pop["caller"], pop["matches"])
    page.order("call.answer", call=call)
    for one in (page, dana):
        assert one.wait("call.updated", call=call)["call"]["state"] == "talking"
    end(world, dana, call)
    page.close()
    caller.kill()


def test_two_tabs_are_both_told_and_one_answer_counts(world: World, dana: SoftAgent) -> None:
    other = SoftAgent(world, "dana")
    caller = world.sipp("uac_record.xml", seconds=3)
    pops = [one.wait("call.ringing") for one in (dana, other)]
    assert pops[0] == pops[1]
    call = pops[0]["call"]["id"]
    answers = [one.ask("call.answer", call=call) for one in (dana, other)]
    assert answers[0]["ok"] is True, answers
    assert answers[1]["ok"] or answers[1]["problem"]["status"] == 409, answers
    for one in (dana, other):
        assert one.wait("call.updated", call=call)["call"]["state"] == "talking"
    assert len(world.facts(CallAnswered, call=call)) == 1
    finish(caller)
    for one in (dana, other):
        one.wait("call.ended", call=call)
        assert len(one.saw("call.ringing", call=call)) == 1
        assert len(one.saw("call.ended", call=call)) == 1
    other.close()
