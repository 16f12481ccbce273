"""Teams (T of research/reliability.md 4.1): a supervisor hears, finds and works on the own team's.

Who is in no team sees everybody's, as before there were teams; another team's looks as if it were
not there (A24).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_calibrations_api import calibrated
from test_coaching_api import coached
from test_quality_api import rule, submitted
from test_records_api import recorded
from web_world import Browser, World

from callcenter import events
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.interactions import operations as interactions
from callcenter.crm.quality.models import SampledCall
from callcenter.crm.review.models import Conversation
from callcenter.crm.users import operations as users
from callcenter.ids import new_id

WORDS = "the parcel is late"


@pytest.fixture
def calls(world: World) -> dict[str, dict[str, str]]:
    """A call of `agent` (north, as the supervisor) and one of `other` (south): ids by noun."""
    admin = world.client("admin")
    for name, team in (("agent", "north"), ("supervisor", "north"), ("other", "south")):
        answer = admin.send("PATCH", f"/users/{world.people[name]}", {"team": team})
        assert (answer.status_code, answer.get_json()["team"]) == (200, team)
    found = {}
    for name in ("agent", "other"):
        interaction, recording = recorded(world, name, f"2026/11/23/{name}.opus")
        client = world.client(name)
        call = client.get(f"/interactions/{interaction}").get_json()["call_id"]
        world.happens(
            events.UtteranceHeard(
                call=call, utterance=new_id(), leg="customer", text=WORDS, t0=1.0, t1=2.0,
                language="en", engine="test",
            )
        )  # fmt: skip
        complaint = client.post(
            "/complaints", {"subject": "Late", "interaction": interaction}
        ).get_json()
        link = client.post(f"/interactions/{interaction}/moments", {"t0": 1.0}).get_json()
        found[name] = {
            "interaction": interaction,
            "recording": recording,
            "complaint": complaint["id"],
            "moment": link["path"].rsplit("/", 1)[1],
            "call": call,
        }
    return found


HEARD = (
    "/interactions/{interaction}/transcript",
    "/interactions/{interaction}/recording",
    "/interactions/{interaction}/comments",
    "/interactions/{interaction}/conversation",
    "/recordings/{recording}",
    "/recordings/{recording}/audio",
    "/moments/{moment}",
)


@pytest.mark.parametrize("path", HEARD)
def test_another_teams_calls_look_as_if_they_were_not_there(
    world: World, calls: dict[str, dict[str, str]], path: str
) -> None:
    boss, manager = world.client("supervisor"), world.client("manager")
    own, theirs = (path.format(**calls[name]) for name in ("agent", "other"))
    assert boss.get(own).status_code == 200
    assert manager.get(theirs).status_code == 200
    refused = boss.get(theirs)
    missing = boss.get(path.format(**dict.fromkeys(calls["other"], new_id())))
    assert refused.status_code == missing.status_code == 404
    assert refused.get_json()["type"] == missing.get_json()["type"]


def found_by(client: Browser, path: str, key: str = "items") -> set[str]:
    items = client.get(path).get_json()[key]
    return {str(one.get("interaction", {}).get("id") or one["id"]) for one in items}


def test_lists_and_searches_hold_the_teams_alone(
    world: World, calls: dict[str, dict[str, str]]
) -> None:
    boss, manager = world.client("supervisor"), world.client("manager")
    mine, theirs = calls["agent"]["interaction"], calls["other"]["interaction"]
    for path, key in (
        ("/sentences?q=parcel", "items"),
        ("/search?q=parcel", "interactions"),
        ("/interactions?q=parcel", "items"),
    ):
        assert found_by(boss, path, key) == {mine}, path
        assert found_by(manager, path, key) == {mine, theirs}, path
    recordings = {one["id"] for one in boss.get("/recordings").get_json()["items"]}
    assert recordings == {calls["agent"]["recording"]}
    words = boss.get("/recordings?words=parcel").get_json()["items"]
    assert [one["id"] for one in words] == [calls["agent"]["recording"]]


def test_complaints_of_the_team_and_of_nobody_are_worked_on(
    world: World, calls: dict[str, dict[str, str]]
) -> None:
    boss = world.client("supervisor")

    def changes(complaint: str, who: str = "supervisor") -> int:
        return int(
            world.client(who)
            .send("PATCH", f"/complaints/{complaint}", {"product": "Lid"})
            .status_code
        )

    assert changes(calls["agent"]["complaint"]) == 200
    assert changes(calls["other"]["complaint"]) == 403
    assert boss.get(f"/complaints/{calls['other']['complaint']}").status_code == 200, "read: all"
    assert changes(calls["agent"]["complaint"], "other") == 403, "an agent's are the own ones"
    manager = world.client("manager")
    free = manager.post("/complaints", {"subject": "Nobody's"}).get_json()["id"]
    assert changes(free) == 200
    assert changes(free, "agent") == 403


def test_phrases_are_told_to_who_may_hear_the_call(
    world: World, calls: dict[str, dict[str, str]]
) -> None:
    boss = world.client("supervisor")
    made = boss.post(
        "/phrase-lists",
        {
            "name": "Leaving", "language": "en", "severity": "urgent", "phrases": ["cancel now"],
            "notice": True,
        },
    ).get_json()  # fmt: skip
    tabs = {
        name: world.runtime.socketio.test_client(
            world.app, flask_test_client=world.client(name).http
        )
        for name in ("supervisor", "manager")
    }
    for name in ("agent", "other"):
        utterance = new_id()
        call = calls[name]["call"]
        world.happens(
            events.UtteranceHeard(
                call=call, utterance=utterance, leg="customer", text="i cancel now", t0=3.0,
                t1=4.0, language="en", engine="test",
            ),
            events.PhraseHeard(call=call, list=made["id"], utterance=utterance, t0=3.0),
        )  # fmt: skip

    def told(name: str) -> set[str]:
        seen = tabs[name].get_received()
        return {one["args"][0]["call"] for one in seen if one["name"] == "phrase.said"}

    assert told("supervisor") == {calls["agent"]["call"]}
    assert told("manager") == {calls["agent"]["call"], calls["other"]["call"]}


def test_late_complaints_are_told_to_who_may_work_on_them(
    world: World, calls: dict[str, dict[str, str]]
) -> None:
    def escalated(complaint: str, tab: Any) -> bool:
        tab.get_received()
        owner = world.people["other"] if complaint == calls["other"]["complaint"] else None
        world.happens(
            events.ComplaintEscalated(
                complaint=complaint, code="C-1234567", level=1, role="supervisor", owner=owner,
                awaited="decide", due=events.now(),
            )
        )  # fmt: skip
        return "complaint.escalated" in {one["name"] for one in tab.get_received()}

    def team(name: str, of: str | None) -> None:
        with Session(world.engine) as session, session.begin():
            users.change(session, users.get_or_raise(session, world.people[name]), team=of)

    boss = world.runtime.socketio.test_client(
        world.app, flask_test_client=world.client("supervisor").http
    )
    mine, theirs = calls["agent"]["complaint"], calls["other"]["complaint"]
    free = world.client("manager").post("/complaints", {"subject": "Nobody's"}).get_json()["id"]
    assert escalated(mine, boss)
    assert escalated(free, boss), "nobody's team's is everybody's"
    assert escalated(theirs, boss), "the only supervisor there is: somebody has to hear of it"
    with Session(world.engine) as session, session.begin():
        hash_ = users.get_or_raise(session, world.people["supervisor"]).password_hash
        users.create(
            session, username="southern", password_hash=hash_, role="supervisor", team="south"
        )
    near = world.runtime.socketio.test_client(
        world.app, flask_test_client=world.client("southern").http
    )
    assert not escalated(theirs, boss)
    assert escalated(theirs, near)
    assert not escalated(mine, near)
    team("supervisor", None)
    assert escalated(theirs, boss), "one in no team works on everybody's"


def test_a_change_holds_at_once_and_is_in_the_audit(
    world: World, calls: dict[str, dict[str, str]]
) -> None:
    boss, admin = world.client("supervisor"), world.client("admin")
    theirs = f"/recordings/{calls['other']['recording']}"
    assert boss.get(theirs).status_code == 404
    me = f"/users/{world.people['supervisor']}"
    assert boss.send("PATCH", me, {"team": "south"}).status_code == 403
    admin.send("PATCH", me, {"team": "south"})
    assert boss.get(theirs).status_code == 200
    assert boss.get("/session").get_json()["permissions"]["conversation"] == "team"
    admin.send("PATCH", me, {"team": None})
    assert boss.get(theirs).status_code == 200, "in no team: everybody's"
    assert boss.get("/session").get_json()["permissions"]["conversation"] == "all"
    with Session(world.engine) as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.what == "team"))
        said: list[Any] = [(row.object, row.reason) for row in rows]
    assert said[-2:] == [(world.people["supervisor"], "south"), (world.people["supervisor"], "")]


def test_no_archive_goes_round_the_team(world: World, calls: dict[str, dict[str, str]]) -> None:
    """It holds all calls of a customer, also other teams'."""
    boss, manager = world.client("supervisor"), world.client("manager")
    customer = manager.post("/customers", {"name": "Sara"}).get_json()["id"]
    theirs = calls["other"]["interaction"]
    manager.send("PATCH", f"/interactions/{theirs}", {"customer": customer})
    path = f"/customers/{customer}/exports"
    made = manager.post(path, {"reason": "GDPR"})
    assert made.status_code == 202
    archive = f"/exports/{made.get_json()['id']}/archive"
    assert boss.post(path, {"reason": "GDPR"}).status_code == 403
    assert (boss.get(path).status_code, boss.get(archive).status_code) == (403, 403)
    world.client("admin").send("PATCH", f"/users/{world.people['supervisor']}", {"team": None})
    assert boss.get(path).status_code == 200


