"""PostgreSQL itself: the order of the log under concurrent writers, migrations, restarts (A20)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from servers import Postgres, Proxy
from sqlalchemy import Engine, MetaData, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter import log, migrations
from callcenter.database import AWAY, open_database
from callcenter.errors import Conflict
from callcenter.events import CallHeld
from callcenter.log import Consumer, Entry, EventLog, append_within
from callcenter.migrations.tables import targets

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def engine(server: Postgres) -> Iterator[Engine]:
    with opened(server.blank()) as engine:
        migrations.upgrade(engine)
        yield engine


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """That database; none of its connections stays open, also where a test fails."""
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def held(call: str) -> CallHeld:
    return CallHeld(call=call, by="agent")


def test_the_migrations_make_exactly_what_the_program_expects(engine: Engine) -> None:
    wanted = MetaData()
    for source in targets():
        for table in source.tables.values():
            table.to_metadata(wanted)
    with engine.connect() as connection:
        ours = {
            "compare_type": True,
            "include_object": lambda _o, name, kind, *_: (
                not (kind == "table" and name.startswith("utterances_fts"))
            ),
        }
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, wanted) == []


def test_four_starts_at_once_upgrade_once(server: Postgres) -> None:
    url = server.blank()
    with ExitStack() as stack:
        engines = [stack.enter_context(opened(url)) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(migrations.upgrade, engines))
        assert {migrations.current(engine) for engine in engines} == {migrations.head()}


def test_what_is_append_only_stays(engine: Engine) -> None:
    EventLog(engine).append(held("c"))
    with pytest.raises(IntegrityError, match="append-only"), engine.begin() as connection:
        connection.execute(text("UPDATE facts SET kind = 'CallResumed'"))


def test_a_reader_never_passes_a_fact_that_appears_later(engine: Engine) -> None:
    """Eight writers: quick ones, ones that dawdle before their commit, ones that roll back.

    A sequence alone would fail here: numbers are given before the commit, so a quick writer's
    higher one would be seen first, and a cursor would pass the dawdler's for good.
    """
    writing, followed = threading.Event(), list[int]()
    writing.set()

    def follow() -> None:
        reader, done = EventLog(engine), False
        while not done:
            done = not writing.is_set()
            after = followed[-1] if followed else 0
            followed.extend(entry.position for entry in reader.read(after, limit=7))
            done = done and followed[-1] == reader.end()

    def write(who: int) -> None:
        for number in range(25):
            with suppress(Conflict), engine.begin() as connection:
                append_within(connection, held(f"{who}-{number}"), held(f"{who}-{number}"))
                if who % 4 == 1:
                    time.sleep(0.004)
                if who % 4 == 2 and number % 5 == 0:
                    raise Conflict("changed my mind")

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    writing.clear()
    follower.join(60)
    with engine.connect() as connection:
        there = list(connection.scalars(select(log.facts.c.position).order_by("position")))
    assert followed == there
    assert len(there) == 2 * (8 * 25 - 2 * 5)


def test_without_the_lock_the_same_reader_would_lose_facts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: two transactions by hand, the later number committed first."""
    monkeypatch.setattr(log, "_lock", lambda _connection: None)
    with engine.connect() as slow, engine.connect() as quick, slow.begin():
        (late,) = append_within(slow, held("slow"))
        with quick.begin():
            (early,) = append_within(quick, held("quick"))
        assert [entry.position for entry in EventLog(engine).read()] == [early.position]
    assert late.position < early.position
    assert EventLog(engine).read(early.position) == []


@pytest.mark.parametrize("how", ["restarted", "killed", "cut off"])
def test_when_the_server_goes_away_under_load_no_fact_is_lost_or_applied_twice(
    server: Postgres, how: str
) -> None:
    """A20: writers append until it is done, two consumers of one name apply, all the while."""
    url = server.blank()
    with opened(url) as plain:
        migrations.upgrade(plain)
        with plain.begin() as connection:
            connection.execute(text("CREATE TABLE applied (number serial PRIMARY KEY, what text)"))
    with closing(Proxy(server.port)) as proxy:
        by_proxy = server.url(url.rpartition("/")[2], proxy.port)
        with opened(by_proxy) as engine:
            kept = _under_load(server, engine, proxy, how)
    with opened(url) as plain:
        list(Consumer(plain, "crm", note).catch_up())
        with plain.connect() as connection:
            applied = list(connection.scalars(text("SELECT what FROM applied ORDER BY number")))
            stored = list(connection.scalars(select(log.facts.c.subject).order_by("position")))
            failed = connection.scalar(select(func.count()).select_from(log.failures))
    assert set(kept) <= set(stored)
    assert applied == stored
    assert failed == 0


def note(session: Session, entry: Entry) -> None:
    what = {"what": entry.fact.subject}
    session.execute(text("INSERT INTO applied (what) VALUES (:what)"), what)


def _under_load(server: Postgres, engine: Engine, proxy: Proxy, how: str) -> list[str]:
    """Four write and two consume while the server goes away; what was kept for sure."""
    stop, kept = threading.Event(), list[str]()

    def write(who: int) -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            with suppress(*AWAY):  # it may be there all the same: the commit's answer was lost
                EventLog(engine).append(held(f"{who}-{number}"))
                kept.append(f"{who}-{number}")
            time.sleep(0.005)

    def consume(_: int) -> None:
        while not stop.is_set():
            with suppress(*AWAY):
                list(Consumer(engine, "crm", note).catch_up())
            time.sleep(0.01)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    threads += [threading.Thread(target=consume, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    try:
        _until(lambda: len(kept) > 20)
        if how == "cut off":
            proxy.cut()
            time.sleep(1.0)
            proxy.mend()
        else:
            server.stop() if how == "restarted" else server.kill()
            server.start()
        before = len(kept)
        _until(lambda: len(kept) > before + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(one.is_alive() for one in threads), "it would give its connection to nobody"
    return kept


def _until(true: object, seconds: float = 60.0) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
