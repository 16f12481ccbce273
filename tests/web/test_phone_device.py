"""Desk phones as people see them: who has one, what an agent chose, which are registered."""

from __future__ import annotations

from typing import Any

import pytest
from web_world import World

from callcenter import events
from callcenter.config import Phone

AWAY = {"places": [], "seconds": 0}


@pytest.fixture
def phoned(world: World) -> World:
    """Extension 201 is the agent's, 202 somebody's who is not here."""
    world.settings.sip.phones.extend(
        Phone(extension=extension, user=user, password="x", hosts=["192.0.2.0/24"])
        for extension, user in (("201", "agent"), ("202", "nobody"))
    )
    return world


def chosen(world: World) -> str:
    device: str = world.telephony.told(events.SeatAgent)[-1].device
    return device


def tab(world: World, browser: Any) -> Any:
    return world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)


def test_an_agent_chooses_the_phone_and_keeps_it_over_shifts(phoned: World) -> None:
    browser = phoned.client("agent")
    session = browser.get("/session").get_json()
    assert (session["device"], session["phone"]) == ("browser", "201")
    client = tab(phoned, browser)
    assert chosen(phoned) == "browser"
    answer = client.emit("agent.device", {"device": "phone"}, callback=True)
    assert answer["ok"]
    assert answer["agent"]["agent"] == phoned.people["agent"]
    assert chosen(phoned) == "phone"
    client.disconnect()
    again = phoned.client("agent")
    assert again.get("/session").get_json()["device"] == "phone"
    tab(phoned, again)
    assert chosen(phoned) == "phone"
    assert again.post("/agents/me/device", {"device": "browser"}).status_code == 200
    assert chosen(phoned) == "browser"


def test_whoever_has_no_phone_cannot_choose_one(phoned: World) -> None:
    other = phoned.client("other")
    session = other.get("/session").get_json()
    assert (session["device"], session["phone"]) == ("browser", None)
    assert other.post("/agents/me/device", {"device": "phone"}).status_code == 409
    assert other.post("/agents/me/device", {"device": "pager"}).status_code == 422
    assert other.post("/agents/me/device", {"device": "browser"}).status_code == 200
    assert (
        phoned.client("auditor").post("/agents/me/device", {"device": "browser"}).status_code == 403
    )


def test_a_phone_that_was_taken_out_of_the_settings_is_nobodys_device(phoned: World) -> None:
    browser = phoned.client("agent")
    browser.post("/agents/me/device", {"device": "phone"})
    phoned.settings.sip.phones.clear()
    session = browser.get("/session").get_json()
    assert (session["device"], session["phone"]) == ("browser", None)


def test_who_leads_sees_which_phones_are_registered(phoned: World) -> None:
    report = {"201": {"places": ["UDP"], "seconds": 590}, "202": AWAY}
    answer = {"ok": True, "detail": "", "sip": {"phones": report}}
    phoned.bus.serve("telephony", {events.DescribeHealth: lambda _: answer})
    items = phoned.client("supervisor").get("/phones").get_json()["items"]
    assert items == [
        {"extension": "201", "user": "agent", "places": ["UDP"], "seconds": 590},
        {"extension": "202", "user": "nobody", **AWAY},
    ]


def test_phones_are_listed_while_telephony_is_silent(phoned: World) -> None:
    phoned.bus.serve("telephony", {})
    items = phoned.client("supervisor").get("/phones").get_json()["items"]
    assert [(one["extension"], one["places"]) for one in items] == [("201", []), ("202", [])]


def test_whoever_is_not_signed_in_learns_a_number_of_phones_only(phoned: World) -> None:
    report = {"201": {"places": ["UDP", "TLS"], "seconds": 590}, "202": AWAY}
    answer = {"ok": True, "detail": "", "sip": {"banned": 0, "phones": report}}
    phoned.bus.serve("telephony", {events.DescribeHealth: lambda _: answer})
    body = phoned.client().http.get("/readyz").get_json()
    assert body["telephony"]["sip"] == {"banned": 0, "phones": {"registered": 1, "of": 2}}
