"""The contract, sentence by sentence: each test quotes the one it holds the API to.

What the other files of this folder prove in detail is not repeated; here stand the names.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from web_world import Browser, World

from callcenter import events

PROMISED = """
POST /session | DELETE /session | GET /session
GET /customers | POST /customers | GET /customers/{id} | PATCH /customers/{id}
GET /customers/{id}/timeline | GET /customers/lookup | POST /imports | GET /imports/{id}
GET /interactions | GET /interactions/{id} | PATCH /interactions/{id}
GET /interactions/{id}/transcript | GET /interactions/{id}/recording
GET /recordings/{id}/audio
GET /complaints | POST /complaints | GET /complaints/{id} | PATCH /complaints/{id}
POST /complaints/{id}/transitions
GET /queues | GET /agents | POST /agents/me/state
POST /calls | POST /calls/{id}/answer | POST /calls/{id}/hold | POST /calls/{id}/resume
POST /calls/{id}/transfer | POST /calls/{id}/hangup
"""
STAGES = "received acknowledged assessing investigating responded communicated closed"
PROBLEM = ["type", "title", "status", "detail", "errors"]


def tab(world: World, browser: Browser) -> Any:
    return world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)


def told(client: Any, name: str) -> list[dict[str, Any]]:
    return [one["args"][0] for one in client.get_received() if one["name"] == name]


def problem(answer: Any, status: int, slug: str) -> None:
    assert answer.status_code == status, answer.get_json()
    assert answer.mimetype == "application/problem+json"
    assert list(answer.get_json()) == PROBLEM
    assert answer.get_json()["type"].endswith(f":{slug}")


def talked(world: World, *agents: str, end: str = "completed") -> str:
    """A call that went through the hands of these agents and ended. → its id"""
    call = world.call()
    for number, name in enumerate(agents):
        agent = world.people[name]
        world.happens(
            events.AgentOffered(call=call, agent=agent, queue="support", attempt=number + 1),
            events.CallAnswered(call=call, agent=agent, queue="support", wait_seconds=1.0),
        )
        if number + 1 < len(agents):
            to = world.people[agents[number + 1]]
            world.happens(events.CallTransferred(call=call, from_agent=agent, to_agent=to))
    world.happens(
        events.CallEnded(
            call=call,
            reason=end,  # type: ignore[arg-type]
            by="customer",
            agent=world.people[agents[-1]] if agents else None,
            talk_seconds=5.0 if agents else 0.0,
        )
    )
    return call


def says(world: World, call: str, text: str, utterance: str = "u1") -> None:
    world.happens(
        events.UtteranceHeard(
            call=call,
            utterance=utterance,
            leg="customer",
            text=text,
            t0=1.0,
            t1=2.0,
            language="fa",
            engine="vosk",
        )
    )


def test_every_promised_address_is_in_the_document(world: World) -> None:
    """The table of methods and paths under /api/v1."""
    paths = world.client().http.get("/api/v1/openapi.json").get_json()["paths"]
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, operations in paths.items()
        for method in operations
    }
    promised = {one.strip() for one in re.split(r"[|\n]", PROMISED) if one.strip()}
    assert promised <= there


@pytest.mark.parametrize(("method", "path"), [("POST", "/imports"), ("GET", "/imports/x")])
def test_what_is_promised_and_not_built_says_so(world: World, method: str, path: str) -> None:
    """POST /imports (file) · GET /imports/{id}."""
    browser = world.client("supervisor")
    problem(browser.send(method, path), 501, "not-built")


def test_calling_somebody(world: World) -> None:
    """POST /calls {to}."""
    answer = world.client("supervisor").post("/calls", {"to": "+982188888888"})
    assert answer.status_code == 201
    assert answer.get_json()["call"]


def test_a_file_is_not_refused_for_being_no_json(world: World) -> None:
    """POST /imports (file)."""
    browser = world.client("supervisor")
    answer = browser.http.post(
        "/api/v1/imports", data=b"name,phone\n", headers={"X-CSRF-Token": browser.csrf}
    )
    problem(answer, 501, "not-built")


def test_sign_in(world: World) -> None:
    """sign in (201, sets the cookie, returns `{user, csrf_token}`), out, who am I."""
    browser = world.client()
    answer = browser.sign_in("agent")
    assert answer.status_code == 201
    assert {"user", "csrf_token"} <= set(answer.get_json())
    assert "callcenter=" in answer.headers["Set-Cookie"]
    assert browser.get("/session").get_json()["user"] == answer.get_json()["user"]
    assert browser.send("DELETE", "/session").status_code == 204
    problem(browser.get("/session"), 401, "not-signed-in")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_the_csrf_token_goes_into_every_method_but_get_and_head(world: World, method: str) -> None:
    """the CSRF token goes into `X-CSRF-Token` on every method but GET and HEAD."""
    browser = world.client("agent")
    browser.csrf = ""
    path = "/customers" if method == "POST" else "/session"  # nobody has a token before signing in
    problem(browser.send(method, path, {"name": "X"}), 403, "forbidden")
    assert browser.http.head("/api/v1/session").status_code == 200


def test_errors_everywhere_are_problems(world: World) -> None:
    """Errors everywhere: `application/problem+json` with `type,title,status,detail,errors[]`."""
    browser = world.client("agent")
    problem(browser.get("/customers/none"), 404, "not-found")
    problem(browser.get("/nothing"), 404, "not-found")
    problem(browser.send("PUT", "/customers"), 405, "method-not-allowed")
    problem(browser.get("/customers?limit=0"), 422, "invalid")
    answer = browser.post("/customers", {"name": ""})
    problem(answer, 422, "invalid")
    assert answer.get_json()["errors"][0]["field"] == "name"


def test_lists_times_and_ids(world: World) -> None:
    """Lists: `?limit=&cursor=`, `{items:[…], next:…}`. Times: RFC 3339 UTC. Ids: UUIDv7."""
    browser = world.client("supervisor")
    for number in range(3):
        created = browser.post("/customers", {"name": f"Person {number}"}).get_json()
        assert UUID(created["id"]).version == 7
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", created["created_at"])
    for path in ("/customers", "/interactions", "/complaints", "/users"):
        page = browser.get(f"{path}?limit=2").get_json()
        assert set(page) == {"items", "next"}
        while page["next"]:
            page = browser.get(f"{path}?limit=2&cursor={page['next']}").get_json()
            assert len(page["items"]) >= 1
    everybody = browser.get("/users?limit=200").get_json()["items"]
    first = browser.get("/users?limit=2").get_json()
    rest = browser.get(f"/users?limit=200&cursor={first['next']}").get_json()
    assert first["items"] + rest["items"] == everybody
    assert rest["next"] is None


def test_customers_and_lookup(world: World) -> None:
    """`POST /customers` {name, kind, language, phones: [{number, region, label}], …} → 201 with
    `id`; a phone that is no number → 422. `/customers/lookup` → {items: [{customer, reason,
    score}]}, best first; extensions do not count, a shared number gives all its customers, a
    withheld one none."""
    browser = world.client("agent")
    phones = [{"number": "۰۲۱ ۸۸۸۸ ۸۸۸۸ داخلی ۱۲", "region": "IR", "label": "work"}]
    body = {"name": "Sara", "kind": "person", "language": "fa", "phones": phones}
    sara = browser.post("/customers", body)
    assert sara.status_code == 201
    browser.post("/customers", {**body, "name": "Omid", "phones": [{"number": "+982188888888"}]})
    wrong = browser.post("/customers", {"name": "X", "phones": [{"number": "no number"}]})
    problem(wrong, 422, "invalid")
    found = browser.get("/customers/lookup?phone=%2B98218888888842&region=IR").get_json()["items"]
    found = browser.get("/customers/lookup?phone=02188888888&region=IR").get_json()["items"]
    assert {one["customer"]["name"] for one in found} == {"Sara", "Omid"}
    assert all(set(one) == {"customer", "reason", "score"} for one in found)
    assert [one["score"] for one in found] == sorted((o["score"] for o in found), reverse=True)
    assert browser.get("/customers/lookup?phone=anonymous").get_json()["items"] == []


def test_interactions_and_their_filters(world: World) -> None:
    """Interaction: {id, call_id, channel, direction, queue, agent, customer, outcome,
    disposition, started_at, answered_at, ended_at, talk_seconds, …}, filters `?call_id=
    ?outcome= ?customer= ?agent= ?from= ?to= ?q=`."""
    browser = world.client("supervisor")
    mine, theirs = talked(world, "agent"), talked(world, "other", end="failed")
    says(world, mine, "my order")
    (shown,) = browser.get(f"/interactions?call_id={mine}").get_json()["items"]
    wanted = "id call_id channel direction queue agent customer outcome disposition started_at"
    assert set(f"{wanted} answered_at ended_at talk_seconds".split()) <= set(shown)
    assert (shown["channel"], shown["direction"], shown["outcome"]) == (
        "phone",
        "inbound",
        "completed",
    )

    def calls(query: str) -> set[str]:
        return {i["call_id"] for i in browser.get(f"/interactions?{query}").get_json()["items"]}

    assert calls("outcome=failed") == {theirs}
    assert calls(f"agent={world.people['agent']}") == {mine}
    assert calls("customer=none") == set()
    assert calls("q=order") == {mine}
    assert calls("from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z") == {mine, theirs}
    assert calls("to=2000-01-01T00:00:00Z") == set()


def test_sound_and_transcript_of_anothers_call_are_not_there(world: World) -> None:
    """Sound and transcript of another's call → 404 for an agent; an administrator needs
    break-glass (reason, logged). `/interactions/{id}/recording` → 404 until sealed."""
    call = talked(world, "agent")
    says(world, call, "my order")
    address = f"/interactions/{world.interaction(call)}"
    mine, other = world.client("agent"), world.client("other")
    body = mine.get(f"{address}/transcript").get_json()
    assert set(body) == {"state", "items"}
    assert {"id", "leg", "text", "t0", "t1", "revision"} <= set(body["items"][0])
    problem(mine.get(f"{address}/recording"), 404, "not-found")
    for part in ("transcript", "recording"):
        problem(other.get(f"{address}/{part}"), 404, "not-found")
    admin = world.client("admin")
    problem(admin.get(f"{address}/transcript"), 403, "reason-needed")
    assert admin.post(f"{address}/access", {"reason": "case 7"}).status_code == 201
    assert admin.get(f"{address}/transcript").status_code == 200


def test_who_passed_a_call_on_still_sees_and_hears_it(world: World) -> None:
    """An agent sees the interactions they took part in, also after a transfer."""
    call = talked(world, "agent", "other")
    says(world, call, "my order")
    address = f"/interactions/{world.interaction(call)}"
    for name in ("agent", "other"):
        browser = world.client(name)
        assert browser.get(f"{address}/transcript").status_code == 200, name
        assert browser.get("/search?q=order").get_json()["interactions"] != [], name
        listed = browser.get("/interactions?agent=me").get_json()["items"]
        assert [one["call_id"] for one in listed] == [call], name
        assert browser.patch(address, {"notes": f"by {name}"}).status_code == 200
    shown = world.client("supervisor").get(address).get_json()
    assert [one["username"] for one in shown["participants"]] == ["agent", "other"]
    assert shown["agent"]["username"] == "other"
    # the supervisor of the matrix took part in nothing and is no agent of it
    assert world.client("supervisor").get("/interactions?agent=me").get_json()["items"] == []


@pytest.mark.parametrize(
    ("said", "typed"), [("شركت ما كجاست", "شرکت"), ("شرکت کجاست", "شركت"), ("کد ۱۲۳", "123")]
)
def test_search_knows_letters_and_keeps_calls_apart(world: World, said: str, typed: str) -> None:
    """Search over transcripts (FTS5, with Persian/Arabic letter normalisation); `?q=`."""
    says(world, talked(world, "agent"), said)
    mine = world.client("agent").get("/search", query_string={"q": typed}).get_json()
    assert len(mine["interactions"]) == 1
    other = world.client("other")
    assert other.get("/search", query_string={"q": typed}).get_json()["interactions"] == []
    assert other.get("/interactions", query_string={"q": typed}).get_json()["items"] == []


def test_complaints_go_their_way_and_nothing_deletes_them(world: World) -> None:
    """Complaint: {id, code, stage, customer, interaction, subject, description, severity, owner,
    due, …}. Stages: received, acknowledged, assessing, investigating, responded, communicated,
    closed; appealed, reopened. `responded` needs a decision, `communicated` a channel; `closed`
    before `communicated` → 409 `decision-not-told`. Nothing deletes a complaint."""
    browser = world.client("supervisor")
    made = browser.post("/complaints", {"subject": "Broken lid"}).get_json()
    wanted = "id code stage customer interaction subject description severity owner due"
    assert set(wanted.split()) <= set(made)
    address = f"/complaints/{made['id']}"

    def go(to: str, **more: str) -> Any:
        return browser.post(f"{address}/transitions", {"to": to, "note": "n", **more})

    problem(go("closed"), 409, "decision-not-told")
    problem(go("responded"), 422, "invalid")
    found = [made["stage"]]
    for stage in STAGES.split()[1:]:
        if stage == "communicated":
            problem(go(stage), 422, "invalid")
        more = {"responded": {"decision": "new lid"}, "communicated": {"channel": "phone"}}
        found.append(go(stage, **more.get(stage, {})).get_json()["stage"])
    assert found == STAGES.split()
    for stage in ("appealed", "assessing"):
        assert go(stage).status_code == 200
    problem(browser.send("DELETE", address), 405, "method-not-allowed")
    for rule in world.app.url_map.iter_rules():
        deletes = "DELETE" in rule.methods
        assert not deletes or "session" in rule.rule, rule.rule


def test_a_complaint_is_overdue_until_the_customer_was_told(world: World) -> None:
    """due: the customer waits no longer than that."""
    browser = world.client("supervisor")
    made = browser.post("/complaints", {"subject": "Broken lid"}).get_json()
    assert made["overdue"] is False
    address = f"/complaints/{made['id']}"
    late = browser.patch(address, {"due": "2020-01-01T00:00:00Z"}).get_json()
    assert late["overdue"] is True
    assert len(browser.get("/complaints?overdue=true").get_json()["items"]) == 1
    assert browser.get("/complaints?overdue=false").get_json()["items"] == []
    steps = [{"to": "responded", "decision": "d"}, {"to": "communicated", "channel": "phone"}]
    for step in steps:
        assert browser.post(f"{address}/transitions", step).status_code == 200
    assert browser.get(address).get_json()["overdue"] is False
    assert browser.get("/complaints?overdue=true").get_json()["items"] == []
    assert len(browser.get("/complaints?open=true").get_json()["items"]) == 1
    assert browser.get("/complaints?open=false").get_json()["items"] == []
    problem(browser.patch(address, {"owner": "nobody"}), 422, "invalid")


def test_the_pop_and_its_acknowledgements(world: World) -> None:
    """`call.ringing`* {call, caller, matches:[{customer, reason, …}], queue, policy} …
    each acknowledged with `{ok: true, …}` or `{ok: false, problem: {…}}`. Shapes: `call` = {id,
    state, direction, from, to, queue, started_at, answered_at, agent}."""
    browser = world.client("agent")
    phone = {"number": "+989121234567"}
    browser.post("/customers", {"name": "Sara", "phones": [phone]})
    client = tab(world, browser)
    call = world.call()
    agent = world.people["agent"]
    world.happens(events.AgentOffered(call=call, agent=agent, queue="support", attempt=1))
    (pop,) = told(client, "call.ringing")
    assert {"call", "caller", "matches", "queue", "policy", "seq"} <= set(pop)
    shape = "id state direction from to queue started_at answered_at agent"
    assert set(shape.split()) <= set(pop["call"])
    (match,) = pop["matches"]
    assert {"customer", "reason", "score"} <= set(match)
    assert {"id", "name"} <= set(match["customer"])
    assert client.emit("pop.seen", {"seq": pop["seq"]}, callback=True)["ok"] is True
    refused = client.emit("call.answer", {}, callback=True)
    assert refused["ok"] is False
    assert list(refused["problem"]) == PROBLEM
    world.happens(events.CallEnded(call=call, reason="abandoned", by="customer"))
    (end,) = told(client, "call.ended")
    assert (end["call"], end["reason"]) == (call, "abandoned")


CONTROL = "answer reject hold resume transfer hangup consult conference swap keys"
BODIES = {
    "transfer": {"to_queue": "support"},
    "consult": {"colleague": "b"},
    "swap": {"to": "customer"},
    "keys": {"keys": "12#"},
}


@pytest.mark.parametrize("name", CONTROL.split())
def test_call_control_is_there_by_socket_and_request(world: World, name: str) -> None:
    """`call.answer|reject|hold|resume|transfer|hangup|…` {call, …}; POST /calls/{id}/{…}."""
    browser = world.client("agent")
    body = BODIES.get(name, {})
    answer = tab(world, browser).emit(f"call.{name}", {"call": "c", **body}, callback=True)
    assert answer["ok"] is True
    assert browser.post(f"/calls/c/{name}", body).status_code == 200


# --- What a list costs -----------------------------------------------------------------------


@pytest.fixture
def queries(world: World) -> list[str]:
    """Every statement from here on."""
    seen: list[str] = []
    event.listen(
        world.engine, "before_cursor_execute", lambda *args: seen.append(str(args[2])), named=False
    )
    return seen


def fill(world: World, browser: Browser, count: int, customer: str) -> None:
    names = ["agent", "other", "supervisor", "manager"]
    for number in range(count):
        call = talked(world, names[number % 4], names[(number + 1) % 4])
        interaction = world.interaction(call)
        browser.patch(f"/interactions/{interaction}", {"customer": customer})
        made = browser.post("/complaints", {"subject": "x", "customer": customer}).get_json()
        browser.post(f"/complaints/{made['id']}/transitions", {"to": "acknowledged"})
        browser.post(
            "/customers", {"name": f"C {number}", "phones": [{"number": "+9821" + "8" * 8}]}
        )


def test_a_longer_page_costs_no_more_queries(world: World, queries: list[str]) -> None:
    browser, auditor = world.client("supervisor"), world.client("auditor")
    customer = browser.post("/customers", {"name": "Sara"}).get_json()["id"]
    lists = ["/customers", "/interactions", "/complaints", f"/customers/{customer}/timeline"]
    lists += ["/users", "/audit", "/search?q=c", "/interactions?outcome=missed,abandoned"]

    def costs() -> dict[str, int]:
        found = {}
        for path in lists:
            who = auditor if path == "/audit" else browser
            queries.clear()
            assert who.get(path).status_code == 200
            found[path] = len(queries)
        return found

    fill(world, browser, 2, customer)
    few = costs()
    fill(world, browser, 8, customer)
    assert costs() == few
    assert max(few.values()) <= 25, few
