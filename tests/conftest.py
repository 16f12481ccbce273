"""What many tests need: a free port, waiting with a deadline, settings in a temporary folder."""

from __future__ import annotations

import gc
import itertools
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from werkzeug.routing import Rule

from callcenter import config
from callcenter.config import Settings

SCALED = os.environ.get("CALLCENTER_TEST_PROFILE", "embedded") == "scaled"
"""Whether the tests run on PostgreSQL and Redis instead of SQLite and the local bus."""

# A busy machine is no finding: nothing here judges how long an example takes.
examples.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("busy")


def _compile_each_route_once() -> None:
    """Most tests of the web make an application of their own, of always the same routes: what
    werkzeug compiles for a route is kept for the next one. It is four fifths of making one."""
    compiled = Rule._compile_builder
    known: dict[Any, Any] = {}

    def builder(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, rule.merge_slashes, repr(rule.defaults), append_unknown)
        if key not in known:
            known[key] = compiled(rule, append_unknown)
        return known[key]

    setattr(Rule, "_compile_builder", builder)  # noqa: B010 (the types know no other way)


_compile_each_route_once()


WHOLE = {"world", "stage", "nodes"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What acts in a `world` (the web), on a `stage` or among `nodes` (telephony) tests the whole
    of it on a database: `make check` leaves it to `make unit`."""
    for item in items:
        if not WHOLE.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.application)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the collector need not walk them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=SCALED)
def _nothing_stays_open() -> Iterator[None]:
    """A connection to PostgreSQL that nobody closed warns when it is collected: in the file that
    left it, not in whichever test happens to run then. (SQLite's warn from Python 3.13 on.)"""
    yield
    gc.collect()


PATIENCE = float(os.environ.get("CALLCENTER_TEST_PATIENCE", "20"))
WaitUntil = Callable[..., Any]


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Call it: a TCP port of 127.0.0.1 on which nobody listens."""
    return lambda: _free_port(socket.SOCK_STREAM)


@pytest.fixture
def free_udp_port() -> Callable[[], int]:
    """Call it: a UDP port of 127.0.0.1 that nobody has."""
    return lambda: _free_port(socket.SOCK_DGRAM)


def wait_for(
    condition: Callable[[], Any], what: str = "the condition", *, seconds: float = PATIENCE
) -> Any:
    """Poll until `condition()` is true, return its value; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.02)


@pytest.fixture
def wait_until() -> WaitUntil:
    """`wait_until(lambda: …, "what", seconds=20)`: poll with a deadline, return the value."""
    return wait_for


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Call it with sections (`web={"port": 9000}`): settings whose files are all in tmp_path."""

    def make(**sections: Any) -> Settings:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(sections, default=str), encoding="utf-8")
        return config.load(file, data_dir=tmp_path / "data", environ={})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Default settings whose files are all in tmp_path."""
    return make_settings()


class Databases(Protocol):
    """Where tests get databases from; each has a URL as in the settings."""

    def blank(self) -> str:
        """A new one without tables."""

    def copy(self, url: str) -> str:
        """A new one like that; nobody may be connected to it."""

    def drop(self, url: str) -> None:
        """It is not needed any more."""


class SqliteFiles:
    """Databases as files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)

    def blank(self) -> str:
        """See Databases."""
        return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"

    def copy(self, url: str) -> str:
        """See Databases."""
        made = self.blank()
        shutil.copy(url.removeprefix("sqlite:///"), made.removeprefix("sqlite:///"))
        return made

    def drop(self, url: str) -> None:
        """See Databases."""
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(url.removeprefix("sqlite:///") + end).unlink()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Databases of the profile: SQLite files, or a PostgreSQL started for these tests."""
    if not SCALED:
        yield SqliteFiles(tmp_path_factory.mktemp("databases"))
        return
    from servers import Postgres

    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def keyed() -> Callable[[str], Any]:
    """Call it with a URL: that database, opened with a key for its chains."""
    from callcenter.crm.chains.keys import Key, KeyRing
    from callcenter.crm.chains.operations import use_keys
    from callcenter.crm.vault.master import MasterSecret
    from callcenter.crm.vault.operations import use_master
    from callcenter.database import open_database

    def opened(url: str) -> Any:
        engine = open_database(url)
        use_master(engine, MasterSecret(lambda: "1e57" * 16))
        use_keys(engine, KeyRing(lambda: Key(b"a key for tests".ljust(32, b"."))))
        return engine

    return opened


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A new database without tables."""
    url = databases.blank()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> str:
    """A database with every table and no row, to be copied and never connected to."""
    from callcenter import migrations
    from callcenter.database import open_database

    url = databases.blank()
    engine = open_database(url)
    migrations.upgrade(engine)
    engine.dispose()
    return url