@pytest.fixture
def judged(world: World) -> dict[str, dict[str, str]]:
    """Of `agent` and `other`, by a supervisor who is in no team yet: an evaluation, a task, a
    calibration, a drawn call. Then `agent` and the supervisor are in north, `other` in south."""
    with Session(world.engine) as session, session.begin():
        known = users.get_or_raise(session, world.people["supervisor"]).password_hash
        users.create(session, username="second", password_hash=known, role="supervisor")
    boss = world.client("supervisor")
    drawn = rule(world, boss).get_json()
    found: dict[str, dict[str, str]] = {}
    for name in ("agent", "other"):
        evaluation = boss.get(submitted(world, world.client("second"), name)).get_json()
        calibration = calibrated(world, boss, name)
        found[name] = {
            "agent": world.people[name],
            "evaluation": evaluation["id"],
            "interaction": evaluation["interaction"],
            "scorecard": evaluation["scorecard"],
            "task": coached(world, boss, name)["id"],
            "calibration": calibration["id"],
            "call": calibration["interaction"],
            "judges": ",".join(one["judge"]["id"] for one in calibration["judgements"]),
        }
    with Session(world.engine) as session, session.begin():
        session.add_all(
            SampledCall(
                rule_id=drawn["id"], interaction_id=one["call"], scorecard_id=drawn["scorecard"],
                agent=one["agent"], evaluator=world.people["supervisor"], week=date(2026, 11, 16),
            )
            for one in found.values()
        )  # fmt: skip
        for name, team in (("agent", "north"), ("supervisor", "north"), ("other", "south")):
            users.change(session, users.get_or_raise(session, world.people[name]), team=team)
    return found


