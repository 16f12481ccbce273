"""Signing in with a code of an authenticator app, by the API and by the pages without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from web_world import PASSWORD, Browser, World

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.factors.models import Factor, RecoveryCode, SignInStep
from callcenter.crm.users import operations as users
from callcenter.errors import ConfigError
from callcenter.web import codes
from callcenter.web.app import create_app
from callcenter.web.sealing import Seal

PERIOD = codes.PERIOD


@pytest.fixture
def clock() -> Iterator[Any]:
    """Time stands until a test shifts it: each code is one period away from the one before."""
    with time_machine.travel(1_800_000_000, tick=False) as travelled:
        yield travelled


def code_of(secret: str, ahead: int = 0) -> str:
    import base64

    return codes.code_at(base64.b32decode(secret), int(time.time()) // PERIOD + ahead)


def enrolled(browser: Browser) -> tuple[str, list[str]]:
    """Give the person who is signed in a code generator. → its secret, the recovery codes"""
    begun = browser.post("/factors/totp", {"password": PASSWORD, "name": "My phone"})
    assert begun.status_code == 201, begun.get_json()
    secret = begun.get_json()["secret"]
    done = browser.post("/factors/totp/confirmation", {"code": code_of(secret)})
    assert done.status_code == 201, done.get_json()
    return secret, done.get_json()["recovery_codes"]


def step_of(browser: Browser, username: str = "agent") -> str:
    answer = browser.sign_in(username)
    assert answer.status_code == 401
    return str(answer.get_json()["step"])


def second(browser: Browser, step: str, code: str) -> Any:
    return browser.http.post("/api/v1/session/second-step", json={"step": step, "code": code})


def kind(answer: Any) -> str:
    return str(answer.get_json()["type"].rsplit(":", 1)[1])


def audited(world: World, what: str) -> list[AuditEntry]:
    with Session(world.engine) as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.what == what)))


# --- RFC 6238 ---


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(at: int, code: str) -> None:
    secret = b"12345678901234567890"
    assert codes.code_at(secret, at // PERIOD) == code
    assert codes.step_of(secret, code, at) == at // PERIOD
    assert codes.step_of(secret, f" {code[:3]} {code[3:]} ", at + PERIOD) == at // PERIOD
    assert codes.step_of(secret, code, at + 2 * PERIOD) is None
    assert codes.step_of(secret, code, at - 2 * PERIOD) is None


def test_digits_of_every_script_are_taken() -> None:
    assert codes.step_of(b"12345678901234567890", "۲۸۷۰۸۲", 59) == 1


# --- Signing in ---


def test_without_a_second_factor_signing_in_goes_on_as_it_was(world: World) -> None:
    answer = world.client().sign_in("agent")
    assert answer.status_code == 201
    assert {"user", "csrf_token"} <= set(answer.get_json())
    with Session(world.engine) as session:
        assert session.scalars(select(SignInStep)).all() == []


def test_the_password_alone_opens_nothing_once_there_is_a_second_factor(
    world: World, clock: Any
) -> None:
    secret, _ = enrolled(world.client("agent"))
    clock.shift(PERIOD)
    browser = world.client()
    answer = browser.sign_in("agent")
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert kind(answer) == "second-factor-needed"
    assert answer.get_json()["factors"] == ["totp", "recovery"]
    assert "Set-Cookie" not in answer.headers
    assert browser.get("/session").status_code == 401
    done = second(browser, answer.get_json()["step"], code_of(secret))
    assert done.status_code == 201
    assert {"user", "csrf_token"} <= set(done.get_json())
    assert done.get_json()["recovery_codes"] == []
    assert browser.get("/session").get_json()["user"]["username"] == "agent"
    (mine, before) = browser.get("/sessions").get_json()["items"]
    assert (mine["method"], before["method"]) == ("totp", "password")


def test_a_code_opens_once(world: World, clock: Any) -> None:
    """A27: replay of a code is refused, also by another browser and at the same moment."""
    secret, _ = enrolled(world.client("agent"))
    browser = world.client()
    confirmed = code_of(secret)
    assert kind(second(browser, step_of(browser), confirmed)) == "wrong-code", "used to confirm"
    clock.shift(PERIOD)
    fresh = code_of(secret)
    one, two = step_of(browser), step_of(browser)
    assert second(browser, one, fresh).status_code == 201
    assert kind(second(browser, two, fresh)) == "wrong-code"
    assert kind(second(browser, one, code_of(secret, 1))) == "step-over", "the step was finished"
    assert second(browser, two, code_of(secret, 1)).status_code == 201


def test_five_wrong_codes_end_the_step_and_count_as_failed_tries(world: World, clock: Any) -> None:
    """A27: guessing codes is delayed like guessing passwords; the right password resets nothing."""
    secret, _ = enrolled(world.client("agent"))
    clock.shift(PERIOD)
    browser = world.client()
    step = step_of(browser)
    for _ in range(5):
        assert kind(second(browser, step, "000000")) == "wrong-code"
    assert kind(second(browser, step, code_of(secret))) == "step-over"
    answer = browser.sign_in("agent")
    assert answer.status_code == 429
    clock.shift(1.5)
    step = step_of(browser)
    assert second(browser, step, "000000").status_code == 401
    assert browser.sign_in("agent").status_code == 429, "the right password forgot no failure"
    assert [row.object for row in audited(world, "lock")] == [world.people["agent"]]
    assert len(audited(world, "second_factor")) == 6
    clock.shift(60)
    assert second(browser, step, code_of(secret)).status_code == 201


def test_a_step_is_over_after_ten_minutes(world: World, clock: Any) -> None:
    secret, _ = enrolled(world.client("agent"))
    browser = world.client()
    step = step_of(browser)
    clock.shift(10 * 60 + 1)
    assert kind(second(browser, step, code_of(secret))) == "step-over"
    assert kind(second(browser, "x" * 43, code_of(secret))) == "step-over"


def test_a_step_dies_with_the_account_and_with_the_password(world: World, clock: Any) -> None:
    secret, _ = enrolled(world.client("agent"))
    clock.shift(PERIOD)
    browser, admin = world.client(), world.client("admin")
    step = step_of(browser)
    admin.patch(f"/users/{world.people['agent']}", {"disabled": True})
    assert kind(second(browser, step, code_of(secret))) == "step-over"
    admin.patch(f"/users/{world.people['agent']}", {"disabled": False})
    step = step_of(browser)
    with Session(world.engine) as session, session.begin():
        user = users.get_or_raise(session, world.people["agent"])
        users.set_password(session, user, "x")
    assert kind(second(browser, step, code_of(secret))) == "step-over"


def test_a_recovery_code_works_once_however_it_is_typed(world: World, clock: Any) -> None:
    _, kept = enrolled(world.client("agent"))
    assert len(set(kept)) == 10
    assert all(re.fullmatch(r"([a-z2-7]{6}-){3}[a-z2-7]{6}", code) for code in kept)
    browser = world.client()
    clock.shift(1)
    typed = kept[0].upper().replace("-", " ")
    assert second(browser, step_of(browser), typed).status_code == 201
    (current, *_) = browser.get("/sessions").get_json()["items"]
    assert current["method"] == "recovery"
    assert browser.get("/factors").get_json()["recovery_codes_left"] == 9
    assert kind(second(browser, step_of(browser), kept[0])) == "wrong-code"


# --- What is kept ---


def test_the_database_holds_neither_secret_nor_recovery_code(world: World, clock: Any) -> None:
    secret, kept = enrolled(world.client("agent"))
    raw = __import__("base64").b32decode(secret)
    with Session(world.engine) as session:
        (factor,) = session.scalars(select(Factor)).all()
        rows = [str(row) for row in session.execute(text("select * from factors"))]
        rows += [str(row) for row in session.execute(text("select * from recovery_codes"))]
        assert session.scalar(select(RecoveryCode.hash).limit(1)) is not None
    everything = " ".join(rows)
    for hidden in (secret, raw.hex(), *kept, *(codes.plain(one) for one in kept)):
        assert hidden not in everything
    key = world.settings.keys_dir / "factors.secret"
    assert key.stat().st_mode & 0o077 == 0
    assert Seal(world.settings.keys_dir).open(factor.secret, factor.user) == raw
    with pytest.raises(ConfigError, match="put the old one back"):
        Seal(world.settings.keys_dir).open(factor.secret, world.people["other"])


def test_a_key_that_others_can_read_seals_nothing(tmp_path: Path) -> None:
    file = tmp_path / "open.key"
    file.write_text("0" * 64)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Seal(tmp_path, file).close(b"x", "somebody")


def test_the_secret_is_shown_once_and_the_picture_is_ours(world: World, clock: Any) -> None:
    browser = world.client("agent")
    begun = browser.post("/factors/totp", {"password": PASSWORD}).get_json()
    assert begun["address"].startswith("otpauth://totp/My%20company:agent?")
    assert begun["secret"] in begun["address"]
    assert begun["picture"].startswith("data:image/svg+xml")
    shown = browser.get("/factors")
    assert shown.get_json()["items"] == [], "not before its first code"
    browser.post("/factors/totp/confirmation", {"code": code_of(begun["secret"])})
    shown = browser.get("/factors")
    assert [one["kind"] for one in shown.get_json()["items"]] == ["totp"]
    assert begun["secret"] not in shown.get_data(as_text=True)


# --- One's own security ---


def test_every_change_wants_the_password_again_and_is_in_the_audit(
    world: World, clock: Any
) -> None:
    browser = world.client("agent")
    wrong = browser.post("/factors/totp", {"password": "wrong"})
    assert wrong.status_code == 422
    assert wrong.get_json()["errors"][0]["field"] == "password"
    enrolled(browser)
    (mine,) = browser.get("/factors").get_json()["items"]
    for path in (f"/factors/{mine['id']}/removal", "/factors/recovery-codes"):
        assert browser.post(path, {"password": "wrong"}).status_code == 422
    fresh = browser.post("/factors/recovery-codes", {"password": PASSWORD})
    assert len(fresh.get_json()["recovery_codes"]) == 10
    other = world.client("other")
    theirs = other.post(f"/factors/{mine['id']}/removal", {"password": PASSWORD})
    assert theirs.status_code == 404, "another's factor is not there"
    gone = browser.post(f"/factors/{mine['id']}/removal", {"password": PASSWORD})
    assert gone.status_code == 204
    assert browser.get("/factors").get_json()["recovery_codes_left"] == 0
    assert world.client().sign_in("agent").status_code == 201
    for what in ("factor.add", "recovery_codes.renew", "factor.remove"):
        assert [row.who for row in audited(world, what)] == [world.people["agent"]], what
    assert len(audited(world, "prove")) == 3


def test_guessing_the_password_there_is_delayed_too(world: World) -> None:
    browser = world.client("agent")
    found = [browser.post("/factors/totp", {"password": "wrong"}).status_code for _ in range(6)]
    assert found == [422] * 5 + [429]


def test_my_sessions_are_listed_and_ended_one_or_all_others(world: World) -> None:
    first, second_, here = (world.client("agent") for _ in range(3))
    shown = here.get("/sessions").get_json()
    assert len(shown["items"]) == 3
    assert shown["current"] == shown["items"][0]["id"]
    oldest = shown["items"][-1]["id"]
    stranger = world.client("other")
    assert stranger.send("DELETE", f"/sessions/{oldest}").status_code == 404
    assert here.send("DELETE", f"/sessions/{oldest}").status_code == 204
    assert [b.get("/session").status_code for b in (first, second_, here)] == [401, 200, 200]
    assert here.send("DELETE", "/sessions").status_code == 204
    assert [b.get("/session").status_code for b in (second_, here)] == [401, 200]
    assert stranger.get("/session").status_code == 200


def test_an_administrator_resets_the_factors_of_who_lost_them(world: World, clock: Any) -> None:
    browser = world.client("agent")
    enrolled(browser)
    address = f"/users/{world.people['agent']}/factors/reset"
    assert world.client("supervisor").post(address).status_code == 403
    assert world.client("admin").post(address).status_code == 204
    assert browser.get("/session").status_code == 401, "sessions end with it"
    assert world.client().sign_in("agent").status_code == 201
    (row,) = audited(world, "factor.reset")
    assert (row.who, row.object) == (world.people["admin"], world.people["agent"])
    assert world.client("admin").post("/users/nobody/factors/reset").status_code == 404


# --- Where a role needs it ---


def strict(world: World, make_settings: Any) -> Browser:
    """A browser at a system in which supervisors need a second factor."""
    settings = make_settings(sign_in={"second_factor": ["supervisor"]})
    return Browser(create_app(settings, world.engine, world.bus).test_client())


def test_a_role_that_needs_it_sets_it_up_at_the_next_sign_in(
    world: World, make_settings: Any, clock: Any
) -> None:
    browser = strict(world, make_settings)
    assert browser.sign_in("agent").status_code == 201, "other roles go on as before"
    answer = browser.sign_in("supervisor")
    assert (answer.status_code, kind(answer)) == (401, "enrolment-needed")
    step = answer.get_json()["step"]
    begun = browser.http.post("/api/v1/session/enrolment", json={"step": step})
    assert begun.status_code == 201
    secret = begun.get_json()["secret"]
    assert kind(second(browser, step, "000000")) == "wrong-code"
    done = second(browser, step, code_of(secret))
    assert done.status_code == 201
    assert len(done.get_json()["recovery_codes"]) == 10
    browser.csrf = done.get_json()["csrf_token"]
    mine = browser.get("/factors").get_json()
    assert mine["needed"] is True
    last = mine["items"][0]["id"]
    refused = browser.post(f"/factors/{last}/removal", {"password": PASSWORD})
    assert refused.status_code == 409
    assert kind(browser.sign_in("supervisor")) == "second-factor-needed"


def test_a_step_to_show_a_factor_cannot_set_up_another(world: World, clock: Any) -> None:
    enrolled(world.client("agent"))
    browser = world.client()
    step = step_of(browser)
    refused = browser.http.post("/api/v1/session/enrolment", json={"step": step})
    assert kind(refused) == "step-over"


# --- Without scripts ---


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


@pytest.mark.parametrize(
    ("language", "heading"),
    [("en", "One more step"), ("fa", "یک گام دیگر"), ("he", "עוד צעד אחד")],
)
def test_the_pages_ask_for_the_code_without_scripts(
    world: World, clock: Any, language: str, heading: str
) -> None:
    secret, _ = enrolled(world.client("agent"))
    clock.shift(PERIOD)
    http = world.client().http
    form = {"username": "agent", "password": PASSWORD, "next": "/calls"}
    answer = http.post(f"/sign-in?lang={language}", data=form)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert heading in page
    assert "<script" not in page
    assert "Set-Cookie" not in answer.headers
    step = {"step": field(page, "step"), "next": "/calls", "kinds": field(page, "kinds")}
    wrong = http.post(f"/sign-in/second-step?lang={language}", data={**step, "code": "1"})
    assert wrong.status_code == 401
    assert 'data-problem="wrong-code"' in wrong.get_data(as_text=True)
    done = http.post("/sign-in/second-step", data={**step, "code": code_of(secret)})
    assert (done.status_code, done.headers["Location"]) == (303, "/calls")
    assert http.get("/api/v1/session").status_code == 200
    late = http.post("/sign-in/second-step", data={**step, "code": code_of(secret, 1)})
    assert 'data-problem="step-over"' in late.get_data(as_text=True)


def test_the_pages_set_it_up_without_scripts(world: World, make_settings: Any, clock: Any) -> None:
    http = strict(world, make_settings).http
    form = {"username": "supervisor", "password": PASSWORD, "next": "/calls"}
    page = http.post("/sign-in?lang=en", data=form).get_data(as_text=True)
    assert "<script" not in page
    assert 'src="data:image/svg+xml' in page
    shown = re.search(r'data-testid="secret">([A-Z2-7]{32})<', page)
    assert shown
    step = {"step": field(page, "step"), "next": "/calls"}
    wrong = http.post("/sign-in/second-step?lang=en", data={**step, "code": "000000"})
    assert shown[1] not in wrong.get_data(as_text=True), "the secret is shown once"
    again = http.post("/sign-in/enrolment?lang=en", data=step).get_data(as_text=True)
    other = re.search(r'data-testid="secret">([A-Z2-7]{32})<', again)
    assert other
    assert other[1] != shown[1]
    done = http.post("/sign-in/second-step?lang=en", data={**step, "code": code_of(other[1])})
    page = done.get_data(as_text=True)
    assert len(re.findall(r"<code>", page)) == 10
    assert 'href="/calls"' in page
    assert http.get("/api/v1/session").status_code == 200
