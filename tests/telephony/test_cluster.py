"""Two telephony nodes and one floor: who gets which call, and what happens when a node dies.

Both run in this process over one database; their SIP, sound and disk are scripted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from scripted import PATIENCE, Stage, run
from sqlalchemy import select

from callcenter import leases
from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.errors import CallcenterError
from callcenter.events import (
    AgentOffered,
    AgentStateChanged,
    AnswerCall,
    CallEnded,
    CallRang,
    ConsultationEnded,
    ConsultationOffered,
    ConsultColleague,
    DescribeFloor,
    HangUpCall,
    SeatAgent,
    SetAgentState,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony import cluster, service
from callcenter.telephony.acd import floor
from callcenter.telephony.writer import Beside

Nodes = dict[str, Stage]
Make = Callable[..., Any]


@pytest.fixture
def nodes(
    make_settings: Callable[..., Settings],
    migrated: str,
    databases: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    url = databases.copy(migrated)
    monkeypatch.setattr(service, "LOOK_SECONDS", 0.05)
    # A busy machine is no dead node, and keeps no call from its turn.
    monkeypatch.setattr(cluster, "PATIENCE", 1_000_000)
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 600.0)
    monkeypatch.setattr(floor, "DEFER_SECONDS", 600.0)

    @asynccontextmanager
    async def make(*names: str, **queue: Any) -> AsyncIterator[Nodes]:
        line = {"number": "100", "queue": "support", "language": "en"}
        queues = [{"name": "support", "wrap_up_seconds": 0, **queue}]
        settings = make_settings(lines=[line], queues=queues)
        settings = settings.model_copy(update={"database_url": url})
        bus = MemoryBus()
        made = {name: Stage(settings, node=name, bus=bus, shared=True) for name in names}
        for stage in made.values():
            await stage.service.start()
        try:
            yield made
        finally:
            for stage in made.values():
                await stage.service.stop(0.0)
                stage.log._engine.dispose()

    yield make
    databases.drop(url)


async def order(stage: Stage, command: Any, node: str | None = None) -> dict[str, Any]:
    """Of a browser, to any node or to that one."""
    to = f"telephony:{node}" if node else "telephony"
    return await asyncio.to_thread(stage.bus.request, to, command)


async def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.01)
    return value


async def seat(stage: Stage, agent: str, at: str) -> None:
    """Signs in through a web process that happened to ask the node `at`."""
    command = SeatAgent(agent=agent, username=agent, extension=None, language="en")
    await order(stage, command, at)
    await order(stage, SetAgentState(agent=agent, state="available"), at)


def facts(stage: Stage, kind: type[Any], **wanted: Any) -> list[Any]:
    found = [e.fact for e in stage.log.read(limit=500) if isinstance(e.fact, kind)]
    return [f for f in found if all(getattr(f, key) == value for key, value in wanted.items())]


async def at_least(stage: Stage, kind: type[Any], count: int) -> list[Any]:
    """The facts of that kind, once there are so many."""
    await until(lambda: len(facts(stage, kind)) >= count, f"{count} {kind.__name__}")
    return facts(stage, kind)


def test_an_agent_who_signed_in_at_one_node_takes_a_call_of_another(nodes: Make) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            await seat(one, "a", "one")
            two.audio.connect("a")
            inbound = two.calls()
            offered = await until(lambda: facts(one, AgentOffered), "the call rings")
            assert facts(one, CallRang)[0].node == "two"
            call = offered[0].call
            await order(two, AnswerCall(call=call, agent="a"), two.log.node_of(call))
            assert inbound.did == ["180", "200"]
            seats = one.service.floor.seats
            await until(lambda: seats["a"].state.name == "on_call", "the other node knows")
            view = await order(one, DescribeFloor(), "one")
            assert [(a["agent"], a["state"]) for a in view["agents"]] == [("a", "on_call")]
            chosen = SetAgentState(agent="a", state="break")
            assert (await order(one, chosen, "one"))["next"] == "break"
            await until(lambda: seats["a"].state.next == "break", "the other node knows of it")
            await order(two, HangUpCall(call=call, agent="a"), "two")
            await until(lambda: facts(one, AgentStateChanged, state="break"), "then the break")
            assert facts(one, CallEnded)[0].reason == "completed"

    run(scene())


def test_two_nodes_that_offer_at_once_never_ring_one_agent_twice(nodes: Make) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            for agent in ("a", "b", "c"):
                await seat(both["one"], agent, "one")
            for stage in both.values():
                for agent in ("a", "b", "c"):
                    stage.audio.connect(agent)
            for _ in range(6):
                for stage in both.values():
                    stage.calls()
            anyone = both["one"]
            for served in range(12):
                offered = await at_least(anyone, AgentOffered, served + 1)
                now = offered[served]
                node = anyone.log.node_of(now.call)
                await order(anyone, AnswerCall(call=now.call, agent=now.agent), node)
                await order(anyone, HangUpCall(call=now.call, agent=now.agent), node)
            await until(lambda: len(facts(anyone, CallEnded)) == 12, "twelve ends")
            assert len({offer.call for offer in facts(anyone, AgentOffered)}) == 12
            for agent in ("a", "b", "c"):
                story = [f.state for f in facts(anyone, AgentStateChanged, agent=agent)]
                rounds = [story[at : at + 3] for at in range(1, len(story), 3)]
                assert all(one == ["ringing", "on_call", "available"] for one in rounds), story

    run(scene())


def test_of_two_nodes_that_decided_for_one_agent_one_rings_them(
    nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one's decision is kept back until the first one's is in the database, and it
    reads the rows in between: what it decided stood on the row of before."""

    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            monkeypatch.setattr(floor, "DEFER_SECONDS", 0.0)
            await seat(one, "a", "one")
            for stage in both.values():
                stage.audio.connect("a")
            decided, go_on = threading.Event(), threading.Event()
            append = two.service._writer._append_and_tell

            def late(new: Sequence[Any], beside: Beside) -> None:
                if any(isinstance(fact, AgentOffered) for fact in new) and not decided.is_set():
                    decided.set()
                    assert go_on.wait(PATIENCE)
                append(new, beside)

            monkeypatch.setattr(two.service._writer, "_append_and_tell", late)
            two.calls()
            await until(decided.is_set, "the second node decided")
            one.calls()
            first = (await at_least(one, AgentOffered, 1))[0]
            joined = two.service._cluster
            assert joined
            joined.adopt(await asyncio.to_thread(joined.read, joined.clock()))
            go_on.set()
            await until(lambda: two.service.floor.seats["a"].node == "one", "the second gave way")
            await order(one, DescribeFloor(), "two")  # whatever it had to write is written
            assert [f.call for f in facts(one, AgentOffered)] == [first.call]
            assert one.log.node_of(first.call) == "one"
            await order(one, AnswerCall(call=first.call, agent="a"), "one")
            await order(one, HangUpCall(call=first.call, agent="a"), "one")
            second = (await at_least(one, AgentOffered, 2))[1]
            assert one.log.node_of(second.call) == "two"

    run(scene())


