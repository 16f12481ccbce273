"""Calibration through the API: blind until all have submitted, then compared and agreed on."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from test_quality_api import answers, published
from test_records_api import ended, problem
from web_world import Browser, World

from callcenter.crm.users import operations as users
from callcenter.crm.users import queries


def second(world: World) -> str:
    """Another supervisor: who was `manager` before."""
    with Session(world.engine) as session, session.begin():
        found = queries.by_username(session, "manager")
        assert found is not None
        users.change(session, found, role="supervisor")
        return found.id


def calibrated(world: World, browser: Browser, agent: str = "agent") -> dict[str, Any]:
    with Session(world.engine) as session, session.begin():
        known = queries.by_username(session, "judge")
        made = known or users.create(
            session, username="judge", password_hash="x", role="supervisor", language="en"
        )
        judge = made.id
    body = {
        "interaction": world.interaction(ended(world, agent)),
        "scorecard": published(browser),
        "judges": [world.people["supervisor"], judge],
    }
    answer = browser.post("/calibrations", body)
    assert answer.status_code == 201, answer.get_json()
    found: dict[str, Any] = answer.get_json()
    return found


def own(found: dict[str, Any], username: str) -> dict[str, Any]:
    listed = found["judgements"]
    one: dict[str, Any] = next(one for one in listed if one["judge"]["username"] == username)
    return one


def submit(browser: Browser, evaluation: str, **values: int | None) -> None:
    path = f"/evaluations/{evaluation}"
    assert browser.patch(path, answers(**values)).status_code == 200
    assert browser.post(f"{path}/submission").status_code == 200


def test_two_supervisors_score_blind_compare_and_agree(world: World) -> None:
    boss = world.client("supervisor")
    call, card = world.interaction(ended(world, "agent")), published(boss)
    judges = [world.people["supervisor"], second(world)]
    body = {"interaction": call, "scorecard": card, "judges": judges}
    made = boss.post("/calibrations", body).get_json()
    other = world.client("manager")
    path = f"/calibrations/{made['id']}"
    mine = own(made, "supervisor")["evaluation"]
    theirs = own(other.get(path).get_json(), "manager")["evaluation"]
    assert own(made, "manager")["evaluation"] is None
    submit(boss, mine, tone=4)
    shown = other.get(path).get_json()
    assert (shown["revealed"], shown["differences"]) == (False, [])
    hidden = own(shown, "supervisor")
    assert (hidden["state"], hidden["score"], hidden["evaluation"]) == ("submitted", None, None)
    problem(other.get(f"/evaluations/{mine}"), 404, "not-found")
    problem(other.post(f"{path}/agreement"), 409, "conflict")
    submit(other, theirs, tone=1)
    shown = other.get(path).get_json()
    assert own(shown, "supervisor")["score"] == 100.0
    first = shown["differences"][0]
    assert (first["question"], first["size"]) == ("tone", 0.75)
    assert {one["judge"]: one["value"] for one in first["answers"]} == dict(
        zip(judges, (4, 1), strict=True)
    )
    agreed = other.post(f"{path}/agreement").get_json()["id"]
    other.patch(f"/evaluations/{agreed}", {**answers(tone=2), "summary": "Hasty, not rude"})
    assert boss.get(path).get_json()["agreed"]["score"] is None  # a draft is its author's
    assert other.post(f"/evaluations/{agreed}/submission").status_code == 200
    shown = boss.get(path).get_json()
    assert (shown["agreed"]["state"], shown["reason"]) == ("submitted", "Hasty, not rude")
    assert shown["differences"][0]["agreed"]["value"] == 2
    agent = world.client("agent")
    assert agent.get("/evaluations").get_json()["items"] == []
    for one in (mine, theirs, agreed):
        problem(agent.get(f"/evaluations/{one}"), 404, "not-found")
    assert boss.get(f"/trends/scores?scorecard={card}").get_json()["items"] == []


def test_a_closed_calibration_is_blind_no_more(world: World) -> None:
    boss = world.client("supervisor")
    made = calibrated(world, boss)
    submit(boss, own(made, "supervisor")["evaluation"])
    path = f"/calibrations/{made['id']}"
    shown = boss.post(f"{path}/closing").get_json()
    assert (shown["revealed"], shown["closed_by"]["username"]) == (True, "supervisor")
    left = own(shown, "judge")
    assert (left["state"], left["evaluation"]) == ("draft", None)
    problem(boss.post(f"{path}/closing"), 409, "conflict")
    (listed,) = boss.get("/calibrations").get_json()["items"]
    assert listed["id"] == made["id"]
    for name in ("agent", "admin"):
        problem(world.client(name).get("/calibrations"), 403, "forbidden")
    assert world.client("auditor").get(path).status_code == 200


def test_a_calibration_needs_two(world: World) -> None:
    boss = world.client("supervisor")
    call, card = world.interaction(ended(world, "agent")), published(boss)
    for judges in ([world.people["supervisor"]], [world.people[n] for n in ("agent", "other")]):
        body = {"interaction": call, "scorecard": card, "judges": judges}
        problem(boss.post("/calibrations", body), 422, "invalid")
