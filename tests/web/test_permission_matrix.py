"""Every route and every socket event for every role, written down by hand (A24).

The table of research/reliability.md 4.1, as far as it is built. A route that does not stand here
fails; so does a line without a route. Columns: agent, supervisor, manager, admin, auditor.

    A  allowed
    O  allowed on one's own; another's looks as if it were not there (404, the same body)
    W  allowed on what one wrote oneself; another's, which is seen anyway, is a 403
    R  allowed after a reason for this one thing (403 reason-needed before)
    -  denied (403)
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session
from test_calibrations_api import calibrated
from test_coaching_api import coached
from test_phrases_api import made
from test_quality_api import rule, submitted
from test_records_api import ended, recorded
from web_world import Browser, World

from callcenter import events
from callcenter.crm.users import operations as users
from callcenter.ids import new_id
from callcenter.telephony.recording import peaks
from callcenter.web import auth
from callcenter.web.permissions import ROLES
from callcenter.web.sockets import HANDLES

MATRIX = """
AAAA- GET    /agents
AA--- POST   /agents/me/device
AA--- POST   /agents/me/state
AA--- POST   /agents/me/wrap-up
---AA GET    /audit
AA--- POST   /calls
AA--- POST   /calls/<id>/answer
-AAA- GET    /calls/<id>/diagnosis
AA--- POST   /calls/<id>/hangup
AA--- POST   /calls/<id>/hold
AA--- POST   /calls/<id>/recording
OO--- POST   /calls/<id>/reading
AA--- POST   /calls/<id>/reject
AA--- POST   /calls/<id>/resume
AA--- POST   /calls/<id>/transfer
AA--- POST   /calls/<id>/consult
AA--- POST   /calls/<id>/conference
AA--- POST   /calls/<id>/swap
AA--- POST   /calls/<id>/keys
-AA-A GET    /calibrations
-A--- POST   /calibrations
-AA-A GET    /calibrations/<id>
-A--- POST   /calibrations/<id>/agreement
-A--- POST   /calibrations/<id>/closing
AAA-A GET    /coaching-tasks
-A--- POST   /coaching-tasks
OA--- POST   /coaching-tasks/<id>/steps
AAA-A GET    /complaints
AAA-- POST   /complaints
AAA-A GET    /complaints/<id>
WAA-- PATCH  /complaints/<id>
WAA-- POST   /complaints/<id>/calls
WAA-- POST   /complaints/<id>/transitions
AAA-A GET    /complaints/board
AAA-A GET    /complaints/causes
AAA-A GET    /complaints/figures
AAA-A GET    /customers
AAA-- POST   /customers
AAARA GET    /customers/<id>
AAA-- PATCH  /customers/<id>
AAARA GET    /customers/<id>/timeline
AAAAA POST   /customers/<id>/access
-AAAA GET    /customers/<id>/erasures
-AA-- POST   /customers/<id>/erasures
-AAR- GET    /customers/<id>/exports
-AAR- POST   /customers/<id>/exports
-AAAA GET    /customers/<id>/holds
----A POST   /customers/<id>/holds
AAA-A GET    /customers/lookup
-AAAA GET    /disclosures
-AAAA GET    /erasures
---A- POST   /erasures/<id>/run
-AAA- POST   /erasures/<id>/withdrawal
AAA-A GET    /evaluations
-A--- POST   /evaluations
OAA-A GET    /evaluations/<id>
-A--- PATCH  /evaluations/<id>
OO--- POST   /evaluations/<id>/acknowledgement
OA--- POST   /evaluations/<id>/notes
-A--- POST   /evaluations/<id>/submission
AAAAA GET    /dispositions
-AAR- GET    /exports/<id>/archive
AAAAA GET    /factors
OOOOO POST   /factors/<id>/removal
AAAAA POST   /factors/passkey
AAAAA POST   /factors/passkey/confirmation
AAAAA POST   /factors/recovery-codes
AAAAA POST   /factors/totp
AAAAA POST   /factors/totp/confirmation
-AAA- POST   /imports
-AAA- GET    /imports/<id>
----A POST   /holds/<id>/release
AAA-A GET    /incidents
-AA-- POST   /incidents
AAA-A GET    /incidents/<id>
-AA-- PATCH  /incidents/<id>
AAAAA GET    /interactions
AAAAA GET    /interactions/<id>
OAA-- PATCH  /interactions/<id>
OAARR GET    /interactions/<id>/comments
OAARR POST   /interactions/<id>/comments
OWWRR POST   /interactions/<id>/comments/<comment>/retraction
OAARR GET    /interactions/<id>/corrections
OAARR GET    /interactions/<id>/conversation
-AAAA GET    /interactions/<id>/holds
----A POST   /interactions/<id>/holds
OAARR POST   /interactions/<id>/moments
OAARR GET    /interactions/<id>/recording
OAARR GET    /interactions/<id>/transcript
OA--- POST   /interactions/<id>/utterances/<utterance>/correction
OAAAA POST   /interactions/<id>/access
OAARR GET    /moments/<token>
AAAA- GET    /phones
-AA-- GET    /phrase-lists
-AA-- POST   /phrase-lists
-AA-- PATCH  /phrase-lists/<id>
AAAA- GET    /queues
AAAAA GET    /recordings
OAARR GET    /recordings/<id>
OAARR GET    /recordings/<id>/audio
OAARR GET    /recordings/<id>/peaks
-A--- GET    /sampled-calls
-O--- POST   /sampled-calls/<id>/pass
-AA-- GET    /sampling-rules
-AA-- POST   /sampling-rules
-AA-- POST   /sampling-rules/<id>/end
AAA-A GET    /scorecards
-AA-- POST   /scorecards
AAA-A GET    /scorecards/<id>
-AA-- PATCH  /scorecards/<id>
-AA-- POST   /scorecards/<id>/publication
-AA-- POST   /scorecards/<id>/retirement
AAA-A GET    /scorecards/<id>/versions
AAA-A GET    /search
AAA-A GET    /sentences
AAAAA GET    /session
AAAAA PATCH  /session
AAAAA DELETE /session
AAAAA POST   /session/password
AAAAA GET    /sessions
AAAAA DELETE /sessions
OOOOO DELETE /sessions/<session_id>
AAAAA GET    /site
AAA-A GET    /trends/conversations
AAA-A GET    /trends/questions
AAA-A GET    /trends/scores
-AAAA GET    /users
---A- PATCH  /users/<id>
---A- POST   /users/<id>/factors/reset
---A- GET    /users/<id>/sessions
---A- DELETE /users/<id>/sessions
---A- DELETE /users/<id>/sessions/<session_id>
---A- POST   /users/<id>/unlock
AAAAA GET    /views
AAAAA POST   /views
OOOOO PATCH  /views/<id>
OOOOO POST   /views/<id>/retraction
"""
PUBLIC = """
GET / | GET /<path:path> | GET /api/v1/openapi.json | POST /api/v1/session
POST /api/v1/session/enrolment | POST /api/v1/session/passkey
POST /api/v1/session/passkey/confirmation | POST /api/v1/session/second-step
GET /healthz | GET /metrics | GET /portal | POST /portal | GET /readyz
GET /sign-in | POST /sign-in | GET /sign-in/oidc | GET /sign-in/oidc/callback
POST /sign-in/enrolment | POST /sign-in/second-step | GET /static/<path:path>
"""
TEAM = """
GET    /calibrations/<id>
POST   /calibrations/<id>/agreement
POST   /calibrations/<id>/closing
POST   /coaching-tasks
POST   /coaching-tasks/<id>/steps
PATCH  /complaints/<id>
POST   /complaints/<id>/calls
POST   /complaints/<id>/transitions
GET    /customers/<id>/exports
POST   /customers/<id>/exports
POST   /evaluations
GET    /evaluations/<id>
PATCH  /evaluations/<id>
POST   /evaluations/<id>/notes
POST   /evaluations/<id>/submission
GET    /exports/<id>/archive
PATCH  /interactions/<id>
GET    /interactions/<id>/comments
POST   /interactions/<id>/comments
POST   /interactions/<id>/comments/<comment>/retraction
GET    /interactions/<id>/corrections
GET    /interactions/<id>/conversation
POST   /interactions/<id>/moments
GET    /interactions/<id>/recording
GET    /interactions/<id>/transcript
POST   /interactions/<id>/utterances/<utterance>/correction
GET    /moments/<token>
GET    /recordings/<id>
GET    /recordings/<id>/audio
GET    /recordings/<id>/peaks
POST   /interactions/<id>/access
"""
"""What a supervisor who is in a team is refused when it is another team's."""
TEAM_LISTS = """
/calibrations /coaching-tasks /evaluations /recordings /search /sentences
/trends/scores
"""
"""What shows such a supervisor less than one in no team; of what names nobody (drawn calls,
figures of questions and conversations) see `test_teams.py`."""
SOCKET = """
AAAAA resume pop.seen
AA--- call.dial call.answer call.reject call.hold call.resume call.transfer call.hangup
AA--- call.consult call.conference call.swap call.keys call.captions
AA--- agent.state agent.device wrap_up.extend rtc.offer
AA--- recording.start recording.stop recording.pause recording.resume
"""
SENT: dict[str, dict[str, Any]] = {
    "resume": {"last_seq": 0},
    "pop.seen": {"seq": 1},
    "call.dial": {"to": "02188888888"},
    "call.transfer": {"to_queue": "support"},
    "call.consult": {"colleague": "b"},
    "call.swap": {"to": "customer"},
    "call.keys": {"keys": "1"},
    "agent.state": {"state": "available"},
    "agent.device": {"device": "browser"},
    "rtc.offer": {"sdp": "v=0"},
}
"""What an event needs beside the call, to be taken."""
INTERACTION = "<the interaction>"
BODIES: dict[str, dict[str, Any]] = {
    "/interactions/<id>/comments": {"text": "x", "t0": 1.0},
    "/interactions/<id>/moments": {"t0": 1.0},
    "/interactions/<id>/access": {"reason": "case 7"},
    "/customers/<id>/access": {"reason": "case 7"},
    "/customers/<id>/erasures": {"reason": "case 7"},
    "/erasures/<id>/withdrawal": {"reason": "case 7"},
    "/customers/<id>/exports": {"reason": "case 7"},
    "/customers/<id>/holds": {"reason": "case 7"},
    "/interactions/<id>/holds": {"reason": "case 7"},
    "/holds/<id>/release": {"reason": "case 7"},
    "/calls/<id>/reading": {"code": "C-7K3F9XA"},
    "/complaints/<id>/calls": {"interaction": INTERACTION},
    "/complaints/<id>": {"subject": "Lid"},
    "/evaluations": {"interaction": INTERACTION, "scorecard": "<scorecard>"},
    "/evaluations/<id>": {"answers": []},
    "/evaluations/<id>/notes": {"text": "x"},
    "/coaching-tasks": {"agent": "<agent>", "text": "Mind the tone"},
    "/interactions/<id>/utterances/<utterance>/correction": {"text": "hello", "was": "helo"},
    "/sampled-calls/<id>/pass": {"why": "x"},
    "/coaching-tasks/<id>/steps": {"kind": "checked"},
    "/complaints/<id>/transitions": {"to": "acknowledged", "note": "n"},
    "/factors/<id>/removal": {"password": "correct horse"},
}
QUERIES = {
    "/search": "?q=helo",
    "/sentences": "?q=helo",
    "/customers/lookup": "?phone=02188888888",
    "/trends/questions": "?scorecard=<scorecard>",
    "/trends/scores": "?scorecard=<scorecard>",
}
Line = tuple[str, str, dict[str, str]]


