"""A trial system: a folder of its own, free ports, `callcenter run`, users, and its end."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy.orm import Session

from callcenter import config
from callcenter.bench import processor
from callcenter.config import Settings
from callcenter.crm.users import operations
from callcenter.database import open_database
from callcenter.errors import StartError
from callcenter.web.passwords import hashed

LINE = "100"
T = TypeVar("T")
_READY_SECONDS, _STOP_SECONDS = 120.0, 30.0


class Trial:
    """A running system that nobody else uses. All users share one random password."""

    def __init__(self, folder: Path, base: Settings, *, captions: bool = False) -> None:
        """`base` gives the place of the speech models; `captions` turns recognisers on."""
        self.password = secrets.token_urlsafe(16)
        self.web_port, self.sip_port = free_port(), free_port(socket.SOCK_DGRAM)
        self._config, self._data = folder / "config.json", folder / "data"
        self._output = folder / "output.log"
        values = self._values(base, captions)
        self._config.write_text(json.dumps(values, default=str), encoding="utf-8")
        self.settings = config.load(self._config, data_dir=self._data, environ={})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        """The address of its pages."""
        return f"http://127.0.0.1:{self.web_port}"

    def start(self) -> None:
        """Start it and wait until it is ready. Raises StartError."""
        words = ["--config", str(self._config), "--data-dir", str(self._data)]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "callcenter", "run", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._is_ready, "the trial system is ready", _READY_SECONDS)

    def stop(self) -> None:
        """SIGTERM and wait; by force where that does not help."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children end with it
            self._process.wait()
        self._process = None

    def add_agents(self, count: int) -> list[str]:
        """Make agents; their user names."""
        names = [f"agent{number:03d}" for number in range(1, count + 1)]
        password = hashed(self.password)
        engine = open_database(self.settings.database_url)
        try:
            with Session(engine) as session, session.begin():
                for name in names:
                    operations.create(
                        session, username=name, password_hash=password, role="agent", language="en"
                    )
        finally:
            engine.dispose()
        return names

    def pids(self) -> dict[str, list[int]]:
        """Process ids of telephony, speech, web, jobs and of the supervisor (run)."""
        return processor.pids_of(self._data)

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            tail = self._output.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise StartError("the trial system ended at its start: " + " | ".join(tail))
        with suppress(httpx.HTTPError):
            answer = httpx.get(self.base + "/readyz", timeout=5, trust_env=False)
            return answer.status_code == 200
        return False

    def _values(self, base: Settings, captions: bool) -> dict[str, Any]:
        live = {str(language): str(engine) for language, engine in base.speech.live.items()}
        first = 20_000 + 1_000 * (self.sip_port % 9)
        return {
            "site": {"name": "Measurement", "region": "IR", "default_language": "en"},
            "web": {"port": self.web_port},
            "sip": {
                "listen": [f"udp://127.0.0.1:{self.sip_port}"],
                "rtp_ports": [first, first + 999],
                "max_calls": 1000,
            },
            "lines": [{"number": LINE, "queue": "support", "language": "en"}],
            "queues": [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}],
            "speech": {
                "models_dir": str(base.speech.models_dir.resolve()),
                "live": live if captions else dict.fromkeys(live, "off"),
                "second_pass": "off",
            },
            "log": {"format": "json"},
        }


@contextmanager
def running(
    base: Settings, *, folder: Path | None = None, captions: bool = False
) -> Iterator[Trial]:
    """A started trial system, stopped at the end; its files stay only in a given `folder`."""
    with tempfile.TemporaryDirectory(prefix="callcenter-bench-") as temporary:
        place = Path(temporary)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
        trial = Trial(place.resolve(), base, captions=captions)
        try:
            trial.start()
            yield trial
        finally:
            trial.stop()


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Poll until `condition()` is true and return its value. Raises StartError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise StartError(f"{what}: not within {seconds:g} s; is the machine overloaded?")
        time.sleep(0.02)
    return value


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
