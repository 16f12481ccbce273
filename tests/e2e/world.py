"""A whole callcenter in a folder of its own: real processes, real ports on 127.0.0.1.

`World` starts `callcenter run`, adds users, speaks to its API as they do, phones it with SIPp,
kills its processes one by one, and reads its event log.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from callcenter import config
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.events import Fact
from callcenter.log import EventLog

DATA = Path(__file__).parent.parent / "data"
MODELS = Path(
    os.environ.get("CALLCENTER_TEST_MODELS", Path(__file__).parents[2] / ".cache" / "models")
)
PASSWORD = "correct horse battery staple"
PATIENCE = 60.0


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, *, seconds: float = PATIENCE) -> Any:
    """Poll until `condition()` is true; an AssertionError names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return value


class Api:
    """The REST API as one signed-in user uses it."""

    def __init__(self, base: str, username: str, password: str = PASSWORD) -> None:
        self.http = httpx.Client(base_url=base + "/api/v1", timeout=30, trust_env=False)
        self.http.headers["Origin"] = base
        answer = self.http.post("/session", json={"username": username, "password": password})
        assert answer.status_code == 201, answer.text
        self.user = answer.json()["user"]
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf_token"]

    def get(self, path: str, **query: Any) -> Any:
        """JSON of a 200."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of any 2xx."""
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def close(self) -> None:
        """Give the connections back; the session stays."""
        self.http.close()

    @property
    def cookies(self) -> str:
        """For a socket that signs in with the same session."""
        return "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    def interaction(self, call: str) -> Any:
        """The one record of a call, None while there is none."""
        items = self.get("/interactions", call_id=call)["items"]
        assert len(items) <= 1
        return items[0] if items else None


