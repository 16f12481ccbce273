"""Coaching through the API: who gives, does, checks and reads tasks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from test_quality_api import submitted
from test_records_api import problem
from web_world import Browser, World


def coached(world: World, browser: Browser, agent: str = "agent", **fields: Any) -> dict[str, Any]:
    body = {"agent": world.people[agent], "text": "Mind the tone"} | fields
    answer = browser.post("/coaching-tasks", body)
    assert answer.status_code == 201, answer.get_json()
    found: dict[str, Any] = answer.get_json()
    return found


def test_a_task_goes_from_the_evaluation_to_the_agent_and_back(world: World) -> None:
    boss, agent = world.client("supervisor"), world.client("agent")
    about = boss.get(submitted(world, boss)).get_json()
    moment = {"interaction": about["interaction"], "t0": 2.5}
    made = coached(world, boss, evaluation=about["id"], moments=[moment], due="2026-12-01")
    (shown,) = agent.get("/coaching-tasks").get_json()["items"]
    assert (shown["id"], shown["about_me"], shown["due"]) == (made["id"], True, "2026-12-01")
    assert (shown["evaluation"], shown["moments"]) == (about["id"], [moment])
    path = f"/coaching-tasks/{made['id']}/steps"
    problem(agent.post(path, {"kind": "checked"}), 409, "conflict")
    assert agent.post(path, {"kind": "done", "note": "Did it"}).get_json()["state"] == "done"
    problem(agent.post(path, {"kind": "checked"}), 403, "forbidden")
    problem(boss.post(path, {"kind": "returned"}), 422, "invalid")
    assert boss.post(path, {"kind": "returned", "note": "Again"}).get_json()["state"] == "open"
    agent.post(path, {"kind": "done"})
    shown = boss.post(path, {"kind": "checked"}).get_json()
    assert (shown["state"], shown["about_me"]) == ("checked", False)
    steps = [(one["kind"], one["by"]["username"], one["note"]) for one in shown["steps"]]
    assert steps == [
        ("given", "supervisor", ""),
        ("done", "agent", "Did it"),
        ("returned", "supervisor", "Again"),
        ("done", "agent", ""),
        ("checked", "supervisor", ""),
    ]
    problem(boss.post(path, {"kind": "returned", "note": "x"}), 409, "conflict")
    assert boss.get("/coaching-tasks?state=open").get_json()["items"] == []
    assert boss.post(path, {"kind": "given"}).status_code == 422


def test_tasks_by_role(world: World) -> None:
    boss = world.client("supervisor")
    made = coached(world, boss)
    for name, count in (("agent", 1), ("other", 0), ("manager", 1), ("auditor", 1)):
        browser = world.client(name)
        # An agent who asks for somebody else's gets the own ones.
        query = f"?agent={world.people['agent']}"
        assert len(browser.get(f"/coaching-tasks{query}").get_json()["items"]) == count, name
        refused = browser.post("/coaching-tasks", {"agent": world.people["agent"], "text": "x"})
        problem(refused, 403, "forbidden")
    problem(world.client("admin").get("/coaching-tasks"), 403, "forbidden")
    other = world.client("other")
    problem(other.post(f"/coaching-tasks/{made['id']}/steps", {"kind": "done"}), 404, "not-found")


@pytest.mark.parametrize("count", [1, 6])
def test_a_longer_page_of_tasks_costs_no_more_queries(world: World, count: int) -> None:
    boss = world.client("supervisor")
    for _ in range(count):
        coached(world, boss)
    seen: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *args: seen.append(str(args[2])))
    assert len(boss.get("/coaching-tasks").get_json()["items"]) == count
    assert len(seen) <= 6