def test_quality_is_the_teams_own(world: World, judged: dict[str, dict[str, str]]) -> None:
    boss, manager = world.client("supervisor"), world.client("manager")
    mine, theirs = judged["agent"], judged["other"]

    def listed(path: str, key: str = "id") -> list[set[str]]:
        pages = [client.get(path).get_json()["items"] for client in (boss, manager)]
        return [{one[key] for one in page} for page in pages]

    both = [{mine["evaluation"]}, {mine["evaluation"], theirs["evaluation"]}]
    assert listed("/evaluations?state=submitted") == both
    assert listed(f"/evaluations?state=submitted&agent={theirs['agent']}")[0] == set()
    assert listed("/coaching-tasks") == [{mine["task"]}, {mine["task"], theirs["task"]}]
    assert listed("/calibrations") == [
        {mine["calibration"]},
        {mine["calibration"], theirs["calibration"]},
    ]
    drawn = boss.get("/sampled-calls").get_json()["items"]
    assert [one["agent"]["id"] for one in drawn] == [mine["agent"]]
    for one in (mine, theirs):
        trend = f"/trends/scores?scorecard={one['scorecard']}"
        rows = {row["key"] for row in boss.get(trend).get_json()["items"]}
        assert rows == ({one["agent"]} if one is mine else set())
        assert {row["key"] for row in manager.get(trend).get_json()["items"]} == {one["agent"]}
        asked = boss.get(f"{trend}&agent={one['agent']}").get_json()["items"]
        assert bool(asked) is (one is mine)
        answers = boss.get(f"/trends/questions?scorecard={one['scorecard']}").get_json()["items"]
        assert bool(answers) is (one is mine)
    with Session(world.engine) as session, session.begin():
        for one in (mine, theirs):
            call = interactions.get_or_raise(session, one["interaction"]).call_id
            session.merge(
                Conversation(call_id=call, state="measured", seconds=60.0, agent_share=0.5)
            )
    assert listed("/trends/conversations", "key") == [
        {mine["agent"]},
        {mine["agent"], theirs["agent"]},
    ]


