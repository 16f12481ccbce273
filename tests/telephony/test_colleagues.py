"""An agent asks a colleague: private talk, conference, handing over, and what goes wrong."""

from __future__ import annotations

import pytest
from scripted import ScriptedCaller, Stage, StageMaker, run

from callcenter.errors import CallGone, Conflict, NoAudioLeg, Unavailable
from callcenter.events import (
    AnswerCall,
    BeginConference,
    CallAnswered,
    CallEnded,
    CallTransferred,
    Command,
    ConsultationEnded,
    ConsultColleague,
    ControlRecording,
    DescribeFloor,
    Fact,
    HangUpCall,
    HoldCall,
    PressKeys,
    ReadOutCode,
    RejectCall,
    ResumeCall,
    SwapConsultation,
    SwapTarget,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony import colleague as module
from callcenter.telephony.fakes.media import FakeLeg
from callcenter.telephony.fakes.outgoing import FakeOutboundCall
from callcenter.telephony.ports import Direction


async def asks(floor: Stage, *, answered: bool = True) -> None:
    """Agent a talks with a customer and asks b."""
    await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="b"))
    await floor.until("ConsultationOffered", "b ringing")
    if answered:
        await floor.order(AnswerCall(call=floor.call, agent="b"))
        await floor.until("ConsultationAnswered", "b on_call")


async def swaps(floor: Stage, to: SwapTarget) -> None:
    await floor.order(SwapConsultation(call=floor.call, agent="a", to=to))


def legs(floor: Stage) -> tuple[FakeLeg, FakeLeg, FakeLeg]:
    """The customer's, a's and b's."""
    return floor.customer, floor.audio.legs["a"], floor.audio.legs["b"]


def together(leg: FakeLeg) -> set[FakeLeg]:
    """Whom it hears as one."""
    assert isinstance(leg.hears, FakeLeg)
    return set(leg.hears.mixes)


async def consulting(floor: Stage) -> object:
    return (await floor.order(DescribeFloor()))["calls"][0]["consultation"]


def test_the_two_talk_while_the_customer_hears_music(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor, answered=False)
            customer, a, b = legs(floor)
            assert (customer.hears, a.hears) == (floor.sounds.music, floor.sounds.ringback)
            assert await consulting(floor) == {"colleague": "b", "state": "ringing"}
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert (customer.hears, a.hears, b.hears) == (floor.sounds.music, b, a)
            assert await consulting(floor) == {"colleague": "b", "state": "talking"}
            story = await floor.until("ConsultationAnswered")
            at = story.index("CallHeld")
            assert story[at:] == [
                *("CallHeld", "ConsultationOffered", "b ringing"),
                *("ConsultationAnswered", "b on_call"),
            ]

    run(scene())


