"""Lock-out, unlocking, and the sessions of an account."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from web_world import World

from callcenter.crm.audit.models import AuditEntry
from callcenter.web.app import create_app


def notices(client: Any) -> list[dict[str, Any]]:
    return [one["args"][0] for one in client.get_received() if one["name"] == "notice"]


def test_the_owner_of_a_locked_account_is_told_once_and_at_the_next_sign_in(world: World) -> None:
    owner = world.client("agent")
    tab = world.runtime.socketio.test_client(world.app, flask_test_client=owner.http)
    other = world.client("other")
    others = world.runtime.socketio.test_client(world.app, flask_test_client=other.http)
    for _ in range(7):
        world.client().sign_in("agent", "wrong")
    (told,) = notices(tab)
    assert told["kind"] == "sign-in-locked"
    assert "administrator" in told["text"]
    assert notices(others) == []
    with Session(world.engine) as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.what == "lock")).all()
    assert [row.object for row in rows] == [world.people["agent"]]
    admin = world.client("admin")
    assert admin.post(f"/users/{world.people['other']}/unlock").status_code == 204
    assert world.client().sign_in("agent").status_code == 429, "only that account is unlocked"


def test_a_sign_in_says_how_many_failed_before_it(world: World) -> None:
    world.client().sign_in("agent", "wrong")
    world.client().sign_in("agent", "wrong")
    browser = world.client()
    assert browser.sign_in("agent").get_json()["failed_sign_ins"] == 2
    assert browser.sign_in("agent").get_json()["failed_sign_ins"] == 0


def test_an_administrator_sees_where_somebody_is_signed_in_and_ends_one_or_all(
    world: World,
) -> None:
    agent, admin = world.people["agent"], world.client("admin")
    first, second, third = (world.client("agent") for _ in range(3))
    address = f"/users/{agent}/sessions"
    shown = admin.get(address).get_json()["items"]
    assert len(shown) == 3
    token = first.http.get_cookie("callcenter").value
    fields = "id address method created_at last_seen_at expires_at"
    assert set(shown[0]) == set(fields.split())
    assert all(token not in one.values() for one in shown)
    assert admin.send("DELETE", f"{address}/{shown[-1]['id']}").status_code == 204
    assert [one.get("/session").status_code for one in (first, second, third)] == [401, 200, 200]
    assert admin.send("DELETE", f"{address}/{shown[-1]['id']}").status_code == 404
    assert admin.send("DELETE", f"/users/{world.people['other']}/sessions").status_code == 204
    assert second.get("/session").status_code == 200, "another account's end is not mine"
    assert admin.send("DELETE", address).status_code == 204
    assert [one.get("/session").status_code for one in (second, third)] == [401, 401]
    assert admin.get(address).get_json()["items"] == []
    assert world.client("supervisor").get(address).status_code == 403
    assert world.client("supervisor").send("DELETE", address).status_code == 403


@pytest.mark.parametrize(
    ("public_url", "peer", "kept"),
    [
        ("https://calls.example.org", "127.0.0.1", "192.0.2.9"),
        ("https://calls.example.org", "10.0.0.5", "192.0.2.9"),
        ("https://calls.example.org", "10.0.1.5", "10.0.1.5"),
        ("https://calls.example.org", "198.51.100.4", "198.51.100.4"),
        (None, "127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_address_of_a_browser_behind_our_proxy_is_its_own(
    world: World, make_settings: Any, public_url: str | None, peer: str, kept: str
) -> None:
    proxies = ["127.0.0.0/8", "10.0.0.0/24"]
    settings = make_settings(web={"public_url": public_url, "proxies": proxies})
    app = create_app(settings, world.engine, world.bus)
    answer = app.test_client().post(
        "/api/v1/session",
        json={"username": "agent", "password": "wrong"},
        headers={"X-Forwarded-For": "203.0.113.1, 192.0.2.9"},
        environ_base={"REMOTE_ADDR": peer},
    )
    assert answer.status_code == 401
    with Session(world.engine) as session:
        assert [row.address for row in session.scalars(select(AuditEntry))] == [kept]
