"""Phrase lists through the API; the mark in the player, the notice on the supervisor's page."""

from __future__ import annotations

from typing import Any

from test_contract import problem, says, talked
from test_live_events import got, tab
from web_world import World

LEAVING = {"name": "رفتن", "language": "fa", "phrases": ["قراردادم را لغو", "مصرف‌کننده"]}


def made(world: World, **fields: Any) -> dict[str, Any]:
    answer = world.client("supervisor").post("/phrase-lists", {**LEAVING, **fields})
    assert answer.status_code == 201, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    return body


def test_supervisors_write_lists_and_others_do_not(world: World) -> None:
    one = made(world)
    supervisor = world.client("supervisor")
    assert supervisor.get("/phrase-lists").get_json()["items"] == [one]
    assert (one["severity"], one["leg"], one["notice"], one["retired_at"]) == (
        *("warning", None, True, None),
    )
    assert one["by"]["username"] == "supervisor"
    path = f"/phrase-lists/{one['id']}"
    changed = supervisor.patch(path, {"leg": "customer", "severity": "urgent", "version": 1})
    assert (changed.get_json()["leg"], changed.get_json()["version"]) == ("customer", 2)
    assert supervisor.patch(path, {"leg": None}).get_json()["leg"] is None
    assert supervisor.patch(path, {"retired": True}).get_json()["retired_at"]
    problem(supervisor.patch(path, {"name": "x", "version": 1}), 409, "conflict")
    problem(supervisor.post("/phrase-lists", {**LEAVING, "phrases": ["؟"]}), 422, "invalid")
    for role in ("agent", "admin", "auditor"):
        problem(world.client(role).get("/phrase-lists"), 403, "forbidden")


def test_a_phrase_marks_the_call_and_supervisors_are_told_with_its_moment(world: World) -> None:
    one = made(world, severity="urgent")
    watching, calling = tab(world, world.client("supervisor")), tab(world, world.client("agent"))
    got(watching), got(calling)
    call = talked(world, "agent")
    says(world, call, "می‌خواهم قراردادم را لغو کنم")
    world.happens()  # the phrase is a fact of its own
    ((_, told),) = got(watching, "phrase.said")
    interaction = world.interaction(call)
    assert told == {
        "call": call,
        "interaction": interaction,
        "list": one["id"],
        "name": "رفتن",
        "severity": "urgent",
        "leg": "customer",
        "phrase": "قراردادم را لغو",
        "t0": 1.0,
        "seq": told["seq"],
    }
    assert got(calling, "phrase.said") == []
    shown = world.client("supervisor").get(f"/interactions/{interaction}/conversation").get_json()
    assert shown["phrases"] == [
        {
            "leg": "customer",
            "t0": 1.0,
            "t1": 2.0,
            "name": "رفتن",
            "phrase": "قراردادم را لغو",
            "severity": "urgent",
        }
    ]


def test_marked_calls_are_listed(world: World) -> None:
    one = made(world)
    call = talked(world, "agent")
    says(world, call, "مصرف کننده")
    talked(world, "agent")
    supervisor = world.client("supervisor")
    listed = supervisor.get(f"/interactions?mark={one['id']}").get_json()["items"]
    assert [row["call_id"] for row in listed] == [call]
    found = supervisor.get(f"/sentences?q=مصرف&mark={one['id']}").get_json()["items"]
    assert [row["interaction"]["call_id"] for row in found] == [call]
    assert world.client("other").get(f"/interactions?mark={one['id']}").get_json()["items"] == []