def lines() -> list[Line]:
    """(method, route, {role: letter}); the doors come last: they open what was closed."""
    found = []
    for line in MATRIX.split("\n"):
        if line:
            letters, method, route = line.split()
            found.append((method, route, dict(zip(map(str, ROLES), letters, strict=True))))
    return sorted(found, key=_last)


def _last(line: Line) -> int:
    """Doors open what was closed, and resets end sessions: they come after the rest."""
    text = " ".join(line[:2])
    if "<session_id>" in text:
        return 1
    return 2 if any(word in text for word in ("DELETE", "/access", "/reset")) else 0


@pytest.fixture
def things(world: World) -> dict[str, str]:
    """One of each, of the agent `other`; nobody of the five roles has to do with them."""
    call = ended(world, "other")
    interaction, recording = recorded(world, "other")
    file = world.settings.recordings_dir / "2026/11/23/x.peaks"
    file.write_bytes(peaks.write(peaks.Peaks(bytes([0, 255]), bytes([7, 9]), 50)))
    other, boss = world.client("other"), world.client("supervisor")
    customer = other.post("/customers", {"name": "Sara"}).get_json()
    complaint = other.post("/complaints", {"subject": "Lid", "interaction": interaction}).get_json()
    incident = boss.post(
        "/incidents", {"cause": "defect", "complaints": [complaint["id"]]}
    ).get_json()
    comment = other.post(f"/interactions/{interaction}/comments", {"text": "x", "t0": 1.0})
    link = other.post(f"/interactions/{interaction}/moments", {"t0": 1.0}).get_json()
    evaluation = boss.get(submitted(world, boss, "other")).get_json()
    heard = other.get(f"/interactions/{interaction}").get_json()["call_id"]
    world.happens(
        events.UtteranceHeard(
            call=heard, utterance="u1", leg="agent", text="helo", t0=0, t1=2, language="en",
            engine="vosk",
        )
    )  # fmt: skip
    session = other.get("/sessions").get_json()["current"]
    leaving = other.post("/customers", {"name": "Mina"}).get_json()["id"]
    erasure = boss.post(f"/customers/{leaving}/erasures", {"reason": "case 4"})
    export = boss.post(f"/customers/{customer['id']}/exports", {"reason": "case 5"})
    hold = world.client("auditor").post(f"/customers/{customer['id']}/holds", {"reason": "case 6"})
    return {
        "calls": call,
        "interactions": interaction,
        "recordings": recording,
        "customers": customer["id"],
        "complaints": complaint["id"],
        "incidents": incident["id"],
        "users": world.people["other"],
        "erasures": erasure.get_json()["id"],
        "exports": export.get_json()["id"],
        "holds": hold.get_json()["id"],
        "factors": new_id(),
        "imports": new_id(),
        "sampled-calls": new_id(),
        "sampling-rules": rule(world, boss).get_json()["id"],
        "phrase-lists": made(world)["id"],
        "views": other.post("/views", {"name": "Mine", "filters": {}}).get_json()["id"],
        "evaluations": evaluation["id"],
        "coaching-tasks": coached(world, boss, "other")["id"],
        "calibrations": calibrated(world, boss, "other")["id"],
        "scorecards": evaluation["scorecard"],
        "<scorecard>": evaluation["scorecard"],
        "<agent>": world.people["other"],
        INTERACTION: interaction,
        "<utterance>": "u1",
        "<comment>": comment.get_json()["id"],
        "<token>": link["path"].rsplit("/", 1)[1],
        "<session_id>": session,
    }