def test_what_the_two_say_is_not_recorded(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            customer, a, b = legs(floor)
            assert (len(a.taps), len(customer.taps)) == (2, 2)  # the journal, the recogniser
            await asks(floor)
            assert (len(a.taps), len(b.taps), len(customer.taps)) == (0, 0, 2)
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            assert (len(a.taps), len(b.taps)) == (2, 0)

    run(scene())


def test_a_recording_begins_with_the_customer_only(stage: StageMaker) -> None:
    """On demand: not while the two are alone; in the conference both agents are heard."""

    async def scene() -> None:
        async with stage(record="on_demand") as floor:
            await floor.seat("a", "b")
            await floor.talking()
            start = ControlRecording(call=floor.call, agent="a", action="start")
            await asks(floor, answered=False)
            for _ in range(2):
                with pytest.raises(Conflict, match="not recorded"):
                    await floor.order(start)
                await floor.order(AnswerCall(call=floor.call, agent="b"))
            await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.order(start)
            await floor.until("RecordingStarted")
            customer = floor.customer
            assert isinstance(customer.hears, FakeLeg)
            assert (len(customer.taps), len(customer.hears.taps)) == (2, 2)
            pause = ControlRecording(call=floor.call, agent="a", action="pause")
            await floor.order(pause)
            assert (len(customer.taps), len(customer.hears.taps)) == (0, 0)
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            assert len(floor.audio.legs["a"].taps) == 0  # still paused
            await floor.order(ControlRecording(call=floor.call, agent="a", action="resume"))
            assert len(floor.audio.legs["a"].taps) == 2

    run(scene())


def test_the_call_is_handed_over_to_the_one_who_was_asked(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            customer, a, b = legs(floor)
            assert (customer.hears, b.hears, a.hears) == (b, customer, None)
            story = await floor.until("CallTransferred", "a wrap_up")
            at = story.index("ConsultationEnded")
            kinds = [kind for kind in story[at:] if kind != "LegMeasured"]
            assert kinds[:4] == [
                *("ConsultationEnded", "CallTransferred", "CallQueued", "AgentOffered"),
            ]
            moved, answered = floor.last(CallTransferred), floor.last(CallAnswered)
            assert (moved.from_agent, moved.to_agent, answered.agent) == ("a", "b", "b")
            assert (len(b.taps), len(a.taps)) == (2, 0)
            with pytest.raises(CallGone):
                await floor.order(HoldCall(call=floor.call, agent="a"))
            await floor.order(HangUpCall(call=floor.call, agent="b"))
            await floor.until("CallEnded", "b wrap_up")
            assert floor.last(CallEnded).agent == "b"

    run(scene())


def test_all_three_hear_each_other_and_both_agents_are_recorded(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.order(BeginConference(call=floor.call, agent="a"))
            customer, a, b = legs(floor)
            assert together(customer) == {a, b}
            assert together(a) == {customer, b}
            assert together(b) == {customer, a}
            assert isinstance(customer.hears, FakeLeg)
            assert len(customer.hears.taps) == 2
            assert await consulting(floor) == {"colleague": "b", "state": "joined"}
            assert floor.story().count("ConferenceBegan") == 1
            assert floor.story()[-2:] == ["CallResumed", "ConferenceBegan"]
            mixes = [leg for leg in floor.media.legs if leg.mixes]
            await floor.order(HangUpCall(call=floor.call, agent="b"))
            assert (customer.hears, a.hears, b.hears) == (a, customer, None)
            assert len(a.taps) == 2
            assert [mix.closed for mix in mixes] == [True] * 3
            await floor.until("b available")
            assert floor.last(ConsultationEnded).reason == "left"
            assert await consulting(floor) is None

    run(scene())


def test_out_of_a_conference_the_call_can_be_handed_over(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            customer, a, b = legs(floor)
            assert (customer.hears, b.hears, a.hears) == (b, customer, None)
            await floor.until("a wrap_up")

    run(scene())


def test_who_asked_goes_to_the_customer_and_back_while_the_other_waits(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            customer, a, b = legs(floor)
            music = floor.sounds.music
            for _ in range(2):
                for _ in range(2):  # a second click changes nothing
                    await swaps(floor, "customer")
                    assert (customer.hears, a.hears, b.hears) == (a, customer, music)
                    assert (len(a.taps), len(b.taps), len(customer.taps)) == (2, 0, 2)
                    assert await consulting(floor) == {"colleague": "b", "state": "held"}
                for _ in range(2):
                    await swaps(floor, "colleague")
                    assert (customer.hears, a.hears, b.hears) == (music, b, a)
                    assert (len(a.taps), len(b.taps), len(customer.taps)) == (0, 0, 2)
                    assert await consulting(floor) == {"colleague": "b", "state": "talking"}
            story = await floor.until("ConsultationResumed", times=2)
            at = story.index("ConsultationHeld")
            to_and_fro = ["ConsultationHeld", "CallResumed", "CallHeld", "ConsultationResumed"]
            assert story[at:] == to_and_fro * 2

    run(scene())


def test_while_a_colleague_waits_the_agent_talks_as_ever(stage: StageMaker) -> None:
    """Keys and the recording on demand are for the customer; holding is what swapping does."""

    async def scene() -> None:
        async with stage(record="on_demand") as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            start = ControlRecording(call=floor.call, agent="a", action="start")
            await floor.order(start)
            await floor.order(PressKeys(call=floor.call, agent="a", keys="12"))
            customer, a, b = legs(floor)
            assert (customer.got_keys, len(a.taps), len(b.taps)) == ("12", 2, 0)
            with pytest.raises(Conflict, match="go on without them"):
                await floor.order(HoldCall(call=floor.call, agent="a"))
            await swaps(floor, "colleague")
            with pytest.raises(Conflict, match="on hold"):
                await floor.order(PressKeys(call=floor.call, agent="a", keys="3"))
            assert (len(a.taps), len(b.taps)) == (0, 0)

    run(scene())


def test_a_code_is_heard_to_its_end_before_the_customer_waits_again(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            read = ReadOutCode(call=floor.call, agent="a", complaint="c1", code="C-7K3F9XA")
            await floor.order(read)
            customer, a, b = legs(floor)
            for refused in (
                SwapConsultation(call=floor.call, agent="a", to="colleague"),
                BeginConference(call=floor.call, agent="a"),
            ):
                with pytest.raises(Conflict, match="read out"):
                    await floor.order(refused)
            floor.media.finish_playing(customer)
            await floor.until("ComplaintCodeRead")
            assert (a.hears, b.hears) == (customer, floor.sounds.music)
            await swaps(floor, "colleague")  # the customer may not want to hear it again
            assert (customer.hears, b.hears) == (floor.sounds.music, a)
            await swaps(floor, "customer")
            assert (customer.hears, a.hears) == (a, customer)

    run(scene())


def test_a_colleague_who_waits_joins_or_has_the_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            held = floor.story().count("CallResumed")
            await floor.order(BeginConference(call=floor.call, agent="a"))
            customer, a, b = legs(floor)
            assert (together(customer), together(b)) == ({a, b}, {customer, a})
            assert floor.story().count("CallResumed") == held  # they talked already
            for to in ("customer", "colleague"):
                with pytest.raises(Conflict, match="nobody waits"):
                    await swaps(floor, to)
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            await asks(floor)
            await swaps(floor, "customer")
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            assert (customer.hears, b.hears, a.hears) == (b, customer, None)
            await floor.until("a wrap_up")
            assert (len(b.taps), len(a.taps)) == (2, 0)

    run(scene())


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda call: HangUpCall(call=call, agent="b"), "left"),
        (lambda call: UnseatAgent(agent="b", reason="lost"), "unreachable"),
        (lambda call: ResumeCall(call=call, agent="a"), "returned"),
    ],
)
def test_the_conversation_goes_on_when_a_waiting_colleague_goes(
    stage: StageMaker, deed: object, reason: str
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            customer, a, b = legs(floor)
            taps = list(a.taps)
            await floor.order(deed(floor.call))  # type: ignore[operator]
            await floor.until("ConsultationEnded")
            assert floor.last(ConsultationEnded).reason == reason
            assert (customer.hears, a.hears, b.hears) == (a, customer, None)
            assert a.taps == taps  # nothing of it is missing in the recording
            await floor.order(HoldCall(call=floor.call, agent="a"))

    run(scene())


def test_the_customer_hangs_up_while_the_colleague_waits(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            caller = await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            caller.leave("bye")
            await floor.until("CallEnded", "a wrap_up", "b available")
            _, a, b = legs(floor)
            assert (a.hears, b.hears) == (None, None)

    run(scene())


def test_who_asked_is_lost_while_the_colleague_waits_and_the_call_is_theirs(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            customer, _, b = legs(floor)
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            await floor.until("CallTransferred")
            assert (customer.hears, b.hears) == (b, customer)

    run(scene())


def test_the_customer_holds_while_the_agent_swaps(stage: StageMaker) -> None:
    """Each takes back what they held, in any order."""

    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            caller = await floor.talking()
            await asks(floor)
            await swaps(floor, "customer")
            caller.wants(Direction.SENDONLY)
            await floor.until("CallHeld", times=2)
            await swaps(floor, "colleague")
            caller.wants(Direction.SENDRECV)
            await floor.until("CallResumed", times=2)
            customer, a, b = legs(floor)
            assert (customer.hears, a.hears, b.hears) == (floor.sounds.music, b, a)
            await swaps(floor, "customer")
            assert (await floor.order(DescribeFloor()))["calls"][0]["state"] == "talking"

    run(scene())


@pytest.mark.parametrize("joined", [False, True])
def test_who_asked_goes_on_without_the_colleague(stage: StageMaker, joined: bool) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            if joined:
                await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            customer, a, b = legs(floor)
            assert (customer.hears, a.hears, b.hears) == (a, customer, None)
            await floor.until("b available")
            assert floor.last(ConsultationEnded).reason == "returned"
            await asks(floor)  # and may ask again

    run(scene())


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda call: RejectCall(call=call, agent="b"), "declined"),
        (lambda call: HangUpCall(call=call, agent="b"), "declined"),
        (lambda call: UnseatAgent(agent="b", reason="lost"), "unreachable"),
        (lambda call: ResumeCall(call=call, agent="a"), "returned"),
    ],
)
def test_a_colleague_who_does_not_come(stage: StageMaker, deed: object, reason: str) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor, answered=False)
            customer, a, _ = legs(floor)
            await floor.order(deed(floor.call))  # type: ignore[operator]
            await floor.until("ConsultationEnded")
            assert floor.last(ConsultationEnded).reason == reason
            waits = reason != "returned"
            assert customer.hears is (floor.sounds.music if waits else a)
            assert a.hears is (None if waits else customer)
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            assert (customer.hears, a.hears) == (a, customer)
            with pytest.raises(CallGone):
                await floor.order(AnswerCall(call=floor.call, agent="b"))

    run(scene())


def test_it_does_not_ring_for_ever(stage: StageMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.telephony.session.RING_SECONDS", 0.1)
    assert module.RING_SECONDS > 10

    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor, answered=False)
            await floor.until("ConsultationEnded", "b available")
            assert floor.last(ConsultationEnded).reason == "no_answer"

    run(scene())


@pytest.mark.parametrize("joined", [False, True])
def test_the_customer_hangs_up_meanwhile(stage: StageMaker, joined: bool) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            caller = await floor.talking()
            await asks(floor)
            if joined:
                await floor.order(BeginConference(call=floor.call, agent="a"))
            caller.leave("bye")
            story = await floor.until("CallEnded", "a wrap_up", "b available")
            assert story.index("ConsultationEnded") < story.index("CallEnded")
            assert floor.last(ConsultationEnded).reason == "call_over"
            _, a, b = legs(floor)
            assert (a.hears, b.hears) == (None, None)
            assert all(leg.closed for leg in floor.media.legs if leg.mixes)

    run(scene())


@pytest.mark.parametrize("joined", [False, True])
def test_who_asked_is_lost_and_the_colleague_has_the_call(stage: StageMaker, joined: bool) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            if joined:
                await floor.order(BeginConference(call=floor.call, agent="a"))
            customer, _, b = legs(floor)
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            await floor.until("CallTransferred")
            assert (customer.hears, b.hears) == (b, customer)

    run(scene())


def test_who_asked_is_lost_while_it_rings_and_the_customer_waits_again(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor, answered=False)
            customer, _, b = legs(floor)
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            story = await floor.until("CallTransferred", "AgentOffered", times=1)
            assert story.index("ConsultationEnded") < story.index("CallTransferred")
            await floor.until("b ringing", times=2)  # now as the next in the queue
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert (customer.hears, b.hears) == (b, customer)

    run(scene())


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (lambda call: ConsultColleague(call=call, agent="a", colleague="b"), Conflict),
        (lambda call: ConsultColleague(call=call, agent="a", colleague="c"), Conflict),
        (lambda call: HoldCall(call=call, agent="a"), Conflict),
        (lambda call: TransferCall(call=call, agent="a", to_agent="b"), Conflict),
        (lambda call: BeginConference(call=call, agent="a"), Conflict),
        (lambda call: BeginConference(call=call, agent="c"), CallGone),
        (lambda call: SwapConsultation(call=call, agent="a", to="customer"), Conflict),
        (lambda call: SwapConsultation(call=call, agent="b", to="customer"), Conflict),
        (lambda call: SwapConsultation(call=call, agent="c", to="customer"), CallGone),
        (lambda call: HoldCall(call=call, agent="b"), Conflict),
        (lambda call: TransferCall(call=call, agent="b", to_agent="c"), Conflict),
        (lambda call: AnswerCall(call=call, agent="c"), CallGone),
    ],
)
def test_what_cannot_be_done_while_it_rings(
    stage: StageMaker, command: object, refusal: type[Exception]
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b", "c")
            await floor.talking()
            await asks(floor, answered=False)
            before = floor.story()
            order: Command = command(floor.call)  # type: ignore[operator]
            with pytest.raises(refusal):
                await floor.order(order)
            assert floor.story() == before

    run(scene())


@pytest.mark.parametrize("whom", ["a", "c", "nobody", "deaf"])
def test_whom_nobody_can_ask(stage: StageMaker, whom: str) -> None:
    """Oneself, somebody who talks, somebody who is not there, somebody without sound."""

    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            await floor.talking()
            first = floor.call
            await floor.seat("c")
            floor.calls()
            await floor.until("c ringing")
            await floor.seat("deaf", audio=False)
            with pytest.raises(Conflict, match=r"not available|ringing"):
                await floor.order(ConsultColleague(call=first, agent="a", colleague=whom))
            assert "ConsultationOffered" not in floor.story()
            assert "CallHeld" not in floor.story()

    run(scene())


def test_a_browser_without_sound_does_not_answer(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor, answered=False)
            leg = floor.audio.legs.pop("b")
            with pytest.raises(NoAudioLeg):
                await floor.order(AnswerCall(call=floor.call, agent="b"))
            floor.audio.legs["b"] = leg
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            await floor.until("ConsultationAnswered")

    run(scene())


# --- Desk phones -------------------------------------------------------------------------------

PHONES = [("b", "201")]


async def rings_at_the_phone(floor: Stage) -> FakeOutboundCall:
    """Agent a asks b, who talks by a desk phone."""
    floor.phones.register("201")
    await floor.seat("a")
    await floor.talking()
    await floor.seat("b", device="phone")
    await asks(floor, answered=False)
    call = floor.phones.calls[0]
    await floor.happens(lambda: "INVITE" in call.heard)
    return call


def test_a_colleague_at_a_desk_phone_is_asked_and_has_the_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            phone = await rings_at_the_phone(floor)
            assert floor.phones.shown[0].name == "a"
            with pytest.raises(Conflict, match="desk phone"):
                await floor.order(AnswerCall(call=floor.call, agent="b"))
            phone.answer()
            await floor.until("ConsultationAnswered", "b on_call")
            customer, a, desk = floor.customer, floor.audio.legs["a"], floor.media.legs[-1]
            assert (a.hears, desk.hears) == (desk, a)
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            assert (customer.hears, desk.hears, a.hears) == (desk, customer, None)
            assert "BYE" not in phone.heard
            phone.hold()
            await floor.until("CallHeld", times=2)
            phone.bye()
            await floor.until("CallEnded")
            assert (floor.last(CallEnded).agent, floor.last(CallEnded).reason) == ("b", "completed")

    run(scene())


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda phone: phone.refuse(486), "declined"),
        (lambda phone: phone.refuse(408), "unreachable"),
        (lambda phone: (phone.answer(), phone.bye()), "left"),
    ],
)
def test_a_desk_phone_that_does_not_stay(stage: StageMaker, does: object, reason: str) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            phone = await rings_at_the_phone(floor)
            does(phone)  # type: ignore[operator]
            await floor.until("ConsultationEnded", "b available")
            assert floor.last(ConsultationEnded).reason == reason
            customer, a = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, a.hears) == (floor.sounds.music, None)
            assert floor.media.legs[-1].closed  # the phone's port is free again

    run(scene())


