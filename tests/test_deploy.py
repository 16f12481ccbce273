"""What `deploy/` says fits the product and itself. Kamailio's and nginx's files are run by
`tests/e2e/test_two_of_everything.py`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from callcenter import config
from callcenter.cli import app

TOP = Path(__file__).parents[1]
DEPLOY = TOP / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()


def environment(folder: Path) -> dict[str, str]:
    """What a machine of several sets, with the files of the secrets in `folder`."""
    given: dict[str, str] = COMPOSE["services"]["callcenter"]["environment"]
    urls = {
        "database_url": "postgresql+psycopg://callcenter:secret@10.0.0.21/callcenter",
        "bus_url": "redis://:secret@10.0.0.21:6379/0",
    }
    for name, url in urls.items():
        (folder / name).write_text(url + "\n")
    return {key: value.replace("/run/secrets", str(folder)) for key, value in given.items()}


def test_the_settings_of_one_machine_are_settings(tmp_path: Path) -> None:
    settings = config.load(DEPLOY / "config.yaml", environ=environment(tmp_path))
    assert settings.database_url.startswith("postgresql+psycopg://")
    assert settings.bus_url.startswith("redis://")
    (place,) = settings.sip.listen
    assert str(place).partition("//")[2] in (DEPLOY / "kamailio/dispatcher.list").read_text()
    here = f"server {settings.web.host}:{settings.web.port}"
    assert here in (DEPLOY / "nginx/callcenter.conf").read_text()


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_what_a_container_needs_is_declared(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["image"]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    if build := service.get("build"):
        assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Containerfile")
        assert f"AS {build['target']}\n" in CONTAINERFILE
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).is_file(), mount
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]


def test_what_is_written_may_be_written(tmp_path: Path) -> None:
    settings = config.load(DEPLOY / "config.yaml", environ=environment(tmp_path))
    written = {str(settings.data_dir), str(settings.recordings_dir), str(settings.heads_dir)}
    mounts = [mount.split(":") for mount in COMPOSE["services"]["callcenter"]["volumes"]]
    assert written <= {mount[1] for mount in mounts if mount[2:] != ["ro"]}
    assert written <= set(re.findall(r"(/\S+)", "".join(re.findall(r"VOLUME.*", CONTAINERFILE))))
    unit = (DEPLOY / "systemd/callcenter.service").read_text()
    states = re.findall(r"^StateDirectory=(.*)$", unit, re.MULTILINE)
    allowed = [f"/var/lib/{name}" for line in states for name in line.split()]
    allowed += re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    assert written == set(allowed)


def test_the_containers_start_a_command_that_exists() -> None:
    (words,) = re.findall(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    unit = (DEPLOY / "systemd/callcenter.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    for command in (yaml.safe_load(words), shlex.split(line)[1:]):
        name, option, path = command
        assert path == "/etc/callcenter/config.yaml"
        shown = CliRunner().invoke(app, [name, "--help"])
        assert shown.exit_code == 0
        assert option in shown.output


def test_kamailios_unit_and_container_give_it_what_its_file_asks_for() -> None:
    unit = (DEPLOY / "systemd/callcenter-kamailio.service").read_text()
    command = " ".join(COMPOSE["services"]["kamailio"]["command"])
    assert "#!ifndef NODES" in (DEPLOY / "kamailio/kamailio.cfg").read_text()
    for start in (unit, command):
        assert 'NODES="/etc/callcenter/dispatcher.list"' in start
        assert re.search(r"-l udp:", start)
