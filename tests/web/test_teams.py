"""Teams (T of research/reliability.md 4.1): a supervisor hears, finds and works on the own team's.

Who is in no team sees everybody's, as before there were teams; another team's looks as if it were
not there (A24).
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_records_api import recorded
from web_world import Browser, World

from callcenter import events
from callcenter.crm.audit.models import AuditEntry
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
