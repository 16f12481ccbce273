"""The event log: facts, append-only, in one order, read by cursor.

`append()` returns only after the commit, so whoever is told of a fact finds it here.
A consumer keeps its cursor in the same database and moves it in the transaction that
applies the fact: after a kill it resumes exactly there, and with several processes under
one name each fact is applied by exactly one of them.

Positions become visible in their order and only once committed: writers wait for each other, on
SQLite by its one write lock, on PostgreSQL by an advisory lock that `append_within` holds until
the commit. A cursor that has passed a position never finds a fact before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.database import AWAY, reading
from callcenter.events import CallEnded, Fact
from callcenter.ids import new_id

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("subject", String(36)),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("payload", JSON, nullable=False),
    Index("ix_facts_subject", "subject", "position"),
    Index("ix_facts_kind", "kind", "position"),
    sqlite_autoincrement=True,
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

failures = Table(
    "consumer_failures",
    metadata,
    Column("consumer", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("error", Text, nullable=False),
)

_APPEND = insert(facts).returning(facts.c.position, sort_by_parameter_order=True)
"""All facts of a transaction in one statement; made once, so that it is compiled once."""
_APPEND_LOCK = 0x63616C6C  # one writer at a time, so that positions appear in their order
_UNREADABLE = "unreadable by this version: "
RECONSIDER_SECONDS = 5.0
"""How often a consumer looks whether it can read now what an older process passed over."""
_LOGGER = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownFact(Fact):
    """A fact of a newer version: a kind that this one does not know, or a field it cannot read.

    Whoever folds facts passes over it; a `Consumer` remembers it for a process that knows it.
    """

    kind: str
    call: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact with its place in the log."""

    position: int
    id: str
    fact: Fact

    @property
    def kind(self) -> str:
        """The name of the fact's class."""
        return self.fact.kind if isinstance(self.fact, UnknownFact) else type(self.fact).__name__


class EventLog:
    """Appends and reads facts. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The database that holds it."""
        return self._engine

    def append(
        self, *new: Fact, also: Callable[[Connection], None] = lambda connection: None
    ) -> list[Entry]:
        """Commit the facts together, in this order, and return them with their places.

        `also` writes what belongs to them, in the same transaction and behind the log's lock.
        """
        with self._engine.begin() as connection:
            entries = append_within(connection, *new)
            also(connection)
        return entries

    def append_end(self, end: CallEnded) -> Entry | None:
        """The end of a call that may have one already; None where it has. One of all who say it."""
        has_end = exists().where(facts.c.subject == end.call, facts.c.kind == "CallEnded")
        with self._engine.begin() as connection:
            _lock(connection)
            if connection.scalar(select(has_end)):
                return None
            return append_within(connection, end)[0]

    def read(self, after: int = 0, *, limit: int = 500) -> list[Entry]:
        """The next facts after position `after`, oldest first."""
        query = select(facts).where(facts.c.position > after).order_by(facts.c.position)
        return self._entries(query.limit(limit))

    def of_call(self, call: str) -> list[Entry]:
        """Every fact of one call, oldest first."""
        query = select(facts).where(facts.c.subject == call).order_by(facts.c.position)
        return self._entries(query)

    def of_kinds(self, *kinds: type[Fact], after: int = 0, limit: int = 500) -> list[Entry]:
        """The next facts of these kinds after position `after`, oldest first."""
        names = [kind.__name__ for kind in kinds]
        query = select(facts).where(facts.c.kind.in_(names), facts.c.position > after)
        return self._entries(query.order_by(facts.c.position).limit(limit))

    def since(self, moment: datetime, *kinds: type[Fact]) -> list[Entry]:
        """Facts of these kinds from `moment` on, oldest first; reads no further back."""
        names = [kind.__name__ for kind in kinds]
        query = select(facts).where(facts.c.kind.in_(names)).order_by(facts.c.position.desc())
        found: list[Entry] = []
        with reading(self._engine).connect() as connection:
            for row in connection.execute(query.execution_options(yield_per=500)):
                entry = _entry(row)
                if entry.fact.at < moment:
                    break
                found.append(entry)
        return found[::-1]

    def open_calls(self, node: str) -> list[str]:
        """Calls that rang at this telephony node and have no end yet, oldest first."""
        rang, ended = facts.alias("rang"), facts.alias("ended")
        query = (
            select(rang.c.payload, rang.c.subject)
            .where(
                rang.c.kind == "CallRang",
                ~exists().where(ended.c.subject == rang.c.subject, ended.c.kind == "CallEnded"),
            )
            .order_by(rang.c.position)
        )
        with reading(self._engine).connect() as connection:
            rows = connection.execute(query)
            return [row.subject for row in rows if row.payload["node"] == node]

    def unread(self, consumer: str) -> list[Entry]:
        """Facts that a consumer passed over because its process could not read them."""
        noted = select(failures.c.position).where(
            failures.c.consumer == consumer, failures.c.error.startswith(_UNREADABLE)
        )
        return self._entries(
            select(facts).where(facts.c.position.in_(noted)).order_by(facts.c.position)
        )

    def node_of(self, call: str) -> str | None:
        """The telephony node at which the call rang; None for a call that is unknown."""
        with reading(self._engine).connect() as connection:
            return node_of(connection, call)

    def end(self) -> int:
        """The position of the newest fact, 0 where there is none."""
        with reading(self._engine).connect() as connection:
            return connection.scalar(select(func.max(facts.c.position))) or 0

    def _entries(self, query: Any) -> list[Entry]:
        with reading(self._engine).connect() as connection:
            return [_entry(row) for row in connection.execute(query)]


