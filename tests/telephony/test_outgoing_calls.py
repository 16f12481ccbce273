"""Calls that agents place, through the telephony service: scripted phone, sound and agents; a
real event log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import PATIENCE, Stage, StageMaker, run

from callcenter.config import Outbound
from callcenter.errors import (
    CallGone,
    Conflict,
    NoAudioLeg,
    NotFound,
    OutboundDenied,
    OutboundLimit,
    OutboundOff,
    Unavailable,
)
from callcenter.events import (
    CalleeAlerted,
    CallEnded,
    CallRang,
    DialNumber,
    HangUpCall,
    HoldCall,
    OutboundAlarm,
    SetAgentState,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony.fakes.outgoing import FakeOutboundCall

NUMBER = "0912 123 4567"


async def dial(floor: Stage, to: str = NUMBER, agent: str = "a") -> FakeOutboundCall:
    view = await floor.order(DialNumber(agent=agent, to=to))
    assert (view["direction"], view["state"], view["agent"]) == ("outbound", "dialling", agent)
    call = floor.dialler.calls[-1]
    await heard(call, "INVITE")
    return call


async def heard(call: FakeOutboundCall, what: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while what not in call.heard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def ended(floor: Stage, times: int = 1) -> CallEnded:
    await floor.until("CallEnded", times=times)
    end = floor.last(CallEnded)
    assert isinstance(end, CallEnded)
    return end


def test_a_call_from_the_click_to_the_end_of_the_talk(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            agent = floor.audio.legs["a"]
            call.progress(180)
            await floor.until("CalleeAlerted")
            assert agent.hears is floor.sounds.ringback
            call.answer()
            await floor.until("CallAnswered")
            customer = floor.customer
            assert (customer.hears, agent.hears) == (agent, customer)
            await floor.order(HangUpCall(call=floor.call, agent="a"))
            end = await ended(floor)
            await floor.until("a wrap_up")
            assert await floor.until("a wrap_up") == [
                "a available",
                "CallRang",
                "a on_call",
                "CalleeAlerted",
                "CallAnswered",
                "RecordingStarted",
                "CallQualityMeasured",
                "CallQualityMeasured",
                "CallEnded",
                "a wrap_up",
            ]
            rang = floor.last(CallRang)
            assert (rang.to_number, rang.from_number) == ("+989121234567", "+982112345")
            assert (rang.agent, rang.trunk, rang.sip_call_id) == ("a", "provider", call.sip_call_id)
            assert (end.reason, end.by, end.agent) == ("completed", "agent", "a")
            assert call.heard == ["INVITE", "BYE"]
            assert customer.closed
            assert floor.recordings.journals[0].did[-1] == "close"
            assert sorted(floor.speech.opened) == [("agent", "fa"), ("customer", "fa")]

    run(scene())


def test_the_agent_hears_the_far_networks_own_sound_before_the_answer(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.progress(183, early=True)
            await floor.until("CalleeAlerted")
            assert floor.last(CalleeAlerted).early
            assert floor.audio.legs["a"].hears is floor.customer
            call.progress(180)
            await asyncio.sleep(0.05)
            assert floor.audio.legs["a"].hears is floor.customer
            assert floor.recordings.journals[0].did == []
            call.refuse(486)
            await ended(floor)

    run(scene())


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "rejected"),
        (480, "no_answer"),
        (408, "no_answer"),
        (404, "failed"),
        (503, "failed"),
    ],
)
def test_a_call_that_is_not_answered_ends_in_one_row_that_says_why(
    stage: StageMaker, status: int, outcome: str
) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.refuse(status)
            end = await ended(floor)
            assert (end.reason, end.agent, end.talk_seconds) == (outcome, "a", 0.0)
            assert str(status) in end.detail
            story = await floor.until("a wrap_up")
            assert story.count("CallEnded") == 1
            assert floor.audio.legs["a"].hears is None
            assert floor.recordings.journals[0].did == ["discard"]
            assert all(leg.closed for leg in floor.media.legs if leg is not floor.audio.legs["a"])

    run(scene())


def test_the_agent_gives_up_while_it_rings(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.progress(180)
            await floor.until("CalleeAlerted")
            with pytest.raises(CallGone):
                await floor.order(HoldCall(call=floor.call, agent="a"))
            with pytest.raises(CallGone):
                await floor.order(HangUpCall(call=floor.call, agent="b"))
            await floor.order(HangUpCall(call=floor.call, agent="a"))
            end = await ended(floor)
            assert (end.reason, end.by) == ("cancelled", "agent")
            assert call.heard == ["INVITE", "CANCEL"]

    run(scene())


def test_nobody_answers_in_time(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={"ring_seconds": 0.1}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.progress(180)
            end = await ended(floor)
            assert (end.reason, call.heard) == ("no_answer", ["INVITE", "CANCEL"])

    run(scene())


def test_whoever_signs_out_while_it_rings_leaves_no_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            assert (await ended(floor)).reason == "cancelled"
            assert "CANCEL" in call.heard

    run(scene())


def test_hold_transfer_and_the_customers_bye_as_in_any_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.answer()
            await floor.until("CallAnswered")
            await floor.order(HoldCall(call=floor.call, agent="a"))
            assert floor.customer.hears is floor.sounds.music
            await floor.order(TransferCall(call=floor.call, agent="a", to_queue="support"))
            await floor.until("CallTransferred", "CallQueued", "a wrap_up")
            assert "BYE" not in call.heard
            call.bye()
            end = await ended(floor)
            assert (end.reason, end.by) == ("abandoned", "customer")

    run(scene())


def test_after_the_call_the_agent_is_where_they_were(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}, wrap_up_seconds=0) as floor:
            await floor.seat("a")
            await floor.order(SetAgentState(agent="a", state="back_office", reason="mail"))
            call = await dial(floor)
            call.refuse(486)
            await ended(floor)
            await floor.until("a back_office", times=2)

    run(scene())


def test_a_call_does_not_last_for_ever(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            view = await floor.order(DialNumber(agent="a", to=NUMBER))
            session: Any = floor.service._sessions[view["id"]]
            session._longest *= 0
            await heard(floor.dialler.calls[-1], "INVITE")
            floor.dialler.calls[-1].answer()
            end = await ended(floor)
            assert (end.reason, end.by) == ("completed", "system")
            assert "limit" in end.detail

    run(scene())


# --- who may ---


def test_without_the_section_nobody_calls_anybody(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            with pytest.raises(OutboundOff):
                await floor.order(DialNumber(agent="a", to=NUMBER))
            assert floor.dialler.calls == []

    run(scene())


def test_only_somebody_who_is_there_free_and_heard_calls_somebody(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            with pytest.raises(NotFound):
                await floor.order(DialNumber(agent="nobody", to=NUMBER))
            await floor.seat("deaf", audio=False)
            with pytest.raises(NoAudioLeg):
                await floor.order(DialNumber(agent="deaf", to=NUMBER))
            await floor.seat("a")
            await floor.order(SetAgentState(agent="deaf", state="break"))
            await floor.talking()
            with pytest.raises(Conflict):
                await floor.order(DialNumber(agent="a", to=NUMBER))
            assert floor.dialler.calls == []
            assert floor.story().count("CallRang") == 1

    run(scene())


def test_denied_numbers_are_never_sent(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            for number in ("+1 212 555 0123", "+882 13 000000", "110", "sip:x@evil.example"):
                with pytest.raises(OutboundDenied):
                    await floor.order(DialNumber(agent="a", to=number))
            assert floor.dialler.calls == []
            assert "CallRang" not in floor.story()

    run(scene())


def test_limits_hold_and_half_of_one_is_an_alarm(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={"calls_per_agent": 2}, wrap_up_seconds=0) as floor:
            alarms: list[OutboundAlarm] = []
            floor.bus.subscribe(OutboundAlarm, alarms.append)
            await floor.seat("a")
            for times in (1, 2):
                call = await dial(floor)
                call.refuse(486)
                await ended(floor, times)
                await floor.until("a available", times=times + 1)
            with pytest.raises(OutboundLimit):
                await floor.order(DialNumber(agent="a", to=NUMBER))
            assert [(one.agent, one.what, one.used, one.limit) for one in alarms] == [
                ("a", "calls", 1, 2)
            ]

    run(scene())


def test_the_days_calls_are_still_counted_after_a_restart(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={"calls_per_agent": 1}) as floor:
            await floor.seat("a")
            call = await dial(floor)
            call.refuse(486)
            await ended(floor)
            await floor.until("a wrap_up")
            placing: Any = floor.service._placing
            anew = type(placing)(floor.service, floor.log, floor.bus, floor.dialler)
            with pytest.raises(OutboundLimit):
                await anew.dial(DialNumber(agent="a", to=NUMBER), lambda session, course: None)

    run(scene())


def test_where_the_trunk_is_not_reached_there_is_no_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={}) as floor:
            await floor.seat("a")
            floor.dialler.unreachable = True
            with pytest.raises(Unavailable):
                await floor.order(DialNumber(agent="a", to=NUMBER))
            assert floor.story() == ["a available"]

    run(scene())


def test_the_defaults_let_nobody_be_woken_at_night() -> None:
    assert Outbound(trunk="x", allow=["+98"]).night == ("21:00", "08:00")