class World:
    """A running system."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.web_port, self.sip_port = free_port(), free_port(socket.SOCK_DGRAM)
        first_rtp = 20_000 + 2_000 * (self.sip_port % 5)
        values: dict[str, Any] = {
            "site": {"name": "Test company", "region": "IR", "default_language": "en"},
            "web": {"port": self.web_port},
            "sip": {
                "listen": [f"udp://127.0.0.1:{self.sip_port}"],
                "rtp_ports": [first_rtp, first_rtp + 1_999],
            },
            "speech": {"models_dir": str(MODELS)},
            "lines": [
                {"number": "100", "queue": "support", "language": "en"},
                {"number": "200", "queue": "support", "language": "fa"},
                {"number": "300", "queue": "support", "language": "he", "region": "IL"},
                {"number": "400", "queue": "support", "language": "en", "answer": "early"},
            ],
            "queues": [{"name": "support", "wrap_up_seconds": 60}],
            "log": {"format": "json"},
        }
        for name, section in sections.items():
            both = isinstance(section, dict) and isinstance(values.get(name), dict)
            values[name] = {**values[name], **section} if both else section
        self.config = folder / "config.json"
        self.config.write_text(json.dumps(values), encoding="utf-8")
        self.data = folder / "data"
        self.output = folder / "output.log"
        self.base = f"http://127.0.0.1:{self.web_port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._apis: list[Api] = []
        self._callers: list[subprocess.Popen[str]] = []

    # --- Start and stop ---

    @property
    def options(self) -> list[str]:
        """What every command of the product needs to find this system."""
        return ["--config", str(self.config), "--data-dir", str(self.data)]

    def command(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command of the product to its end."""
        line = [sys.executable, "-m", "callcenter", *words, *self.options]
        return subprocess.run(
            line, input=stdin, capture_output=True, text=True, timeout=300, check=False
        )

    def start(self) -> World:
        """Start it and wait until /readyz says yes."""
        self._fetch_model()
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "callcenter", "run", *self.options],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_ready()
        return self

    def _fetch_model(self) -> None:
        """A recogniser for the tests, by the product's own command; nothing where it is there."""
        speech = self.settings.speech
        if speech.second_pass == "off" and set(speech.live.values()) == {"off"}:
            return
        fetched = self.command("models", "fetch", "en", "--if-missing")
        assert fetched.returncode == 0, fetched.stderr

    def wait_ready(self) -> None:
        """Until /readyz says yes."""
        wait_for(self.ready, f"the system is ready ({self.output})", seconds=120)

    def ready(self) -> bool:
        """What /readyz says now."""
        assert self._process is None or self._process.poll() is None, self.output.read_text()
        try:
            return httpx.get(self.base + "/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> int:
        """SIGTERM, wait; returns the exit status."""
        self.tell_to_stop()
        return self.stopped()

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._let_go()
        self._process.send_signal(signal.SIGTERM)

    def stopped(self) -> int:
        """The exit status, when it has stopped."""
        assert self._process is not None
        status = self._process.wait(timeout=60)
        self._process = None
        return status

    def _let_go(self) -> None:
        for api in self._apis:
            api.close()
        for caller in self._callers:
            if caller.poll() is None:
                caller.kill()
            caller.communicate()
        self._apis, self._callers = [], []

    def pids(self, process: str) -> list[int]:
        """Process ids of one kind (telephony, speech, web, jobs) of this system."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            ours = str(self.data) in words and "callcenter" in words
            if ours and words[words.index("callcenter") + 1] == process:
                found.append(int(entry.name))
        return sorted(found)

    def kill(self, process: str) -> None:
        """SIGKILL to one kind of process; the supervisor starts it anew."""
        (pid, *_) = self.pids(process)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: pid not in self.pids(process), f"{process} is dead")

    def kill_all(self) -> None:
        """SIGKILL to the supervisor and every child at once."""
        assert self._process is not None
        self._let_go()
        everyone = [
            p for name in ("run", "telephony", "speech", "web", "jobs") for p in self.pids(name)
        ]
        for pid in everyone:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=30)
        self._process = None

    # --- People ---

    def add_user(
        self, name: str, role: str = "agent", language: str = "en", shown: str = ""
    ) -> None:
        """By the command line, as an administrator does. `shown` is the name others see."""
        done = self.command(
            "user",
            "add",
            name,
            "--role",
            role,
            "--language",
            language,
            "--password-file",
            "-",
            *(["--name", shown] if shown else []),
            stdin=PASSWORD,
        )
        assert done.returncode == 0, done.stderr

    def api(self, username: str) -> Api:
        """A fresh session of that user."""
        self._apis.append(Api(self.base, username))
        return self._apis[-1]

    # --- What happened ---

    @property
    def settings(self) -> Settings:
        """As the product reads them."""
        return config.load(self.config, data_dir=self.data, environ={})

    def facts(self, *kinds: type[Fact], call: str | None = None) -> list[Any]:
        """The facts of these kinds, oldest first."""
        engine = open_database(self.settings.database_url)
        try:
            entries = EventLog(engine).of_kinds(*kinds, limit=100_000)
        finally:
            engine.dispose()
        return [e.fact for e in entries if call is None or e.fact.subject == call]

    def wait_fact(self, kind: type[Fact], *, count: int = 1, **wanted: Any) -> Any:
        """The newest fact of that kind with these values, once there are `count`."""

        def found() -> list[Any]:
            facts = self.facts(kind)
            return [f for f in facts if all(getattr(f, k) == v for k, v in wanted.items())]

        wait_for(lambda: len(found()) >= count, f"{count} {kind.__name__} {wanted}")
        return found()[-1]

    def log_lines(self) -> list[str]:
        """What all processes printed."""
        return self.output.read_text(encoding="utf-8", errors="replace").splitlines()

    # --- Callers ---

    def sipp(
        self,
        scenario: str,
        *options: str,
        to: str = "100",
        calls: int = 1,
        seconds: float | None = None,
        sound: bytes | None = None,
        caller: str = "anonymous",
    ) -> subprocess.Popen[str]:
        """Callers; they run until they are done. `scenario` is a file in tests/data/sipp.

        `sound` is what they say (µ-law); numbered frames where it is not given. `caller` is the
        number they call from, in scenarios that ask for it.
        """
        work = self.folder / f"sipp-{free_port()}"
        work.mkdir()
        if sound is None:
            tone = DATA / "sipp" / "mkaudio.py"
            subprocess.run([sys.executable, str(tone), "60", "tone30.ulaw"], cwd=work, check=True)
        else:
            (work / "tone30.ulaw").write_bytes(sound)
        line = ["sipp", f"127.0.0.1:{self.sip_port}", "-sf", str(DATA / "sipp" / scenario)]
        line += ["-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", str(sipp_media_port())]
        line += ["-p", str(free_port(socket.SOCK_DGRAM)), "-m", str(calls), "-l", str(calls)]
        line += [
            "-key",
            "caller",
            caller,
            "-s",
            to,
            "-nostdin",
            "-timeout",
            "300",
            "-recv_timeout",
            "120000",
        ]
        if seconds is not None:
            line += ["-d", str(int(seconds * 1000))]
        process = subprocess.Popen(
            [*line, *options],
            cwd=work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._callers.append(process)
        return process


def sipp_media_port() -> int:
    """An even port for SIPp's sound, outside the ranges that systems under test use."""
    while (port := free_port(socket.SOCK_DGRAM)) % 2 or 19_990 < port < 31_000:
        pass
    return port


def finish(caller: subprocess.Popen[str], seconds: float = 120) -> None:
    """The caller ends well by itself."""
    output, _ = caller.communicate(timeout=seconds)
    tail = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output)[-3000:]
    assert caller.returncode == 0, tail


@contextmanager
def running(folder: Path, **sections: Any) -> Iterator[World]:
    """A started system that is stopped at the end, with nothing left behind."""
    world = World(folder, **sections)
    try:
        yield world.start()
        assert world.stop() == 0
        left = [name for name in ("telephony", "speech", "web", "jobs") if world.pids(name)]
        assert left == []
    finally:
        if world._process is not None:
            world.kill_all()
