"""The complaint desk over the API, the customers' page, and what agents are told by the socket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from test_contract import problem, tab, talked, told
from web_world import Browser, World

from callcenter import events
from callcenter.config import Settings
from callcenter.crm.messages.operations import post_of
from callcenter.events import ComplaintCodeRead, ReadOutCode
from callcenter.web.app import create_app

PHONE = "+989121234567"


def registered(browser: Browser, **more: Any) -> dict[str, Any]:
    answer = browser.post("/complaints", {"subject": "Broken parcel", **more})
    assert answer.status_code == 201, answer.get_json()
    found: dict[str, Any] = answer.get_json()
    return found


def customer(browser: Browser) -> str:
    made = browser.post("/customers", {"name": "Sara", "phones": [{"number": PHONE}]})
    return str(made.get_json()["id"])


def moved(browser: Browser, id_: str, *stages: str) -> Any:
    for to in stages:
        body = {"to": to, "decision": "a refund", "channel": "phone", "note": "secret note"}
        answer = browser.post(f"/complaints/{id_}/transitions", body)
        assert answer.status_code == 200, answer.get_json()
    return answer


# --- The desk --------------------------------------------------------------------------------


def test_assessment_cause_and_remedy_are_kept_with_who_and_why(world: World) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, product="Kettle", wanted="a new one")
    assert (complaint["product"], complaint["wanted"]) == ("Kettle", "a new one")
    assert complaint["clock"]["awaited"] == "acknowledge"
    answer = boss.patch(
        f"/complaints/{complaint['id']}",
        {
            "safety": True,
            "impact": "high",
            "complexity": "low",
            "cause": "defect",
            "remedy": "replacement",
            "remedy_cost": 12.5,
            "corrective": "the supplier was told",
            "why": "seen in the workshop",
        },
    )
    found = answer.get_json()
    assert answer.status_code == 200, found
    assert (found["remedy_cost"], found["safety"], found["cause"]) == (12.5, True, "defect")
    assert {one["field"] for one in found["changes"]} == {
        "safety", "impact", "complexity", "cause", "remedy", "remedy_cents", "corrective",
    }  # fmt: skip
    assert {(o["by"]["username"], o["why"]) for o in found["changes"]} == {
        ("supervisor", "seen in the workshop")
    }
    emptied = boss.patch(f"/complaints/{complaint['id']}", {"remedy": None, "remedy_cost": None})
    assert (emptied.get_json()["remedy"], emptied.get_json()["remedy_cost"]) == (None, None)
    wrong = boss.patch(f"/complaints/{complaint['id']}", {"cause": "moon"})
    problem(wrong, 422, "invalid")
    assert wrong.get_json()["errors"][0]["field"] == "cause"


def test_the_board_has_nine_columns_in_their_order(world: World) -> None:
    boss = world.client("supervisor")
    for _ in range(2):
        registered(boss)
    moved(boss, registered(boss)["id"], "acknowledged")
    registered(world.client("agent"))
    columns = boss.get("/complaints/board").get_json()["columns"]
    assert [one["stage"] for one in columns][:3] == ["received", "acknowledged", "assessing"]
    assert [one["count"] for one in columns] == [3, 1, 0, 0, 0, 0, 0, 0, 0]
    mine = boss.get("/complaints/board?owner=me").get_json()["columns"]
    assert [one["count"] for one in mine][:2] == [2, 1]
    assert len(mine[0]["items"]) == 2


def test_figures_and_causes(world: World) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, product="Kettle")
    boss.patch(f"/complaints/{complaint['id']}", {"cause": "defect", "remedy_cost": 3})
    moved(boss, complaint["id"], "responded")
    found = boss.get("/complaints/figures").get_json()
    assert (found["received"], found["decide"]["count"], found["decide"]["in_time"]) == (1, 1, 1.0)
    assert found["causes"] == [{"key": "defect", "count": 1, "open": 1, "reopened": 0, "cost": 3.0}]
    assert found["open"]["responded"] == [1, 0, 0, 0, 0]
    labels = {
        one["id"]: one["label_he"] for one in boss.get("/complaints/causes").get_json()["items"]
    }
    assert labels["defect"] == "מוצר פגום"
    wrong = "/complaints/figures?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z"
    problem(boss.get(wrong), 422, "invalid")


def test_a_later_call_is_added_with_its_words(world: World) -> None:
    agent = world.client("agent")
    first, second = (world.interaction(talked(world, "agent")) for _ in range(2))
    complaint = registered(agent, interaction=first)
    call = talked(world, "agent")
    world.happens(
        events.UtteranceHeard(
            call=call, utterance="u9", leg="customer", text="still broken", t0=4.0, t1=5.0,
            language="en", engine="vosk",
        )
    )  # fmt: skip
    third = world.interaction(call)
    address = f"/complaints/{complaint['id']}/calls"
    agent.post(address, {"interaction": second})
    found = agent.post(address, {"interaction": third, "quotes": ["u9"]}).get_json()
    assert [(one["interaction"], one["born"]) for one in found["calls"]] == [
        (first, True), (second, False), (third, False),
    ]  # fmt: skip
    assert [(one["text"], one["interaction"]) for one in found["quotes"]] == [
        ("still broken", third)
    ]
    foreign = world.interaction(talked(world, "other"))
    problem(agent.post(address, {"interaction": foreign, "quotes": ["u9"]}), 404, "not-found")
    assert (
        agent.get(f"/complaints?interaction={third}").get_json()["items"][0]["id"]
        == (complaint["id"])
    )


def test_agents_read_incidents_and_leads_make_and_end_them(world: World) -> None:
    boss, agent = world.client("supervisor"), world.client("agent")
    complaints = [registered(boss, product="Kettle")["id"] for _ in range(3)]
    for id_ in complaints:
        boss.patch(f"/complaints/{id_}", {"cause": "defect"})
    (made,) = agent.get("/incidents?open=true").get_json()["items"]
    assert (made["complaints"], made["product"], made["opened_by"]) == (3, "Kettle", None)
    problem(agent.patch(f"/incidents/{made['id']}", {"advice": "x"}), 403, "forbidden")
    changed = boss.patch(f"/incidents/{made['id']}", {"advice": "A new lid is on its way."})
    assert changed.get_json()["advice"] == "A new lid is on its way."
    problem(boss.post("/incidents", {"cause": "defect", "product": "Kettle"}), 409, "conflict")
    ended = boss.patch(f"/incidents/{made['id']}", {"closing": "the supplier changed it"})
    assert ended.get_json()["closed_by"]["username"] == "supervisor"
    assert agent.get("/incidents?open=true").get_json()["items"] == []
    assert agent.get(f"/incidents/{made['id']}").get_json()["closing"] == "the supplier changed it"


def test_the_next_callers_pop_shows_the_open_incident(world: World) -> None:
    boss = world.client("supervisor")
    body = {"cause": "delivery", "title": "Storm in the north", "advice": "Two days late."}
    made = boss.post("/incidents", body).get_json()
    client = tab(world, world.client("agent"))
    call = world.call()
    agent = world.people["agent"]
    world.happens(events.AgentOffered(call=call, agent=agent, queue="support", attempt=1))
    (pop,) = told(client, "call.ringing")
    (shown,) = pop["incidents"]
    assert (shown["id"], shown["advice"]) == (made["id"], "Two days late.")


def test_an_escalation_reaches_the_role_and_the_owner_once_by_sequence(world: World) -> None:
    boss, agent, other = (
        tab(world, world.client(name)) for name in ("supervisor", "agent", "other")
    )
    world.happens(
        events.ComplaintEscalated(
            complaint="c1",
            code="C-1234567",
            level=1,
            role="supervisor",
            owner=world.people["agent"],
            awaited="decide",
            due=datetime(2026, 11, 25, tzinfo=UTC),
        )
    )
    (seen,) = told(boss, "complaint.escalated")
    assert (seen["code"], seen["level"], seen["awaited"]) == ("C-1234567", 1, "decide")
    assert seen["seq"] == 1
    assert len(told(agent, "complaint.escalated")) == 1
    assert told(other, "complaint.escalated") == []


# --- The customers' page -----------------------------------------------------------------------


def ask(browser: Browser, code: str, last: str, lang: str = "en") -> Any:
    return browser.http.post(f"/portal?lang={lang}", data={"code": code, "last": last})


def test_the_customer_sees_the_stage_by_code_and_number_and_no_notes(world: World) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, customer=customer(boss))
    nobody = world.client()
    assert "minlength" in nobody.http.get("/portal?lang=fa").get_data(as_text=True)
    page = ask(nobody, complaint["code"], "4567")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert 'data-stage="received"' in text
    assert "<script" not in text
    moved(boss, complaint["id"], "acknowledged", "responded")
    text = ask(nobody, complaint["code"].lower().replace("-", " "), "۴۵۶۷").get_data(as_text=True)
    assert "a refund" not in text  # decided, not told
    moved(boss, complaint["id"], "communicated")
    text = ask(nobody, complaint["code"], "4567").get_data(as_text=True)
    assert "a refund" in text
    assert "secret note" not in text
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("lang", ["fa", "he", "en"])
@pytest.mark.parametrize("stage", ["received", "communicated"])
def test_the_page_is_in_the_language_of_the_customer(world: World, lang: str, stage: str) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, customer=customer(boss))
    if stage == "communicated":
        moved(boss, complaint["id"], "responded", "communicated")
    text = ask(world.client(), complaint["code"], "4567", lang).get_data(as_text=True)
    assert f'<html lang="{lang}" dir="{"ltr" if lang == "en" else "rtl"}">' in text
    assert "portal_" not in text
    assert {"fa": "گرامی" not in text and "۱۴" in text, "he": "20" in text, "en": "20" in text}[
        lang
    ]


def test_whoever_guesses_is_slowed_down_and_learns_nothing(world: World) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, customer=customer(boss))
    guesser = world.client()
    pages = [ask(guesser, complaint["code"], f"{n:04}") for n in range(5)]
    unknown = ask(world.client(), "C-0000000", "4567")
    assert {one.status_code for one in [*pages, unknown]} == {404}
    problems = {one.get_data(as_text=True).split("data-problem=")[1][:18] for one in pages}
    assert problems == {unknown.get_data(as_text=True).split("data-problem=")[1][:18]}
    slowed = ask(guesser, complaint["code"], "4567")  # now even the right number waits
    assert slowed.status_code == 429
    assert int(slowed.headers["Retry-After"]) >= 1


def test_many_codes_from_one_address_are_slowed_down_too(world: World) -> None:
    guesser = world.client()
    answers = [ask(guesser, f"C-{n:07}", "4567").status_code for n in range(31)]
    assert answers == [404] * 30 + [429]


def test_the_page_can_be_switched_off(world: World) -> None:
    world.app.extensions["callcenter"].settings = world.settings.model_copy(
        update={"complaints": world.settings.complaints.model_copy(update={"portal": False})}
    )
    assert world.client().http.get("/portal").status_code == 404


def test_the_portal_on_a_host_of_its_own_is_alone_there(
    world: World, make_settings: Callable[..., Settings]
) -> None:
    boss = world.client("supervisor")
    complaint = registered(boss, customer=customer(boss))
    settings = make_settings(
        web={"public_url": "https://calls.example.com"},
        complaints={"portal_url": "https://status.example.com/"},
    )
    assert post_of(settings).portal == "https://status.example.com/portal"
    site = create_app(settings, world.engine, world.bus).test_client()
    theirs, ours = "https://status.example.com", "https://calls.example.com"

    assert site.get("/portal", base_url=theirs).status_code == 200
    form = {"code": complaint["code"], "last": "4567"}
    page = site.post("/portal?lang=en", base_url=theirs, data=form, headers={"Origin": theirs})
    assert 'data-stage="received"' in page.get_data(as_text=True)
    stranger = {"Origin": "https://evil.example"}
    refused = site.post("/portal", base_url=theirs, data=form, headers=stranger)
    assert refused.status_code == 403
    assert site.get("/static/pages.css", base_url=theirs, buffered=True).status_code == 200
    assert site.get("/", base_url=theirs).headers["Location"] == "/portal"
    for path in ("/sign-in", "/api/v1/session", "/healthz", "/metrics", "/calls"):
        assert site.get(path, base_url=theirs).status_code == 404

    moved_to = site.get("/portal?code=x", base_url=ours)
    assert (moved_to.status_code, moved_to.headers["Location"]) == (308, f"{theirs}/portal")
    assert site.get("/sign-in", base_url=ours).status_code == 200


def test_only_a_code_that_belongs_to_the_call_is_read_out(world: World) -> None:
    """To a stranger nobody's code is said: born in the call, tied to it, or the customer's own."""
    agent, boss = world.client("agent"), world.client("supervisor")
    call = world.call(agent=world.people["agent"])
    born = agent.post(
        "/complaints", {"subject": "Lid", "interaction": world.interaction(call)}
    ).get_json()
    strange = boss.post("/complaints", {"subject": "Lid"}).get_json()
    answer = agent.post(f"/calls/{call}/reading", {"code": born["code"].lower().replace("-", " ")})
    assert answer.status_code == 200, answer.get_json()
    (order,) = world.telephony.told(ReadOutCode)
    assert (order.call, order.agent) == (call, world.people["agent"])
    assert (order.complaint, order.code) == (born["id"], born["code"])
    for code in (strange["code"], "C-0000000", "x"):
        refused = agent.post(f"/calls/{call}/reading", {"code": code})
        assert (refused.status_code, refused.get_json()["type"].split(":")[-1]) == (
            404,
            "not-found",
        )
    boss.post(f"/complaints/{strange['id']}/calls", {"interaction": world.interaction(call)})
    assert agent.post(f"/calls/{call}/reading", {"code": strange["code"]}).status_code == 200

    read = ComplaintCodeRead(complaint=born["id"], call=call, by=world.people["agent"])
    world.happens(read)
    (change,) = agent.get(f"/complaints/{born['id']}").get_json()["changes"]
    assert (change["field"], change["after"]) == ("code_read", "phone")
    assert change["by"]["id"] == world.people["agent"]
