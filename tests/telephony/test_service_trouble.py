"""What a call leaves behind when something goes wrong around it: nothing, and one end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from scripted import PATIENCE, PHONE, ScriptedCaller, ScriptedJournal, Stage, StageMaker, run
from sqlalchemy.exc import OperationalError

from callcenter.config import Settings
from callcenter.errors import CallGone, NoSpace, RecordingError
from callcenter.events import (
    AgentOffered,
    AnswerCall,
    CallAnswered,
    CallEnded,
    CallRang,
    CallTransferred,
    DescribeFloor,
    DescribeHealth,
    HangUpCall,
    HoldCall,
    RecordingTruncated,
    RejectCall,
    ResourcesSeen,
    SeatAgent,
    TransferCall,
    UnseatAgent,
)
from callcenter.resources import Use
from callcenter.telephony import dialogs
from callcenter.telephony.caller import CallerSide
from callcenter.telephony.ports import Address, Direction, MediaDescription


@contextmanager
def a_database_that_fails(floor: Stage) -> Iterator[None]:
    """Every append fails as SQLite does when the disk is full or a lock is held for long."""
    append = floor.log.append

    def fail(*facts: Any, **_: Any) -> Any:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    floor.log.append = fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        floor.log.append = append  # type: ignore[method-assign]


async def until(condition: Callable[[], Any], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.01)


async def state(floor: Stage, agent: str) -> str:
    view = await floor.order(DescribeFloor())
    return str(next(one["state"] for one in view["agents"] if one["agent"] == agent))


async def nothing_is_left(floor: Stage) -> None:
    await until(lambda: not floor.service._sessions, "the call is forgotten")
    view = await floor.order(DescribeFloor())
    assert (view["calls"], view["queues"][0]["waiting"]) == ([], 0)
    assert [leg for leg in floor.media.legs if leg not in floor.audio.legs.values()] == [
        leg for leg in floor.media.legs if leg.closed
    ]


def test_a_caller_who_gives_up_as_an_agent_is_found_leaves_no_agent_ringing(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            floor.calls().leave("cancelled")
            story = await floor.until("CallEnded")
            await nothing_is_left(floor)
            assert await state(floor, "a") == "available"
            assert story == ["a available", "CallRang", "CallQueued", "CallEnded"]
            floor.calls()
            await floor.until("a ringing")

    run(scene())


def test_a_call_that_cannot_be_kept_now_waits_and_rings_as_soon_as_it_is_kept(
    stage: StageMaker,
) -> None:
    """A16: the caller is not refused; nobody is rung of whom no fact could tell."""

    async def scene() -> None:
        async with stage(line_answer="early") as floor:
            await floor.seat("a")
            with a_database_that_fails(floor):
                inbound = floor.calls()
                await until(lambda: inbound.did == ["180", "200"], "the caller is answered")
                assert await state(floor, "a") == "available"
                assert floor.story() == ["a available"]
            story = await floor.until("AgentOffered", "a ringing")
            assert story[1:3] == ["CallRang", "CallQueued"]
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "completed"

    run(scene())


def test_on_a_full_disk_the_reserve_is_given_up_for_the_facts(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            append, tries = floor.log.append, list[int]()

            def full_once(*facts: Any, **more: Any) -> Any:
                tries.append(len(facts))
                if len(tries) == 1:
                    raise OperationalError("INSERT", {}, Exception("database or disk is full"))
                return append(*facts, **more)

            given = iter([True])
            monkeypatch.setattr(
                floor.service._writer._reserve, "release", lambda: next(given, False)
            )
            monkeypatch.setattr(floor.log, "append", full_once)
            floor.calls()
            story = await floor.until("AgentOffered")
            assert story[1:3] == ["CallRang", "CallQueued"]
            assert tries[:2] == [2, 2]

    run(scene())


def test_what_runs_short_is_told_once_and_stands_in_the_health_report(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            seen: list[ResourcesSeen] = []
            floor.bus.subscribe(ResourcesSeen, seen.append)
            uses = [Use("recordings_disk", 95, 100), Use("calls", 1, 200)]
            monkeypatch.setattr(floor.service, "_uses", lambda: uses)
            with structlog.testing.capture_logs() as said:
                await floor.service._watch_resources()
                await floor.service._watch_resources()
                uses[0] = Use("recordings_disk", 50, 100)
                await floor.service._watch_resources()
            told = [(one["log_level"], one["resource"]) for one in said if "resource" in one]
            assert told == [("error", "recordings_disk"), ("info", "recordings_disk")]
            assert [one.alarms for one in seen[-3:]] == [{"recordings_disk": 0.95}] * 2 + [{}]
            health = await floor.order(DescribeHealth())
            assert health["resources"] == {"recordings_disk": 0.5, "calls": 0.005}
            assert health["alarms"] == {}

    run(scene())


def test_a_recording_that_the_disk_cut_off_says_so_and_the_call_goes_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(wrap_up_seconds=0) as floor:
            await floor.seat("a")
            inbound = await floor.talking()

            def full(position: int) -> None:
                raise NoSpace("no space left on device")

            floor.recordings.journals[0].close = full
            inbound.leave("bye")
            story = await floor.until("CallEnded")
            assert story[-3:-1] == ["RecordingTruncated", "CallEnded"]
            assert floor.last(RecordingTruncated).reason == "no space"
            assert floor.last(CallEnded).reason == "completed"

    run(scene())


def test_a_database_that_fails_costs_no_call_in_progress_and_gets_the_facts_later(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(wrap_up_seconds=0.3) as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            with a_database_that_fails(floor):
                call = floor.call
                assert (await floor.order(HoldCall(call=call, agent="a")))["state"] == "held"
                await floor.order(HangUpCall(call=call, agent="a"))
                await nothing_is_left(floor)
                assert inbound.did == ["180", "200", "BYE"]
                deadline = asyncio.get_running_loop().time() + PATIENCE
                while await state(floor, "a") != "available":
                    assert asyncio.get_running_loop().time() < deadline
                    await asyncio.sleep(0.02)
            story = await floor.until("WrapUpEnded")
            measured = ["CallQualityMeasured"] * 2
            wanted = ["CallHeld", *measured, "CallEnded", "a wrap_up", "WrapUpEnded", "a available"]
            assert story[-7:] == wanted

    run(scene())


def test_without_a_free_port_a_caller_is_refused_at_once_and_asked_to_come_back(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            kept, floor.media._free = floor.media._free[:1], []
            inbound = floor.calls()
            assert inbound.did == ["503 after 10"]
            floor.media._free = kept
            first, second = floor.calls(), floor.calls()
            assert (first.did, second.did) == ([], ["503 after 10"]), "the port is promised already"
            await floor.until("a ringing")
            first.leave("cancelled")
            await floor.until("CallEnded")
            await nothing_is_left(floor)
            assert floor.story().count("CallRang") == 1

    run(scene())


def test_an_agent_who_vanishes_while_the_phone_takes_the_answer_costs_no_call(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            acknowledged = asyncio.Event()

            async def late(self: ScriptedCaller, local: Address) -> MediaDescription:
                self.did.append("200")
                await acknowledged.wait()
                return PHONE

            monkeypatch.setattr(ScriptedCaller, "answer", late)
            await floor.seat("a")
            inbound = floor.calls()
            await floor.until("a ringing")
            answer = asyncio.create_task(floor.order(AnswerCall(call=floor.call, agent="a")))
            await until(lambda: "200" in inbound.did, "the answer is on its way")
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            acknowledged.set()
            with pytest.raises(CallGone):
                await answer
            await floor.seat("b")
            await floor.until("b ringing")
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert floor.audio.legs["b"].hears is floor.media.legs[1]  # the first was a's
            assert inbound.did == ["180", "200"]

    run(scene())


def test_an_agent_who_is_back_while_the_leave_is_written_keeps_the_audio_leg(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            seats, writing = floor.service.floor.seats, threading.Event()
            floor.service._writer.run(writing.wait, PATIENCE)
            leave = asyncio.create_task(floor.order(UnseatAgent(agent="a", reason="lost")))
            await until(lambda: "a" not in seats, "the agent left")
            back = SeatAgent(agent="a", username="a", extension=None, language="en")
            returned = asyncio.create_task(floor.order(back))
            await until(lambda: "a" in seats, "the agent is back")
            writing.set()
            await asyncio.gather(leave, returned)
            assert floor.audio.connected("a")

    run(scene())


def test_the_longest_wait_ends_also_where_somebody_declines_again_and_again(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(max_wait_seconds=0.3) as floor:
            await floor.seat("a")
            inbound = floor.calls()
            deadline = asyncio.get_running_loop().time() + PATIENCE
            while "480" not in inbound.did:
                assert asyncio.get_running_loop().time() < deadline
                try:
                    await floor.order(RejectCall(call=floor.call, agent="a"))
                except (CallGone, IndexError):
                    await asyncio.sleep(0.01)
            await floor.until("CallEnded")
            await nothing_is_left(floor)
            assert await state(floor, "a") == "available"
            assert floor.last(CallEnded).reason == "missed"

    run(scene())


def test_a_transfer_to_somebody_who_takes_a_break_meanwhile_goes_to_the_queue(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            writing = threading.Event()
            floor.service._writer.run(writing.wait, PATIENCE)
            transfer = TransferCall(call=floor.call, agent="a", to_agent="b")
            ordered = asyncio.create_task(floor.order(transfer))
            await until(lambda: floor.service.floor.waiting, "the call waits again")
            floor.service.floor.choose("b", "break", None, 0.0)
            writing.set()
            await ordered
            await floor.seat("c")
            await floor.until("c ringing")

    run(scene())


def test_a_disk_that_fails_for_a_while_is_written_again_and_the_journal_is_closed(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            failed: list[str] = []

            def sync(self: ScriptedJournal, position: int) -> None:
                if not failed:
                    failed.append(self.call)
                    raise RecordingError("the disk is full")
                self.did.append("sync")

            monkeypatch.setattr(ScriptedJournal, "sync", sync)
            await floor.seat("a")
            inbound = await floor.talking()
            await until(lambda: "sync" in floor.recordings.journals[0].did, "written again")
            inbound.leave("bye")
            story = await floor.until("CallEnded")
            assert floor.recordings.journals[0].did[-1] == "close"
            assert "RecordingFailed" not in story

    run(scene())


def test_sound_is_expected_from_the_answer_and_from_a_resume_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            inbound = ScriptedCaller()
            side = CallerSide(inbound, floor.media, floor.sounds)
            assert side.silent_for() == 0.0
            await side.answer()
            floor.media.legs[0].alive_at = -1000.0  # opened long ago, on a line that answers early
            side.join(floor.media.leg())
            assert side.silent_for() < PATIENCE
            side.change_media(MediaDescription(PHONE.address, PHONE.codec, Direction.SENDONLY))
            side._expected_at = -1000.0
            assert side.silent_for() == 0.0
            side.change_media(PHONE)
            assert side.silent_for() < PATIENCE
            side._expected_at = -1000.0
            assert side.silent_for() > 1000.0

    run(scene())


def test_a_call_that_a_kill_cut_off_belongs_to_the_agent_who_had_it_last(
    make_settings: Callable[..., Settings],
) -> None:
    async def scene() -> None:
        stage = Stage(make_settings())
        rang = {
            "from_number": None,
            "from_name": None,
            "to_number": "100",
            "line": "100",
            "trunk": "local",
            "region": "IR",
            "language": "en",
            "policy": "always",
            "node": "node-1",
            "sip_call_id": "s",
        }
        stage.log.append(
            CallRang(call="broken", **rang),  # type: ignore[arg-type]
            CallRang(call="only-rang", **rang),  # type: ignore[arg-type]
            CallRang(call="moved", **rang),  # type: ignore[arg-type]
            AgentOffered(call="moved", agent="a", queue="support", attempt=1),
            CallAnswered(call="moved", agent="a", queue="support", wait_seconds=1.0),
            CallTransferred(call="moved", from_agent="a", to_agent="b"),
            CallAnswered(call="moved", agent="b", queue="support", wait_seconds=9.0),
        )
        positions = stage.recordings.last_position

        def position(call: str) -> int | None:
            if call == "broken":
                raise RecordingError("this folder cannot be read")
            return positions(call)

        stage.recordings.last_position = position  # type: ignore[method-assign]
        await stage.service.start()
        ends = {e.fact.call: e.fact for e in stage.log.read() if isinstance(e.fact, CallEnded)}
        assert set(ends) == {"only-rang", "moved"}
        assert (ends["only-rang"].agent, ends["only-rang"].reason) == (None, "interrupted")
        assert ends["moved"].agent == "b"
        await stage.service.stop(0.0)

    run(scene())


def test_while_calls_drain_new_ones_are_refused_and_those_there_end_by_themselves(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            talking = await floor.talking()
            stop = asyncio.create_task(floor.service.stop(PATIENCE))
            await until(lambda: floor.service._draining, "it drains")
            assert floor.calls().did == ["503 after 10"]
            assert (await floor.order(HoldCall(call=floor.call, agent="a")))["state"] == "held"
            talking.leave("bye")
            await stop
            ends = [e.fact.reason for e in floor.log.read() if isinstance(e.fact, CallEnded)]
            assert ends == ["completed"]

    run(scene())


def test_an_agent_who_vanishes_while_the_sound_is_waited_for_answers_nothing(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:

            async def leave_meanwhile(agent: str, patience: float, *, coming: bool = False) -> bool:
                await floor.order(UnseatAgent(agent=agent, reason="lost"))
                floor.audio.connect(agent)
                return True

            floor.audio.ready = leave_meanwhile
            await floor.seat("a")
            inbound = floor.calls()
            await floor.until("a ringing")
            with pytest.raises(CallGone):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            assert inbound.did == ["180"]
            await floor.seat("b")
            await floor.until("b ringing")

    run(scene())


def memos(floor: Stage) -> dict[str, Any]:
    return dialogs.left_open(floor.log.engine, "node-1")


def test_the_dialog_is_kept_with_the_answer_and_forgotten_with_the_end(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(wrap_up_seconds=0) as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            assert memos(floor) == {floor.call: {"call": "sip-1", "said": 2}}
            inbound.did.append("re-INVITE")
            inbound.wants(Direction.SENDONLY)
            await until(lambda: memos(floor)[floor.call]["said"] == 3, "the memo follows")
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert memos(floor) == {}

    run(scene())


def test_a_line_that_answers_early_keeps_its_dialog_before_any_agent(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_answer="early") as floor:
            inbound = floor.calls()
            await until(lambda: memos(floor), "the memo")
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert memos(floor) == {}

    run(scene())


def test_dialogs_that_a_kill_left_open_get_their_bye_once(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")  # the start has looked already, and found nothing
            left: dict[str, dict[str, Any] | None] = {"c1": {"call": "old-1"}, "c2": {"call": "x"}}
            with floor.log.engine.begin() as connection:
                dialogs.keep(connection, "node-1", left)
                dialogs.keep(connection, "node-2", {"c3": {"call": "of another node"}})
            await floor.service._aftermath.say_goodbyes("node-1")
            assert [memo["call"] for memo in floor.sip.goodbyes] == ["old-1", "x"]
            await floor.service.record()
            assert memos(floor) == {}
            assert list(dialogs.left_open(floor.log.engine, "node-2")) == ["c3"]

    run(scene())