def address(route: str, things: dict[str, str]) -> str:
    path = route.replace("<id>", things.get(route.split("/")[1], "")) + QUERIES.get(route, "")
    for name in (one for one in things if one.startswith("<")):
        path = path.replace(name, things[name])
    return path


def body_of(method: str, route: str, things: dict[str, str]) -> dict[str, Any] | None:
    if method == "GET":
        return None
    return {
        name: things.get(value, value) if isinstance(value, str) else value
        for name, value in BODIES.get(route, {}).items()
    }


def asked(browser: Browser, method: str, route: str, things: dict[str, str]) -> tuple[int, str]:
    """→ status, kind of problem ("" for none)"""
    path, body = address(route, things), body_of(method, route, things)
    answer = browser.send(method, path, body, headers={"Range": "bytes=0-9"})
    shown = answer.get_json(silent=True) or {}
    return answer.status_code, str(shown.get("type", "")).rsplit(":", 1)[-1]


def fits(letter: str, status: int, kind: str) -> bool:
    if letter in "-W":
        return (status, kind) == (403, "forbidden")
    if letter == "R":
        return (status, kind) == (403, "reason-needed")
    if letter == "O":
        return (status, kind) == (404, "not-found")
    return status not in (401, 403, 404, 500)


def test_every_route_stands_in_the_matrix_and_every_line_has_its_route(world: World) -> None:
    """A24: the matrix is whole."""
    there, public = set(), set()
    for found in world.app.url_map.iter_rules():
        for method in found.methods - {"HEAD", "OPTIONS"}:
            if auth.mark(world.app.view_functions[found.endpoint]) == auth.PUBLIC:
                public.add(f"{method} {found.rule}")
            else:
                there.add(f"{method} {found.rule.removeprefix('/api/v1')}")
    assert {f"{method} {route}" for method, route, _ in lines()} == there
    assert {one.strip() for one in PUBLIC.replace("\n", "|").split("|") if one.strip()} == public


