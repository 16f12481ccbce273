"""The command line: the promised names, an example each, exit status and plain sentences."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from callcenter.cli import app
from callcenter.commands import system, trial
from callcenter.config import Settings
from callcenter.crm.customers.models import Customer
from callcenter.crm.users.models import User
from callcenter.database import open_database, reading
from callcenter.errors import ConfigError

# fmt: off
PROMISED = [
    "run", "demo", "web", "telephony", "speech", "jobs", "call", "doctor", "check-config",
    "backup", "restore", "tls", "settings", "openapi", "db.upgrade",
    "user.add", "user.team", "user.passwd", "user.disable", "user.unlock", "user.reset-factors",
    "import.customers", "models.list",
    "models.fetch",
    "recordings.verify", "keys.list", "keys.rotate", "retention",
    "bench.calls", "bench.pop", "bench.captions", "bench.api", "bench.review",
]
# fmt: on
NOT_BUILT = {
    "import customers": ["x.csv"],
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `callcenter …` in a folder without a config.yaml."""

    def call(*words: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if "CALLCENTER" not in key}
        return subprocess.run(
            [sys.executable, "-m", "callcenter", *words],
            cwd=tmp_path,
            env={**clean, **environ, "COLUMNS": "200"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def _commands(group: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= _commands(command, f"{name}.") if inner else {prefix + name: command}
    return found


COMMANDS = _commands(typer.main.get_command(app))


def test_the_promised_commands_are_there() -> None:
    assert set(COMMANDS) == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_every_command_has_help_and_an_example_of_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert f"Example: callcenter {name.replace('.', ' ')}" in command.epilog


@pytest.mark.parametrize("name", sorted(set(PROMISED) - {"settings", "openapi"}))
def test_every_command_takes_config_and_data_dir(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--config", "--data-dir"} <= options


def test_help_says_where_options_stand(run: Run) -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert "Options stand after the command." in shown.stdout


def test_help_loads_neither_web_nor_database_nor_sound() -> None:
    code = "import sys, callcenter.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"flask", "sqlalchemy", "numpy", "av", "aiortc", "pydantic", "callcenter.web"}
    assert heavy.isdisjoint(run.stdout.split())


@pytest.mark.parametrize("name", NOT_BUILT)
def test_what_is_not_built_says_so_with_status_1(name: str) -> None:
    said = CliRunner().invoke(app, [*name.split(), *NOT_BUILT[name]])
    assert said.exit_code == 1
    assert said.stderr == f"callcenter: `{name}` is not built yet; CHANGELOG.md says what is.\n"


@pytest.mark.parametrize("words", [["fly"], ["run", "--wings"], ["user", "add", "sara"]])
def test_wrong_usage_is_status_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_mistakes_in_the_settings_are_lines_without_a_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("web: {prot: 1}\nsite: {region: Iran}\n")
    said = run("check-config")
    assert said.returncode == 1
    assert [line.split(": ")[:2] for line in said.stderr.splitlines()] == [
        ["callcenter", "site.region"],
        ["callcenter", "web.prot"],
    ]


def test_the_file_may_come_from_the_environment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"web": {"port": 90000}}')
    said = run("check-config", CALLCENTER_CONFIG="other.json")
    assert said.returncode == 1
    assert "web.port: found 90000" in said.stderr


def test_settings_in_order(run: Run) -> None:
    said = run("check-config")
    assert (said.returncode, said.stdout) == (0, "The settings are in order.\n")


def test_a_leaked_password_is_refused_and_a_broken_list_is_told(run: Run, tmp_path: Path) -> None:
    known = tmp_path / "leaked.txt"
    known.write_text(f"{hashlib.sha1(b'correct horse').hexdigest()}:12\n")
    (tmp_path / "config.yaml").write_text("sign_in: {leaked_passwords: leaked.txt}")
    assert run("check-config").returncode == 0
    add = ["user", "add", "sara", "--password-file", "-", "--data-dir", "d"]
    said = run(*add, stdin="correct horse\n")
    assert (said.returncode, said.stderr) == (
        1,
        "callcenter: this password is in a list of leaked ones: take another, that you use "
        "nowhere\n",
    )
    known.write_text("correct horse\n")
    for words in (["check-config"], ["run", "--data-dir", "d"], ["web", "--data-dir", "d"]):
        said = run(*words)
        assert said.returncode == 1, words
        assert said.stderr.startswith(
            "callcenter: sign_in.leaked_passwords: leaked.txt has no line such as"
        ), words
        assert len(said.stderr.splitlines()) == 1, words
    said = run(*add, stdin="another battery\n")
    assert said.returncode == 1
    assert "no password can be set" in said.stderr


@pytest.mark.integration
def test_a_key_that_others_can_read_stops_the_start(run: Run, tmp_path: Path) -> None:
    assert run("tls", "--data-dir", "data").returncode == 0
    (tmp_path / "data/tls/web.key").chmod(0o644)
    tls = {"certificate": "data/tls/web.pem", "key": "data/tls/web.key"}
    (tmp_path / "config.yaml").write_text(json.dumps({"web": {"tls": tls}}))
    said = run("run", "--data-dir", "data")
    assert said.returncode == 1
    assert "web.tls.key: data/tls/web.key can be read by others" in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_tls_says_how_to_use_and_to_trust_it(run: Run) -> None:
    said = run("tls", "--name", "calls.example.com", "--data-dir", "data")
    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert "calls.example.com" in lines[0]
    assert "certificate: data/tls/web.pem, key: data/tls/web.key" in lines[1]
    assert [line.strip()[:2] for line in lines[-3:]] == ["1.", "2.", "3."]


@pytest.mark.integration
def test_a_user_is_added_changed_and_disabled(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    options = ["--role", "supervisor", "--extension", "201", "--language", "he"]
    words = ["user", "add", "sara", *options, "--password-file", "secret", "--data-dir", "d"]
    assert run(*words).returncode == 0
    with Session(open_database(f"sqlite:///{tmp_path}/d/callcenter.db")) as session:
        user = session.scalars(select(User)).one()
        assert (user.username, user.role, user.extension, user.language) == (
            "sara",
            "supervisor",
            "201",
            "he",
        )
        assert user.password_hash.startswith("$argon2id$")
        first = user.password_hash
    again = run(*words)
    assert again.returncode == 1
    assert len(again.stderr.splitlines()) == 1
    passwd = ["user", "passwd", "SARA", "--password-file", "-", "--data-dir", "d"]
    assert run(*passwd, stdin="another battery\n").returncode == 0
    assert run("user", "disable", "sara", "--data-dir", "d").returncode == 0
    with Session(open_database(f"sqlite:///{tmp_path}/d/callcenter.db")) as session:
        user = session.scalars(select(User)).one()
        assert user.password_hash != first
        assert user.disabled_at is not None


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["user", "disable", "nobody"], "there is no user nobody"),
        (["user", "add", "x", "--password-file", "none"], "none cannot be read as a password"),
        (["call", "--play", "none.wav"], "none.wav is no file"),
    ],
)
def test_what_fails_is_one_sentence_with_status_1(
    run: Run, words: list[str], sentence: str
) -> None:
    said = run(*words, "--data-dir", "d")
    assert said.returncode == 1
    assert said.stderr.startswith(f"callcenter: {sentence}")
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.integration
def test_a_database_that_does_not_answer_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "callcenter.db").write_text("this is no database, whatever it is" * 100)
    said = run("db", "upgrade", "--data-dir", "d")
    assert said.returncode == 1
    assert said.stderr == "callcenter: the database refused: file is not a database\n"


