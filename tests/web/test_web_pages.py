from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from web_world import PASSWORD, World

from callcenter.config import Settings
from callcenter.web import assets, openapi
from callcenter.web.app import create_app
from callcenter.web.pages import local


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / ".vite").mkdir()
    manifest = {
        "src/main.ts": {
            "file": "assets/main-abc.js",
            "css": ["assets/main-abc.css"],
            "imports": ["_shared.js"],
        },
        "_shared.js": {"file": "assets/shared-def.js", "css": ["assets/shared-def.css"]},
    }
    (dist / ".vite" / "manifest.json").write_text(json.dumps(manifest))
    script = dist / "assets" / "main-abc.js"
    script.write_text("console.log('main')")
    script.with_name("main-abc.js.gz").write_bytes(gzip.compress(b"console.log('main')"))
    (tmp_path / "secret.txt").write_text("secret")
    (dist / "assets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr(assets, "DIST", dist)
    monkeypatch.setattr(assets.send, "__defaults__", ((dist, assets.OWN),))
    return dist


@pytest.mark.parametrize(
    ("accept", "query", "language", "direction", "word"),
    [
        ("fa-IR,fa;q=0.9", "", "fa", "rtl", "ورود"),
        ("he", "", "he", "rtl", "כניסה"),
        ("en-GB", "", "en", "ltr", "Sign in"),
        ("de", "", "fa", "rtl", "ورود"),
        ("fa", "?lang=he", "he", "rtl", "כניסה"),
        ("en", "?lang=xx", "en", "ltr", "Sign in"),
    ],
)
def test_the_sign_in_page_speaks_the_browsers_language_or_the_chosen_one(
    world: World, accept: str, query: str, language: str, direction: str, word: str
) -> None:
    answer = world.client().get(f"/sign-in{query}", headers={"Accept-Language": accept})
    assert answer.status_code == 200
    page = answer.get_data(as_text=True)
    assert f'<html lang="{language}" dir="{direction}">' in page
    assert word in page
    assert 'name="username"' in page
    assert 'name="password"' in page
    assert "<script" not in page


def test_signing_in_works_without_scripts_and_goes_on_to_where_one_wanted(world: World) -> None:
    browser = world.client()
    first = browser.http.get("/calls?x=1")
    assert first.status_code == 302
    assert first.headers["Location"] == "/sign-in?next=/calls%3Fx%3D1"
    form = {"username": "agent", "password": "wrong", "next": "/calls"}
    again = browser.http.post("/sign-in?lang=en", data=form)
    assert again.status_code == 401
    page = again.get_data(as_text=True)
    assert "The user name or the password is wrong." in page
    assert 'value="agent"' in page
    assert "wrong" not in page.replace("password is wrong", "")
    done = browser.http.post("/sign-in", data={**form, "password": PASSWORD})
    assert done.status_code == 303
    assert done.headers["Location"] == "/calls"
    assert browser.get("/session").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "", None, "x"],
)
def test_nobody_is_sent_to_another_site(wanted: str | None) -> None:
    assert local(wanted) == "/"


def test_what_one_typed_is_shown_as_text(world: World) -> None:
    form = {"username": '"><script>alert(1)</script>', "password": "x"}
    page = world.client().http.post("/sign-in", data=form).get_data(as_text=True)
    assert "<script" not in page


def test_the_shell_loads_the_built_front_end_with_the_session_inside(
    world: World, built: Path
) -> None:
    browser = world.client("agent")
    answer = browser.http.get("/desk", headers={"Accept-Language": "he"})
    page = answer.get_data(as_text=True)
    assert '<html lang="en" dir="ltr">' in page, "the user's own language"
    nonce = re.search(r"'nonce-([\w-]+)'", answer.headers["Content-Security-Policy"])
    assert nonce
    script = f'<script type="module" src="/static/assets/main-abc.js" nonce="{nonce[1]}">'
    assert script in page
    for file in ("main-abc.css", "shared-def.css", "shared-def.js"):
        assert f'href="/static/assets/{file}"' in page
    found = re.search(r'id="session"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    session = json.loads(found[1])
    assert session["user"]["username"] == "agent"
    assert session["csrf_token"] == browser.csrf
    assert session["site"]["queues"] == ["support"]


def test_a_site_name_cannot_end_the_script_element(
    world: World, built: Path, make_settings: object
) -> None:
    from callcenter.web.app import create_app

    settings = make_settings(site={"name": "</script><script>alert(1)//"})  # type: ignore[operator]
    client = create_app(settings, world.engine, world.bus).test_client()
    client.post("/sign-in", data={"username": "agent", "password": PASSWORD})
    page = client.get("/").get_data(as_text=True)
    assert "</script><script>alert" not in page


def test_hashed_files_are_kept_for_a_year_and_sent_packed(world: World, built: Path) -> None:
    http = world.client().http
    plain = http.get("/static/assets/main-abc.js", buffered=True)
    assert plain.get_data() == b"console.log('main')"
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.headers["Content-Type"].startswith("text/javascript")
    packed = http.get(
        "/static/assets/main-abc.js", headers={"Accept-Encoding": "gzip"}, buffered=True
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.get_data()) == b"console.log('main')"
    css = http.get("/static/pages.css", headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert css.headers["Cache-Control"] == "no-cache"
    assert gzip.decompress(css.get_data()) == (assets.OWN / "pages.css").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "assets/../../secret.txt",
        "%2e%2e/secret.txt",
        "..%5csecret.txt",
        "assets/link.txt",
        ".vite/manifest.json",
        "assets",
        "nothing.js",
        "a%00b",
    ],
)
def test_nothing_outside_of_the_built_files_is_served(world: World, built: Path, path: str) -> None:
    assert world.client().http.get(f"/static/{path}", buffered=True).status_code in (404, 308)


