"""Agents whose calls come to a desk phone, through the telephony service: scripted callers and
phones, a real event log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import ScriptedCaller, Stage, StageMaker, run

from callcenter.errors import Conflict, PhoneAway, Unavailable
from callcenter.events import (
    AgentDeclined,
    AnswerCall,
    AudioLegChanged,
    CallEnded,
    CallHeld,
    CallRang,
    CallTransferred,
    DescribeFloor,
    DialNumber,
    HangUpCall,
    HoldCall,
    RejectCall,
    ResumeCall,
    SeatAgent,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony import consulting, dialogs
from callcenter.telephony.fakes.outgoing import ANSWER, FakeOutboundCall
from callcenter.telephony.ports import Caller, Direction

PHONES = [("a", "201"), ("b", "202")]


async def rung(floor: Stage, times: int = 1) -> FakeOutboundCall:
    """The agent's phone rings; the latest of its places."""
    await floor.happens(lambda: len(floor.phones.calls) >= times)
    call = floor.phones.calls[times - 1]
    await floor.happens(lambda: "INVITE" in call.heard)
    call.progress(180)
    return call


async def ended(floor: Stage) -> CallEnded:
    await floor.until("CallEnded")
    end = floor.last(CallEnded)
    assert isinstance(end, CallEnded)
    return end


def test_a_call_comes_to_the_phone_and_the_pop_to_the_browser(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            caller = floor.calls()
            phone = await rung(floor)
            assert caller.did == ["180"]
            assert floor.phones.shown[0].number == "+989121234567"
            phone.answer()
            story = await floor.until("CallAnswered", "RecordingStarted")
            assert story[:5] == [
                *("a available", "CallRang", "CallQueued", "AgentOffered", "a ringing")
            ]
            assert caller.did == ["180", "200"]
            customer, desk = floor.media.legs
            assert (customer.hears, desk.hears) == (desk, customer)
            assert [len(leg.taps) for leg in (customer, desk)] == [2, 2]  # journal and captions
            assert sorted(floor.speech.opened) == [("agent", "en"), ("customer", "en")]
            caller.leave("bye")
            end = await ended(floor)
            assert (end.reason, end.by, end.agent) == ("completed", "customer", "a")
            assert phone.heard == ["INVITE", "BYE"]
            assert customer.closed
            assert desk.closed
            await floor.until("a wrap_up")

    run(scene())


def test_the_agent_hangs_up_at_the_phone_or_in_the_browser(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, wrap_up_seconds=0) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            for times, how in ((1, "phone"), (2, "browser")):
                caller = floor.calls()
                phone = await rung(floor, times)
                phone.answer()
                await floor.until("CallAnswered", times=times)
                if how == "phone":
                    phone.bye()
                else:
                    await floor.order(HangUpCall(call=floor.call, agent="a"))
                await floor.until("CallEnded", times=times)
                end = floor.last(CallEnded)
                assert (end.reason, end.by) == ("completed", "agent")
                assert caller.did[-1] == "BYE"
                assert ("BYE" in phone.heard) is (how == "browser")

    run(scene())


def test_keys_of_the_phone_go_to_the_customers_end_and_on_hold_nowhere(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            phone.answer()
            await floor.until("CallAnswered")
            customer, desk = floor.media.legs
            desk.press("4A#")  # no telephone has an A
            phone.press("2")  # by INFO
            assert customer.got_keys == "4#2"
            await floor.order(HoldCall(call=floor.call, agent="a"))
            desk.press("9")
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            desk.press("0")
            assert customer.got_keys == "4#20"
            assert desk.got_keys == ""

    run(scene())


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (486, "declined"),
        (603, "declined"),
        (600, "declined"),
        (480, "unreachable"),
        (408, "unreachable"),
    ],
)
def test_a_phone_that_does_not_take_the_call_lets_it_go_on(
    stage: StageMaker, status: int, reason: str
) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            await floor.seat("b")
            phone.refuse(status)
            await floor.until("AgentDeclined", "b ringing")
            assert floor.last(AgentDeclined).reason == reason
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert floor.media.legs[1].closed
            await floor.until("CallAnswered")

    run(scene())


