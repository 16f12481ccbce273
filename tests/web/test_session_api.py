from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session
from web_world import PASSWORD, World

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.users import operations as users
from callcenter.crm.users.models import UserSession
from callcenter.web.passwords import hashed, is_guessed


def test_signing_in_gives_the_user_the_csrf_token_and_a_guarded_cookie(world: World) -> None:
    answer = world.client().sign_in("agent")
    assert answer.status_code == 201
    body = answer.get_json()
    assert body["user"]["username"] == "agent"
    assert body["user"]["id"] == world.people["agent"]
    assert len(body["csrf_token"]) >= 32
    assert body["permissions"]["calls.take"] == "own"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("callcenter=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


def test_under_tls_the_cookie_is_secure_and_bound_to_the_host(
    world: World, make_settings: Any
) -> None:
    from callcenter.web.app import create_app

    settings = make_settings(web={"public_url": "https://calls.example.org"})
    app = create_app(settings, world.engine, world.bus)
    answer = app.test_client().post(
        "/api/v1/session", json={"username": "agent", "password": PASSWORD}
    )
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-callcenter=")
    assert "Secure" in cookie
    assert "Strict-Transport-Security" in answer.headers


def test_the_database_holds_only_the_hash_of_the_token(world: World) -> None:
    browser = world.client("agent")
    token = browser.http.get_cookie("callcenter").value
    with Session(world.engine) as session:
        kept = session.scalars(select(UserSession.token_hash)).all()
    assert len(kept) == 1
    assert token not in kept[0]


@pytest.mark.parametrize(
    ("username", "password"), [("agent", "wrong"), ("nobody", PASSWORD), ("agent", "")]
)
def test_a_wrong_name_and_a_wrong_password_look_alike(
    world: World, username: str, password: str
) -> None:
    answer = world.client().sign_in(username, password or "x")
    assert answer.status_code == 401
    assert answer.get_json()["detail"] == "the user name or the password is wrong"


def test_a_name_that_does_not_exist_is_hashed_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from callcenter.web import passwords

    verified: list[str] = []
    real = passwords._HASHER.verify

    class Counting:
        def verify(self, known: str, password: str) -> bool:
            verified.append(known)
            return bool(real(known, password))

        def hash(self, password: str) -> str:
            return "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 43

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    world.client().sign_in("nobody")
    world.client().sign_in("agent", "wrong")
    assert len(verified) == 2


def test_after_five_failures_a_delay_grows_and_success_before_costs_nothing(world: World) -> None:
    browser = world.client()
    for _ in range(20):
        assert browser.sign_in("other").status_code == 201
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        for _ in range(5):
            assert browser.sign_in("agent", "wrong").status_code == 401
        locked = browser.sign_in("agent")
        assert locked.status_code == 429
        assert int(locked.headers["Retry-After"]) == 1
        assert locked.get_json()["type"] == "urn:callcenter:problem:too-many-tries"
        clock.shift(1.5)
        assert browser.sign_in("agent", "wrong").status_code == 401
        assert int(browser.sign_in("agent").headers["Retry-After"]) == 2
        assert browser.sign_in("other").status_code == 201, "another account is not locked"
        clock.shift(2.5)
        assert browser.sign_in("agent").status_code == 201
        assert browser.sign_in("agent", "wrong").status_code == 401, "failures were forgotten"


def test_an_unknown_name_is_locked_like_a_known_one(world: World) -> None:
    browser = world.client()
    found = [browser.sign_in("nobody", "wrong").status_code for _ in range(6)]
    assert found == [401] * 5 + [429]


def test_an_administrator_unlocks_an_account(world: World) -> None:
    browser = world.client()
    for _ in range(6):
        browser.sign_in("agent", "wrong")
    assert browser.sign_in("agent").status_code == 429
    admin = world.client("admin")
    assert admin.post(f"/users/{world.people['agent']}/unlock").status_code == 204
    assert browser.sign_in("agent").status_code == 201


def test_the_key_of_my_drafts_comes_to_my_sessions_only(world: World) -> None:
    agent = world.client("agent").get("/session").get_json()
    again = world.client("agent").get("/session").get_json()
    other = world.client("other").get("/session").get_json()
    assert re.fullmatch(r"[0-9a-f]{64}", agent["draft_key"])
    assert agent["draft_key"] == again["draft_key"] != other["draft_key"]
    assert world.client().get("/session").status_code == 401
    seen = world.client("admin").get("/users").get_data(as_text=True)
    assert "draft_key" not in seen
    assert agent["draft_key"] not in seen


def test_signing_out_ends_the_session_and_its_token(world: World) -> None:
    browser = world.client("agent")
    token = browser.http.get_cookie("callcenter").value
    assert browser.send("DELETE", "/session").status_code == 204
    assert browser.get("/session").status_code == 401
    bearer = world.client().get("/session", headers={"Authorization": f"Bearer {token}"})
    assert bearer.status_code == 401


def test_each_sign_in_is_a_new_session(world: World) -> None:
    one, two = world.client("agent"), world.client("agent")
    tokens = {b.http.get_cookie("callcenter").value for b in (one, two)}
    assert len(tokens) == 2
    assert one.csrf != two.csrf
    one.send("DELETE", "/session")
    assert two.get("/session").status_code == 200


def test_a_disabled_user_is_out_at_once_and_cannot_come_back(world: World) -> None:
    browser, admin = world.client("agent"), world.client("admin")
    answer = admin.patch(f"/users/{world.people['agent']}", {"disabled": True})
    assert answer.status_code == 200
    assert answer.get_json()["disabled_at"] is not None
    assert browser.get("/session").status_code == 401
    assert browser.sign_in("agent").status_code == 401


def test_a_new_password_ends_the_sessions(world: World) -> None:
    browser = world.client("agent")
    with Session(world.engine) as session, session.begin():
        user = users.get_or_raise(session, world.people["agent"])
        users.set_password(session, user, "x")
    assert browser.get("/session").status_code == 401


def test_an_idle_session_ends_and_no_session_outlives_its_hours(world: World) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        browser = world.client("agent")
        for _ in range(25):
            clock.shift(29 * 60)
            status = browser.get("/session").status_code
            if status != 200:
                break
        assert status == 401, "twelve hours are over"
        browser = world.client("agent")
        clock.shift(31 * 60)
        assert browser.get("/session").status_code == 401, "idle for half an hour"


def test_a_program_presents_the_token_without_a_csrf_header(world: World) -> None:
    token = world.client("supervisor").http.get_cookie("callcenter").value
    answer = world.client().http.post(
        "/api/v1/customers",
        json={"name": "By a program"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201


def test_my_language_is_kept(world: World) -> None:
    browser = world.client("agent")
    assert browser.patch("/session", {"language": "he"}).get_json()["user"]["language"] == "he"
    assert world.client("agent").get("/session").get_json()["user"]["language"] == "he"


def test_signing_in_failing_and_out_stand_in_the_audit(world: World) -> None:
    world.client().sign_in("agent", "wrong")
    browser = world.client("agent")
    browser.send("DELETE", "/session")
    with Session(world.engine) as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.number)).all()
    told = [(row.what, row.who == world.people["agent"], row.result) for row in rows]
    assert told == [
        ("sign_in", False, "refused"),
        ("sign_in", True, "ok"),
        ("sign_out", True, "ok"),
    ]


def test_blanks_around_a_password_belong_to_it(world: World) -> None:
    with Session(world.engine) as session, session.begin():
        user = users.get_or_raise(session, world.people["agent"])
        users.set_password(session, user, hashed("  spaced out  "))
    browser = world.client()
    assert browser.sign_in("agent", "spaced out").status_code == 401
    assert browser.sign_in("agent", "  spaced out  ").status_code == 201
    form = {"username": "agent", "password": "  spaced out  "}
    assert world.client().http.post("/sign-in", data=form).status_code == 303


def test_people_change_their_own_password(world: World) -> None:
    here, elsewhere = world.client("agent"), world.client("agent")
    fresh = "lamp tuesday gravel"
    wrong = here.post("/session/password", {"password": "wrong", "new_password": fresh})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["field"]) == (422, "password")
    assert elsewhere.get("/session").status_code == 200
    done = here.post("/session/password", {"password": PASSWORD, "new_password": fresh})
    assert done.status_code == 204
    assert here.get("/session").status_code == 200
    assert elsewhere.get("/session").status_code == 401
    assert world.client().sign_in("agent").status_code == 401
    assert world.client().sign_in("agent", fresh).status_code == 201
    with Session(world.engine) as session:
        query = select(AuditEntry.what, AuditEntry.who).where(AuditEntry.what.like("password%"))
        assert session.execute(query).all() == [("password.change", world.people["agent"])]


@pytest.mark.parametrize(
    "guessed",
    ["password", "12345678", "qwertyuiop", "Pa$$w0rd!", "callcenter1", "supervisor1", "My company"],
)
def test_a_password_that_is_guessed_first_is_refused(world: World, guessed: str) -> None:
    boss = world.client("supervisor")
    answer = boss.post("/session/password", {"password": PASSWORD, "new_password": guessed})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.get_json()["errors"]] == ["new_password"]
    assert world.client().sign_in("supervisor").status_code == 201


@pytest.mark.parametrize("taken", ["correct horse", "گل سرخ باغ پنجره", "kq7-trial-9"])
def test_long_and_unusual_ones_are_taken_without_rules_about_signs(taken: str) -> None:
    assert not is_guessed(taken, ("sara", "Sara Ahmadi", "My company"))
