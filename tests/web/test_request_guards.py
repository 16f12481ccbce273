from __future__ import annotations

from typing import Any

import pytest
from web_world import World

from callcenter.errors import StartError
from callcenter.web import auth, permissions
from callcenter.web.app import create_app
from callcenter.web.permissions import ROLES, Permission, Scope


def routes(world: World) -> list[tuple[str, str, Permission]]:
    found = []
    for rule in world.app.url_map.iter_rules():
        mark = auth.mark(world.app.view_functions[rule.endpoint])
        if isinstance(mark, Permission):
            methods = sorted(rule.methods - {"HEAD", "OPTIONS"})
            found += [(method, rule.rule.replace("<id>", "x"), mark) for method in methods]
    return found


def test_nobody_gets_anywhere_without_signing_in(world: World) -> None:
    browser = world.client()
    for method, path, _ in routes(world):
        answer = browser.send(method, path, {} if method != "GET" else None)
        assert answer.status_code == 401, (method, path)


def test_the_table_names_every_permission_and_nothing_is_for_everybody_by_accident() -> None:
    assert set(permissions.TABLE) == set(Permission)
    for_all = {
        permission for permission, row in permissions.TABLE.items() if set(row) == set(ROLES)
    }
    assert for_all == {
        Permission.SESSION,
        Permission.SITE_READ,
        Permission.CUSTOMERS_READ,
        Permission.INTERACTIONS_READ,
        Permission.CONVERSATION,
    }
    conversation = permissions.TABLE[Permission.CONVERSATION]
    assert conversation["admin"] is conversation["auditor"] is Scope.REASON
    assert conversation["agent"] is Scope.OWN
    for permission in (Permission.CUSTOMERS_READ, Permission.INTERACTIONS_READ):
        assert permissions.TABLE[permission]["admin"] is Scope.REASON, "no silent reader"


def test_a_route_that_declares_nothing_stops_the_start(world: World) -> None:
    app = create_app(world.settings, world.engine, world.bus)
    app.add_url_rule("/forgotten", view_func=lambda: "", endpoint="forgotten")
    with pytest.raises(StartError, match="/forgotten"):
        auth.check_routes(app)


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_a_change_without_the_right_csrf_token_is_refused(world: World, token: str) -> None:
    browser = world.client("agent")
    browser.csrf = token
    answer = browser.post("/customers", {"name": "Nobody"})
    assert answer.status_code == 403
    assert "X-CSRF-Token" in answer.get_json()["detail"]
    assert browser.get("/customers").get_json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_change_from_another_origin_is_refused(world: World, headers: dict[str, str]) -> None:
    browser = world.client("agent")
    assert browser.post("/customers", {"name": "Nobody"}, headers=headers).status_code == 403


def test_our_own_origin_and_the_public_one_are_taken(world: World, make_settings: Any) -> None:
    browser = world.client("agent")
    own = browser.post("/customers", {"name": "A"}, headers={"Origin": "http://localhost"})
    assert own.status_code == 201
    settings = make_settings(web={"public_url": "https://calls.example.org"})
    app = create_app(settings, world.engine, world.bus)
    answer = app.test_client().post(
        "/api/v1/session",
        json={"username": "agent", "password": "correct horse"},
        headers={"Origin": "https://calls.example.org"},
    )
    assert answer.status_code == 201


def test_json_as_text_is_refused(world: World) -> None:
    browser = world.client("agent")
    answer = browser.http.post(
        "/api/v1/customers",
        data='{"name": "Nobody"}',
        content_type="text/plain",
        headers={"X-CSRF-Token": browser.csrf},
    )
    assert answer.status_code == 415


def test_no_get_changes_anything(world: World) -> None:
    for rule in world.app.url_map.iter_rules():
        if rule.rule.startswith("/api/") and "GET" in rule.methods:
            assert not rule.methods & {"POST", "PATCH", "PUT", "DELETE"}


def test_every_answer_carries_the_security_headers(world: World) -> None:
    browser = world.client("agent")
    for path in ("/session", "/sign-in", "/api/v1/nothing", "/customers"):
        headers = browser.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert policy["connect-src"] == "'self' ws://localhost"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "microphone=(self)" in headers["Permissions-Policy"]
        assert headers["Cache-Control"] == "no-store"
