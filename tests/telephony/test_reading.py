"""A complaint's code, read out: said again by a key, and kept where the customer heard it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import Stage, StageMaker, run

from callcenter.errors import Conflict
from callcenter.events import (
    AnswerCall,
    BeginConference,
    ComplaintCodeRead,
    ConsultColleague,
    ControlRecording,
    HangUpCall,
    ReadOutCode,
)
from callcenter.telephony import reading
from callcenter.telephony.fakes.media import tone
from callcenter.telephony.ports import Direction


async def talking(floor: Stage) -> Any:
    """Agent a talks with a caller: the caller's dialog."""
    await floor.seat("a")
    return await floor.talking()


async def read_out(floor: Stage, times: int = 1) -> None:
    """The agent clicks; the customer hears it."""
    order = ReadOutCode(call=floor.call, agent="a", complaint="c1", code="C-7K3F9XA")
    await floor.order(order)
    assert floor.reads_out()
    assert len(floor.receipts) == times


async def said_again(floor: Stage, times: int) -> None:
    await floor.happens(lambda: len(floor.receipts) == times and floor.reads_out())


def told(floor: Stage) -> int:
    return floor.story().count("ComplaintCodeRead")


async def control(floor: Stage, action: Any) -> None:
    await floor.order(ControlRecording(call=floor.call, agent="a", action=action))


# --- The key ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rtp", "info"])
def test_the_customer_hears_it_again_by_a_key_three_times_at_most(
    stage: StageMaker, way: str
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            inbound = await talking(floor)
            await read_out(floor)
            press = floor.customer.press if way == "rtp" else inbound._on_digit
            press("1")  # in the middle
            await said_again(floor, 2)
            assert told(floor) == 0, "it was not heard to its end yet"
            for times in (3, 4):
                floor.media.finish_playing(floor.customer)  # to its end: the key is waited for
                await floor.until("ComplaintCodeRead")
                press("1")
                await said_again(floor, times)
            assert [more for _, _, more, _ in floor.receipts] == [True, True, True, False]
            floor.media.finish_playing(floor.customer)  # nothing is waited for any more
            await floor.happens(lambda: floor.customer.hears is floor.audio.legs["a"])
            assert told(floor) == 1, "it was told once, however often it was said"
            assert floor.last(ComplaintCodeRead).complaint == "c1"
            press("1")  # too late: whoever talks may press what they like
            await read_out(floor, times=5)
            assert floor.receipts[-1][2], "another click, another three times"

    run(scene())


@pytest.mark.parametrize("key", ["2", "0", "#", "*"])
@pytest.mark.parametrize("heard", [True, False])
def test_any_other_key_ends_it_at_once(stage: StageMaker, key: str, heard: bool) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            await read_out(floor)
            if heard:
                floor.media.finish_playing(floor.customer)
                await floor.until("ComplaintCodeRead")
            floor.customer.press(key)
            await floor.happens(lambda: floor.customer.hears is floor.audio.legs["a"])
            assert told(floor) == heard

    run(scene())


def test_without_a_key_the_two_talk_on_after_a_moment(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.0)

    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            await read_out(floor)
            await asyncio.sleep(1.5)  # the watch looks every second
            assert floor.reads_out(), "it is said to its end, however long it is"
            floor.media.finish_playing(floor.customer)
            await floor.happens(lambda: floor.customer.hears is floor.audio.legs["a"])
            assert told(floor) == 1

    run(scene())


def test_what_cannot_be_said_again_ends_it_and_the_call_goes_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            await read_out(floor)
            floor.receipt_fails = True
            floor.customer.press("1")
            await floor.happens(lambda: floor.customer.hears is floor.audio.legs["a"])
            assert told(floor) == 0
            assert "CallEnded" not in floor.story()

    run(scene())


def test_hanging_up_ends_it(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            inbound = await talking(floor)
            await read_out(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("ComplaintCodeRead")
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert told(floor) == 1

    run(scene())


def test_who_holds_the_call_while_it_is_read_out_hears_the_agent_afterwards(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            inbound = await talking(floor)
            await read_out(floor)
            inbound.wants(Direction.SENDONLY)
            await floor.until("CallHeld")
            inbound.wants(Direction.SENDRECV)
            await floor.until("CallResumed")
            assert floor.customer.hears is floor.audio.legs["a"]
            assert told(floor) == 0

    run(scene())


def test_a_colleague_who_leaves_the_conference_ends_it_unheard(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            await floor.seat("b")
            await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="b"))
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            await floor.order(BeginConference(call=floor.call, agent="a"))
            await read_out(floor)
            await floor.order(HangUpCall(call=floor.call, agent="b"))
            assert floor.customer.hears is floor.audio.legs["a"]
            await read_out(floor, times=2)
            assert told(floor) == 0

    run(scene())


# --- What is kept -----------------------------------------------------------------------------


def test_the_recording_has_what_the_customer_heard_in_the_agents_lane(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            (journal,) = floor.recordings.journals
            agent = floor.audio.legs["a"]
            await read_out(floor)
            assert agent.taps == [], "what the customer does not hear is not kept"
            floor.media.go_on_playing(floor.customer, range(3))
            assert journal.written == {"agent": 480, "customer": 0}
            floor.media.go_on_playing(floor.customer, range(3, 5))
            assert journal.written["agent"] == 480, "its end is its end"
            floor.customer.press("0")
            await floor.happens(lambda: floor.customer.hears is agent)
            agent.speak(tone(0.02), at=agent.taps[0].start)  # said while it was read out
            assert journal.written["agent"] == 480
            agent.speak(tone(0.02), at=agent.taps[0].start + 600)
            assert journal.written["agent"] == 480 + 160

    run(scene())


def test_a_pause_keeps_nothing_of_it_and_what_goes_on_afterwards_is_kept(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await talking(floor)
            (journal,) = floor.recordings.journals
            await control(floor, "pause")
            await read_out(floor)
            floor.media.go_on_playing(floor.customer, range(3))
            assert journal.written["agent"] == 0
            await control(floor, "resume")
            assert floor.audio.legs["a"].taps == []
            await asyncio.sleep(0.5)  # nothing of the first quarter of a second is kept
            floor.media.go_on_playing(floor.customer, range(2))
            assert journal.written["agent"] == 320

    run(scene())


def test_where_nothing_may_be_kept_it_is_not_kept_either(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_record="never") as floor:
            await talking(floor)
            await read_out(floor)
            floor.media.go_on_playing(floor.customer, range(3))
            assert floor.recordings.journals == []

    run(scene())


def test_begun_in_the_middle_the_rest_is_kept(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_record="on_demand") as floor:
            await talking(floor)
            await read_out(floor)
            floor.media.go_on_playing(floor.customer, range(1))
            await control(floor, "start")
            agent = floor.audio.legs["a"]
            assert agent.taps == []
            await asyncio.sleep(0.1)
            floor.media.go_on_playing(floor.customer, range(1, 3))
            (journal,) = floor.recordings.journals
            assert journal.written["agent"] == 320
            floor.customer.press("0")
            await floor.happens(lambda: floor.customer.hears is agent)
            assert len(agent.taps) == 2, "recorder and recogniser hear the agent again"

    run(scene())


def test_without_a_journal_it_is_said_all_the_same(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            floor.recordings.full = True
            await talking(floor)
            await read_out(floor)
            floor.media.go_on_playing(floor.customer, range(3))
            with pytest.raises(Conflict, match="being read out already"):
                await read_out(floor)

    run(scene())