def test_a_desk_phone_stops_ringing_when_nobody_asks_any_more(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            phone = await rings_at_the_phone(floor)
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            await floor.until("ConsultationEnded", "b available")
            assert phone.heard == ["INVITE", "CANCEL"]

    run(scene())


def test_a_phone_that_is_not_there_cannot_be_asked(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            await floor.seat("a")
            await floor.talking()
            await floor.seat("b", device="phone")
            with pytest.raises(Conflict, match="not available"):
                await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="b"))
            customer, a = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, a.hears) == (a, customer)

    run(scene())


def test_who_asks_at_a_desk_phone_hands_over_by_hanging_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=PHONES) as floor:
            floor.phones.register("201")
            await floor.seat("b", device="phone")
            floor.calls()
            await floor.happens(lambda: floor.phones.calls != [])
            phone = floor.phones.calls[0]
            await floor.happens(lambda: "INVITE" in phone.heard)
            phone.answer()
            await floor.until("CallAnswered")
            await floor.seat("a")
            await floor.order(ConsultColleague(call=floor.call, agent="b", colleague="a"))
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            phone.bye()
            await floor.until("CallTransferred", "b wrap_up")
            customer, a = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, a.hears) == (a, customer)
            assert "CallEnded" not in floor.story()

    run(scene())


