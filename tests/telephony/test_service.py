"""The life of a call through the telephony service: scripted caller, sound and agents; a real
event log. Order and content are asserted; times are the queue's own settings, kept short."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import PATIENCE, Stage, StageMaker, run

from callcenter.config import Settings
from callcenter.errors import CallGone, Conflict, NoAudioLeg
from callcenter.events import (
    AnswerCall,
    CallEnded,
    ComplaintCodeRead,
    DescribeFloor,
    ExtendWrapUp,
    HangUpCall,
    HoldCall,
    LogAdvanced,
    PressKeys,
    ReadOutCode,
    RejectCall,
    ResumeCall,
    ServiceStarted,
    SetAgentState,
    TransferCall,
    UnseatAgent,
)
from callcenter.telephony import reading as reading_out
from callcenter.telephony.ports import (
    Direction,
)


def test_a_call_from_ring_to_the_end_of_the_wrap_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            assert inbound.did == ["180", "200"]
            customer, agent = floor.customer, floor.audio.legs["a"]
            assert (customer.hears, agent.hears) == (agent, customer)
            inbound.leave("bye")
            await floor.until("CallEnded")
            await floor.order(SetAgentState(agent="a", state="available"))
            assert await floor.until("WrapUpEnded") == [
                "a available",
                "CallRang",
                "CallQueued",
                "AgentOffered",
                "a ringing",
                "CallAnswered",
                "RecordingStarted",
                "a on_call",
                "CallQualityMeasured",
                "CallQualityMeasured",
                "CallEnded",
                "a wrap_up",
                "WrapUpEnded",
                "a available",
            ]
            end = floor.last(CallEnded)
            assert (end.reason, end.by, end.agent) == ("completed", "customer", "a")
            assert floor.recordings.journals[0].did[-1] == "close"
            assert sorted(floor.speech.opened) == [("agent", "en"), ("customer", "en")]

    run(scene())


def test_the_fact_is_in_the_log_before_anybody_hears_of_it(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            ends: list[bool] = []
            floor.bus.subscribe(
                LogAdvanced, lambda told: ends.append(floor.log.end() >= told.position)
            )
            await floor.seat("a")
            (await floor.talking()).leave("bye")
            await floor.until("CallEnded")
            deadline = asyncio.get_running_loop().time() + PATIENCE
            while len(ends) < 5:  # the last one is told after the commit
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.02)
            assert all(ends)

    run(scene())


def test_a_declined_call_goes_to_the_next_agent(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            floor.calls()
            await floor.until("a ringing")
            await floor.order(RejectCall(call=floor.call, agent="a"))
            await floor.until("b ringing")
            with pytest.raises(CallGone):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            story = await floor.until("b on_call")
            assert story.count("AgentDeclined") == 1

    run(scene())


def test_an_agent_who_does_not_answer_is_passed_over_and_at_the_limit_set_to_not_answering(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(ring_seconds=0.05, unanswered_limit=1) as floor:
            await floor.seat("a", "b")
            floor.calls()
            story = await floor.until("a not_answering", "b not_answering")
            assert story.index("a not_answering") < story.index("b ringing")

    run(scene())


def test_a_caller_who_gives_up_while_it_rings_is_abandoned_and_a_late_answer_is_refused(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            inbound = floor.calls()
            await floor.until("a ringing")
            inbound.leave("cancelled")
            story = await floor.until("CallEnded")
            assert story[-3:] == ["AgentDeclined", "a available", "CallEnded"]
            assert floor.last(CallEnded).reason == "abandoned"
            with pytest.raises(CallGone):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            assert floor.recordings.journals[0].did == ["discard"]

    run(scene())


def test_the_caller_who_is_gone_at_the_moment_of_the_answer_frees_the_agent(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            inbound = floor.calls()
            inbound.refuses_answer = True
            await floor.until("a ringing")
            with pytest.raises(CallGone):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.until("CallEnded")
            assert (await floor.until("a available", times=2)).count("a on_call") == 0

    run(scene())


def test_nobody_took_the_call_in_time(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(max_wait_seconds=0.05) as floor:
            inbound = floor.calls()
            await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "missed"
            assert inbound.did == ["180", "480"]

    run(scene())


def test_an_agent_without_audio_cannot_answer_but_may_try_again(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", audio=False)
            floor.calls()
            await floor.until("a ringing")
            with pytest.raises(NoAudioLeg):
                await floor.order(AnswerCall(call=floor.call, agent="a"))
            floor.audio.connect("a")
            assert (await floor.order(AnswerCall(call=floor.call, agent="a")))["state"] == "talking"

    run(scene())


def test_hold_plays_music_to_the_caller_and_resume_brings_both_together(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            await floor.talking()
            customer, agent = floor.customer, floor.audio.legs["a"]
            held = await floor.order(HoldCall(call=floor.call, agent="a"))
            assert (held["state"], customer.hears) == ("held", floor.sounds.music)
            assert agent.hears is None
            assert (await floor.order(ResumeCall(call=floor.call, agent="a")))["state"] == "talking"
            assert (customer.hears, agent.hears) == (agent, customer)

    run(scene())


def test_the_callers_phone_can_hold_and_resume(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            inbound.wants(Direction.SENDONLY)
            await floor.until("CallHeld")
            inbound.wants(Direction.SENDRECV)
            await floor.until("CallResumed")

    run(scene())


def test_only_the_agent_of_a_call_commands_it(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            for kind in (HoldCall, ResumeCall, HangUpCall, TransferCall):
                with pytest.raises(CallGone):
                    await floor.order(kind(call=floor.call, agent="b"))

    run(scene())


def test_the_agent_hangs_up(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(wrap_up_seconds=0) as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            await floor.order(HangUpCall(call=floor.call, agent="a"))
            await floor.until("CallEnded")
            assert inbound.did == ["180", "200", "BYE"]
            assert floor.last(CallEnded).by == "agent"
            assert floor.story()[-1] == "a available"
            assert floor.customer.closed

    run(scene())


def test_a_transfer_to_an_agent_rings_there_and_keeps_one_recording(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            with pytest.raises(Conflict):
                await floor.order(TransferCall(call=floor.call, agent="a", to_agent="nobody"))
            await floor.order(TransferCall(call=floor.call, agent="a", to_agent="b"))
            await floor.until("CallTransferred", "a wrap_up", "b ringing")
            assert floor.customer.hears is floor.sounds.music
            await floor.order(AnswerCall(call=floor.call, agent="b"))
            await floor.order(HangUpCall(call=floor.call, agent="b"))
            story = await floor.until("CallEnded")
            assert (story.count("RecordingStarted"), story.count("CallAnswered")) == (1, 2)
            assert floor.last(CallEnded).agent == "b"

    run(scene())


def test_a_caller_whose_agent_vanished_goes_to_the_front_of_the_queue(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            await floor.talking()
            floor.calls()
            await floor.until("CallQueued", times=2)
            first = next(e.fact.call for e in floor.log.read() if e.kind == "CallRang")
            await floor.order(UnseatAgent(agent="a", reason="lost"))
            await floor.until("CallTransferred")
            await floor.seat("b")
            await floor.until("b ringing")
            rings = [e.fact for e in floor.log.read() if e.kind == "AgentOffered"]
            assert rings[-1].call == first

    run(scene())


def test_a_line_that_answers_early_plays_ringback_until_the_agent_answers(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage(line_answer="early") as floor:
            inbound = floor.calls()
            await floor.until("CallQueued")
            deadline = asyncio.get_running_loop().time() + PATIENCE
            while inbound.did != ["180", "200"]:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.01)
            await floor.happens(lambda: floor.customer.hears is floor.sounds.ringback)
            await floor.seat("a")
            await floor.until("a ringing")
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            assert floor.customer.hears is floor.audio.legs["a"]
            assert inbound.did == ["180", "200"]

    run(scene())


def test_a_line_with_early_media_plays_before_the_answer(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_answer="early_media") as floor:
            inbound = floor.calls()
            await floor.happens(lambda: inbound.did == ["180", "183"])
            await floor.happens(lambda: floor.media.legs != [])
            await floor.happens(lambda: floor.customer.hears is floor.sounds.ringback)
            await floor.seat("a")
            await floor.until("a ringing")
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            assert floor.customer.hears is floor.audio.legs["a"]
            assert inbound.did == ["180", "183", "200"]

    run(scene())


def test_a_caller_who_gives_up_during_early_media_gives_the_port_back(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(line_answer="early_media") as floor:
            inbound = floor.calls()
            await floor.happens(lambda: inbound.did == ["180", "183"])
            inbound.leave("cancelled")
            await floor.until("CallEnded")
            assert floor.last(CallEnded).reason == "abandoned"
            await floor.happens(lambda: floor.customer.closed)

    run(scene())


def test_a_phone_that_stops_refreshing_its_session_ends_the_call_as_failed(
    stage: StageMaker,
) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            (await floor.talking()).leave("expired")
            await floor.until("CallEnded")
            end = floor.last(CallEnded)
            assert (end.reason, end.by, end.detail) == ("failed", "system", "session expired")

    run(scene())


def test_a_full_disk_costs_the_recording_and_not_the_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            floor.recordings.full = True
            await floor.seat("a")
            await floor.talking()
            assert "RecordingFailed" in await floor.until("a on_call")
            assert len(floor.speech.opened) == 2

    run(scene())


@pytest.mark.parametrize("policy", ["never", "on_demand", "ask"])
def test_what_may_not_be_kept_is_neither_recorded_nor_transcribed(
    stage: StageMaker, policy: str
) -> None:
    async def scene() -> None:
        async with stage(line_record=policy) as floor:
            floor.announcements.clear()  # nobody can be asked
            await floor.seat("a")
            await floor.talking()
            assert floor.recordings.journals == []
            assert floor.speech.opened == []

    run(scene())


def test_wrap_up_ends_by_itself_and_can_be_extended(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage(wrap_up_seconds=0.3) as floor:
            await floor.seat("a")
            (await floor.talking()).leave("bye")
            await floor.until("a wrap_up")
            view = await floor.order(ExtendWrapUp(agent="a", seconds=0.1))
            assert view["until"] is not None
            story = await floor.until("WrapUpEnded")
            assert story[-1] == "a available"

    run(scene())


def test_an_unknown_number_is_refused_and_leaves_no_call(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            assert floor.calls(to="999").did == ["404"]
            assert floor.story() == []

    run(scene())


def test_stopping_ends_what_is_in_progress_as_interrupted(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            talking = await floor.talking()
            waiting = floor.calls()
            await floor.until("CallQueued", times=2)
            await floor.service.stop(0.0)
            ends = [e.fact.reason for e in floor.log.read() if e.kind == "CallEnded"]
            assert ends == ["interrupted", "interrupted"]
            assert (talking.did[-1], waiting.did[-1]) == ("BYE", "503")

    run(scene())


def test_calls_that_a_kill_left_open_are_interrupted_at_the_next_start(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    async def scene() -> None:
        before = Stage(make_settings())
        await before.service.start()
        await before.seat("a")
        await before.talking()
        before.service._chores.clear()  # killed: nothing is ended

        after = Stage(make_settings())
        after.recordings.samples = 24_000
        told: list[ServiceStarted] = []
        after.bus.subscribe(ServiceStarted, told.append)
        await after.service.start()
        end = after.last(CallEnded)
        assert (end.reason, end.talk_seconds, end.agent) == ("interrupted", 3.0, "a")
        assert [signal.service for signal in told] == ["telephony"]
        floor = await after.order(DescribeFloor())
        assert (floor["calls"], floor["agents"]) == ([], [])
        await after.service.stop(0.0)

    run(scene())


def reading(floor: Any, **changes: Any) -> ReadOutCode:
    words = {"call": floor.call, "agent": "a", "complaint": "c1", "code": "C-7K3F9XA"}
    return ReadOutCode(**(words | changes))


def test_the_code_of_a_complaint_is_read_out_to_the_customer_alone(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            await floor.talking()
            customer, agent = floor.customer, floor.audio.legs["a"]
            view = await floor.order(reading(floor))
            assert view["state"] == "talking"
            assert floor.reads_out()
            assert floor.receipts[-1][:3] == ("en", "C-7K3F9XA", True)
            assert agent.hears is customer, "the agent goes on hearing the customer"
            with pytest.raises(Conflict, match="being read out already"):
                await floor.order(reading(floor))
            floor.media.finish_playing(customer)
            await floor.until("ComplaintCodeRead")
            customer.press("2")
            await floor.happens(lambda: customer.hears is agent)
            assert agent.hears is customer
            told = floor.last(ComplaintCodeRead)
            assert (told.complaint, told.call, told.by) == ("c1", floor.call, "a")

    run(scene())


def test_a_code_that_was_not_heard_to_the_end_was_not_read_out(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            inbound = await floor.talking()
            await floor.order(reading(floor))
            await floor.order(HoldCall(call=floor.call, agent="a"))
            assert floor.customer.hears == floor.sounds.music
            with pytest.raises(Conflict, match="on hold"):
                await floor.order(reading(floor))
            await floor.order(ResumeCall(call=floor.call, agent="a"))
            assert floor.customer.hears is floor.audio.legs["a"]
            await floor.order(reading(floor))
            inbound.leave("bye")
            await floor.until("CallEnded")
            assert "ComplaintCodeRead" not in floor.story()

    run(scene())


def test_what_cannot_be_read_out_is_a_refusal_and_the_call_goes_on(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a", "b")
            await floor.talking()
            with pytest.raises(CallGone):
                await floor.order(reading(floor, agent="b"))
            floor.receipt_fails = True
            with pytest.raises(Conflict, match="cannot be read out: install espeak-ng"):
                await floor.order(reading(floor))
            assert floor.customer.hears is floor.audio.legs["a"]

    run(scene())


def test_a_customer_who_only_listens_may_send_no_sound(
    stage: StageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telephones that suppress silence send nothing for as long as the code is read out."""
    monkeypatch.setattr(reading_out, "PATIENCE", 0.0)

    async def scene() -> None:
        async with stage(sip={"media_timeout_seconds": 1}) as floor:
            await floor.seat("a")
            floor.calls()
            await floor.until("AgentOffered")
            floor.customer.alive_at = math.inf  # speaks all the time
            await floor.order(AnswerCall(call=floor.call, agent="a"))
            await floor.order(reading(floor))
            floor.customer.alive_at = 0.0
            await asyncio.sleep(2.5)  # the watch looks every second
            assert "CallEnded" not in floor.story()
            floor.media.finish_playing(floor.customer)
            await floor.until("ComplaintCodeRead", "CallEnded")
            assert floor.last(CallEnded).detail == "media timeout"

    run(scene())


def test_an_agent_presses_keys_and_nothing_is_written_of_them(stage: StageMaker) -> None:
    async def scene() -> None:
        async with stage() as floor:
            await floor.seat("a")
            await floor.talking()
            before = floor.story()
            await floor.order(PressKeys(call=floor.call, agent="a", keys="42#"))
            assert floor.customer.got_keys == "42#"
            assert floor.audio.legs["a"].got_keys == ""
            assert floor.story() == before
            with pytest.raises(CallGone):
                await floor.order(PressKeys(call=floor.call, agent="b", keys="1"))
            await floor.order(HoldCall(call=floor.call, agent="a"))
            with pytest.raises(Conflict, match="on hold"):
                await floor.order(PressKeys(call=floor.call, agent="a", keys="1"))
            assert "42#" not in repr(PressKeys(call="c", agent="a", keys="42#"))

    run(scene())