@pytest.mark.parametrize("role", ROLES)
def test_every_route_answers_every_role_as_the_matrix_says(
    world: World, things: dict[str, str], role: str
) -> None:
    """A24: every route × every role, on things of somebody else, with a Range header."""
    browser, wrong = world.client(role), []
    for method, route, letters in lines():
        if method == "DELETE":
            browser = world.client(role)  # the one before may have ended this session
        found = asked(browser, method, route, things)
        if not fits(letters[role], *found):
            wrong.append((method, route, letters[role], *found))
    assert wrong == []


def shown_in_lists(browser: Browser, things: dict[str, str]) -> dict[str, set[str]]:
    """List → which of the things, or whose person, it shows."""
    lists = [
        route
        for method, route, letters in lines()
        if method == "GET" and "<" not in route and letters["supervisor"] == "A"
    ]
    answers = {route: browser.get(address(route, things)) for route in lists}
    assert {answer.status_code for answer in answers.values()} == {200}
    unique = {name: id_ for name, id_ in things.items() if name != "<utterance>"}
    # "u1", the utterance's, stands now and then by chance in the CSRF token of /session
    return {
        route: {name for name, id_ in unique.items() if id_ in answer.get_data(as_text=True)}
        for route, answer in answers.items()
    }


def test_a_supervisor_in_a_team_is_refused_what_is_another_teams(
    world: World, things: dict[str, str]
) -> None:
    """A24, the letter T of the table: and nothing else is narrowed by it."""
    with Session(world.engine) as session, session.begin():
        hash_ = users.get_or_raise(session, world.people["supervisor"]).password_hash
        rival = users.create(
            session, username="rival", password_hash=hash_, role="supervisor", team="north"
        )
        users.change(session, users.get_or_raise(session, world.people["other"]), team="south")
        id_ = rival.id
    browser = world.client("rival")
    mine = [line for line in lines() if line[2]["supervisor"] in "AOW"]
    statuses = {
        (method, route): asked(browser, method, route, things)[0]
        for method, route, _ in mine
        if "<session_id>" not in route
    }
    refused = {one: status for one, status in statuses.items() if status in (403, 404)}
    seen = shown_in_lists(world.client("rival"), things)  # the one before signed out
    with Session(world.engine) as session, session.begin():
        users.change(session, users.get_or_raise(session, id_), team=None)
    after = shown_in_lists(world.client("rival"), things)
    browser = world.client("rival")
    by_team = [
        f"{method} {route}"
        for (method, route), status in refused.items()
        if asked(browser, method, route, things)[0] != status
    ]
    assert {route for route in after if after[route] - seen[route]} == set(TEAM_LISTS.split())
    assert not [route for route in after if seen[route] - after[route]]
    assert by_team == [" ".join(line.split()) for line in TEAM.strip().split("\n")]


