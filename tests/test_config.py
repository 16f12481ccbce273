"""Settings: every mistake at once, with key, what was found and what is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from callcenter import config, config_reference
from callcenter.config import Settings
from callcenter.errors import ConfigError

ROOT = Path(__file__).parent.parent


def _load(tmp_path: Path, text: str, **more: Any) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return config.load(file, environ=more.pop("environ", {}), **more)


def _problems(tmp_path: Path, text: str, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text, **more)
    return caught.value.problems


# --- what is taken ---------------------------------------------------------------------------


def test_without_a_file_the_defaults_are_in_force() -> None:
    assert config.load(environ={}) == Settings()


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    shipped = config.load(ROOT / "config.yaml", environ={})
    assert shipped.model_dump() == Settings().model_dump()
    text = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    absent = (  # none by default, or a map
        *("sip.registrations[]", "sip.phones[]", "sip.outbound.", "speech.live"),
        *("recording.forms[]", "recording.announcements"),
        *("redaction.patterns", "retention.queues", "sign_in.oidc."),
    )
    empty = {"sip.registrations", "sip.phones", "sip.outbound", "recording.forms", "sign_in.oidc"}
    assert _keys(text) - empty == {
        setting.key for setting in config_reference.settings() if not setting.key.startswith(absent)
    } | {f"speech.live.{language}" for language in ("en", "fa", "he")}


def _keys(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return {key for name in value for key in _keys(value[name], f"{prefix}.{name}".strip("."))}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {key for row in value for key in _keys(row, f"{prefix}[]")}
    return {prefix}


def test_every_line_of_the_shipped_file_says_what_the_setting_is() -> None:
    for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines():
        if re.match(r"\s*-?\s*\w+:.", line):
            assert "#" in line, f"no help: {line}"


def test_the_reference_of_settings_is_current() -> None:
    page = (ROOT / "docs/operations/settings.md").read_text(encoding="utf-8")
    assert page == config_reference.markdown(), "run `make docs`"
    for setting in config_reference.settings():
        assert f"| `{setting.key}` |" in page
        assert setting.description, f"{setting.key} has no description"


def test_a_file_may_name_a_few_keys_only_and_may_be_json(tmp_path: Path) -> None:
    settings = _load(tmp_path, json.dumps({"web": {"port": 9000}}))
    assert (settings.web.port, settings.web.host) == (9000, "127.0.0.1")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert _load(tmp_path, "# nothing\n") == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"CALLCENTER_WEB__PORT": "9001", "CALLCENTER_SIP__LISTEN": '["udp://127.0.0.1:0"]'}
    settings = _load(tmp_path, "web: {port: 9000, host: 127.0.0.2}", environ=environ)
    assert (settings.web.port, settings.web.host) == (9001, "127.0.0.2")
    assert settings.sip.listen == ["udp://127.0.0.1:0"]


def test_a_secret_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "db"
    secret.write_text("postgresql+psycopg://cc:s3cret@db/cc\n", encoding="utf-8")
    settings = config.load(environ={"CALLCENTER_DATABASE_URL_FILE": str(secret)})
    assert settings.database_url == "postgresql+psycopg://cc:s3cret@db/cc"


def test_the_programs_own_variables_are_no_settings() -> None:
    own = {"CALLCENTER_CONFIG": "x", "CALLCENTER_LIFELINE_FD": "5", "CALLCENTER_TEST_MODELS": "y"}
    assert config.load(environ=own) == Settings()


def test_data_dir_moves_database_and_recordings_but_not_the_models(tmp_path: Path) -> None:
    settings = config.load(data_dir=tmp_path, environ={})
    assert settings.data_dir == tmp_path
    assert settings.recordings_dir == tmp_path / "recordings"
    assert settings.database_url == f"sqlite:///{tmp_path}/callcenter.db"
    assert settings.speech.models_dir == Settings().speech.models_dir


def test_data_dir_leaves_a_database_server_alone(tmp_path: Path) -> None:
    url = "postgresql+psycopg://cc@db/cc"
    assert _load(tmp_path, f"database_url: {url}", data_dir=tmp_path).database_url == url


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("web: {prot: 1}", "web.prot: unknown key; did you mean port? allowed here: host, "),
        ("colour: red", "colour: unknown key; allowed here: browser, bus_url, "),
        ("web: {port: high}", "web.port: found 'high', allowed: a whole number"),
        ("web: {port: 70000}", "web.port: found 70000, allowed: less than or equal to 65535"),
        ("web: 8080", "web: found 8080, allowed: a map of settings"),
        ("site: {timezone: Mars/North}", "site.timezone: found 'Mars/North', allowed: an IANA"),
        ("site: {region: Iran}", "site.region: found 'Iran', allowed: a two-letter region"),
        ("site: {default_language: de}", "site.default_language: found 'de', allowed: 'fa', 'he'"),
        ("sip: {listen: ['http://x:1']}", "sip.listen[0]: found 'http://x:1', allowed: an address"),
        ("sip: {rtp_ports: [80, 90]}", "sip.rtp_ports: found [80, 90], allowed: [first, last]"),
        (
            "sip: {trunks: [{name: a, hosts: [10.0.0.0/99]}]}",
            "sip.trunks[0].hosts[0]: found '10.0.0.0/99', allowed: a network such as",
        ),
        ("browser: {codecs: [g729]}", "browser.codecs[0]: found 'g729', allowed: 'pcmu' or 'opus'"),
        ("browser: {codecs: []}", "browser.codecs: found [], allowed: "),
        ("lines: [{number: 100, queue: support}]", "lines[0].number: found 100, allowed: text; "),
        ("lines: [{number: '100'}]", "lines[0].queue: found nothing, allowed: queue its calls"),
        ("lines: []", "lines: found [], allowed: "),
        (
            "lines: [{number: '1', queue: sales}]",
            "lines[0].queue: found 'sales', allowed: support",
        ),
        (
            "queues: [{name: support}, {name: support}]",
            "queues[1].name: found 'support' twice, allowed: once",
        ),
        ("database_url: mysql://u:pw@h/d", "database_url: found 'mysql://u:***@h/d', allowed: "),
        ("web: {public_url: calls.example}", "web.public_url: found 'calls.example', allowed: an"),
        ("web: {tls: {key: k.pem}}", "web.tls: found a map, allowed: both certificate and key"),
        ("- a\n- b", "found list, allowed: a map of settings"),
        ("web: {port: 1}\nweb: {port: 2}", "the key web stands there twice"),
        ("web: [", "is no YAML"),
    ],
)
def test_a_mistake_is_named_with_key_found_and_allowed(
    tmp_path: Path, text: str, problem: str
) -> None:
    (found,) = _problems(tmp_path, text)
    assert problem in found


def test_every_mistake_is_listed_at_once_also_those_between_sections(tmp_path: Path) -> None:
    text = """
        web: {port: high, hosst: x}
        site: {region: Iran}
        lines: [{number: "1", queue: sales}, {number: "1", queue: support}]
    """
    problems = _problems(tmp_path, text, environ={"CALLCENTER_LOG__LEVEL": "loud"})
    assert [problem.partition(":")[0] for problem in problems] == [
        "site.region",
        "web.port",
        "web.hosst",
        "log.level",
        "lines[0].queue",
        "lines[1].number",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file"):
        config.load(tmp_path / "none.yaml", environ={})


def test_a_missing_secret_is_named_with_its_variable(tmp_path: Path) -> None:
    environ = {"CALLCENTER_DATABASE_URL_FILE": str(tmp_path / "none")}
    (problem,) = _problems(tmp_path, "", environ=environ)
    assert problem.startswith("CALLCENTER_DATABASE_URL_FILE: ")
    assert "cannot be read" in problem


def test_an_unknown_variable_is_refused_like_an_unknown_key(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "", environ={"CALLCENTER_WEB__PROT": "1"})
    assert problem.startswith("web.prot: unknown key; did you mean port?")