def test_nobody_picks_up_in_time(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, ring_seconds=0.2, unanswered_limit=1) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            await floor.until("AgentDeclined", "a not_answering")
            assert floor.last(AgentDeclined).reason == "no_answer"
            await floor.happens(lambda: phone.heard == ["INVITE", "CANCEL"])

    run(scene())


def test_the_caller_gives_up_while_the_phone_rings(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            caller = floor.calls()
            phone = await rung(floor)
            caller.leave("cancelled")
            assert (await ended(floor)).reason == "abandoned"
            assert phone.heard == ["INVITE", "CANCEL"]
            assert all(leg.closed for leg in floor.media.legs)
            await floor.until("a available", times=2)

    run(scene())


def test_a_click_does_not_answer_a_phone_but_declines_it(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            with pytest.raises(Conflict, match="pick it up"):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.order(RejectCall(call=floor.call, agent="a"))
            await floor.until("AgentDeclined")
            await floor.happens(lambda: phone.heard == ["INVITE", "CANCEL"])

    run(scene())


def test_all_places_ring_and_one_is_picked_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201", places=3)
            await floor.seat("a", device="phone")
            floor.calls()
            one, two, three = [await rung(floor, times) for times in (1, 2, 3)]
            one.refuse(404)  # an old place: the others ring on
            two.answer()
            await floor.until("CallAnswered")
            await floor.happens(lambda: three.heard == ["INVITE", "CANCEL"])
            open_legs = [leg for leg in floor.media.legs if not leg.closed]
            assert len(open_legs) == 2
            two.bye()
            await ended(floor)
            assert all(leg.closed for leg in floor.media.legs)

    run(scene())


def test_a_busy_phone_is_busy_wherever_else_it_rings(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201", places=2)
            await floor.seat("a", device="phone")
            floor.calls()
            one, two = [await rung(floor, times) for times in (1, 2)]
            one.refuse(486)
            await floor.until("AgentDeclined")
            assert floor.last(AgentDeclined).reason == "declined"
            await floor.happens(lambda: two.heard == ["INVITE", "CANCEL"])

    run(scene())


def test_hold_at_the_phone_and_in_the_browser(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            phone.answer()
            await floor.until("CallAnswered")
            customer, desk = floor.media.legs
            phone.hold()
            await floor.until("CallHeld")
            assert floor.last(CallHeld).by == "agent"
            assert customer.hears is floor.sounds.music
            phone.change(ANSWER)
            await floor.until("CallResumed")
            assert (customer.hears, desk.hears) == (desk, customer)
            await floor.order(HoldCall(call=floor.call, agent="a"))
            phone.change(ANSWER)  # a refresh of the session, no wish
            await asyncio.sleep(0.05)
            assert customer.hears is floor.sounds.music

    run(scene())


def test_a_transfer_frees_the_phone_and_rings_the_next(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            floor.phones.register("202")
            await floor.seat("a", device="phone")
            caller = floor.calls()
            first = await rung(floor)
            first.answer()
            await floor.until("CallAnswered")
            await floor.seat("b", device="phone")
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            assert first.heard == ["INVITE", "BYE"]
            second = await rung(floor, 2)
            second.answer()
            await floor.until("CallAnswered", times=2)
            customer, _, desk = floor.media.legs
            assert (customer.hears, desk.hears) == (desk, customer)
            caller.leave("bye")
            assert (await ended(floor)).agent == "b"

    run(scene())


@pytest.mark.parametrize("how", ["session expired", "silence", "browser gone"])
def test_a_phone_that_is_lost_gives_the_caller_back_to_the_queue(
    stage: StageMaker, how: str
) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, sip={"media_timeout_seconds": 0.5}) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            phone.answer()
            await floor.until("CallAnswered")
            floor.media.legs[0].alive_at = float("inf")  # the caller is heard all the time
            if how == "session expired":
                phone._ended.set_result("expired")
            elif how == "browser gone":
                await floor.order(UnseatAgent(agent="a", reason="lost"))
            await floor.until("CallTransferred", "CallQueued")
            assert floor.media.legs[1].closed
            assert "CallEnded" not in floor.story()

    run(scene())


def test_a_phone_that_is_not_registered_is_unreachable_at_once(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, unanswered_limit=1) as floor:
            await floor.seat("a", device="phone")
            floor.calls()
            await floor.until("AgentDeclined", "a not_answering")
            assert floor.last(AgentDeclined).reason == "unreachable"

    run(scene())


def test_who_can_be_heard_is_rung_first_and_the_lights_follow_the_phone(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            signals: list[AudioLegChanged] = []
            floor.bus.subscribe(AudioLegChanged, signals.append)
            await floor.seat("a", device="phone")
            await floor.seat("b")
            floor.calls()
            await floor.until("b ringing")
            floor.phones.register("201")
            floor.phones.register("202")  # b talks in the browser
            assert [(told.agent, told.connected) for told in signals] == [("a", True)]
            view = await floor.order(DescribeFloor())
            found = [(one["device"], one["phone"], one["audio"]) for one in view["agents"]]
            assert found == [("phone", "201", True), ("browser", "202", True)]

    run(scene())


def test_the_device_changes_with_the_next_call_and_needs_a_phone_in_the_settings(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            await floor.seat("a", "c", device="phone")
            seat: dict[str, Any] = {"extension": None, "language": "en"}
            a = await floor.order(SeatAgent(agent="a", username="a", device="browser", **seat))
            view = await floor.order(DescribeFloor())
            devices = {one["agent"]: one["device"] for one in view["agents"]}
            assert devices == {"a": "browser", "c": "browser"}
            assert a["phone"] == "201"

    run(scene())


# --- calls out -------------------------------------------------------------------------------


def test_a_call_out_rings_the_phone_first_and_then_the_customer(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, outbound={}) as floor:
            floor.phones.register("201", places=2)
            await floor.seat("a", device="phone")
            await floor.order(DialNumber(agent="a", to="0912 123 4567"))
            phone, other = await rung(floor), await rung(floor, 2)
            assert floor.phones.shown[0].number == "+989121234567"
            (customer,) = floor.dialler.calls
            assert customer.heard == []
            phone.answer()
            await floor.happens(lambda: customer.heard == ["INVITE"])
            assert other.heard == ["INVITE", "CANCEL"]
            customer.progress(180)
            await floor.until("CalleeAlerted")
            desk = floor.media.legs[0]
            assert desk.hears is floor.sounds.ringback
            customer.answer()
            await floor.until("CallAnswered", "RecordingStarted")
            assert desk.hears is floor.media.legs[-1]
            phone.bye()
            end = await ended(floor)
            assert (end.reason, end.by, customer.heard) == ("completed", "agent", ["INVITE", "BYE"])
            assert all(leg.closed for leg in floor.media.legs)

    run(scene())


@pytest.mark.parametrize("how", ["declined", "click", "hung up while it rings there"])
def test_a_call_out_ends_where_the_agent_does_not_want_it(stage: StageMaker, how: str) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, outbound={}) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            await floor.order(DialNumber(agent="a", to="0912 123 4567"))
            phone = await rung(floor)
            (customer,) = floor.dialler.calls
            if how == "declined":
                phone.refuse(486)
            elif how == "click":
                await floor.order(HangUpCall(call=floor.last(CallRang).call, agent="a"))
            else:
                phone.answer()
                await floor.happens(lambda: customer.heard == ["INVITE"])
                phone.bye()
            end = await ended(floor)
            assert (end.reason, end.by, end.agent) == ("cancelled", "agent", "a")
            assert customer.heard == (["INVITE", "CANCEL"] if "hung" in how else [])
            assert all(leg.closed for leg in floor.media.legs)
            await floor.until("a wrap_up")

    run(scene())


def test_nobody_is_called_for_a_phone_that_is_not_registered(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, outbound={}) as floor:
            await floor.seat("a", device="phone")
            with pytest.raises(PhoneAway, match="desk phone"):
                await floor.order(DialNumber(agent="a", to="0912 123 4567"))
            assert "CallRang" not in floor.story()

    run(scene())


@pytest.mark.parametrize(("target", "agent"), [("support", None), ("100", None), ("202", "b")])
def test_the_phone_passes_the_customer_on(
    stage: StageMaker, target: str, agent: str | None
) -> None:
    """A blind transfer of the phone's own (REFER): as the browser's, and the phone is free."""

    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            for extension in ("201", "202"):
                floor.phones.register(extension)
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            phone.answer()
            await floor.seat("b", device="phone")
            await floor.until("CallAnswered", "RecordingStarted")
            phone.hold()
            await floor.until("CallHeld")
            referral = phone.refer(target)
            await floor.until("CallTransferred")
            moved = floor.last(CallTransferred)
            assert (moved.from_agent, moved.to_agent) == ("a", agent)
            assert moved.to_queue == "support"
            assert referral.told == [200]
            assert phone.heard == ["INVITE", "BYE"]
            other = await rung(floor, 2)
            other.answer()
            await floor.until("CallAnswered", times=2)
            assert floor.customer.hears is floor.media.legs[2]
            other.bye()
            end = await ended(floor)
            assert (end.reason, end.agent) == ("completed", "b")

    run(scene())


def test_what_a_phone_may_not_do_by_refer_is_told_and_the_two_talk_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            phone = await rung(floor)
            early = phone.refer("support")  # nobody talks yet
            phone.answer()
            await floor.until("CallAnswered")
            told = {target: phone.refer(target) for target in ("+989120000000", "a", "nowhere")}
            attended = phone.refer("202", attended=True)
            await floor.happens(lambda: attended.told != [])
            assert early.told == [481]
            assert [one.told for one in told.values()] == [[404], [480], [404]]
            assert attended.told == [481]
            assert floor.customer.hears is floor.media.legs[1]
            assert "CallTransferred" not in floor.story()

    run(scene())


async def asking(floor: Stage) -> tuple[FakeOutboundCall, ScriptedCaller, ScriptedCaller]:
    """The customer is on hold, a's phone calls b's, which rings: a's phone, customer, a's call."""
    for extension in ("201", "202"):
        floor.phones.register(extension)
    await floor.seat("a", device="phone")
    customer = floor.calls()
    phone = await rung(floor)
    phone.answer()
    await floor.until("CallAnswered", "RecordingStarted")
    await floor.seat("b", device="phone")
    phone.hold()
    await floor.until("CallHeld")
    asks = ScriptedCaller("201", "202")
    floor.phones.dial("201", asks)
    return phone, customer, asks


async def consulted(
    floor: Stage,
) -> tuple[FakeOutboundCall, ScriptedCaller, ScriptedCaller, FakeOutboundCall]:
    """The same, and b picked up: b's phone as the fourth."""
    phone, customer, asks = await asking(floor)
    other = await rung(floor, 2)
    other.answer()
    await floor.happens(lambda: "200" in asks.did)
    return phone, customer, asks, other


def test_the_phone_asks_a_colleague_and_hands_the_customer_over(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, wrap_up_seconds=0) as floor:
            phone, customer, asks = await asking(floor)
            other = await rung(floor, 2)
            await floor.until("b on_call")
            assert asks.did == ["180"]
            assert floor.phones.shown[1] == Caller("201", "a")
            early = phone.refer("202", replaced=asks)  # nobody talks there yet
            await floor.happens(lambda: early.told == [481])
            other.answer()
            await floor.happens(lambda: asks.did == ["180", "200"])
            customer_leg, desk, consulting, colleague = floor.media.legs
            await floor.happens(lambda: colleague.hears is consulting)
            assert consulting.hears is colleague
            assert customer_leg.hears is floor.sounds.music
            wrong = phone.refer("202", replaced=ScriptedCaller())
            await floor.happens(lambda: wrong.told == [481])
            right = phone.refer("202", replaced=asks)
            story = await floor.until("CallTransferred", "CallAnswered", times=1)
            story = await floor.until("CallAnswered", times=2)
            at = story.index("CallTransferred")
            assert story[at : at + 3] == ["CallTransferred", "CallQueued", "AgentOffered"]
            moved = floor.last(CallTransferred)
            assert (moved.from_agent, moved.to_agent, moved.to_queue) == ("a", "b", "support")
            assert right.told == [200]
            await floor.happens(lambda: asks.did == ["180", "200", "BYE"])
            assert phone.heard == ["INVITE", "BYE"]
            assert other.heard == ["INVITE"]
            assert (customer_leg.hears, colleague.hears) == (colleague, customer_leg)
            assert (desk.closed, consulting.closed) == (True, True)
            assert len(floor.recordings.journals) == 1
            assert "close" not in floor.recordings.journals[0].did  # the recording goes on
            await floor.until("a available", times=2)
            other.hold()
            await floor.until("CallHeld", times=2)
            other.resume()
            await floor.until("CallResumed")
            assert customer.did == ["180", "200"]
            other.bye()
            end = await ended(floor)
            assert (end.reason, end.by, end.agent) == ("completed", "agent", "b")
            assert all(leg.closed for leg in floor.media.legs)
            await floor.until("b available", times=2)

    run(scene())


@pytest.mark.parametrize("who", ["asking", "colleague", "customer", "lost", "browser"])
def test_a_consultation_ends_and_everybody_is_free_again(stage: StageMaker, who: str) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, wrap_up_seconds=0) as floor:
            phone, customer, asks, other = await consulted(floor)
            if who == "asking":
                asks.leave("bye")
            elif who == "colleague":
                other.bye()
            elif who == "customer":
                customer.leave("bye")
            elif who == "lost":
                await floor.order(UnseatAgent(agent="b", reason="signed_out"))
            else:
                await floor.order(TransferCall(call=floor.call, agent="a", to_queue="support"))
            if who != "lost":
                await floor.until("b available", times=2)
            await floor.happens(lambda: asks.ended.done() and other.over)
            assert floor.media.legs[2].closed
            assert floor.media.legs[3].closed
            assert ("BYE" in asks.did) is (who != "asking")
            assert ("BYE" in other.heard) is (who != "colleague")
            if who in ("asking", "colleague", "lost"):
                phone.resume()
                await floor.until("CallResumed")
                assert floor.customer.hears is floor.media.legs[1]
                again = ScriptedCaller("201", "nobody")
                floor.phones.dial("201", again)
                await floor.happens(lambda: again.did == ["404"])
                phone.bye()
                assert (await ended(floor)).agent == "a"

    run(scene())


@pytest.mark.parametrize(("status", "told"), [(486, "486"), (480, "480")])
def test_a_colleague_who_does_not_pick_up_is_told_to_the_phone(
    stage: StageMaker, status: int, told: str
) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            _, _, asks = await asking(floor)
            (await rung(floor, 2)).refuse(status)
            await floor.happens(lambda: asks.did == ["180", told])
            await floor.until("b available", times=2)
            assert "CallTransferred" not in floor.story()

    run(scene())


def test_a_phone_calls_only_a_colleagues_phone_and_only_during_a_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:

            async def dials(to: str, extension: str = "201") -> str:
                call = ScriptedCaller(extension, to)
                floor.phones.dial(extension, call)
                await floor.happens(lambda: call.did != [])
                return call.did[0]

            for extension in ("201", "202"):
                floor.phones.register(extension)
            await floor.seat("a", device="phone")
            assert await dials("202") == "403"  # beside no call
            floor.calls()
            phone = await rung(floor)
            assert await dials("202") == "403"  # it rings only
            phone.answer()
            await floor.until("CallAnswered")
            assert await dials("202") == "404"  # nobody is signed in there
            await floor.seat("b")
            for to, answer in (("202", "480"), ("+989120000000", "404"), ("201", "404")):
                assert await dials(to) == answer  # b is in the browser, no number, itself
            assert await dials("201", "202") == "403"  # b's phone is not in use
            await floor.seat("b", device="phone")
            assert await dials("b") == "180"
            assert await dials("b") == "486"  # one at a time
            assert [one for one in floor.story() if one == "CallRang"] == ["CallRang"]

    run(scene())


def test_a_colleague_who_does_not_answer_in_time_is_free_again(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consulting, "RING_SECONDS", 0.2)

    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            _, _, asks = await asking(floor)
            other = await rung(floor, 2)
            await floor.happens(lambda: asks.did == ["180", "480"])
            await floor.happens(lambda: other.heard == ["INVITE", "CANCEL"])
            await floor.until("b available", times=2)

    run(scene())


def test_a_question_that_cannot_be_told_to_the_database_rings_nowhere(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:

            async def fail(*facts: object) -> None:
                raise Unavailable("the database is away")

            monkeypatch.setattr(floor.service, "commit", fail)  # calls `record` all else
            phone, _, asks = await asking(floor)
            await floor.happens(lambda: asks.did == ["503"])
            assert len(floor.phones.calls) == 1
            assert floor.service.floor.state_of("b").name == "available"
            assert floor.media.legs[2].closed
            phone.resume()
            await floor.until("CallResumed")  # the customer is there as ever

    run(scene())


def test_the_question_is_held_and_taken_back_by_either_phone(stage: StageMaker) -> None:
    """Many phones hold it while they ask whether to transfer; no fact of the call's."""

    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            phone, _, asks, other = await consulted(floor)
            asks.wants(Direction.SENDONLY)
            other.hold()
            other.resume()
            pressed = other.refer("support")  # the customer is not theirs yet
            await floor.happens(lambda: pressed.told == [480])
            right = phone.refer("202", replaced=asks)
            await floor.until("CallAnswered", times=2)
            assert right.told == [200]
            assert floor.story().count("CallHeld") == 1
            assert floor.customer.hears is floor.media.legs[3]

    run(scene())


def test_a_blind_transfer_ends_the_question(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            phone, _, asks, other = await consulted(floor)
            busy = phone.refer("202")  # b is on a call: a's own
            await floor.happens(lambda: busy.told == [480])
            referral = phone.refer("support")
            await floor.until("CallTransferred")
            assert referral.told == [200]
            assert floor.last(CallTransferred).to_agent is None
            await floor.happens(lambda: asks.ended.done() and other.over)
            await rung(floor, 3)  # it comes to b again, as to anybody

    run(scene())


def test_a_call_out_is_handed_over_like_one_that_came_in(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES, outbound={}) as floor:
            for extension in ("201", "202"):
                floor.phones.register(extension)
            await floor.seat("a", "b", device="phone")
            await floor.order(DialNumber(agent="a", to="0912 123 4567"))
            phone = await rung(floor)
            phone.answer()
            await floor.happens(lambda: "INVITE" in floor.dialler.calls[-1].heard)
            early = ScriptedCaller("201", "202")
            floor.phones.dial("201", early)
            await floor.happens(lambda: early.did == ["486"])  # the customer comes first
            floor.dialler.calls[-1].answer()
            await floor.until("CallAnswered")
            asks = ScriptedCaller("201", "202")
            floor.phones.dial("201", asks)
            other = await rung(floor, 2)
            other.answer()
            await floor.happens(lambda: "200" in asks.did)
            phone.refer("202", replaced=asks)
            await floor.until("CallAnswered", times=2)
            other.bye()
            assert (await ended(floor)).agent == "b"
            assert floor.dialler.calls[-1].heard[-1] == "BYE"

    run(scene())


def test_every_dialog_of_a_question_is_kept_while_it_is_open(stage: StageMaker) -> None:
    """Should we be killed meanwhile, the phone that asks gets its BYE, too."""

    async def scene() -> None:
        async with stage(phones=PHONES) as floor:

            def kept() -> int:
                return len(dialogs.left_open(floor.log.engine, "node-1"))

            phone, _, asks = await asking(floor)
            assert kept() == 1  # the customer's; scripted phones that we call have none
            other = await rung(floor, 2)
            other.answer()
            await floor.happens(lambda: kept() == 2)
            phone.refer("202", replaced=asks)
            await floor.until("CallAnswered", times=2)
            await floor.happens(lambda: kept() == 1)
            other.bye()
            await ended(floor)
            await floor.happens(lambda: kept() == 0)

    run(scene())
