"""What is kept of a call, by policy: scripted caller, sound and agents; the real event log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted import PATIENCE, ScriptedCaller, Stage, StageMaker, run

from callcenter.errors import Conflict
from callcenter.events import (
    AnswerCall,
    CallEnded,
    CallQueued,
    CallRang,
    ConsentSettled,
    ControlRecording,
    HangUpCall,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    TransferCall,
)
from callcenter.telephony.fakes.media import tone
from callcenter.telephony.ports import InboundCall


def asked(**recording: Any) -> dict[str, Any]:
    """A line that asks, with little time to decline."""
    return {"line_record": "ask", "recording": {"decline_seconds": 0.05, **recording}}


async def order(floor: Stage, action: Any, **more: Any) -> dict[str, Any]:
    return await floor.order(
        ControlRecording(call=floor.call, agent="a", action=action, **more),
    )


async def asking(floor: Stage) -> ScriptedCaller:
    """The announcement is being heard by the caller; nobody is rung."""
    inbound = floor.calls()
    await floor.happens(lambda: floor.hears(floor.announcement))
    return inbound


def nothing_was_opened(floor: Stage) -> bool:
    return floor.recordings.journals == [] and floor.speech.opened == []


def listeners(floor: Stage) -> int:
    """Who hears what the two say: recorder and recogniser alike."""
    return len(floor.customer.taps) + len(floor.audio.legs["a"].taps)


def test_never_keeps_nothing(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_record="never") as floor:
            await floor.seat("a")
            await floor.talking()
            assert floor.last(CallRang).policy == "never"
            assert listeners(floor) == 0
            with pytest.raises(Conflict):
                await order(floor, "start")
            assert nothing_was_opened(floor)
            assert "RecordingStarted" not in floor.story()

    run(scene())


def test_the_policy_of_a_call_is_the_queues_where_it_has_one(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_record="always", record="never") as floor:
            await floor.seat("a")
            await floor.talking()
            assert floor.last(CallRang).policy == "never"
            assert nothing_was_opened(floor)

    run(scene())


def test_on_demand_keeps_what_is_said_after_the_agent_asked_for_it(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_record="on_demand") as floor:
            await floor.seat("a")
            await floor.talking()
            assert nothing_was_opened(floor)
            view = await order(floor, "start")
            assert view["recording"] == "running"
            started = floor.last(RecordingStarted)
            assert started.by == "a"
            assert started.position > 0
            (journal,) = floor.recordings.journals
            answer = floor.customer.taps[0].start
            floor.customer.speak(tone(0.02), at=answer)  # said before, heard late
            assert journal.written["customer"] == 0
            floor.customer.speak(tone(0.2), at=answer + started.position + 0.02)
            assert journal.written["customer"] == 1600
            view = await order(floor, "stop")
            assert (view["recording"], view["resumes_at"]) == ("paused", None)
            assert listeners(floor) == 0
            assert (await order(floor, "start"))["recording"] == "running"
            assert len(floor.recordings.journals) == 1

    run(scene())


def test_asked_and_agreed_the_call_is_kept_from_the_answer_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            await floor.seat("a")
            inbound = await asking(floor)
            assert inbound.did == ["180", "200"]
            assert nothing_was_opened(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("a ringing")
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            assert (await floor.until("RecordingStarted"))[1:5] == [
                "CallRang",
                "ConsentSettled",
                "CallQueued",
                "AgentOffered",
            ]
            assert floor.last(ConsentSettled).consent == "given"
            assert floor.last(CallRang).queue == "support"
            assert listeners(floor) == 4

    run(scene())


@pytest.mark.parametrize("when", ["during", "after"])
@pytest.mark.parametrize("way", ["rtp", "info"])
def test_the_key_declines_and_nothing_is_kept(stage: StageMaker, when: str, way: str) -> None:
    async def scene() -> None:
        async with stage(**asked(decline_seconds=PATIENCE)) as floor:
            await floor.seat("a")
            inbound = await asking(floor)
            press = floor.customer.press if way == "rtp" else inbound._on_digit
            press("1")
            if when == "after":
                floor.media.finish_playing(floor.customer)
                await asyncio.sleep(0)
            press("9")
            await floor.until("a ringing")
            assert floor.last(ConsentSettled).consent == "declined"
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.until("a on_call")
            assert listeners(floor) == 0
            with pytest.raises(Conflict, match="did not agree"):
                await order(floor, "resume")
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert nothing_was_opened(floor)

    run(scene())


def test_a_caller_who_declines_while_waiting_is_not_kept_either(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            await floor.seat("a")
            await asking(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("a ringing")
            await floor.happens(lambda: len(floor.recordings.journals) == 1)
            floor.customer.press("9")
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            story = await floor.until("a on_call")
            assert floor.last(ConsentSettled).consent == "declined"
            assert "RecordingStarted" not in story
            assert floor.recordings.journals[0].did == ["discard"]
            assert listeners(floor) == 0
            assert floor.speech.opened == []

    run(scene())


def test_without_an_announcement_nobody_can_be_asked_and_nothing_is_kept(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            floor.announcements.clear()
            await floor.seat("a")
            await floor.talking()
            assert floor.last(ConsentSettled).consent == "not_asked"
            assert nothing_was_opened(floor)

    run(scene())


def test_a_caller_who_hangs_up_at_the_announcement_gave_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            await floor.seat("a")
            inbound = await asking(floor)
            inbound.leave("bye")
            story = await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "abandoned"
            assert "CallQueued" not in story
            assert nothing_was_opened(floor)
            assert floor.customer.closed

    run(scene())


def test_a_phone_that_takes_the_call_over_at_the_announcement_is_asked_anew(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(**asked(decline_seconds=0)) as floor:
            await floor.seat("a")
            inbound = await asking(floor)
            former = floor.customer
            other: Any = ScriptedCaller("+989120000000")
            replacing: InboundCall = other
            inbound.replace(replacing)
            await floor.until("CallerReplaced")
            leg = floor.media.legs[-1]
            assert former.closed
            await floor.happens(lambda: leg.hears is floor.announcement)
            await asyncio.sleep(0)  # the former question's time is over: it answers nothing
            assert "ConsentSettled" not in floor.story()
            leg.press("9")
            await floor.until("ConsentSettled")
            assert floor.last(ConsentSettled).consent == "declined"

    run(scene())


def test_whoever_takes_the_callers_place_in_the_talk_was_asked_nothing(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            await floor.seat("a")
            inbound = await asking(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("a ringing")
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.until("a on_call")
            other: Any = ScriptedCaller("+989120000000")
            inbound.replace(other)
            await floor.until("RecordingPaused")
            assert floor.last(ConsentSettled).consent == "not_asked"
            paused = floor.last(RecordingPaused)
            assert (paused.by, paused.cause, paused.resumes_at) == ("system", "policy", None)
            await floor.happens(lambda: not any(leg.taps for leg in floor.media.legs))
            with pytest.raises(Conflict):
                await order(floor, "resume")

    run(scene())


def test_a_pause_stops_recorder_and_recogniser_alike_and_goes_on_by_itself(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(recording={"pause_seconds": 0.3}) as floor:
            await floor.seat("a")
            await floor.talking()
            await floor.until("RecordingStarted")
            assert listeners(floor) == 4
            view = await order(floor, "pause", cause="api")
            assert view["recording"] == "paused"
            assert view["resumes_at"]
            paused = floor.last(RecordingPaused)
            assert (paused.by, paused.cause) == ("a", "api")
            assert listeners(floor) == 0
            await floor.until("RecordingResumed")
            resumed = floor.last(RecordingResumed)
            assert resumed.by == "timeout"
            assert resumed.position > paused.position + 0.3
            assert listeners(floor) == 4
            journal = floor.recordings.journals[0]
            assert [what for what, _ in journal.spans] == ["pause", "resume"]

    run(scene())


def test_a_pause_outlasts_a_transfer(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(recording={"pause_seconds": 60}) as floor:
            await floor.seat("a", "b")
            inbound = await floor.talking()
            await order(floor, "pause")
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            await floor.until("b ringing")
            view = await floor.order(AnswerCall(call=floor.call, agent="b"))
            assert view["recording"] == "paused"
            assert not any(leg.taps for leg in floor.media.legs)
            with pytest.raises(Exception, match="not yours"):
                await order(floor, "resume")
            resume = ControlRecording(call=floor.call, agent="b", action="resume")
            assert (await floor.order(resume))["recording"] == "running"
            assert len(floor.audio.legs["b"].taps) == 2
            assert len(floor.audio.legs["a"].taps) == 0
            inbound.leave("bye")
            await floor.until("CallEnded")

    run(scene())


def test_where_the_disk_refused_the_sound_a_pause_still_stops_the_captions(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            floor.recordings.full = True
            await floor.seat("a")
            await floor.talking()
            await floor.until("RecordingFailed")
            assert listeners(floor) == 2
            assert (await order(floor, "pause"))["recording"] == "paused"
            assert listeners(floor) == 0
            assert (await order(floor, "resume"))["recording"] == "failed"

    run(scene())


# --- Calls out ---


def calls_out(**more: Any) -> dict[str, Any]:
    return {"outbound": {"record": "ask", "language": "en"}, **asked(**more)}


def test_a_customer_who_is_called_is_asked_before_the_two_talk(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**calls_out()) as floor:
            await floor.seat("a")
            call = await floor.dials()
            assert floor.last(CallRang).policy == "ask"
            call.answer()
            await floor.happens(lambda: floor.hears(floor.announcement))
            assert floor.audio.legs["a"].hears is floor.announcement
            assert nothing_was_opened(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("RecordingStarted")
            assert floor.last(ConsentSettled).consent == "given"
            agent = floor.audio.legs["a"]
            assert (floor.customer.hears, agent.hears) == (agent, floor.customer)
            assert (await order(floor, "pause"))["recording"] == "paused"
            assert listeners(floor) == 0

    run(scene())


def test_a_customer_who_is_called_declines_by_the_key(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**calls_out(decline_seconds=PATIENCE)) as floor:
            await floor.seat("a")
            call = await floor.dials()
            call.answer()
            await floor.happens(lambda: floor.hears(floor.announcement))
            call.press("9")
            await floor.until("CallAnswered")
            assert floor.last(ConsentSettled).consent == "declined"
            await floor.order(HangUpCall(call=floor.call, agent="a"))
            await floor.until("CallEnded")
            assert nothing_was_opened(floor)

    run(scene())


@pytest.mark.parametrize("who", ["agent", "customer"])
def test_a_call_out_may_end_at_the_announcement(stage: StageMaker, who: str) -> None:
    async def scene() -> None:
        async with stage(**calls_out()) as floor:
            await floor.seat("a")
            call = await floor.dials()
            call.answer()
            await floor.happens(lambda: floor.hears(floor.announcement))
            if who == "agent":
                await floor.order(HangUpCall(call=floor.call, agent="a"))
            else:
                call.bye()
            await floor.until("a wrap_up")
            end = floor.last(CallEnded)
            reason = "cancelled" if who == "agent" else "rejected"
            assert (end.reason, end.by, end.talk_seconds) == (reason, who, 0.0)
            assert floor.audio.legs["a"].hears is None
            assert nothing_was_opened(floor)

    run(scene())


def test_no_call_is_queued_twice(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(**asked()) as floor:
            await floor.seat("a")
            await asking(floor)
            floor.media.finish_playing(floor.customer)
            await floor.until("a ringing")
            assert floor.last(CallQueued).position == 1
            assert floor.story().count("CallQueued") == 1

    run(scene())