@pytest.mark.parametrize("role", ROLES)
def test_a_guessed_id_and_anothers_look_the_same(
    world: World, things: dict[str, str], role: str
) -> None:
    """A24: none leaks existence: equal status and body, with a Range header too."""
    browser, guessed = world.client(role), {name: new_id() for name in things}
    mixed = {**things, "interactions": new_id(), "recordings": new_id(), "<token>": new_id()}
    for method, route, letters in lines():
        if letters[role] != "O" or route.startswith("/interactions"):
            continue  # that there was a call, every agent may read: nothing to hide
        if role == "supervisor" and route.startswith("/evaluations"):
            continue  # read by supervisors anyway
        bodies = []
        for of in (things, guessed, mixed):
            body = body_of(method, route, of)
            headers = {"Range": "bytes=0-9"}
            answer = browser.send(method, address(route, of), body, headers=headers)
            bodies.append((answer.status_code, answer.get_data()))
        assert len(set(bodies)) == 1, (method, route, bodies)


def test_who_needs_a_reason_cannot_tell_a_customer_from_nobody(
    world: World, things: dict[str, str]
) -> None:
    """A24: before the reason, 403 for every id."""
    admin = world.client("admin")
    for tail in ("", "/timeline"):
        there = admin.get(f"/customers/{things['customers']}{tail}")
        nobody = admin.get(f"/customers/{new_id()}{tail}")
        assert there.status_code == nobody.status_code == 403
        assert there.get_data() == nobody.get_data()


