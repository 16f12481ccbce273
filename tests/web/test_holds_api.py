"""Legal hold: the auditor sets and releases it, leads see it, and the audit has every step."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session
from test_break_glass import kind, known_caller
from web_world import World

from callcenter.crm.audit.models import AuditEntry
from callcenter.ids import new_id


def test_a_hold_says_who_when_and_why_until_and_after_it_is_released(world: World) -> None:
    customer, interaction = known_caller(world)
    auditor, boss = world.client("auditor"), world.client("supervisor")
    path = f"/customers/{customer}/holds"
    made = auditor.post(path, {"reason": "Court of Haifa, 12-34"})
    assert made.status_code == 201
    (seen,) = boss.get(path).get_json()["items"]
    assert seen == made.get_json()
    assert (seen["kind"], seen["object"], seen["reason"]) == (
        "customer", customer, "Court of Haifa, 12-34",
    )  # fmt: skip
    assert (seen["set_by"]["username"], seen["released_at"]) == ("auditor", None)

    release = f"/holds/{seen['id']}/release"
    assert kind(boss.post(release, {"reason": "over"})) == (403, "forbidden")
    ended = auditor.post(release, {"reason": "the case was closed"}).get_json()
    assert ended["released_by"]["username"] == "auditor"
    assert ended["release_reason"] == "the case was closed"
    assert kind(auditor.post(release, {"reason": "again"})) == (409, "conflict")
    assert boss.get(path).get_json()["items"] == [ended], "a released hold stays to be seen"

    other = f"/interactions/{interaction}/holds"
    assert auditor.post(other, {"reason": "police"}).status_code == 201
    query = select(AuditEntry).where(AuditEntry.what.in_(["hold", "release_hold"]))
    with Session(world.engine) as session:
        rows = session.scalars(query.order_by(AuditEntry.number)).all()
        assert [(row.what, row.kind, row.object) for row in rows] == [
            ("hold", "customer", customer),
            ("release_hold", "customer", customer),
            ("hold", "interaction", interaction),
        ]


def test_a_hold_needs_a_reason_and_something_to_hold(world: World) -> None:
    customer, _ = known_caller(world)
    auditor = world.client("auditor")
    assert kind(auditor.post(f"/customers/{customer}/holds", {"reason": " "})) == (422, "invalid")
    for path in (f"/customers/{new_id()}/holds", f"/interactions/{new_id()}/holds"):
        assert kind(auditor.post(path, {"reason": "x"})) == (404, "not-found")
        assert kind(auditor.get(path)) == (404, "not-found")


def test_holds_are_paged(world: World) -> None:
    customer, _ = known_caller(world)
    auditor, path = world.client("auditor"), f"/customers/{customer}/holds"
    made = [auditor.post(path, {"reason": f"case {n}"}).get_json()["id"] for n in range(3)]
    first = auditor.get(f"{path}?limit=2").get_json()
    rest = auditor.get(f"{path}?limit=2&cursor={first['next']}").get_json()
    assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
