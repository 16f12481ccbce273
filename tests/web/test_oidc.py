"""Signing in with an OpenID Connect provider: a real one over HTTP, honest and forging."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from oidc_twin import CLIENT, SECRET, Twin
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_web_server import start, wait_for
from web_world import PASSWORD, World

from callcenter import config
from callcenter.bus import Hub
from callcenter.config import Settings
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.users import operations as users
from callcenter.crm.users.models import UserSession
from callcenter.crm.users.queries import FREE_TRIES_PER_ADDRESS, by_username
from callcenter.errors import ConfigError
from callcenter.web.app import create_app

Make = Callable[..., Any]


@pytest.fixture
def twin() -> Iterator[Twin]:
    one = Twin()
    yield one
    one.close()


@pytest.fixture
def site(world: World, twin: Twin, make_settings: Callable[..., Settings]) -> Make:
    """Call it with further settings of the provider: a browser at an application with it."""

    def make(*, second_factor: tuple[str, ...] = (), **oidc: Any) -> Any:
        settings = make_settings(
            web={"public_url": "http://localhost"},
            sign_in={"oidc": provider(twin) | oidc, "second_factor": list(second_factor)},
        )
        return create_app(settings, world.engine, world.bus).test_client()

    return make


def provider(twin: Twin) -> dict[str, Any]:
    return {
        "name": "Office",
        "issuer": twin.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
    }


def away(client: Any, on: str = "/calls?x=1") -> str:
    """Press the button, sign in there → the address that the browser is sent back to."""
    sent = client.get("/sign-in/oidc", query_string={"next": on})
    assert sent.status_code == 303, sent.get_data(as_text=True)
    back = httpx.get(sent.headers["Location"], follow_redirects=False)
    return str(back.headers["Location"])


def comes_back(client: Any, on: str = "/calls?x=1") -> Any:
    return client.get(away(client, on))


def signed_in(client: Any) -> Any:
    answer = client.get("/api/v1/session")
    return answer.get_json()["user"] if answer.status_code == 200 else None


def refused(answer: Any, slug: str, status: int = 401) -> None:
    assert answer.status_code == status
    page = answer.get_data(as_text=True)
    assert f'data-problem="{slug}"' in page
    assert 'name="password"' in page, "the password goes on working"


def test_a_person_signs_in_and_the_audit_says_by_which_way(
    site: Make, world: World, twin: Twin
) -> None:
    client = site()
    page = client.get("/sign-in?lang=en").get_data(as_text=True)
    assert "Sign in with Office" in page
    answer = comes_back(client)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/calls?x=1"
    assert signed_in(client)["username"] == "agent"
    with Session(world.engine) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.what == "sign_in")).one()
        assert (entry.who, entry.reason) == (world.people["agent"], "oidc")
        assert session.scalars(select(UserSession)).one().method == "oidc"
    assert twin.asked.count("/jwks") == 1


def test_what_is_asked_is_exact(site: Make, twin: Twin) -> None:
    sent = site().get("/sign-in/oidc", headers={"Host": "evil.example"})
    query = parse_qs(urlsplit(sent.headers["Location"]).query)
    assert query["redirect_uri"] == ["http://localhost/sign-in/oidc/callback"]
    assert query["scope"] == ["openid profile"]
    assert all(len(query[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert "HttpOnly" in sent.headers["Set-Cookie"]
    assert query["state"][0] not in sent.headers["Set-Cookie"]


@pytest.mark.parametrize("on", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site_afterwards(site: Make, on: str) -> None:
    assert comes_back(site(), on).headers["Location"] == "/"


def test_the_session_before_is_another_one(site: Make) -> None:
    client = site()
    client.post("/sign-in", data={"username": "other", "password": PASSWORD})
    before = client.get_cookie("callcenter").value
    comes_back(client)
    assert client.get_cookie("callcenter").value != before
    assert signed_in(client)["username"] == "agent"


def test_a_callback_of_another_browser_opens_nothing(site: Make) -> None:
    thief, victim = site(), site()
    stolen = away(thief)
    refused(victim.get(stolen), "step-over")
    away(victim)
    refused(victim.get(stolen), "step-over")
    assert signed_in(victim) is None


def test_a_wrong_state_and_a_broken_cookie_open_nothing(site: Make, twin: Twin) -> None:
    client = site()
    back = away(client)
    refused(client.get(back.replace("state=", "state=x")), "step-over")
    back = away(client)
    client.set_cookie("callcenter-oidc", "bm90IG91cnM=")
    refused(client.get(back), "step-over")
    assert "/token" not in twin.asked


def test_a_callback_opens_once(site: Make, twin: Twin) -> None:
    client = site()
    back = away(client)
    carried = client.get_cookie("callcenter-oidc").value
    begun = dict(twin.codes)
    assert client.get(back).status_code == 303
    client.delete_cookie("callcenter")
    refused(client.get(back), "step-over")
    client.set_cookie("callcenter-oidc", carried)
    refused(client.get(back), "identity-refused")  # the provider knows the code no more
    twin.codes.update(begun)  # and where it would, we know the state
    client.set_cookie("callcenter-oidc", carried)
    refused(client.get(back), "step-over")
    assert signed_in(client) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": -3600},  # seconds from now
        {"iat": 3600},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    site: Make, world: World, twin: Twin, changes: dict[str, Any]
) -> None:
    present = time.time()
    twin.changes = {
        name: int(present + value) if isinstance(value, int) else value
        for name, value in changes.items()
    }
    client = site()
    refused(comes_back(client), "identity-refused")
    assert signed_in(client) is None
    with Session(world.engine) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.what == "sign_in")).one()
        assert (entry.result, entry.reason) == ("refused", "oidc identity-refused")


def test_a_token_for_several_that_names_us_is_taken(site: Make, twin: Twin) -> None:
    twin.changes = {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert comes_back(site()).status_code == 303


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """What no library would sign: alg none, or HS256 with the public key as secret."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    ]
    signed = b".".join(parts)
    made = hmac.new(secret, signed, hashlib.sha256).digest() if secret else b""
    return (signed + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")).decode()


def test_no_signature_and_the_public_key_as_secret_open_nothing(site: Make, twin: Twin) -> None:
    public = twin.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for header, secret in (({"alg": "none"}, None), ({"alg": "HS256"}, public)):
        twin.forge = lambda claims, header=header, secret=secret: by_hand(
            {**header, "kid": twin.kid}, claims, secret
        )
        client = site()
        refused(comes_back(client), "identity-refused")
        assert signed_in(client) is None


def test_a_foreign_key_opens_nothing_and_is_looked_for_once(site: Make, twin: Twin) -> None:
    stranger = Twin()
    stranger.close()
    client = site()
    twin.forge = lambda claims: jwt.encode(claims, stranger.key, "RS256", {"kid": twin.kid})
    refused(comes_back(client), "identity-refused")
    twin.asked.clear()
    twin.forge = stranger.sign
    refused(comes_back(client), "identity-refused")
    assert twin.asked.count("/jwks") == 1


def test_new_keys_of_the_provider_are_fetched(site: Make, twin: Twin) -> None:
    client = site()
    assert comes_back(client).status_code == 303
    for algorithm in ("ES256", "RS256"):
        twin.rotate(algorithm)
        assert comes_back(client).status_code == 303
    assert twin.asked.count("/jwks") == 3
    assert comes_back(client).status_code == 303
    assert twin.asked.count("/jwks") == 3
    assert twin.asked.count("/.well-known/openid-configuration") == 1


def test_while_the_provider_is_down_the_page_says_so(site: Make, twin: Twin) -> None:
    client = site()
    twin.server.shutdown()
    twin.server.server_close()
    answer = client.get("/sign-in/oidc?lang=en")
    refused(answer, "provider-down", 503)
    assert "Office does not answer now." in answer.get_data(as_text=True)
    done = client.post("/sign-in", data={"username": "agent", "password": PASSWORD})
    assert done.status_code == 303


def test_a_provider_that_calls_itself_otherwise_is_not_used(site: Make, twin: Twin) -> None:
    client = site()
    twin.issuer += "/other"
    refused(client.get("/sign-in/oidc"), "provider-down", 503)


def test_who_says_no_there_is_asked_again_here(site: Make) -> None:
    client = site()
    back = away(client)
    state = parse_qs(urlsplit(back).query)["state"][0]
    path = f"/sign-in/oidc/callback?error=access_denied&state={state}"
    refused(client.get(path), "identity-refused")


def test_a_weaker_sign_in_there_than_is_demanded_opens_nothing(site: Make, twin: Twin) -> None:
    """OpenID Connect Core 5.5.1.1: asking binds no provider, so the answer is looked at."""
    client = site(acr_values=["mfa", "phr"])
    sent = client.get("/sign-in/oidc")
    assert parse_qs(urlsplit(sent.headers["Location"]).query)["acr_values"] == ["mfa phr"]
    for changes in ({}, {"acr": "0"}, {"acr": ["mfa"]}, {"acr": None}):
        twin.changes = changes
        answer = comes_back(client)
        refused(answer, "identity-weak")
        assert signed_in(client) is None
    assert "Office let you in by less" in client.get(away(client) + "&lang=en").get_data(True)
    twin.changes = {"acr": "phr"}
    assert comes_back(client).status_code == 303
    assert signed_in(client)["username"] == "agent"
    assert "acr_values" not in parse_qs(
        urlsplit(site().get("/sign-in/oidc").headers["Location"]).query
    )


def test_too_many_refusals_make_an_address_wait(site: Make, twin: Twin, world: World) -> None:
    """As wrong passwords do, and together with them; a provider that is down counts nothing."""
    client = site(acr_values=["mfa"])
    for _ in range(FREE_TRIES_PER_ADDRESS):
        refused(comes_back(client), "identity-weak")
    answer = comes_back(client)
    refused(answer, "too-many-tries", 429)
    assert int(answer.headers["Retry-After"]) >= 1
    form = {"username": "agent", "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 429
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    assert client.post("/sign-in", data=form, environ_base=elsewhere).status_code == 303


def test_whoever_the_provider_signs_in_is_told_that_it_keeps_the_password(site: Make) -> None:
    client = site()
    assert comes_back(client).status_code == 303
    assert client.get("/api/v1/factors").get_json()["by_provider"] is True
    client = site()
    client.post("/sign-in", data={"username": "agent", "password": PASSWORD})
    assert client.get("/api/v1/factors").get_json()["by_provider"] is False


def test_unknown_people_are_made_only_where_the_settings_say_so(
    site: Make, world: World, twin: Twin
) -> None:
    twin.person = {"sub": "8", "preferred_username": "Mina", "name": "Mina Karimi"}
    refused(comes_back(site()), "not-let-in")
    client = site(create=True)
    assert comes_back(client).status_code == 303
    user = signed_in(client)
    assert (user["username"], user["name"], user["role"]) == ("mina", "Mina Karimi", "agent")
    assert comes_back(site()).status_code == 303, "known from now on"


def test_the_role_comes_from_the_provider_where_it_is_mapped(site: Make, twin: Twin) -> None:
    mapped = {
        "role_claim": "realm_access.roles",
        "roles": {"boss": "manager", "lead": "supervisor"},
    }
    twin.person |= {"realm_access": {"roles": ["lead", "boss"]}}
    client = site(**mapped)
    assert comes_back(client).status_code == 303
    assert signed_in(client)["role"] == "manager", "the first that fits"
    twin.person |= {"realm_access": {"roles": ["lead"]}}
    again = site(**mapped)
    assert comes_back(again).status_code == 303
    assert signed_in(again)["role"] == "supervisor"
    assert signed_in(client) is None, "a new role ends the sessions of the old one"
    for held in ([], ["guest"], {"boss": 1}):
        twin.person |= {"realm_access": {"roles": held}}
        refused(comes_back(site(**mapped)), "not-let-in")


def test_an_address_of_mail_counts_only_when_it_is_verified(
    site: Make, world: World, twin: Twin
) -> None:
    with Session(world.engine) as session, session.begin():
        users.create(session, username="a@b.example", password_hash="x", role="agent")
    twin.person = {"sub": "9", "email": "a@b.example", "email_verified": False}
    refused(comes_back(site(username_claim="email")), "not-let-in")
    twin.person |= {"email_verified": True}
    assert comes_back(site(username_claim="email")).status_code == 303


def test_who_is_disabled_here_stays_out(site: Make, world: World) -> None:
    with Session(world.engine) as session, session.begin():
        users.disable(session, users.get_or_raise(session, world.people["agent"]))
    client = site(create=True)
    refused(comes_back(client), "not-let-in")
    assert signed_in(client) is None


def test_the_second_factor_is_the_providers_work(site: Make) -> None:
    client = site(second_factor=("agent",))
    assert comes_back(client).status_code == 303
    assert signed_in(client) is not None


def test_without_a_provider_there_is_no_way(world: World) -> None:
    http = world.client().http
    assert "/sign-in/oidc" not in http.get("/sign-in").get_data(as_text=True)
    assert http.get("/sign-in/oidc").status_code == 404


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"web": {}}, "web.public_url: found nothing"),
        ({"issuer": "http://login.example.com"}, "sign_in.oidc.issuer"),
        ({"scopes": ["profile"]}, "openid among them"),
        ({"role_claim": "groups"}, "role_claim together with roles"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    make_settings: Callable[..., Settings], changes: dict[str, Any], told: str
) -> None:
    rest = {"name": "Office", "issuer": "https://login.example.com", "client_id": CLIENT}
    web = changes.pop("web", {"public_url": "https://calls.example.com"})
    with pytest.raises(ConfigError) as raised:
        make_settings(web=web, sign_in={"oidc": rest | changes})
    assert any(told in problem for problem in raised.value.problems), raised.value.problems


