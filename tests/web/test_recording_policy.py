"""What browsers and programs are told of a call's recording, and what they may order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from web_world import Browser, World

from callcenter import events
from callcenter.errors import Conflict
from callcenter.log import EventLog

ACTIONS: tuple[events.RecordingAction, ...] = get_args(events.RecordingAction)


def tab(world: World, browser: Browser) -> Any:
    client = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    assert client.is_connected()
    client.get_received()
    return client


def told(client: Any) -> list[dict[str, Any]]:
    received = client.get_received()
    return [one["args"][0] for one in received if one["name"] == "call.recording"]


def record(world: World, call: str) -> dict[str, Any]:
    path = f"/api/v1/interactions/{world.interaction(call)}"
    shown: dict[str, Any] = world.client("supervisor").get(path).get_json()
    return shown


@pytest.mark.parametrize("action", ACTIONS)
def test_the_api_passes_the_order_on_for_the_one_who_is_signed_in(
    world: World, action: events.RecordingAction
) -> None:
    answer = world.client("agent").post("/calls/c1/recording", {"action": action})
    assert answer.status_code == 200
    assert answer.get_json()["ok"] is True
    (order,) = world.telephony.told(events.ControlRecording)
    assert order == events.ControlRecording(
        call="c1", agent=world.people["agent"], action=action, cause="api"
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_the_socket_does_the_same_and_says_whether_a_form_did_it(world: World, action: str) -> None:
    client = tab(world, world.client("agent"))
    for body, cause in (({"call": "c1"}, "button"), ({"call": "c1", "form": True}, "form")):
        assert client.emit(f"recording.{action}", body, callback=True)["ok"]
        order = world.telephony.told(events.ControlRecording)[-1]
        assert (order.call, order.action, order.cause) == ("c1", action, cause)
        assert order.agent == world.people["agent"]


def test_what_the_policy_forbids_is_a_409_with_the_reason(world: World) -> None:
    world.telephony.refuse = Conflict("calls of this line are not recorded")
    browser = world.client("agent")
    answer = browser.post("/calls/c1/recording", {"action": "start"})
    assert answer.status_code == 409
    assert answer.get_json()["detail"] == "calls of this line are not recorded"
    ack = tab(world, browser).emit("recording.start", {"call": "c1"}, callback=True)
    assert ack["ok"] is False
    assert ack["problem"]["status"] == 409


@pytest.mark.parametrize(
    "body", [{}, {"action": "erase"}, {"action": "pause", "agent": "x"}, {"action": None}]
)
def test_an_order_that_is_none_is_refused(world: World, body: dict[str, Any]) -> None:
    assert world.client("agent").post("/calls/c1/recording", body).status_code == 422
    assert world.telephony.told(events.ControlRecording) == []


@pytest.mark.parametrize("role", ["manager", "admin", "auditor"])
def test_whoever_takes_no_calls_controls_no_recording(world: World, role: str) -> None:
    assert world.client(role).post("/calls/c1/recording", {"action": "pause"}).status_code == 403
    ack = tab(world, world.client(role)).emit("recording.pause", {"call": "c1"}, callback=True)
    assert ack["ok"] is False
    assert world.telephony.told(events.ControlRecording) == []


def test_the_agent_is_told_of_consent_start_pause_and_resume_with_numbers(world: World) -> None:
    agent = world.people["agent"]
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call = world.call(policy="ask")
    world.happens(events.ConsentSettled(call=call, consent="given"))
    world.happens(
        events.AgentOffered(call=call, agent=agent, queue="support", attempt=1),
        events.CallAnswered(call=call, agent=agent, queue="support", wait_seconds=1.5),
    )
    (pop,) = [one["args"][0] for one in mine.get_received() if one["name"] == "call.ringing"]
    assert (pop["policy"], pop["call"]["consent"], pop["call"]["recording"]) == (
        *("ask", "given", "off"),
    )
    until = events.now() + timedelta(seconds=120)
    later = until + timedelta(seconds=60)
    pause: dict[str, Any] = {"call": call, "by": agent, "position": 4.5}
    world.happens(
        events.RecordingStarted(call=call),
        events.RecordingPaused(**pause, resumes_at=until, cause="form"),
        events.RecordingPaused(**pause, resumes_at=later, cause="form"),
        events.RecordingResumed(call=call, by="timeout", position=124.5),
    )
    said = told(mine)
    assert [one["recording"] for one in said] == ["running", "paused", "paused", "running"]
    moments = [one["resumes_at"] for one in said]
    assert moments[0] is moments[3] is None
    assert moments[1] < moments[2]
    numbers = [one["seq"] for one in said]
    assert numbers == sorted(set(numbers))
    assert {one["call"] for one in said} == {call}
    assert {one["consent"] for one in said} == {"given"}
    assert told(theirs) == []
    shown = record(world, call)
    assert (shown["policy"], shown["consent"]) == ("ask", "given")
    assert shown["pauses"] == [[4.5, 124.5]]


def test_a_tab_that_comes_back_in_a_pause_knows_of_it(world: World) -> None:
    agent = world.people["agent"]
    call = world.call(agent=agent)
    world.happens(
        events.RecordingStarted(call=call),
        events.RecordingPaused(call=call, by=agent, position=1.0, resumes_at=events.now()),
    )
    talking = {"id": call, "state": "talking", "agent": agent, "recording": "paused"}
    world.telephony.floor["calls"] = [talking | {"resumes_at": "2026-11-26T00:00:00+00:00"}]
    back = tab(world, world.client("agent")).emit("resume", {"last_seq": 0}, callback=True)
    shown = back["call"]["call"]
    assert (shown["recording"], shown["resumes_at"][:10]) == ("paused", "2026-11-26")
    assert back["call"]["policy"] == "always"


def test_facts_that_are_applied_twice_change_nothing(world: World) -> None:
    agent = world.people["agent"]
    call = world.call(agent=agent)
    facts = [
        events.RecordingStarted(call=call, position=2.0),
        events.RecordingPaused(call=call, by=agent, position=4.0),
        events.RecordingResumed(call=call, by=agent, position=5.0),
        events.RecordingPaused(call=call, by=agent, position=8.0),
    ]
    world.happens(*facts)
    before = record(world, call)["pauses"]
    assert before == [[0.0, 2.0], [4.0, 5.0], [8.0, None]]
    world.happens(*facts)
    assert record(world, call)["pauses"] == before


def test_where_the_disk_refused_the_sound_the_agent_reads_so(world: World) -> None:
    mine = tab(world, world.client("agent"))
    call = world.call(agent=world.people["agent"])
    world.happens(events.RecordingFailed(call=call, reason="no space"))
    assert [one["recording"] for one in told(mine)] == ["failed"]


def test_a_call_that_ended_at_the_announcement_is_in_its_queues_missed_list(world: World) -> None:
    call = world.call(policy="ask", queue="support")
    world.happens(
        events.CallEnded(call=call, reason="abandoned", by="customer", agent=None, seconds=3.0)
    )
    items = world.client("agent").get("/api/v1/interactions?outcome=abandoned").get_json()["items"]
    assert [(one["call_id"], one["queue"]) for one in items] == [(call, "support")]


def test_pages_for_card_data_are_told_to_those_who_are_signed_in(world: World) -> None:
    site = world.client("agent").get("/api/v1/site").get_json()
    assert site["recording_forms"] == []
    assert EventLog(world.engine).end() == 0
