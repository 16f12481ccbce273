"""An agent asks somebody at a number outside: the rules, who hears whom, handing over, the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scripted import PHONE, ScriptedCaller, Stage, StageMaker, run

from callcenter.errors import (
    CallGone,
    Conflict,
    OutboundDenied,
    OutboundLimit,
    OutboundNight,
    OutboundOff,
    Unavailable,
)
from callcenter.events import (
    BeginConference,
    CallEnded,
    CallTransferred,
    ConsultationEnded,
    ConsultationOffered,
    ConsultColleague,
    ConsultNumber,
    ControlRecording,
    DescribeFloor,
    DialNumber,
    HangUpCall,
    HoldCall,
    OutboundAlarm,
    PressKeys,
    ResumeCall,
    SwapConsultation,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony import placing
from callcenter.telephony.fakes.media import FakeLeg
from callcenter.telephony.fakes.outgoing import FakeOutboundCall
from callcenter.telephony.outbound import Ledger
from callcenter.telephony.ports import Direction

NUMBER, E164 = "0912 765 4321", "+989127654321"
OUTSIDE: dict[str, Any] = {"outbound": {}}


async def asks(floor: Stage, *, answered: bool = True, to: str = NUMBER) -> FakeOutboundCall:
    """Agent a talks with a customer and asks somebody outside."""
    await floor.order(ConsultNumber(call=floor.call, agent="a", to=to))
    call = floor.dialler.calls[-1]
    await floor.happens(lambda: "INVITE" in call.heard)
    if answered:
        call.answer()
        await floor.until("ConsultationAnswered")
    return call


async def talking(floor: Stage) -> ScriptedCaller:
    await floor.seat("a")
    return await floor.talking()


async def handed_over(floor: Stage) -> tuple[ScriptedCaller, FakeOutboundCall]:
    caller = await talking(floor)
    call = await asks(floor)
    await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
    return caller, call


def legs(floor: Stage) -> tuple[FakeLeg, FakeLeg, FakeLeg]:
    """The customer's, a's, and that of whoever is asked outside."""
    a = floor.audio.legs["a"]
    outside = [leg for leg in floor.media.legs if not leg.mixes and leg not in (floor.customer, a)]
    return floor.customer, a, outside[-1]


async def consulting(floor: Stage) -> object:
    return (await floor.order(DescribeFloor()))["calls"][0]["consultation"]


def test_the_agent_asks_a_number_while_the_customer_hears_music(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            call = await asks(floor, answered=False)
            customer, a, _ = legs(floor)
            assert (customer.hears, a.hears) == (floor.sounds.music, floor.sounds.ringback)
            assert await consulting(floor) == {"number": E164, "state": "ringing"}
            assert (len(a.taps), len(customer.taps)) == (0, 2)
            call.answer()
            await floor.until("ConsultationAnswered")
            customer, a, outside = legs(floor)
            assert (customer.hears, a.hears, outside.hears) == (floor.sounds.music, outside, a)
            assert (len(a.taps), len(outside.taps)) == (0, 0)  # what they say is nobody's record
            offered = floor.last(ConsultationOffered)
            assert (offered.colleague, offered.number, offered.agent) == ("", E164, "a")
            assert (offered.trunk, offered.sip_call_id) == ("provider", call.sip_call_id)
            assert call.to == E164
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            assert (customer.hears, a.hears, outside.closed) == (a, customer, True)
            assert call.heard == ["INVITE", "BYE"]
            assert floor.last(ConsultationEnded).reason == "returned"
            assert floor.last(ConsultationEnded).outside == offered.outside

    run(scene())


def test_the_agent_hears_the_far_networks_own_sound(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            call = await asks(floor, answered=False)
            call.progress(180)
            call.progress(183, early=True)
            _, a, outside = legs(floor)
            await floor.happens(lambda: a.hears is outside)
            assert outside.hears is None
            call.refuse(486)
            await floor.until("ConsultationEnded")
            assert a.hears is None

    run(scene())


def test_by_turns_then_all_three(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            await asks(floor)
            customer, a, outside = legs(floor)
            await floor.order(SwapConsultation(call=floor.call, agent="a", to="customer"))
            assert (customer.hears, a.hears, outside.hears) == (a, customer, floor.sounds.music)
            assert (len(a.taps), len(outside.taps)) == (2, 0)
            await floor.order(BeginConference(call=floor.call, agent="a"))
            assert isinstance(customer.hears, FakeLeg)
            assert isinstance(outside.hears, FakeLeg)
            assert set(customer.hears.mixes) == {a, outside}
            assert set(outside.hears.mixes) == {a, customer}
            assert len(customer.hears.taps) == 2  # recorded under the customer's policy
            assert await consulting(floor) == {"number": E164, "state": "joined"}

    run(scene())


def test_keys_go_to_whom_the_agent_talks_with(stage: StageMaker) -> None:
    """A menu may answer outside."""

    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            call = await asks(floor, answered=False)
            with pytest.raises(Conflict, match="on hold"):
                await floor.order(PressKeys(call=floor.call, agent="a", keys="0"))
            call.answer()
            await floor.until("ConsultationAnswered")
            await floor.order(PressKeys(call=floor.call, agent="a", keys="12"))
            await floor.order(SwapConsultation(call=floor.call, agent="a", to="customer"))
            await floor.order(PressKeys(call=floor.call, agent="a", keys="3"))
            customer, _, outside = legs(floor)
            assert (outside.got_keys, customer.got_keys) == ("12", "3")

    run(scene())


@pytest.mark.parametrize("before", [None, "held", "joined"])
def test_handed_over_the_two_talk_on_and_are_recorded(
    stage: StageMaker, before: str | None
) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            caller = await talking(floor)
            call = await asks(floor)
            if before == "held":
                await floor.order(SwapConsultation(call=floor.call, agent="a", to="customer"))
            if before == "joined":
                await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
            customer, a, outside = legs(floor)
            assert (customer.hears, outside.hears, a.hears) == (outside, customer, None)
            assert (len(customer.taps), len(outside.taps), len(a.taps)) == (2, 2, 0)
            await floor.until("a wrap_up")
            moved = floor.last(CallTransferred)
            assert (moved.from_agent, moved.to_agent, moved.to_number) == ("a", None, E164)
            assert moved.outside == floor.last(ConsultationOffered).outside
            assert "CallQueued" not in floor.story()[floor.story().index("CallTransferred") :]
            (view,) = (await floor.order(DescribeFloor()))["calls"]
            assert (view["state"], view["agent"], view["consultation"]) == ("talking", None, None)
            for order in (
                HangUpCall(call=floor.call, agent="a"),
                HoldCall(call=floor.call, agent="a"),
                ControlRecording(call=floor.call, agent="a", action="pause"),
            ):
                with pytest.raises(CallGone):
                    await floor.order(order)
            caller.leave("bye")
            await floor.until("CallEnded")
            end = floor.last(CallEnded)
            assert (end.reason, end.by, end.agent) == ("completed", "customer", None)
            assert call.heard == ["INVITE", "BYE"]
            assert (customer.closed, outside.closed) == (True, True)
            assert floor.recordings.journals[0].did[-1] == "close"

    run(scene())


def test_whoever_has_the_call_outside_hangs_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            caller, call = await handed_over(floor)
            call.bye()
            await floor.until("CallEnded")
            end = floor.last(CallEnded)
            assert (end.reason, end.by, end.detail) == (
                *("completed", "agent", "the number outside hung up"),
            )
            assert caller.did[-1] == "BYE"

    run(scene())


def test_handed_over_the_customer_may_hold_and_take_it_back(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            caller, call = await handed_over(floor)
            caller.wants(Direction.SENDONLY)
            await floor.until("CallHeld", times=2)
            caller.wants(Direction.SENDRECV)
            await floor.until("CallResumed")
            call.hold()
            call.resume()
            customer, _, outside = legs(floor)
            assert (customer.hears, outside.hears) == (outside, customer)
            assert outside.remote is not None
            assert (await floor.order(DescribeFloor()))["calls"][0]["state"] == "talking"
            assert PHONE.direction is Direction.SENDRECV

    run(scene())


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda call: call.refuse(486), "declined"),
        (lambda call: call.refuse(603), "declined"),
        (lambda call: call.refuse(480), "no_answer"),
        (lambda call: call.refuse(404), "unreachable"),
        (lambda call: (call.answer(), call.bye()), "left"),
    ],
)
def test_somebody_outside_who_does_not_stay(stage: StageMaker, does: Any, reason: str) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            does(await asks(floor, answered=False))
            await floor.until("ConsultationEnded")
            assert floor.last(ConsultationEnded).reason == reason
            customer, a, outside = legs(floor)
            assert (customer.hears, a.hears) == (floor.sounds.music, None)
            assert outside.closed
            await asks(floor)  # and may ask again

    run(scene())


def test_it_does_not_ring_outside_for_ever(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(outbound={"ring_seconds": 5}) as floor:
            await talking(floor)
            call = await asks(floor, answered=False)
            await floor.until("ConsultationEnded")
            assert floor.last(ConsultationEnded).reason == "no_answer"
            assert call.heard == ["INVITE", "CANCEL"]

    run(scene())


@pytest.mark.parametrize("state", ["ringing", "talking", "held", "joined"])
def test_no_customer_is_left_with_somebody_outside_because_an_agent_is_lost(
    stage: StageMaker, state: str
) -> None:
    """Only an agent joins a caller and a call out: nobody else, nothing by itself."""

    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            call = await asks(floor, answered=state != "ringing")
            if state == "held":
                await floor.order(SwapConsultation(call=floor.call, agent="a", to="customer"))
            if state == "joined":
                await floor.order(BeginConference(call=floor.call, agent="a"))
            customer = floor.customer
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            await floor.until("CallTransferred", "ConsultationEnded")
            assert call.heard[-1] == ("CANCEL" if state == "ringing" else "BYE")
            assert customer.hears is floor.sounds.music
            assert floor.last(CallTransferred).outside is None

    run(scene())


@pytest.mark.parametrize("answered", [False, True])
def test_the_customer_hangs_up_meanwhile(stage: StageMaker, answered: bool) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            caller = await talking(floor)
            call = await asks(floor, answered=answered)
            caller.leave("bye")
            await floor.until("CallEnded", "a wrap_up")
            assert floor.last(ConsultationEnded).reason == "call_over"
            assert call.heard == ["INVITE", "BYE" if answered else "CANCEL"]

    run(scene())


@pytest.mark.parametrize(
    ("rules", "to", "refusal"),
    [
        (None, NUMBER, OutboundOff),
        ({}, "+1 212 555 0100", OutboundDenied),
        ({"deny": ["+98912"]}, NUMBER, OutboundDenied),
        ({"allow": ["+44"]}, "+44 909 8790000", OutboundDenied),  # premium
        ({}, "12", OutboundDenied),
        ({"calls_per_agent": 1, "calls_per_day": 1}, NUMBER, OutboundLimit),
    ],
)
def test_the_rules_of_calls_out_hold(
    stage: StageMaker, rules: dict[str, Any] | None, to: str, refusal: type[Exception]
) -> None:
    async def scene() -> None:
        async with stage(outbound=rules) as floor:
            await talking(floor)
            if refusal is OutboundLimit:
                await asks(floor)
                await floor.order(ResumeCall(call=floor.call, agent="a"))
            before, calls = floor.story(), len(floor.dialler.calls)
            with pytest.raises(refusal) as denied:
                await floor.order(ConsultNumber(call=floor.call, agent="a", to=to))
            assert type(denied.value) is refusal
            assert floor.story() == before  # the customer was not even put on hold
            customer, a = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, a.hears) == (a, customer)
            assert len(floor.dialler.calls) == calls

    run(scene())


def test_nobody_outside_is_asked_at_night(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Midnight(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 11, 27, 21, 0, tzinfo=UTC).astimezone(tz)  # 00:30 in Tehran

    monkeypatch.setattr(placing, "datetime", Midnight)

    async def scene() -> None:
        async with stage(outbound={"night": ["22:00", "07:00"]}) as floor:
            await talking(floor)
            with pytest.raises(OutboundNight):
                await floor.order(ConsultNumber(call=floor.call, agent="a", to=NUMBER))

    run(scene())


def test_a_number_that_was_asked_counts_as_a_call_out(stage: StageMaker) -> None:
    alarms: list[OutboundAlarm] = []

    async def scene() -> None:
        limits = {"calls_per_agent": 2, "calls_per_day": 100}
        async with stage(outbound=limits) as floor:
            floor.bus.subscribe(OutboundAlarm, alarms.append)
            caller = await talking(floor)
            await asks(floor)
            await floor.happens(lambda: [one.what for one in alarms] == ["calls"])
            caller.leave("bye")
            await floor.until("a wrap_up")
            call = await floor.dials()
            call.refuse()
            await floor.until("CallEnded", times=2)
            with pytest.raises(OutboundLimit, match="your calls"):
                await floor.order(DialNumber(agent="a", to=NUMBER))

    run(scene())


def test_minutes_with_a_number_outside_count_until_it_is_over(stage: StageMaker) -> None:
    """Handed over, until the call is: also where only its end was told (a killed process)."""

    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            caller, _ = await handed_over(floor)
            facts = [entry.fact for entry in floor.log.read(limit=500)]
            book = Ledger("Asia/Tehran")
            book.note(facts)
            begun = floor.last(ConsultationOffered).at
            assert book.used(begun, "a").calls == 1
            later = begun.replace(microsecond=0).timestamp() + 600
            moment = datetime.fromtimestamp(later, UTC)
            assert book.used(moment, "a").seconds == pytest.approx(600, abs=30)
            caller.leave("bye")
            await floor.until("CallEnded")
            end = floor.last(CallEnded)
            book.note([end])
            assert book.used(moment, "a").seconds == pytest.approx(
                (end.at - begun).total_seconds(), abs=10
            )
            book.note([*facts, end])  # again: nothing counts twice
            assert book.used(moment, "a").calls == 1

    run(scene())


@pytest.mark.parametrize("handed", [False, True])
def test_nobody_talks_outside_for_longer_than_is_left_of_the_day(
    stage: StageMaker, handed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage(outbound={"minutes_per_agent": 1}) as floor:
            monkeypatch.setattr(placing, "longest", lambda *_: timedelta(seconds=0.2))
            caller = await talking(floor)
            await asks(floor)
            if handed:
                await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
                await floor.until("CallEnded")
                end = floor.last(CallEnded)
                assert (end.by, end.detail) == (
                    *("system", "the time limit for calls out was reached"),
                )
                assert caller.did[-1] == "BYE"
                return
            await floor.until("ConsultationEnded")
            assert floor.last(ConsultationEnded).reason == "limit"
            await floor.order(ResumeCall(call=floor.call, agent="a"))

    run(scene())


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (lambda call: TransferCall(call=call, agent="a", to_number=E164), "answered"),
        (lambda call: TransferCall(call=call, agent="a", to_number="+989120000000"), "ask at"),
        (lambda call: ConsultNumber(call=call, agent="a", to=NUMBER), "already"),
        (lambda call: ConsultColleague(call=call, agent="a", colleague="b"), "already"),
        (lambda call: BeginConference(call=call, agent="a"), "wait for the answer"),
        (lambda call: SwapConsultation(call=call, agent="a", to="customer"), "wait for"),
    ],
)
def test_what_cannot_be_done_while_it_rings_outside(
    stage: StageMaker, order: Any, why: str
) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            await asks(floor, answered=False)
            before = floor.story()
            with pytest.raises(Conflict, match=why):
                await floor.order(order(floor.call))
            assert floor.story() == before

    run(scene())


def test_no_call_goes_outside_unannounced(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            await floor.seat("b")
            with pytest.raises(Conflict, match="ask at that number first"):
                await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
            await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="b"))
            with pytest.raises(Conflict, match="ask at that number first"):
                await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
            with pytest.raises(CallGone):
                await floor.order(ConsultNumber(call=floor.call, agent="c", to=NUMBER))
            assert floor.dialler.calls == []

    run(scene())


def test_without_a_way_out_the_conversation_goes_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await talking(floor)
            floor.dialler.unreachable = True
            with pytest.raises(Unavailable):
                await floor.order(ConsultNumber(call=floor.call, agent="a", to=NUMBER))
            customer, a = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, a.hears) == (a, customer)
            floor.dialler.unreachable = False
            await asks(floor)

    run(scene())


def test_a_customer_whom_the_agent_called_is_handed_over_too(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**OUTSIDE) as floor:
            await floor.seat("a")
            customer_phone = await floor.dials()
            customer_phone.answer()
            await floor.until("CallAnswered")
            call = await asks(floor)
            await floor.order(TransferCall(call=floor.call, agent="a", to_number=E164))
            await floor.until("a wrap_up")
            call.bye()
            await floor.until("CallEnded")
            assert customer_phone.heard == ["INVITE", "BYE"]

    run(scene())
