"""From `callcenter tls` to a signed-in page over https and a socket over wss."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import socketio
from world import PASSWORD, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class Secure(World):
    """A system with the certificate of its own authority."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.tls = folder / "data" / "tls"
        files = {"certificate": str(self.tls / "web.pem"), "key": str(self.tls / "web.key")}
        super().__init__(folder, web={"tls": files}, **sections)
        self.base = f"https://localhost:{self.web_port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """A client that trusts the authority and nobody else."""
        return ssl.create_default_context(cafile=str(self.tls / "ca.pem"))

    def ready(self) -> bool:
        """What /readyz says now."""
        assert self._process is None or self._process.poll() is None, self.output.read_text()
        try:
            with httpx.Client(verify=self.trust, trust_env=False, timeout=5) as http:
                return http.get(self.base + "/readyz").status_code == 200
        except httpx.HTTPError:
            return False


def test_a_page_signs_in_over_https_and_its_socket_runs_over_wss(tmp_path: Path) -> None:
    world = Secure(tmp_path)
    made = world.command("tls")
    assert made.returncode == 0, made.stderr
    world.add_user("dana")
    try:
        world.start()
        with httpx.Client(base_url=world.base, verify=world.trust, trust_env=False) as http:
            body = {"username": "dana", "password": PASSWORD}
            foreign = http.post(
                "/api/v1/session", json=body, headers={"Origin": "https://evil.example"}
            )
            assert foreign.status_code == 403
            answer = http.post("/api/v1/session", json=body, headers={"Origin": world.base})
            assert answer.status_code == 201
            cookie = answer.headers["Set-Cookie"]
            assert cookie.startswith("__Host-callcenter=")
            assert "Secure" in cookie
            assert "Strict-Transport-Security" in answer.headers
            token = http.cookies["__Host-callcenter"]
        with pytest.raises(httpx.ConnectError):
            httpx.get(world.base + "/healthz", trust_env=False)  # who does not trust it
        ours = requests.Session()
        ours.verify = str(world.tls / "ca.pem")
        ours.trust_env = False
        socket = socketio.Client(reconnection=False, http_session=ours)
        headers = {"Cookie": f"__Host-callcenter={token}"}  # the library sends Origin itself
        socket.connect(world.base, headers=headers, transports=["websocket"], wait_timeout=20)
        assert socket.call("resume", {"last_seq": None}, timeout=20)["ok"] is True
        assert socket.call("agent.state", {"state": "available"}, timeout=20)["ok"] is True
        socket.disconnect()
        ours.close()
        assert world.stop() == 0
    finally:
        if world._process is not None:
            world.kill_all()
