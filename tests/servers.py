"""PostgreSQL and Redis for tests: real servers on free ports, in folders of their own.

They come from Debian's packages (`tools/test-needs.sh`) and run as an ordinary user where the
tests run as root, because PostgreSQL refuses root. They live as long as their object.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql

START_SECONDS = 60.0
_FAST = {"fsync": "off", "full_page_writes": "off"}  # the machine itself is not switched off
_NUMBERS = count(1)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """The program's path. Debian keeps those of PostgreSQL apart, one folder a version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if versions:
        found = str(versions[0])
    assert found, f"{name} is missing: tools/test-needs.sh installs it"
    return found


def ordinary_user() -> dict[str, Any]:
    """How to start a program that refuses root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Server:
    """A program in a folder of its own, which the ordinary user owns."""

    ending = signal.SIGTERM
    """What ends it and its children at once."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"callcenter-{name}-", dir="/tmp"))
        self.port = free_port()
        self.output = self.folder / "output.log"
        self.output.touch()
        self._who = ordinary_user()
        if self._who:
            for path in (self.folder, self.output):
                os.chown(path, self._who["user"], self._who["group"])
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str]) -> None:
        """Start it in its folder; what it prints is in `output`."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
                **self._who,
            )

    def wait(self, answers: Any, failure: type[Exception]) -> None:
        """Until `answers()` does not raise `failure`."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                answers()
            except failure:
                late = time.monotonic() > deadline
                dead = self._process is None or self._process.poll() is not None
                assert not late, self.output.read_text()
                assert not dead, self.output.read_text()
                time.sleep(0.05)
            else:
                return

    def halt(self, number: signal.Signals) -> None:
        """End the program and wait for it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """End it for good."""
        self.halt(self.ending)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """A PostgreSQL of its own; `url(name)` is a setting of callcenter."""

    ending = signal.SIGQUIT  # asked kindly it waits for its clients

    def __init__(self, **settings: str) -> None:
        super().__init__("postgres")
        self._settings = {**_FAST, **settings}
        self.data = self.folder / "data"
        subprocess.run(
            [program("initdb"), "-D", str(self.data), "-U", "callcenter", "-A", "trust",
             "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd=self.folder, **self._who,
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the server (again) on the same port, wait until it answers."""
        values = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            **self._settings,
        }
        words = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
        self.launch([program("postgres"), "-D", str(self.data), *words])
        self.wait(lambda: self.run("SELECT 1"), psycopg.OperationalError)

    def stop(self) -> None:
        """A fast shutdown: every session is cut off, everything committed is on the disk."""
        self.halt(signal.SIGINT)

    def kill(self) -> None:
        """An immediate shutdown, as after a crash; the next start recovers."""
        self.halt(self.ending)

    def url(self, name: str, port: int | None = None) -> str:
        """The setting `database_url` for the database `name`."""
        return f"postgresql+psycopg://callcenter@127.0.0.1:{port or self.port}/{name}"

    def blank(self) -> str:
        """A new database without tables."""
        return self._create("template0")

    def copy(self, url: str) -> str:
        """A new database like the one at `url`; nobody may be connected to that."""
        return self._create(url.rpartition("/")[2])

    def drop(self, url: str) -> None:
        """Remove the database, and whoever is still connected to it."""
        name = sql.Identifier(url.rpartition("/")[2])
        self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _create(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(_NUMBERS)}"
        names = sql.Identifier(name), sql.Identifier(template)
        self.run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self.url(name)

    def run(self, statement: Any) -> None:
        """One statement outside of a transaction."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="callcenter", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)


class RedisServer(Server):
    """A Redis of its own, nothing kept on the disk."""

    def __init__(self) -> None:
        super().__init__("redis")
        self.start()

    @property
    def url(self) -> str:
        """The setting `bus_url`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server (again) on the same port, wait until it answers."""
        words = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
        self.launch([program("redis-server"), *options])
        with redis.Redis(port=self.port) as client:
            self.wait(client.ping, redis.RedisError)

    def stop(self) -> None:
        """End it; everything in it is gone."""
        self.halt(signal.SIGTERM)


class Proxy:
    """A TCP proxy in front of a server, that can cut every connection for some seconds."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: set[socket.socket] = set()
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset what is connected and whoever connects."""
        self._cut = True
        for one in list(self._pairs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass connections on again."""
        self._cut = False

    def close(self) -> None:
        """For good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._pairs |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._pairs.discard(source)
        source.close()