def test_a_node_knows_of_the_sound_at_another_also_where_it_missed_the_news(
    nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            one.audio.connect("a")  # no signal: as for a node that starts later
            await seat(one, "a", "one")
            two.calls()
            offer = (await at_least(one, AgentOffered, 1))[0]
            assert one.log.node_of(offer.call) == "two"

    monkeypatch.setattr(service, "PAY_SECONDS", 0.05)
    run(scene())


def test_the_call_that_waits_longest_is_first_at_whatever_node_it_waits(nodes: Make) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            for stage in both.values():
                stage.audio.connect("a")
            for stage in (two, one, two, one):
                known = len(facts(one, CallRang))
                stage.calls()
                await at_least(one, CallRang, known + 1)
            await until(
                lambda: len(one.service.floor.elsewhere) == len(two.service.floor.elsewhere) == 2,
                "the nodes know of each other's calls",
            )
            view = await order(one, DescribeFloor(), "one")
            assert view["queues"][0]["waiting"] == 4
            await seat(one, "a", "one")
            for served in range(4):
                offered = await at_least(one, AgentOffered, served + 1)
                node = one.log.node_of(offered[served].call)
                await order(one, AnswerCall(call=offered[served].call, agent="a"), node)
                await order(one, HangUpCall(call=offered[served].call, agent="a"), node)
            waited = [rang.call for rang in facts(one, CallRang)]
            assert [offer.call for offer in facts(one, AgentOffered)] == waited

    run(scene())


def test_a_node_that_dies_loses_its_own_calls_only_and_its_agents_are_free_again(
    nodes: Make,
) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            for agent in ("a", "b"):
                await seat(one, agent, "one")
            for stage in both.values():
                for agent in ("a", "b"):
                    stage.audio.connect(agent)
            talks = {}
            for stage in (one, two):
                known = len(facts(one, AgentOffered))
                stage.calls()
                offer = (await at_least(one, AgentOffered, known + 1))[-1]
                await order(one, AnswerCall(call=offer.call, agent=offer.agent), stage.node)
                talks[stage.node] = offer
            for chore in list(one.service._chores):
                chore.cancel()  # as if it had been killed: no beat any more
            assert two.service._cluster
            two.service._cluster._watch.patience = 6
            end = (await until(lambda: facts(two, CallEnded), "its call ends"))[0]
            assert (end.call, end.reason, end.by) == (talks["one"].call, "interrupted", "system")
            lost = talks["one"].agent
            await until(
                lambda: facts(two, AgentStateChanged, agent=lost)[-1].state == "available",
                "its agent is free",
            )
            two.calls()
            await until(lambda: len(facts(two, AgentOffered, agent=lost)) == 2, "and is rung")
            assert [f.call for f in facts(two, CallEnded)] == [talks["one"].call]
            view = await order(two, DescribeFloor(), "two")
            assert {a["agent"]: a["state"] for a in view["agents"]} == {
                lost: "ringing",
                talks["two"].agent: "on_call",
            }
            # The first one was only asleep: it finds out, and writes nothing more.
            one.service._chore(one.service._forever(one.service._keep, 0.01))
            assert one.service.deposed
            await until(one.service.deposed.is_set, "it knows")
            await one.service.record(end)
            assert len(facts(two, CallEnded)) == 1

    run(scene())


def test_an_agent_who_leaves_leaves_every_node(nodes: Make) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            await seat(one, "a", "one")
            two.audio.connect("a")
            await until(lambda: "a" in two.service.floor.seats, "the other node knows")
            await order(one, UnseatAgent(agent="a", reason="signed_out"), "one")
            await until(lambda: "a" not in two.service.floor.seats, "gone there too")
            await until(lambda: not two.audio.connected("a"), "with the sound")
            with pytest.raises(CallcenterError):
                await order(one, SetAgentState(agent="a", state="available"), "two")

    run(scene())


def test_a_lease_is_lost_by_standing_still_and_not_by_an_outage() -> None:
    watch = leases.Watch(patience=3)
    still = leases.Seen("telephony:a", "x", 7)
    for beat in range(3):
        assert watch.looked([leases.Seen("telephony:b", "y", beat), still]) == []
    watch.failed()
    for beat in range(3, 6):
        assert watch.looked([leases.Seen("telephony:b", "y", beat), still]) == []
    assert watch.looked([still]) == [still]
    assert watch.looked([leases.Seen("telephony:a", "x", 8)]) == []


def test_of_all_who_see_a_dead_lease_one_gets_it(migrated: str, databases: Any) -> None:
    url = databases.copy(migrated)
    engine = open_database(url)
    first = leases.Only(engine, "only:crm", "first", patience=1)
    others = [leases.Only(engine, "only:crm", name, patience=1) for name in ("second", "third")]
    assert first.mine()
    assert [other.mine() for other in others] == [False, False]
    assert first.mine()
    looks = [other.mine() for _ in range(4) for other in others]
    assert sum(looks) >= 1
    with engine.connect() as connection:
        holder = connection.scalar(select(leases.leases.c.holder))
    assert [other.mine() for other in others] == [holder == "second", holder == "third"]
    assert not first.mine()
    engine.dispose()
    databases.drop(url)


def test_a_colleague_is_asked_whichever_node_they_signed_in_at(nodes: Make) -> None:
    """The call and its agent are at one node, the colleague at the other: seat and sound come."""

    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            await seat(two, "a", "two")
            two.audio.connect("a")
            two.calls()
            offered = await until(lambda: facts(one, AgentOffered), "the call rings")
            call = offered[0].call
            await order(two, AnswerCall(call=call, agent="a"), "two")
            await seat(one, "b", "one")
            one.audio.connect("b")
            await until(lambda: two.service.floor.seats.get("b"), "the call's node knows")
            await until(lambda: two.service.floor.has_audio("b"), "and that b can be heard")
            await order(one, ConsultColleague(call=call, agent="a", colleague="b"), "two")
            seats = one.service.floor.seats
            await until(lambda: seats["b"].state.name == "ringing", "the other node follows")
            two.audio.connect("b")  # as the page does, when it is told the call's node
            await order(one, AnswerCall(call=call, agent="b"), "two")
            assert two.audio.legs["a"].hears is two.audio.legs["b"]
            await order(one, TransferCall(call=call, agent="a", to_agent="b"), "two")
            await until(lambda: seats["b"].state.name == "on_call", "b has the call")
            await until(lambda: seats["a"].state.name == "available", "a is free, everywhere")
            assert facts(one, ConsultationEnded)[0].reason == "handed_over"
            assert two.customer.hears is two.audio.legs["b"]

    run(scene())


def test_a_colleague_whom_another_node_rings_is_not_asked(nodes: Make) -> None:
    async def scene() -> None:
        async with nodes("one", "two") as both:
            one, two = both["one"], both["two"]
            await seat(two, "a", "two")
            two.audio.connect("a")
            two.calls()
            (offer,) = await at_least(one, AgentOffered, 1)
            await order(two, AnswerCall(call=offer.call, agent="a"), "two")
            await seat(one, "b", "one")
            one.audio.connect("b")
            one.calls()  # rings at b
            await at_least(one, AgentOffered, 2)
            command = ConsultColleague(call=offer.call, agent="a", colleague="b")
            with pytest.raises(CallcenterError):
                await order(one, command, "two")
            assert facts(one, ConsultationOffered) == []
            assert two.customer.hears is two.audio.legs["a"]
            seats = two.service.floor.seats
            await until(lambda: "b" in seats and seats["b"].state.name == "ringing", "it follows")
            assert seats["b"].state.call != offer.call

    run(scene())