def test_every_socket_event_stands_in_the_matrix() -> None:
    """A24: the events too."""
    assert {name for line in SOCKET.split("\n") for name in line.split()[1:]} == set(HANDLES)


@pytest.mark.parametrize("role", ROLES)
def test_every_socket_event_answers_every_role_as_the_matrix_says(world: World, role: str) -> None:
    """A24: every event × every role."""
    browser = world.client(role)
    client = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    for line in filter(None, SOCKET.split("\n")):
        letters, *names = line.split()
        letter = dict(zip(map(str, ROLES), letters, strict=True))[role]
        for name in names:
            answer = client.emit(name, {"call": new_id()}, callback=True)
            refused = not answer["ok"] and answer["problem"]["status"] == 403
            assert refused == (letter == "-"), (name, letter, answer)
    if role not in ("agent", "supervisor"):
        assert world.telephony.orders == []


def test_no_socket_event_of_a_supervisor_in_a_team_touches_another_teams_call(
    world: World, things: dict[str, str]
) -> None:
    """A24, the letter T for the events: each order names who gave it, and telephony knows whose
    call it is; what only the talking agent is told reaches no supervisor."""
    with Session(world.engine) as session, session.begin():
        for name, team in (("supervisor", "north"), ("other", "south")):
            users.change(session, users.get_or_raise(session, world.people[name]), team=team)
    boss, theirs = (
        world.runtime.socketio.test_client(world.app, flask_test_client=world.client(name).http)
        for name in ("supervisor", "other")
    )
    call, me = world.call(agent=world.people["other"]), world.people["supervisor"]
    world.telephony.orders.clear()
    names = [name for line in filter(None, SOCKET.split("\n")) for name in line.split()[1:]]
    for name in names:
        body = {"call": call, **SENT.get(name, {})}
        answer = boss.emit(name, body, callback=True)
        if name == "call.captions":
            assert answer["problem"]["status"] == 404
            continue
        assert answer["ok"], (name, answer)
        if name == "resume":
            assert (answer["ringing"], answer["call"]) == (None, None)
        if name == "pop.seen":
            assert answer["first"] is False
    ordered = world.telephony.orders
    assert {getattr(one, "agent", me) for one in ordered} == {me}
    assert len([one for one in ordered if getattr(one, "call", None) == call]) == sum(
        name.startswith(("call.", "recording.")) and name not in ("call.dial", "call.captions")
        for name in names
    )
    boss.get_received(), theirs.get_received()
    world.happens(
        events.UtteranceHeard(
            call=call, utterance="u2", leg="agent", text="hello", t0=0, t1=2, language="en",
            engine="vosk",
        ),
        events.CallHeld(call=call, by="agent"),
        events.AgentStateChanged(
            agent=world.people["other"], state="on_call", previous="available", call=call
        ),
    )  # fmt: skip
    heard = {one["name"] for one in theirs.get_received()}
    assert heard == {"caption", "call.updated", "agent.state"}
    assert {one["name"] for one in boss.get_received()} <= {"floor"}
