"""Calls that agents place: the order, what browsers are told, the record that comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from web_world import Browser, World

from callcenter import events
from callcenter.errors import OutboundDenied, OutboundNight, OutboundOff

NUMBER = "+989121234567"


def tab(world: World, browser: Browser) -> Any:
    client = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    assert client.is_connected()
    client.get_received()
    return client


def got(client: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(one["name"], one["args"][0]) for one in client.get_received()]


def test_an_agent_calls_and_the_order_says_who_it_is(world: World) -> None:
    browser = world.client("agent")
    answer = browser.post("/calls", {"to": "0912 123 4567"})
    assert answer.status_code == 201
    assert answer.get_json()["ok"] is True
    (order,) = world.telephony.told(events.DialNumber)
    assert (order.agent, order.to) == (world.people["agent"], "0912 123 4567")
    assert world.telephony.told(events.SeatAgent)[-1].agent == world.people["agent"]


def test_nobody_names_another_agent_and_only_those_who_take_calls_place_them(
    world: World,
) -> None:
    assert world.client("agent").post("/calls", {"to": NUMBER, "agent": "x"}).status_code == 422
    for role in ("auditor", "admin", "manager"):
        assert world.client(role).post("/calls", {"to": NUMBER}).status_code == 403
    assert world.client().post("/calls", {"to": NUMBER}).status_code in (401, 403)
    assert world.telephony.told(events.DialNumber) == []


@pytest.mark.parametrize(
    ("refusal", "slug"),
    [
        (OutboundOff("not set up"), "outbound-off"),
        (OutboundDenied("no"), "outbound-denied"),
        (OutboundNight("late"), "outbound-night"),
    ],
)
def test_a_refusal_is_a_403_that_says_why(world: World, refusal: Exception, slug: str) -> None:
    world.telephony.refuse = refusal
    answer = world.client("agent").post("/calls", {"to": NUMBER})
    assert answer.status_code == 403
    assert answer.get_json()["type"].endswith(slug)


def test_where_no_calls_go_out_the_page_offers_none(world: World) -> None:
    permissions = world.client("agent").get("/session").get_json()["permissions"]
    assert "calls.take" in permissions
    assert "calls.place" not in permissions


def test_the_socket_dials_too(world: World) -> None:
    client = tab(world, world.client("agent"))
    answer = client.emit("call.dial", {"to": NUMBER}, callback=True)
    assert answer["ok"]
    assert world.telephony.told(events.DialNumber)[0].to == NUMBER


def test_the_agent_is_told_of_the_call_with_the_customers_record(world: World) -> None:
    agent = world.people["agent"]
    customer = world.client("agent").post(
        "/customers", {"name": "Sara", "phones": [{"number": NUMBER, "region": "IR"}]}
    )
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call = "0197-out"
    rang = events.CallRang(
        call=call, direction="outbound", agent=agent, from_number="+982112345", from_name=None,
        to_number=NUMBER, line="+982112345", trunk="provider", region="IR", language="fa",
        policy="always", node="n", sip_call_id="s",
    )  # fmt: skip
    world.happens(
        rang,
        events.CalleeAlerted(call=call),
        events.CallAnswered(call=call, agent=agent, queue="support", wait_seconds=4.0),
        events.CallEnded(call=call, reason="completed", by="agent", agent=agent, talk_seconds=9),
    )
    told = got(mine)
    assert [name for name, _ in told] == [
        "call.dialling",
        "call.updated",
        "call.updated",
        "call.ended",
    ]
    first = told[0][1]
    assert first["caller"]["number"] == NUMBER
    assert [one["customer"]["id"] for one in first["matches"]] == [customer.get_json()["id"]]
    assert [told[i][1]["call"]["state"] for i in (0, 1, 2)] == ["dialling", "alerting", "talking"]
    assert all(payload["call"]["direction"] == "outbound" for _, payload in told[:3])
    assert got(theirs) == []
    row = world.client("agent").get(f"/interactions?call_id={call}").get_json()["items"][0]
    assert (row["direction"], row["outcome"], row["to_number"]) == ("outbound", "completed", NUMBER)
    assert row["agent"]["id"] == agent
    assert row["customer"]["id"] == customer.get_json()["id"]
    assert (row["wait_seconds"], row["talk_seconds"]) == (4.0, 9)


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "cancelled"])
def test_a_call_that_nobody_answered_is_the_agents_and_no_missed_call(
    world: World, outcome: Any
) -> None:
    agent = world.people["agent"]
    mine = tab(world, world.client("agent"))
    call = "0197-out"
    rang = events.CallRang(
        call=call, direction="outbound", agent=agent, from_number=None, from_name=None,
        to_number=NUMBER, line="out", trunk="provider", region="IR", language="fa",
        policy="always", node="n", sip_call_id="s",
    )  # fmt: skip
    world.happens(
        rang, events.CallEnded(call=call, reason=outcome, by="customer", agent=agent, seconds=3.0)
    )
    names = [name for name, _ in got(mine)]
    assert names == ["call.dialling", "call.ended"]
    browser = world.client("agent")
    row = browser.get(f"/interactions?call_id={call}").get_json()["items"][0]
    assert (row["outcome"], row["agent"]["id"]) == (outcome, agent)
    assert browser.get("/interactions?outcome=abandoned,missed").get_json()["items"] == []
    assert browser.get(f"/interactions?outcome={outcome}").get_json()["items"] != []


def test_half_of_a_limit_is_told_to_those_who_lead(world: World) -> None:
    lead, agent = tab(world, world.client("supervisor")), tab(world, world.client("agent"))
    alarm = events.OutboundAlarm(agent="a", what="calls", used=50, limit=100)
    world.runtime.follower._outbound_alarm(alarm)
    told = [(body["kind"], body["text"]) for name, body in got(lead) if name == "notice"]
    assert ("outbound-half", "a|calls|50|100") in told
    assert [name for name, _ in got(agent) if name == "notice"] == []