def test_without_a_build_the_page_says_what_to_do(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "DIST", tmp_path / "none")
    answer = world.client("agent").http.get("/")
    assert answer.status_code == 503
    assert "make install" in answer.get_data(as_text=True)


def test_health_ready_and_metrics_need_no_sign_in(world: World) -> None:
    http = world.client().http
    assert http.get("/healthz").get_json() == {"ok": True}
    ready = http.get("/readyz")
    assert ready.status_code == 200
    report = ready.get_json()
    assert {name for name in report if name != "ok"} == {
        "database",
        "telephony",
        "speech",
        "jobs",
        "resources",
    }
    assert report["resources"] == {"ok": True, "detail": "enough of everything", "shares": {}}
    assert report["speech"] == {"ok": False, "detail": "speech is not running"}
    metrics = http.get("/metrics").get_data(as_text=True)
    assert "callcenter_http_request_seconds_bucket" in metrics
    assert "process_resident_memory_bytes" in metrics
    world.bus.close()
    assert http.get("/readyz").status_code == 503


def test_metrics_are_for_the_networks_of_the_settings_only(
    world: World, make_settings: Callable[..., Settings]
) -> None:
    def asked(address: str, *networks: str) -> int:
        web = {"metrics_from": list(networks)} if networks else {}
        client = create_app(make_settings(web=web), world.engine, world.bus).test_client()
        return int(client.get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code)

    assert asked("127.0.0.1") == asked("::1") == 200
    assert asked("192.0.2.7") == asked("2001:db8::7") == 404
    assert asked("192.0.2.7", "192.0.2.0/24") == 200
    assert asked("127.0.0.1", "192.0.2.0/24") == 404
    assert asked("::ffff:127.0.0.1") == 200, "a socket for both families"
    assert asked("::ffff:192.0.2.7") == asked("") == 404


def test_a_proxy_that_does_not_know_the_address_opens_no_metrics(
    world: World, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(web={"public_url": "https://calls.example"})
    client = create_app(settings, world.engine, world.bus).test_client()
    for said in ("unknown", "192.0.2.7"):
        assert client.get("/metrics", headers={"X-Forwarded-For": said}).status_code == 404


PEERS = ["127.0.0.0/8", "::1/128"]  # what web.proxies and web.metrics_from are where nothing is set


@pytest.mark.parametrize("public_url", [None, "https://calls.example"])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1"},  # a proxy's own machine, or a stranger's word
        {"X-Forwarded-For": "::ffff:127.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1, 192.0.2.7"},
        {"X-Forwarded-For": "192.0.2.7, 127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"X-Forwarded-For": "unknown"},
        {"X-Real-IP": "192.0.2.7"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "calls.example"},
        {"Forwarded": "for=192.0.2.7;proto=https"},
        {"Forwarded": 'For="[2001:db8::7]:4711"'},
        {"Forwarded": "proto=https"},
        {"Via": "1.1 proxy"},
    ],
    ids=str,
)
def test_metrics_are_closed_to_what_came_through_a_proxy_on_this_machine(
    world: World,
    make_settings: Callable[..., Settings],
    public_url: str | None,
    headers: dict[str, str],
) -> None:
    settings = make_settings(web={"public_url": public_url})
    assert settings.web.proxies == settings.web.metrics_from == PEERS
    client = create_app(settings, world.engine, world.bus).test_client()
    assert client.get("/metrics", headers=headers).status_code == 404
    assert client.get("/metrics").status_code == 200, "a program on this machine asks itself"


@pytest.mark.parametrize("public_url", [None, "https://calls.example"])
@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.7"}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7:4711"}, 200),
        ("127.0.0.1", {"Forwarded": 'for="[2001:db8::7]:4711";by=127.0.0.1'}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7", "X-Real-IP": "198.51.100.9"}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7, 198.51.100.9"}, 404),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=unknown"}, 404),
        ("198.51.100.9", {"X-Forwarded-For": "192.0.2.7"}, 404),  # no proxy of ours
        ("192.0.2.8", {"X-Forwarded-For": "192.0.2.7"}, 404),
        ("192.0.2.8", {}, 200),
    ],
)
def test_through_a_proxy_of_ours_metrics_are_for_the_addresses_that_it_names(
    world: World,
    make_settings: Callable[..., Settings],
    public_url: str | None,
    peer: str,
    headers: dict[str, str],
    status: int,
) -> None:
    web = {"public_url": public_url, "metrics_from": ["192.0.2.0/24", "2001:db8::/32"]}
    client = create_app(make_settings(web=web), world.engine, world.bus).test_client()
    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == status


def test_the_log_of_requests_names_no_query(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.client("agent").get("/customers/lookup?phone=09121234567")
    said = capsys.readouterr()
    assert "/customers/lookup" in said.out + said.err
    assert "09121234567" not in said.out + said.err


def test_every_text_stands_in_every_language() -> None:
    found = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in (assets.HERE / "locale").glob("*.json")
    }
    assert set(found) == {"en", "fa", "he"}
    assert set(found["en"]) == set(found["fa"]) == set(found["he"])


def test_the_document_of_the_api_in_the_repository_is_current() -> None:
    kept = Path(__file__).parents[2] / "frontend" / "openapi.json"
    assert kept.read_text(encoding="utf-8") == openapi.render(), "run `make openapi`"


def test_the_document_is_served_and_whole(world: World) -> None:
    document = world.client().get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named <= set(document["components"]["schemas"])
    assert {"get", "post"} <= set(document["paths"]["/api/v1/customers"])