class Consumer:
    """One reader of the log with a durable cursor.

    `apply(session, entry)` runs in the transaction that moves the cursor: both or neither.
    An `apply` that raises is rolled back alone, noted in `consumer_failures`, and passed over,
    so that one bad fact does not stop the floor. When the database itself fails, `catch_up`
    raises and the cursor stays: call it again later.

    A fact that this version cannot read is passed over and noted too, so that an older process
    beside newer ones goes on serving; the first process that can read it applies it (late, but
    once) and takes the note away. See docs/decisions/0014-faults.md.
    """

    def __init__(self, engine: Engine, name: str, apply: Callable[[Session, Entry], None]) -> None:
        self.name = name
        self._engine = engine
        self._log = EventLog(engine)
        self._apply = apply
        self._reconsidered = -RECONSIDER_SECONDS
        self._ensure_cursor()

    def position(self) -> int:
        """The position of the last fact that was applied."""
        with reading(self._engine).connect() as connection:
            query = select(cursors.c.position).where(cursors.c.consumer == self.name)
            return connection.scalar(query) or 0

    def catch_up(self) -> Iterator[Entry]:
        """Apply every fact after the cursor; yields each one after its commit."""
        yield from self._reconsider()
        while batch := self._log.read(self.position(), limit=100):
            for entry in batch:
                if self._step(entry):
                    yield entry

    def _step(self, entry: Entry) -> bool:
        """True when this process applied the fact, False when another one already had."""
        with Session(self._engine) as session, session.begin():
            moved = session.execute(
                update(cursors)
                .where(cursors.c.consumer == self.name, cursors.c.position < entry.position)
                .values(position=entry.position)
            )
            if moved.rowcount == 0:  # type: ignore[attr-defined]
                return False
            return self._take(session, entry)

    def _take(self, session: Session, entry: Entry) -> bool:
        """False when the fact cannot be read here and waits for a process that can."""
        if isinstance(entry.fact, UnknownFact):
            _LOGGER.error(
                "a fact of a newer version waits for a process that knows it; update this one",
                consumer=self.name,
                kind=entry.kind,
                position=entry.position,
            )
            self._note(session, entry, _UNREADABLE + entry.fact.why)
            return False
        try:
            with session.begin_nested():
                self._apply(session, entry)
        except AWAY:
            raise  # the disk is full, the server is away: not the fact's fault, try again
        except Exception as error:
            _LOGGER.exception("fact not applied", consumer=self.name, kind=entry.kind)
            self._note(session, entry, repr(error))
        return True

    def _note(self, session: Session, entry: Entry, error: str) -> None:
        note = insert(failures).values(consumer=self.name, position=entry.position, error=error)
        session.execute(note)

    def _reconsider(self) -> Iterator[Entry]:
        """What an older process passed over and this one can read."""
        if time.monotonic() - self._reconsidered < RECONSIDER_SECONDS:
            return
        self._reconsidered = time.monotonic()
        for entry in self._log.unread(self.name):
            if not isinstance(entry.fact, UnknownFact) and self._take_late(entry):
                yield entry

    def _take_late(self, entry: Entry) -> bool:
        mine = (failures.c.consumer == self.name, failures.c.position == entry.position)
        with Session(self._engine) as session, session.begin():
            taken = session.execute(delete(failures).where(*mine))
            if taken.rowcount == 0:  # type: ignore[attr-defined]
                return False
            return self._take(session, entry)

    def _ensure_cursor(self) -> None:
        with suppress(IntegrityError), self._engine.begin() as connection:  # another was faster
            there = connection.scalar(select(func.count()).where(cursors.c.consumer == self.name))
            if not there:
                connection.execute(insert(cursors).values(consumer=self.name, position=0))


def node_of(connection: Connection, call: str) -> str | None:
    """See EventLog.node_of."""
    query = select(facts.c.payload).where(facts.c.subject == call, facts.c.kind == "CallRang")
    payload = connection.scalar(query)
    return payload["node"] if payload else None


def newest(connection: Connection, call: str, *kinds: type[Fact]) -> Fact | None:
    """The newest fact of one of these kinds in that call; None where there is none."""
    names = [kind.__name__ for kind in kinds]
    query = select(facts).where(facts.c.subject == call, facts.c.kind.in_(names))
    row = connection.execute(query.order_by(facts.c.position.desc()).limit(1)).first()
    return _entry(row).fact if row else None


def append_within(connection: Connection, *new: Fact) -> list[Entry]:
    """Append in the caller's transaction: the facts exist when that commits."""
    _lock(connection)
    if not new:
        return []
    rows = [_row(fact) for fact in new]
    positions = connection.scalars(_APPEND, rows)
    return [
        Entry(position, row["id"], fact)
        for position, row, fact in zip(positions, rows, new, strict=True)
    ]


def _lock(connection: Connection) -> None:
    """Until the commit. On SQLite the transaction began with the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _APPEND_LOCK})


def _row(fact: Fact) -> dict[str, Any]:
    return {
        "id": new_id(),
        "kind": type(fact).__name__,
        "subject": fact.subject,
        "at": fact.at,
        "payload": events.pack(fact),
    }


def _entry(row: Any) -> Entry:
    try:
        fact: Fact = events.unpack(row.kind, row.payload)
    except KeyError:
        fact = UnknownFact(at=utc(row.at), kind=row.kind, call=row.subject, why="unknown kind")
    except msgspec.ValidationError as error:
        fact = UnknownFact(at=utc(row.at), kind=row.kind, call=row.subject, why=str(error))
    return Entry(row.position, row.id, fact)


def utc(moment: datetime) -> datetime:
    """SQLite forgets the zone of what it stores; everything stored is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