def test_one_colleague_at_a_time_by_the_page_or_by_the_phone(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(phones=[("a", "200"), ("b", "201")]) as floor:
            floor.phones.register("200")
            floor.phones.register("201")
            await floor.seat("a", device="phone")
            floor.calls()
            await floor.happens(lambda: floor.phones.calls != [])
            phone = floor.phones.calls[0]
            await floor.happens(lambda: "INVITE" in phone.heard)
            phone.answer()
            await floor.until("CallAnswered")
            await floor.seat("c")
            await floor.seat("b", device="phone")
            await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="c"))
            dialled = ScriptedCaller(None, to="201")
            floor.phones.dial("200", dialled)
            await floor.happens(lambda: dialled.did != [])
            assert dialled.did == ["486"]
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            asked = ScriptedCaller(None, to="201")
            floor.phones.dial("200", asked)
            await floor.happens(lambda: "180" in asked.did)
            with pytest.raises(Conflict, match="already"):
                await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="c"))

    run(scene())


# --- Trouble -----------------------------------------------------------------------------------


def test_another_phone_takes_the_customers_place_in_a_conference(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            caller = await floor.talking()
            _, a, b = legs(floor)
            await asks(floor)
            await floor.order(BeginConference(call=floor.call, agent="a"))
            caller.replace(ScriptedCaller("+989350000000"))
            await floor.until("CallerReplaced")
            newer = next(leg for leg in reversed(floor.media.legs) if not leg.mixes)
            assert together(newer) == {a, b}
            assert together(a) == {newer, b}

    run(scene())


def test_without_the_database_nobody_is_rung_and_the_two_talk_on(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()

            async def refuse(*facts: Fact) -> None:
                raise OSError("the disk is full")

            with monkeypatch.context() as broken:
                broken.setattr(floor.service, "commit", refuse)
                with pytest.raises(Unavailable, match="try again"):
                    await floor.order(ConsultColleague(call=floor.call, agent="a", colleague="b"))
            customer, a, _ = legs(floor)
            assert (customer.hears, a.hears) == (a, customer)
            await asks(floor)  # b is free, and it works again

    run(scene())


def test_a_stop_of_the_system_ends_it_all(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            await asks(floor)
            await floor.order(BeginConference(call=floor.call, agent="a"))
            await floor.service.stop(0)
            assert floor.last(CallEnded).reason == "interrupted"
            assert floor.last(ConsultationEnded).reason == "call_over"
            assert all(leg.closed for leg in floor.media.legs if leg.mixes)

    run(scene())
