"""REFER and Replaces in the life of a call: scripted caller and agents, a real event log."""

from __future__ import annotations

import pytest
from scripted import ScriptedCaller, Stage, StageMaker, run

from callcenter.events import (
    AnswerCall,
    CallEnded,
    CallerReplaced,
    CallQueued,
    CallRang,
    CallTransferred,
    DescribeFloor,
    HoldCall,
    SeatAgent,
)
from callcenter.telephony.fakes.sip import FakeReferral
from callcenter.telephony.ports import Caller, Direction


async def refer(
    floor: Stage, caller: ScriptedCaller, user: str, *, attended: bool = False
) -> list[int]:
    referral = FakeReferral(user, attended)
    caller.refer(referral)
    await floor.happens(lambda: referral.told != [])
    return referral.told


@pytest.mark.parametrize("target", ["support", "100"])
def test_a_refer_to_a_queue_or_a_line_sends_the_caller_there(
    stage: StageMaker, target: str
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            caller = await floor.talking()
            assert await refer(floor, caller, target) == [200]
            moved = floor.last(CallTransferred)
            assert (moved.from_agent, moved.to_queue) == ("a", "support")
            assert floor.last(CallQueued).queue == "support"
            await floor.seat("b")
            await floor.until("b ringing")
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert floor.customer.hears is floor.audio.legs["b"]
            assert caller.did == ["180", "200"]

    run(scene())


def test_a_refer_to_an_agents_extension_rings_there(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.order(SeatAgent(agent="b", username="b", extension="201", language="en"))
            caller = await floor.talking("a")
            assert await refer(floor, caller, "201") == [200]
            await floor.until("CallTransferred")  # told after the answer to the REFER
            assert floor.last(CallTransferred).to_agent == "b"
            await floor.until("b ringing")

    run(scene())


def test_what_cannot_be_reached_is_told_and_the_two_talk_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            caller = await floor.talking()
            assert await refer(floor, caller, "+989120000000") == [404]  # nobody outside
            assert await refer(floor, caller, "") == [404]
            assert await refer(floor, caller, "a") == [480]  # is in this very call
            assert await refer(floor, caller, "100", attended=True) == [501]
            assert floor.customer.hears is floor.audio.legs["a"]
            assert "CallTransferred" not in floor.story()

    run(scene())


def test_a_line_for_any_number_is_no_way_to_the_outside(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(lines=[{"number": "*", "queue": "support"}]) as floor:
            await floor.seat("a")
            caller = await floor.talking()
            assert await refer(floor, caller, "*") == [404]
            assert await refer(floor, caller, "+989120000000") == [404]

    run(scene())


def test_a_refer_while_the_caller_waits_is_declined(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            caller = floor.calls()
            await floor.until("CallQueued")
            assert await refer(floor, caller, "support") == [480]
            await floor.seat("a")
            await floor.until("a ringing")
            assert await refer(floor, caller, "support") == [480]

    run(scene())


def test_another_dialog_takes_the_callers_place_in_the_same_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            first = await floor.talking()
            leg = floor.customer
            second = ScriptedCaller(number="+989127654321")
            first.replace(second)
            await floor.until("CallerReplaced")
            await floor.happens(lambda: first.did == ["180", "200", "BYE"])
            assert second.did == ["200"]
            assert leg.closed
            told = floor.last(CallerReplaced)
            assert (told.from_number, told.sip_call_id) == ("+989127654321", "sip-1")
            new = floor.media.legs[-1]
            agent = floor.audio.legs["a"]
            await floor.happens(lambda: (new.hears, agent.hears) == (agent, new))
            calls = (await floor.order(DescribeFloor()))["calls"]
            assert [one["from"] for one in calls] == ["+989127654321"]
            assert floor.story().count("CallRang") == 1
            second.leave("bye")
            await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "completed"
            assert len(floor.recordings.journals) == 1
            assert floor.story().count("CallQualityMeasured") == 3  # two telephones, one agent

    run(scene())


def test_the_agents_hold_and_the_new_phones_hold_are_kept_apart(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            first = await floor.talking()
            first.wants(Direction.SENDONLY)
            await floor.until("CallHeld")
            await floor.order(HoldCall(call=floor.call, agent="a"))
            second = ScriptedCaller()
            first.replace(second)
            await floor.until("CallResumed")
            new = floor.media.legs[-1]
            await floor.happens(lambda: new.hears is floor.sounds.music)

    run(scene())


def test_a_new_phone_that_cannot_take_the_place_changes_nothing(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            first = await floor.talking()
            second = ScriptedCaller()
            second.refuses_answer = True
            first.replace(second)
            await floor.happens(lambda: second.did == ["500"])
            assert first.did == ["180", "200"]
            assert floor.customer.hears is floor.audio.legs["a"]

    run(scene())


def test_a_waiting_caller_of_an_early_line_can_be_replaced_and_hears_the_music(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(line_answer="early") as floor:
            first = floor.calls()
            await floor.happens(lambda: first.did == ["180", "200"])
            second = ScriptedCaller()
            first.replace(second)
            await floor.until("CallerReplaced")
            new = floor.media.legs[-1]
            await floor.happens(lambda: new.hears is floor.sounds.ringback)

    run(scene())


def test_who_diverted_and_the_networks_verdict_stand_in_the_first_fact(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            floor.calls(diverted_from="+982112345", verstat="passed")
            await floor.until("CallRang")
            rang = floor.last(CallRang)
            assert (rang.diverted_from, rang.verstat) == ("+982112345", "passed")

    run(scene())


def test_facts_of_before_have_neither() -> None:
    assert Caller("1", None) == Caller("1", None, None, None)
