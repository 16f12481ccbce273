"""Quality through the API: scorecards, evaluations, who may do and read what."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy.orm import Session
from test_records_api import audited, ended, problem
from test_review_api import measured
from web_world import Browser, World

from callcenter import events
from callcenter.crm.quality.models import SampledCall

SECTIONS: list[dict[str, Any]] = [
    {
        "id": "greeting",
        "title": "Greeting",
        "weight": 1,
        "questions": [{"id": "name", "text": "Says own name?", "optional": False}],
    },
    {
        "id": "care",
        "title": "מענה",
        "weight": 3,
        "questions": [
            {"id": "tone", "text": "لحن", "scale": 4},
            {"id": "identity", "text": "Identity checked?", "knock_out": True},
        ],
    },
]


def published(browser: Browser) -> str:
    made = browser.post("/scorecards", {"name": "Support", "sections": SECTIONS})
    assert made.status_code == 201
    card: str = made.get_json()["id"]
    assert browser.post(f"/scorecards/{card}/publication").status_code == 200
    return card


def begun(world: World, browser: Browser, agent: str = "agent") -> dict[str, Any]:
    call = world.interaction(ended(world, agent))
    answer = browser.post("/evaluations", {"interaction": call, "scorecard": published(browser)})
    assert answer.status_code == 201
    found: dict[str, Any] = answer.get_json()
    return found


def answers(**values: int | None) -> dict[str, Any]:
    wanted = {"name": 1, "tone": 4, "identity": 1} | values
    return {"answers": [{"question": key, "value": one} for key, one in wanted.items()]}


def submitted(world: World, browser: Browser, agent: str = "agent") -> str:
    made = begun(world, browser, agent)
    path = f"/evaluations/{made['id']}"
    assert browser.patch(path, answers(tone=2)).status_code == 200
    assert browser.post(f"{path}/submission").status_code == 200
    return path


def test_a_scorecard_is_written_published_changed_and_retired(world: World) -> None:
    boss = world.client("supervisor")
    card = published(boss)
    path = f"/scorecards/{card}"
    shown = boss.get(path).get_json()
    assert (shown["draft"], shown["published"]["number"]) == (None, 1)
    assert shown["published"]["sections"][1]["questions"][0]["scale"] == 4
    changed = boss.patch(path, {"name": "Sales", "sections": SECTIONS[:1]}).get_json()
    assert (changed["name"], changed["draft"]["number"]) == ("Sales", 2)
    assert len(changed["published"]["sections"]) == 2
    boss.post(f"{path}/publication")
    numbers = [one["number"] for one in boss.get(f"{path}/versions").get_json()["items"]]
    assert numbers == [2, 1]
    problem(boss.post(f"{path}/publication"), 409, "conflict")
    boss.patch(path, {"sections": []})
    problem(boss.post(f"{path}/publication"), 422, "invalid")
    assert boss.post(f"{path}/retirement").get_json()["retired_by"]["username"] == "supervisor"
    assert boss.get("/scorecards").get_json()["items"] == []
    assert len(boss.get("/scorecards?retired=true").get_json()["items"]) == 1


def test_the_score_is_shown_while_answers_are_given(world: World) -> None:
    boss = world.client("supervisor")
    made = begun(world, boss)
    assert (made["score"], made["missing"]) == (None, ["name", "tone", "identity"])
    path = f"/evaluations/{made['id']}"
    evidence = {"question": "name", "value": 0, "t0": 2.5, "remark": "no name"}
    shown = boss.patch(path, {"answers": [evidence], "version": made["version"]}).get_json()
    assert (shown["score"], shown["missing"]) == (0.0, ["tone", "identity"])
    assert shown["answers"] == [evidence]
    problem(boss.patch(path, {"answers": [], "version": made["version"]}), 409, "conflict")
    problem(boss.post(f"{path}/submission"), 422, "invalid")
    shown = boss.patch(path, answers(tone=None, identity=0)).get_json()
    assert (shown["score"], shown["failed"], shown["knocked_out"]) == (0.0, ["identity"], True)
    shown = boss.patch(path, answers(tone=2, identity=None)).get_json()
    assert shown["score"] == round(100 * (1 + 3 * 0.5) / 4, 1)
    assert shown["shares"] == [
        {"section": "greeting", "share": 1.0},
        {"section": "care", "share": 0.5},
    ]
    problem(boss.patch(path, answers(name=None)), 422, "invalid")
    problem(boss.patch(path, answers(tone=9)), 422, "invalid")


def test_the_agent_reads_replies_and_acknowledges_after_submission_only(world: World) -> None:
    boss, agent, other = (world.client(name) for name in ("supervisor", "agent", "other"))
    made = begun(world, boss)
    path = f"/evaluations/{made['id']}"
    problem(agent.get(path), 404, "not-found")
    assert agent.get("/evaluations").get_json()["items"] == []
    boss.patch(path, answers())
    boss.post(f"{path}/submission")
    shown = agent.get(path).get_json()
    assert (shown["score"], shown["about_me"], shown["mine"]) == (100.0, True, False)
    assert [one["id"] for one in agent.get("/evaluations").get_json()["items"]] == [made["id"]]
    assert agent.post(f"{path}/notes", {"text": "The line was bad."}).status_code == 201
    answered = boss.post(f"{path}/notes", {"text": "True."}).get_json()
    assert [(one["kind"], one["by"]["username"]) for one in answered["notes"]] == [
        ("reply", "agent"),
        ("answer", "supervisor"),
    ]
    assert boss.get("/evaluations?acknowledged=true").get_json()["items"] == []
    assert agent.post(f"{path}/acknowledgement").get_json()["acknowledged_at"]
    problem(agent.post(f"{path}/acknowledgement"), 409, "conflict")
    problem(boss.post(f"{path}/acknowledgement"), 404, "not-found")
    for refused in (other.get(path), other.post(f"{path}/notes", {"text": "x"})):
        problem(refused, 404, "not-found")
    problem(boss.patch(path, answers(tone=1)), 409, "conflict")


def test_evaluations_by_role(world: World) -> None:
    boss = world.client("supervisor")
    path = submitted(world, boss)
    for name, status in (("manager", 200), ("auditor", 200), ("admin", 403), ("other", 404)):
        browser = world.client(name)
        assert browser.get(path).status_code == status, name
        problem(browser.patch(path, answers()), 403, "forbidden")
        if name != "other":
            problem(browser.post(f"{path}/notes", {"text": "x"}), 403, "forbidden")
    card = boss.get(path).get_json()["scorecard"]
    for name in ("agent", "auditor", "admin"):
        problem(world.client(name).patch(f"/scorecards/{card}", {}), 403, "forbidden")
    assert world.client("manager").patch(f"/scorecards/{card}", {"name": "M"}).status_code == 200


def test_a_call_is_judged_only_when_it_is_over_and_by_somebody_else(world: World) -> None:
    boss = world.client("supervisor")
    card = published(boss)
    lasting = world.interaction(world.call(agent=world.people["agent"]))
    problem(boss.post("/evaluations", {"interaction": lasting, "scorecard": card}), 409, "conflict")
    own = world.interaction(ended(world, "supervisor"))
    problem(boss.post("/evaluations", {"interaction": own, "scorecard": card}), 403, "forbidden")
    wrong = {"interaction": own, "scorecard": card, "agent": world.people["agent"]}
    problem(boss.post("/evaluations", wrong), 422, "invalid")
    missed = world.interaction(world.call())
    problem(boss.post("/evaluations", {"interaction": missed, "scorecard": card}), 422, "invalid")


@pytest.mark.parametrize("count", [1, 6])
def test_a_longer_page_of_evaluations_costs_no_more_queries(world: World, count: int) -> None:
    from sqlalchemy import event

    boss = world.client("supervisor")
    for _ in range(count):
        submitted(world, boss)
    seen: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *args: seen.append(str(args[2])))
    assert len(boss.get("/evaluations").get_json()["items"]) == count
    assert len(seen) <= 9


# --- Drawn calls, trends, corrections --------------------------------------------------------


def rule(world: World, browser: Browser, **fields: Any) -> Any:
    body = {
        "name": "Two a week",
        "scorecard": published(browser),
        "evaluator": world.people["supervisor"],
        "method": "number",
        "amount": 2,
    }
    return browser.post("/sampling-rules", body | fields)


def test_rules_are_made_shown_and_ended(world: World) -> None:
    boss = world.client("supervisor")
    made = rule(world, boss, mark="dead_air")
    assert made.status_code == 201
    shown = made.get_json()
    assert (shown["evaluator"]["username"], shown["mark"]) == ("supervisor", "dead_air")
    problem(rule(world, boss, evaluator=world.people["agent"]), 422, "invalid")
    problem(rule(world, boss, method="share", amount=2), 422, "invalid")
    ended = boss.post(f"/sampling-rules/{shown['id']}/end").get_json()
    assert ended["ended_by"]["username"] == "supervisor"
    assert [one["id"] for one in boss.get("/sampling-rules").get_json()["items"]] == [shown["id"]]
    for name in ("agent", "auditor", "admin"):
        problem(world.client(name).get("/sampling-rules"), 403, "forbidden")


def test_a_drawn_call_is_evaluated_or_passed_over(world: World) -> None:
    boss = world.client("supervisor")
    made = rule(world, boss).get_json()
    calls = [world.interaction(ended(world, "agent")) for _ in range(2)]
    with Session(world.engine) as session, session.begin():
        for call in calls:
            session.add(
                SampledCall(
                    rule_id=made["id"],
                    interaction_id=call,
                    scorecard_id=made["scorecard"],
                    agent=world.people["agent"],
                    evaluator=world.people["supervisor"],
                    week=date(2026, 11, 21),
                )
            )
    waiting = boss.get("/sampled-calls").get_json()["items"]
    assert {one["interaction"] for one in waiting} == set(calls)
    assert (waiting[0]["agent"]["username"], waiting[0]["week"]) == ("agent", "2026-11-21")
    path = f"/sampled-calls/{waiting[0]['id']}/pass"
    problem(boss.post(path, {"why": " "}), 422, "invalid")
    assert boss.post(path, {"why": "only the weather"}).status_code == 204
    problem(boss.post(path, {"why": "again"}), 409, "conflict")
    begun = boss.post(
        "/evaluations",
        {"interaction": waiting[1]["interaction"], "scorecard": waiting[1]["scorecard"]},
    ).get_json()
    (left,) = boss.get("/sampled-calls").get_json()["items"]
    assert left["evaluation"] == begun["id"]
    boss.patch(f"/evaluations/{begun['id']}", answers())
    boss.post(f"/evaluations/{begun['id']}/submission")
    assert boss.get("/sampled-calls").get_json()["items"] == []
    problem(world.client("manager").get("/sampled-calls"), 403, "forbidden")


def test_trends_by_week_and_agents_see_their_own(world: World) -> None:
    boss = world.client("supervisor")
    path = submitted(world, boss)
    card = boss.get(path).get_json()["scorecard"]
    query = f"?scorecard={card}&weeks=4"
    found = boss.get(f"/trends/scores{query}").get_json()
    assert len(found["weeks"]) == 4
    (row,) = found["items"]
    assert row["name"] == "agent"
    assert row["weeks"] == [{"week": 3, "count": 1, "mean": 81.2, "worst": 0}]
    asked = boss.get(f"/trends/questions{query}").get_json()["items"]
    assert [(one["name"], one["weeks"][0]["mean"]) for one in asked] == [
        ("Says own name?", 1.0),
        ("لحن", 0.5),
        ("Identity checked?", 1.0),
    ]
    for name, count in (("agent", 1), ("other", 0), ("manager", 1), ("auditor", 1)):
        browser = world.client(name)
        assert len(browser.get(f"/trends/scores{query}").get_json()["items"]) == count, name
    problem(world.client("admin").get(f"/trends/scores{query}"), 403, "forbidden")
    assert boss.get("/trends/scores?scorecard=x&weeks=99").status_code == 422


def test_trends_of_conversations_by_agent_and_queue(world: World) -> None:
    measured(world)
    boss = world.client("supervisor")
    (row,) = boss.get("/trends/conversations").get_json()["items"]
    assert (row["name"], row["weeks"][0]["count"], row["weeks"][0]["share"]) == ("agent", 1, 0.5)
    (queue,) = boss.get("/trends/conversations?by=queue").get_json()["items"]
    assert queue["name"] == "support"
    other = world.client("other")
    assert other.get("/trends/conversations?by=queue").get_json()["items"] == []


def test_a_sentence_is_put_right_by_who_may_hear_it(world: World) -> None:
    interaction, _ = measured(world)
    call = world.client("agent").get(f"/interactions/{interaction}").get_json()["call_id"]
    world.happens(
        events.UtteranceHeard(
            call=call, utterance="u1", leg="agent", text="helo", t0=0, t1=2, language="en",
            engine="vosk",
        )
    )  # fmt: skip
    path = f"/interactions/{interaction}/utterances/u1/correction"
    answer = world.client("agent").post(path, {"text": "hello", "was": "helo"})
    assert answer.status_code == 201
    boss = world.client("supervisor")
    problem(boss.post(path, {"text": "hallo", "was": "helo"}), 409, "conflict")
    shown = boss.get(f"/interactions/{interaction}/transcript").get_json()["items"]
    assert [one["text"] for one in shown] == ["hello"]
    (kept,) = boss.get(f"/interactions/{interaction}/corrections").get_json()["items"]
    assert (kept["before"], kept["by"]["username"]) == ("helo", "agent")
    assert [one.object for one in audited(world, "transcript.correct")] == [
        interaction,
        interaction,
    ]
    body = {"text": "x", "was": "hello"}
    for name, status, slug in (
        ("other", 404, "not-found"),
        ("manager", 403, "forbidden"),
        ("admin", 403, "forbidden"),
    ):
        problem(world.client(name).post(path, body), status, slug)
    problem(
        world.client("admin").get(f"/interactions/{interaction}/corrections"), 403, "reason-needed"
    )
