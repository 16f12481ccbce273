"""A passkey as second step, from setting it up to taking it away, with real signatures."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from authenticator import Authenticator
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_second_step import audited, field, kind, step_of, strict
from web_world import PASSWORD, Browser, World
from webauthn.helpers import base64url_to_bytes

from callcenter.crm.factors.models import Factor, SignInStep
from callcenter.events import now

ORIGIN = "http://localhost"


def device(counter: int = 7) -> Authenticator:
    return Authenticator(ORIGIN, "localhost", counter)


def asked(answer: Any) -> bytes:
    """The challenge of the options."""
    assert answer.status_code == 201, answer.get_json()
    return base64url_to_bytes(answer.get_json()["options"]["challenge"])


def begun(browser: Browser, name: str = "Laptop") -> bytes:
    return asked(browser.post("/factors/passkey", {"password": PASSWORD, "name": name}))


def confirm(browser: Browser, credential: dict[str, Any]) -> Any:
    return browser.post("/factors/passkey/confirmation", {"credential": credential})


def enrolled(browser: Browser, mine: Authenticator, name: str = "Laptop") -> list[str]:
    done = confirm(browser, mine.create(begun(browser, name)))
    assert done.status_code == 201, done.get_json()
    return list(done.get_json()["recovery_codes"])


def challenge(browser: Browser, step: str) -> bytes:
    return asked(browser.http.post("/api/v1/session/passkey", json={"step": step}))


def shown(browser: Browser, step: str, credential: dict[str, Any]) -> Any:
    body = {"step": step, "credential": credential}
    return browser.http.post("/api/v1/session/passkey/confirmation", json=body)


def signed_in(browser: Browser, mine: Authenticator, username: str = "agent") -> Any:
    step = step_of(browser, username)
    mine.counter += 1
    return shown(browser, step, mine.get(challenge(browser, step)))


def test_a_passkey_is_set_up_asked_for_and_taken_away(world: World) -> None:
    browser, mine, second = world.client("agent"), device(), device(0)
    assert browser.get("/factors").get_json()["passkeys"] is True
    assert len(enrolled(browser, mine)) == 10
    assert enrolled(browser, second, "Telephone") == [], "recovery codes come with the first"
    items = browser.get("/factors").get_json()["items"]
    assert [(one["kind"], one["name"]) for one in items] == [
        ("passkey", "Laptop"),
        ("passkey", "Telephone"),
    ]
    other = world.client()
    answer = other.sign_in("agent")
    assert answer.get_json()["factors"] == ["passkey", "recovery"]
    assert other.get("/session").status_code == 401
    assert signed_in(other, mine).status_code == 201
    assert other.get("/session").get_json()["user"]["username"] == "agent"
    assert other.get("/sessions").get_json()["items"][0]["method"] == "passkey"
    gone = browser.post(f"/factors/{items[0]['id']}/removal", {"password": PASSWORD})
    assert gone.status_code == 204
    assert kind(signed_in(world.client(), mine)) == "passkey-refused", "it was taken away"
    assert len(audited(world, "factor.add")) == 2
    assert len(audited(world, "factor.remove")) == 1
    assert "passkey" in [row.reason for row in audited(world, "sign_in")]
    assert len(audited(world, "second_factor")) == 1


def test_a_device_that_never_counts_is_let_in_each_time(world: World) -> None:
    mine = device(0)
    enrolled(world.client("agent"), mine)
    for _ in range(2):
        mine.counter = -1
        assert signed_in(world.client(), mine).status_code == 201


@pytest.mark.parametrize(
    ("name", "value"), [("origin", "https://evil.example"), ("rp_id", "evil.example")]
)
def test_another_site_sets_nothing_up_and_opens_nothing(
    world: World, name: str, value: str
) -> None:
    browser, foreign = world.client("agent"), device()
    setattr(foreign, name, value)
    assert confirm(browser, foreign.create(begun(browser))).status_code == 422
    assert browser.get("/factors").get_json()["items"] == []
    mine = device()
    enrolled(browser, mine)
    setattr(mine, name, value)
    stranger = world.client()
    assert kind(signed_in(stranger, mine)) == "passkey-refused"
    assert stranger.get("/session").status_code == 401


def test_an_answer_opens_once_and_only_the_sign_in_that_asked(world: World) -> None:
    mine = device()
    enrolled(world.client("agent"), mine)
    browser = world.client()
    one, two = step_of(browser), step_of(browser)
    mine.counter += 1
    answer = mine.get(challenge(browser, one))
    assert kind(shown(browser, two, answer)) == "passkey-refused", "asked for by the other"
    assert kind(shown(browser, one, answer)) == "step-over", "the challenge was spent"
    mine.counter += 1
    answer = mine.get(challenge(browser, one))
    assert shown(browser, one, answer).status_code == 201
    assert kind(shown(browser, two, answer)) == "step-over"
    assert kind(shown(browser, two, mine.get(b"m" * 32))) == "step-over", "never asked"


def test_a_challenge_is_good_for_five_minutes(world: World) -> None:
    mine = device()
    enrolled(world.client("agent"), mine)
    browser = world.client()
    step = step_of(browser)
    asked_for = challenge(browser, step)
    with Session(world.engine) as session, session.begin():
        (row,) = session.scalars(select(SignInStep).where(SignInStep.purpose == "assert"))
        assert timedelta(minutes=4) < row.expires_at - now() <= timedelta(minutes=5)
        row.expires_at = now() - timedelta(seconds=1)
    mine.counter += 1
    assert kind(shown(browser, step, mine.get(asked_for))) == "step-over"


def test_a_copied_key_is_refused_and_in_the_audit(world: World) -> None:
    mine = device(7)
    enrolled(world.client("agent"), mine)
    assert signed_in(world.client(), mine).status_code == 201
    mine.counter = 4
    assert kind(signed_in(world.client(), mine)) == "passkey-copied"
    (row,) = audited(world, "passkey.copied")
    assert (row.object, row.result) == (world.people["agent"], "refused")


def test_what_belongs_to_somebody_else_opens_nothing(world: World) -> None:
    mine, theirs = device(), device()
    browser, other = world.client("agent"), world.client("other")
    enrolled(browser, mine)
    enrolled(other, theirs)
    assert kind(signed_in(world.client(), theirs)) == "passkey-refused"
    taken = confirm(other, mine.create(begun(other)))
    assert taken.status_code == 409, "a credential has one owner"
    assert confirm(other, device().create(begun(browser))).status_code == 422


def test_five_wrong_answers_end_the_step_and_count_as_failed_tries(world: World) -> None:
    mine = device()
    enrolled(world.client("agent"), mine)
    browser = world.client()
    step = step_of(browser)
    found = [shown(browser, step, {"id": "x"}).status_code for _ in range(5)]
    assert found == [401] * 5
    assert kind(shown(browser, step, {"id": "x"})) == "step-over"
    assert browser.sign_in("agent").status_code == 429


def test_setting_up_wants_the_password_and_a_name_of_the_site(world: World) -> None:
    browser = world.client("agent")
    assert browser.post("/factors/passkey", {"password": "wrong"}).status_code == 422
    at_address = {"base_url": "http://127.0.0.1:8080"}
    browser.http.set_cookie(
        "callcenter", browser.http.get_cookie("callcenter").value, domain="127.0.0.1"
    )
    shown = browser.http.get("/api/v1/factors", **at_address)
    assert shown.get_json()["passkeys"] is False
    refused = browser.http.post(
        "/api/v1/factors/passkey",
        json={"password": PASSWORD},
        headers={"X-CSRF-Token": browser.csrf},
        **at_address,
    )
    assert refused.status_code == 409


def test_a_passkey_is_what_the_policy_wants(world: World, make_settings: Any) -> None:
    mine, spare = device(), device()
    boss = world.client("supervisor")
    enrolled(boss, mine)
    browser = strict(world, make_settings)
    answer = signed_in(browser, mine, "supervisor")
    assert answer.status_code == 201
    browser.csrf = answer.get_json()["csrf_token"]
    (only,) = browser.get("/factors").get_json()["items"]
    removal = f"/factors/{only['id']}/removal"
    assert browser.post(removal, {"password": PASSWORD}).status_code == 409
    enrolled(browser, spare)
    assert browser.post(removal, {"password": PASSWORD}).status_code == 204


def test_the_key_is_sealed_for_its_owner(world: World) -> None:
    mine = device()
    enrolled(world.client("agent"), mine)
    enrolled(world.client("other"), device())
    with Session(world.engine) as session, session.begin():
        theirs, ours = (
            session.scalars(select(Factor).where(Factor.user == world.people[name])).one()
            for name in ("other", "agent")
        )
        theirs.secret = ours.secret
        theirs.credential, ours.credential = "gone", None
        session.flush()
        theirs.credential = mine.get(b"")["id"]
    step = step_of(browser := world.client(), "other")
    mine.counter += 1
    answer = shown(browser, step, mine.get(challenge(browser, step)))
    assert answer.status_code == 500, "sealed for somebody else"
    assert browser.get("/session").status_code == 401


@pytest.mark.parametrize("language", ["en", "fa", "he"])
def test_the_page_takes_a_passkey_from_its_script(world: World, language: str) -> None:
    mine = device()
    enrolled(world.client("agent"), mine)
    browser = world.client()
    http, form = browser.http, {"username": "agent", "password": PASSWORD, "next": "/calls"}
    page = http.post(f"/sign-in?lang={language}", data=form).get_data(as_text=True)
    assert '<script src="/static/passkey.js" defer></script>' in page
    assert 'id="passkey" hidden' in page, "nothing of it without scripts"
    with http.get("/static/passkey.js") as script:
        assert (script.status_code, script.mimetype) == (200, "text/javascript")
    step = {name: field(page, name) for name in ("step", "next", "kinds")}
    wrong = http.post("/sign-in/second-step", data={**step, "passkey": "[nonsense"})
    assert 'data-problem="passkey-refused"' in wrong.get_data(as_text=True)
    mine.counter += 1
    answer = json.dumps(mine.get(challenge(browser, step["step"])))
    done = http.post("/sign-in/second-step", data={**step, "passkey": answer})
    assert (done.status_code, done.headers["Location"]) == (303, "/calls")
    assert http.get("/api/v1/session").status_code == 200
