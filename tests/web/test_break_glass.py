"""An administrator opens one call or one customer: with a reason, for half an hour, seen."""

from __future__ import annotations

from typing import Any

import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_records_api import ended, recorded
from web_world import World

from callcenter.crm.audit.models import AuditEntry
from callcenter.ids import new_id

NUMBER = "+989121234567"


def kind(answer: Any) -> tuple[int, str]:
    return answer.status_code, str(answer.get_json()["type"]).rsplit(":", 1)[1]


def audited(world: World) -> list[tuple[str, str, str | None, str]]:
    admin = world.people["admin"]
    query = select(AuditEntry).where(AuditEntry.who == admin, AuditEntry.what != "sign_in")
    with Session(world.engine) as session:
        rows = session.scalars(query.order_by(AuditEntry.number))
        return [(row.what, row.kind, row.object, row.reason) for row in rows]


def known_caller(world: World) -> tuple[str, str]:
    """→ customer, interaction with notes"""
    boss = world.client("supervisor")
    body = {"name": "Sara Karimi", "phones": [{"number": NUMBER}]}
    customer = boss.post("/customers", body).get_json()["id"]
    interaction = world.interaction(ended(world, "agent", from_name="Sara"))
    boss.patch(f"/interactions/{interaction}", {"notes": "wants her money", "customer": customer})
    return customer, interaction


def test_an_administrator_sees_calls_without_the_people_in_them(world: World) -> None:
    customer, interaction = known_caller(world)
    admin = world.client("admin")
    for answer in (admin.get("/interactions"), admin.get(f"/interactions/{interaction}")):
        text = answer.get_data(as_text=True)
        for hidden in ("Sara", NUMBER, NUMBER[-7:], "wants her money", customer):
            assert hidden not in text
        assert "…67" in answer.get_json().get("items", [answer.get_json()])[0]["from_number"]
    for path in ("/customers", "/customers/lookup?phone=" + NUMBER[1:], "/search?q=Sara"):
        assert kind(admin.get(path)) == (403, "forbidden"), path


def test_one_customer_opens_with_a_reason_and_closes_by_itself(world: World) -> None:
    customer, _ = known_caller(world)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        admin, other = world.client("admin"), world.client("admin")
        address = f"/customers/{customer}"
        assert kind(admin.get(address)) == (403, "reason-needed")
        assert kind(admin.post(f"{address}/access", {"reason": "  "})) == (422, "invalid")
        nobody = admin.post(f"/customers/{new_id()}/access", {"reason": "x"})
        assert kind(nobody) == (404, "not-found")
        opened = admin.post(f"{address}/access", {"reason": "merged by mistake, ticket 12"})
        assert opened.status_code == 201
        assert opened.get_json()["until"] == "2027-01-15T08:30:00Z"
        assert admin.get(address).get_json()["name"] == "Sara Karimi"
        assert admin.get(f"{address}/timeline").status_code == 200
        assert kind(admin.patch(address, {"name": "X"})) == (403, "forbidden"), "reads only"
        assert kind(other.get(address)) == (403, "reason-needed"), "this session only"
        clock.shift(30 * 60 + 1)
        admin = world.client("admin")
        assert kind(admin.get(address)) == (403, "reason-needed")
    assert audited(world) == [
        ("break_glass", "customer", customer, "merged by mistake, ticket 12"),
        ("customer.read", "customer", customer, ""),
    ]


def test_one_call_opens_whole_and_each_listening_is_kept(world: World) -> None:
    interaction, recording = recorded(world, "agent")
    admin = world.client("admin")
    assert kind(admin.get(f"/recordings/{recording}/audio")) == (403, "reason-needed")
    admin.post(f"/interactions/{interaction}/access", {"reason": "court order 7"})
    assert admin.get(f"/interactions/{interaction}").get_json()["from_number"] == NUMBER
    assert admin.get(f"/recordings/{recording}/audio").status_code == 200
    for path in ("/interactions", "/recordings"):
        (still,) = admin.get(path).get_json()["items"]
        assert still["from_number"] == "…67", "lists stay as they were"
    assert audited(world) == [
        ("break_glass", "interaction", interaction, "court order 7"),
        ("recording.listen", "interaction", interaction, ""),
    ]


def test_those_who_watch_over_it_are_told_and_see_the_list(world: World) -> None:
    customer, _ = known_caller(world)
    boss, agent = world.client("supervisor"), world.client("agent")
    tabs = [
        world.runtime.socketio.test_client(world.app, flask_test_client=one.http)
        for one in (boss, agent)
    ]
    reason = {"reason": "ticket 12"}
    assert world.client("admin").post(f"/customers/{customer}/access", reason).status_code == 201
    told = [
        [one["args"][0]["kind"] for one in tab.get_received() if one["name"] == "notice"]
        for tab in tabs
    ]
    assert told == [["disclosure"], []]
    for role in ("supervisor", "manager", "auditor", "admin"):
        (one,) = world.client(role).get("/disclosures").get_json()["items"]
        assert (one["who"]["username"], one["kind"], one["object"], one["reason"]) == (
            "admin",
            "customer",
            customer,
            "ticket 12",
        )
    assert agent.get("/disclosures").status_code == 403


def test_the_list_is_paged(world: World) -> None:
    customer, _ = known_caller(world)
    admin = world.client("admin")
    for number in range(3):
        admin.post(f"/customers/{customer}/access", {"reason": f"ticket {number}"})
    first = admin.get("/disclosures?limit=2").get_json()
    rest = admin.get(f"/disclosures?limit=2&cursor={first['next']}").get_json()
    found = [one["reason"] for one in first["items"] + rest["items"]]
    assert found == ["ticket 2", "ticket 1", "ticket 0"]
    assert rest["next"] is None
