"""The list of recordings and saved views through the API: filters, who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from test_contract import says
from test_records_api import audited, problem, recorded
from test_review_api import measured
from web_world import World

from callcenter.ids import new_id


def listed(world: World, who: str, query: str = "") -> list[dict[str, Any]]:
    answer = world.client(who).get(f"/recordings{query}")
    assert answer.status_code == 200, answer.get_json()
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def test_a_recording_in_the_list_says_what_it_is_and_leads_to_its_call(world: World) -> None:
    interaction, recording = measured(world)
    boss = world.client("supervisor")
    sara = boss.post("/customers", {"name": "Sara"}).get_json()["id"]
    boss.patch(f"/interactions/{interaction}", {"customer": sara})
    (shown,) = listed(world, "supervisor")
    assert (shown["id"], shown["interaction"]) == (recording, interaction)
    assert (shown["line"], shown["queue"], shown["language"]) == ("100", "support", "en")
    assert (shown["seconds"], shown["outcome"], shown["agent_share"]) == (5.0, "completed", 0.5)
    assert (shown["agent"]["username"], shown["customer"]["name"]) == ("agent", "Sara")
    assert shown["from_number"] == "+989121234567"
    assert listed(world, "supervisor", f"?customer={sara}") == [shown]


def test_agents_see_their_own_recordings_only(world: World) -> None:
    mine, _ = recorded(world, "agent")
    theirs, _ = recorded(world, "other")
    other = world.people["other"]
    for who, query, found in (
        ("supervisor", "", [theirs, mine]),
        ("manager", f"?agent={other}", [theirs]),
        ("supervisor", "?agent=me", []),
        ("agent", "", [mine]),
        ("agent", "?agent=me", [mine]),
        ("agent", f"?agent={other}", []),
        ("admin", "", [theirs, mine]),
    ):
        assert [one["interaction"] for one in listed(world, who, query)] == found, (who, query)
    problem(world.client().get("/recordings"), 401, "not-signed-in")


def test_words_are_searched_by_whoever_may_search_them(world: World) -> None:
    interaction, _ = recorded(world, "agent")
    call = world.client("agent").get(f"/interactions/{interaction}").get_json()["call_id"]
    says(world, call, "שלום לכולם")
    for who in ("agent", "supervisor", "auditor"):
        assert [one["interaction"] for one in listed(world, who, "?words=שלומ")] == [interaction]
    assert listed(world, "supervisor", "?words=nobody") == []
    assert listed(world, "other", "?words=שלום") == []
    problem(world.client("admin").get("/recordings?words=x"), 403, "forbidden")


def test_what_was_measured_of_a_talk_needs_no_less_than_hearing_it(world: World) -> None:
    measured(world)
    for who, share in (("agent", 0.5), ("manager", 0.5), ("admin", None), ("auditor", None)):
        assert [one["agent_share"] for one in listed(world, who)] == [share], who


def test_scores_are_asked_for_by_whoever_may_read_evaluations(world: World) -> None:
    recorded(world, "agent")
    for who in ("agent", "supervisor", "manager", "auditor"):
        assert listed(world, who, "?min_score=0&max_score=100") == [], who
    problem(world.client("admin").get("/recordings?min_score=0"), 403, "forbidden")


def test_filters_are_checked(world: World) -> None:
    recorded(world, "agent")
    assert listed(world, "agent", "?min_seconds=5&max_seconds=5&outcome=completed&language=en")
    assert listed(world, "agent", "?min_seconds=5.1") == []
    assert listed(world, "agent", "?to=2020-01-01T00:00:00Z") == []
    for wrong in ("outcome=lost", "min_seconds=-1", "max_seconds=nan", "max_score=101", "shape=x"):
        problem(world.client("agent").get(f"/recordings?{wrong}"), 422, "invalid")
    problem(world.client("agent").get("/recordings?cursor=forged"), 422, "invalid")


def test_the_list_is_paged_and_listing_is_no_listening(world: World) -> None:
    made = [recorded(world, "agent")[0] for _ in range(3)]
    agent = world.client("agent")
    first = agent.get("/recordings?limit=2").get_json()
    rest = agent.get(f"/recordings?limit=2&cursor={first['next']}").get_json()
    found = [one["interaction"] for one in first["items"] + rest["items"]]
    assert (found, rest["next"]) == (made[::-1], None)
    assert audited(world, "recording.listen") == []


# --- Saved views -----------------------------------------------------------------------------

FILTERS = {"period": "week", "queue": "support", "min_seconds": 600.0}


def views(world: World, who: str) -> list[str]:
    return [one["name"] for one in world.client(who).get("/views").get_json()["items"]]


def test_a_view_is_kept_for_oneself_and_changed(world: World) -> None:
    agent = world.client("agent")
    made = agent.post("/views", {"name": "Long ones", "filters": FILTERS})
    assert made.status_code == 201
    view = made.get_json()
    assert {k: v for k, v in view["filters"].items() if v is not None} == FILTERS
    assert (view["shared"], view["mine"], view["owner"]["username"]) == (False, True, "agent")
    assert (views(world, "agent"), views(world, "supervisor")) == (["Long ones"], [])
    days = {"from": "2026-03-20", "to": "2026-04-02"}
    changed = agent.patch(f"/views/{view['id']}", {"name": "Nowruz", "filters": days}).get_json()
    assert changed["name"] == "Nowruz"
    assert {k: v for k, v in changed["filters"].items() if v is not None} == days
    problem(world.client("other").patch(f"/views/{view['id']}", {"name": "x"}), 404, "not-found")


@pytest.mark.parametrize("who", ["supervisor", "manager"])
def test_leads_share_views_with_everybody_and_take_them_back(world: World, who: str) -> None:
    lead = world.client(who)
    made = lead.post("/views", {"name": "All", "filters": {}, "shared": True}).get_json()
    for role in ("agent", "auditor", "admin", who):
        assert views(world, role) == ["All"]
    (seen,) = world.client("agent").get("/views").get_json()["items"]
    assert (seen["mine"], seen["owner"]["username"]) == (False, who)
    path = f"/views/{made['id']}"
    problem(world.client("agent").patch(path, {"name": "Mine"}), 403, "forbidden")
    problem(world.client("agent").post(f"{path}/retraction"), 403, "forbidden")
    assert lead.post(f"{path}/retraction").status_code == 204
    assert views(world, "agent") == views(world, who) == []
    problem(lead.post(f"{path}/retraction"), 404, "not-found")


@pytest.mark.parametrize("who", ["agent", "admin", "auditor"])
def test_others_share_none(world: World, who: str) -> None:
    person = world.client(who)
    problem(person.post("/views", {"name": "A", "filters": {}, "shared": True}), 403, "forbidden")
    made = person.post("/views", {"name": "A", "filters": {}}).get_json()
    problem(person.patch(f"/views/{made['id']}", {"shared": True}), 403, "forbidden")
    assert views(world, who) == ["A"]


def test_what_a_view_holds_is_checked(world: World) -> None:
    agent = world.client("agent")
    for wrong in (
        {"name": "", "filters": {}},
        {"name": "x" * 101, "filters": {}},
        {"name": "x"},
        {"name": "x", "filters": {"colour": "red"}},
        {"name": "x", "filters": {"period": "decade"}},
        {"name": "x", "filters": {"from": "yesterday"}},
    ):
        problem(agent.post("/views", wrong), 422, "invalid")
    problem(agent.patch(f"/views/{new_id()}", {"name": "x"}), 404, "not-found")
    problem(world.client().get("/views"), 401, "not-signed-in")