@pytest.mark.integration
def test_the_real_server_takes_a_person_from_the_button_to_the_desk_and_out(
    peopled: str, databases: Any, tmp_path: Path, twin: Twin
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    file, secret = tmp_path / "config.json", tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    oidc = provider(twin) | {"client_secret": None, "client_secret_file": str(secret)}
    url = databases.copy(peopled)
    web = {"port": urlsplit(address).port, "public_url": address}
    file.write_text(json.dumps({"database_url": url, "web": web, "sign_in": {"oidc": oidc}}))
    settings = config.load(file, data_dir=tmp_path / "data", environ={})
    settings.data_dir.mkdir()
    if settings.database_url != url:
        shutil.move(url.removeprefix("sqlite:///"), settings.data_dir / "callcenter.db")
    hub = Hub(settings.run_dir)
    process = start(file, settings.data_dir)

    def up() -> bool:
        try:
            return httpx.get(f"{address}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            assert process.poll() is None, file.with_suffix(".log").read_text()
            return False

    try:
        wait_for(up, "the web server", seconds=90)
        with httpx.Client(base_url=address, timeout=20) as browser:
            done = browser.get("/sign-in/oidc?next=/sign-in", follow_redirects=True)
            assert [one.status_code for one in done.history] == [303, 302, 303, 302]
            session = browser.get("/api/v1/session").json()
            assert session["user"]["username"] == "agent"
            headers = {"X-CSRF-Token": session["csrf_token"]}
            assert browser.delete("/api/v1/session", headers=headers).status_code == 204
            assert browser.get("/api/v1/session").status_code == 401
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        hub.close()


def test_the_account_is_found_by_name_in_any_case(site: Make, world: World, twin: Twin) -> None:
    twin.person = {"sub": "77", "preferred_username": "AGENT"}
    client = site()
    assert comes_back(client).status_code == 303
    with Session(world.engine) as session:
        user = by_username(session, "agent")
        assert user is not None
        assert signed_in(client)["id"] == user.id


def test_whoever_is_renamed_at_the_provider_keeps_the_account(
    site: Make, world: World, twin: Twin
) -> None:
    comes_back(site())
    twin.person["preferred_username"] = "another.name"
    client = site()
    assert comes_back(client).status_code == 303
    assert signed_in(client)["id"] == world.people["agent"]


def test_a_name_that_moved_to_somebody_else_opens_nothing(
    site: Make, world: World, twin: Twin
) -> None:
    comes_back(site())
    twin.person = {"sub": "78", "preferred_username": "agent"}
    client = site(create=True)
    refused(comes_back(client), "not-let-in")
    assert signed_in(client) is None


def test_an_administrator_is_not_found_by_a_name(site: Make, world: World, twin: Twin) -> None:
    twin.person = {"sub": "1", "preferred_username": "admin"}
    client = site(create=True)
    refused(comes_back(client), "not-let-in")
    assert signed_in(client) is None
