"""`callcenter keys …`, and what a master key that cannot be used says at the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from callcenter import bootstrap, config, migrations
from callcenter.cli import app
from callcenter.config import Settings
from callcenter.crm.vault import operations as vault
from callcenter.errors import ConfigError


def run(settings: Settings, *words: str) -> Result:
    places = ["--config", str(settings.data_dir.parent / "config.json")]
    places += ["--data-dir", str(settings.data_dir)]
    return CliRunner().invoke(app, ["keys", *words, *places])


def test_a_rotation_by_command_keeps_every_recording_readable(settings: Settings) -> None:
    engine = bootstrap.open_records(settings)
    migrations.upgrade(engine)
    with Session(engine) as session, session.begin():
        key = vault.key_for(session, "a call", "a customer")
    before = run(settings, "list").stdout
    assert before.endswith(": wraps 1 keys, the newest\n")
    done = run(settings, "rotate")
    assert done.exit_code == 0, done.output
    after = run(settings, "list").stdout
    assert after.endswith(": wraps 1 keys, the newest\n")
    assert after != before
    assert len(after.splitlines()) == 1
    with Session(engine) as session:
        assert vault.find(session, "a call") == key
    engine.dispose()


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(settings: Settings) -> None:
    bootstrap.open_records(settings).dispose()
    file = settings.data_dir / "keys" / "master.keys"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"master\.keys can be read by others; run: chmod 600"):
        bootstrap.open_records(settings)


def test_several_machines_encrypt_only_with_a_key_that_all_have(tmp_path: Path) -> None:
    several = {"CALLCENTER_BUS_URL": "redis://127.0.0.1:6379/0"}
    key = {"CALLCENTER_KEYS__MASTER_FILE": str(tmp_path / "kek")}
    off = {"CALLCENTER_RECORDING__ENCRYPT": "false"}
    found = [config.load(environ=one).encrypts for one in ({}, several, several | key, off)]
    assert found == [True, False, True, False]


def test_the_environment_gives_a_key_or_names_its_file(tmp_path: Path) -> None:
    secret, file = "ab" * 32, tmp_path / "kek"
    file.write_text(secret)
    file.chmod(0o600)
    by_value = config.load(environ={"CALLCENTER_KEYS__MASTER": secret})
    by_name = config.load(environ={"CALLCENTER_KEYS__MASTER_FILE": str(file)})
    found = [list(bootstrap.master_keys(one).load()) for one in (by_value, by_name)]
    assert found[0] == found[1]
    assert secret not in repr(by_value)
    both = {"CALLCENTER_KEYS__MASTER": secret, "CALLCENTER_KEYS__MASTER_FILE": str(file)}
    with pytest.raises(ConfigError, match="found both"):
        bootstrap.master_keys(config.load(environ=both))
    file.chmod(0o604)
    with pytest.raises(ConfigError, match="can be read by others"):
        bootstrap.master_keys(by_name).load()
