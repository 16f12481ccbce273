"""pyVoIP as an extension of a real PBX (Kamailio): registered, called, answered, recorded."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound, tone_share
from world import DATA, finish, free_port, running, wait_for

from callcenter.events import CallEnded, CallRang

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="kamailio is not installed"),
]
SECRET = "open sesame"


@contextmanager
def kamailio(folder: Path) -> Iterator[int]:
    """A registrar and proxy on a free port of 127.0.0.1."""
    port = free_port(socket.SOCK_DGRAM)
    line = ["kamailio", "-f", str(DATA / "kamailio-pbx.cfg"), "-DD", "-E", "-m", "16", "-M", "4"]
    line += ["-Y", str(folder), "-A", f"PORT={port}", "-A", f'SECRET="{SECRET}"']
    with (folder / "kamailio.log").open("wb") as log:
        pbx = subprocess.Popen(line, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield port
    finally:
        pbx.terminate()
        pbx.wait(timeout=30)


@pytest.mark.parametrize("backend", ["pyvoip", "native"])
def test_an_extension_of_a_pbx_is_called_answered_and_recorded(
    backend: str, tmp_path: Path
) -> None:
    with kamailio(tmp_path) as pbx:
        account = {"name": "office", "registrar": f"127.0.0.1:{pbx}", "user": "201"}
        sip = {
            "backend": backend,
            "trunks": [],
            "registrations": [account | {"password": SECRET, "algorithm": "md5"}],
        }
        lines = [{"number": "201", "queue": "support", "language": "en"}]
        off = {"live": {"en": "off", "fa": "off", "he": "off"}, "second_pass": "off"}
        with running(
            tmp_path / "w", sip=sip, lines=lines, speech=off, recording={"format": "wav"}
        ) as world:
            wait_for(lambda: '"registered"' in _health(world.base), "the extension is registered")
            world.add_user("dana")
            world.add_user("sara", "supervisor")
            dana = SoftAgent(world, "dana").connect_audio().available()
            caller = world.sipp("uac_record.xml", "-rsa", f"127.0.0.1:{pbx}", to="201", seconds=5)
            call = dana.answer_next()
            finish(caller)
            dana.close()
            assert world.wait_fact(CallRang, call=call).trunk == "office"
            assert world.wait_fact(CallEnded, call=call).reason == "completed"
            agent, customer, _ = sealed_sound(world, call)
            assert tone_share(agent, 1000) > 0.8
            assert frames_found(customer, 240, world.folder) >= 0.99


def _health(base: str) -> str:
    return httpx.get(base + "/readyz", timeout=5, trust_env=False).text
