"""What `deploy/nginx/callcenter.conf` lets through, by nginx itself before a server of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from farm import Nginx
from world import free_port, wait_for

pytestmark = pytest.mark.integration


class Behind(BaseHTTPRequestHandler):
    """Answers everything and keeps what it was asked."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012 - of the one server of this file

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["X-Forwarded-For"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def front() -> Iterator[str]:
    """Where nginx listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    nginx = Nginx(port, [server.server_port, server.server_port])
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(address, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_for(answers, "nginx answers")
    yield address
    nginx.remove()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?x=1", "//metrics", "/%6Detrics", "/a/../metrics"]
)
def test_nobody_reads_the_metrics_through_nginx(front: str, path: str) -> None:
    Behind.asked.clear()
    answer = httpx.get(httpx.URL(front + "/").copy_with(raw_path=path.encode()), trust_env=False)
    assert answer.status_code == 404
    assert Behind.asked == []


def test_the_address_that_somebody_claims_is_replaced_by_their_own(front: str) -> None:
    Behind.asked.clear()
    claimed = {"X-Forwarded-For": "192.0.2.7"}
    assert httpx.get(front + "/healthz", headers=claimed, trust_env=False).status_code == 200
    assert Behind.asked == [("/healthz", "127.0.0.1")]