def test_nobody_is_judged_or_coached_by_another_teams_supervisor(
    world: World, judged: dict[str, dict[str, str]]
) -> None:
    boss = world.client("supervisor")
    mine, theirs = judged["agent"], judged["other"]

    def begins(one: dict[str, str], **fields: str) -> int:
        body = {"interaction": one["call"], "scorecard": one["scorecard"], **fields}
        return int(boss.post("/evaluations", body).status_code)

    assert begins(theirs) == 404
    assert begins(mine) == 201
    task = {"agent": theirs["agent"], "text": "Mind the tone"}
    assert boss.post("/coaching-tasks", task).status_code == 404
    assert boss.post("/coaching-tasks", task | {"agent": mine["agent"]}).status_code == 201
    notes = {"notes": "seen"}
    assert boss.patch(f"/interactions/{theirs['interaction']}", notes).status_code == 404
    assert boss.patch(f"/interactions/{mine['interaction']}", notes).status_code == 200


def test_a_calibration_is_for_those_who_may_hear_the_call(
    world: World, judged: dict[str, dict[str, str]]
) -> None:
    boss, mine = world.client("supervisor"), judged["agent"]
    judges = mine["judges"].split(",")
    with Session(world.engine) as session, session.begin():
        stranger = next(one for one in judges if one != world.people["supervisor"])
        users.change(session, users.get_or_raise(session, stranger), team="south")
    body = {"interaction": mine["interaction"], "scorecard": mine["scorecard"], "judges": judges}
    refused = boss.post("/calibrations", body)
    assert refused.status_code == 422
    assert "south" in refused.get_json()["detail"]
    with Session(world.engine) as session, session.begin():
        users.change(session, users.get_or_raise(session, stranger), team="north")
    assert boss.post("/calibrations", body).status_code == 201