def test_the_first_admin_is_made_once(settings: Settings) -> None:
    made = system.prepare(settings)
    assert set(made) == {"admin"}
    assert len(made["admin"]) >= 16
    assert system.prepare(settings) == {}
    with Session(open_database(settings.database_url)) as session:
        user = session.scalars(select(User)).one()
    assert (user.username, user.role) == ("admin", "admin")


def test_a_demo_has_an_agent_and_customers_once(settings: Settings) -> None:
    assert set(system.prepare(settings, demo=True)) == {"admin", "sara"}
    assert system.prepare(settings, demo=True) == {}
    with Session(reading(open_database(settings.database_url))) as session:
        agent = session.scalars(select(User).where(User.username == "sara")).one()
        assert (agent.role, agent.language) == ("agent", "en")
        assert session.scalar(select(func.count()).select_from(Customer)) == 200


@pytest.mark.integration
def test_no_first_admin_where_somebody_is_there(run: Run, settings: Settings) -> None:
    words = ["user", "add", "dana", "--password-file", "-"]
    said = run(*words, "--data-dir", str(settings.data_dir), stdin="correct horse\n")
    assert said.returncode == 0
    assert system.prepare(settings) == {}


def test_run_starts_the_four_processes_with_the_same_options(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(speech={"workers": 2})
    programs = system.programs(settings, tmp_path / "c.yaml", tmp_path / "d", demo=True)
    assert [program.name for program in programs] == [
        "telephony",
        "speech-0",
        "speech-1",
        "web",
        "jobs",
        "demo",
    ]
    assert [program.name for program in programs if program.drain_first] == ["telephony"]
    for program in programs:
        assert program.command[-4:] == [
            "--config",
            str(tmp_path / "c.yaml"),
            "--data-dir",
            str(tmp_path / "d"),
        ]


@pytest.mark.parametrize(
    ("web", "shown"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"host": "0.0.0.0", "port": 9000}, "http://localhost:9000"),
        ({"public_url": "https://crm.example.org/"}, "https://crm.example.org"),
        ({"tls": {"certificate": "a.pem", "key": "b.pem"}}, "https://127.0.0.1:8080"),
    ],
)
def test_the_address_that_is_printed(
    make_settings: Callable[..., Settings], web: dict[str, Any], shown: str
) -> None:
    assert system.address(make_settings(web=web)) == shown


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        (["udp://0.0.0.0:5060"], ("127.0.0.1", 5060)),
        (["tcp://0.0.0.0:5060", "udp://192.0.2.1:5070"], ("192.0.2.1", 5070)),
        (["udp://[::1]:5080"], ("::1", 5080)),
    ],
)
def test_where_the_telephone_calls(listen: list[str], found: tuple[str, int]) -> None:
    assert trial.sip_address(listen) == found


def test_the_telephone_needs_udp() -> None:
    with pytest.raises(ConfigError, match="needs a udp:// address"):
        trial.sip_address(["tcp://0.0.0.0:5060"])


def test_a_user_is_put_into_a_team_and_out_of_it(settings: Settings) -> None:
    from sqlalchemy.orm import Session

    from callcenter import bootstrap, migrations
    from callcenter.crm.users.operations import create
    from callcenter.crm.users.queries import by_username

    engine = bootstrap.open_records(settings)
    migrations.upgrade(engine)
    with Session(engine) as session, session.begin():
        create(session, username="sara", password_hash="x", role="supervisor")
    data = ["--config", str(settings.data_dir.parent / "config.json")]
    data += ["--data-dir", str(settings.data_dir)]
    for words, said, team in (
        (["sara", "north"], "sara is in the team north.\n", "north"),
        (["sara"], "sara is in no team.\n", None),
    ):
        done = CliRunner().invoke(app, ["user", "team", *words, *data])
        assert (done.exit_code, done.stdout) == (0, said)
        with Session(engine) as session:
            user = by_username(session, "sara")
            assert user is not None
            assert user.team == team
    engine.dispose()
