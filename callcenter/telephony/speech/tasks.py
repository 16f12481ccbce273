"""The durable list of calls that wait for their second pass: one row a call, never lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
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
    Update,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from callcenter.database import reading
from callcenter.events import Fact, RecordingSealed
from callcenter.log import append_within

metadata = MetaData()

transcription_tasks = Table(
    "transcription_tasks",
    metadata,
    Column("call", String(36), primary_key=True),
    Column("path", Text, nullable=False),
    Column("legs", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, claimed, done
    Column("attempts", Integer, nullable=False),
    Column("not_before", DateTime(timezone=True), nullable=False),
    Column("claimed_by", String(128)),
    Column("told", String(16)),  # the TranscriptPending that was appended last
    Index("ix_transcription_tasks_state", "state", "not_before"),
)

_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Task:
    """A call whose sealed recording is to be transcribed. `legs` as in RecordingSealed."""

    call: str
    path: str
    legs: dict[str, dict[str, float]]
    attempts: int
    told: str | None


def enqueue(connection: Connection, sealed: RecordingSealed, at: datetime) -> None:
    """Note the call in the caller's transaction; a second time changes nothing."""
    table = transcription_tasks
    if connection.scalar(select(table.c.call).where(table.c.call == sealed.call)):
        return
    connection.execute(
        insert(table).values(
            call=sealed.call,
            path=sealed.path,
            legs=sealed.legs,
            state="waiting",
            attempts=0,
            not_before=at,
        )
    )


class Tasks:
    """Claims, finishes and postpones tasks. `worker` names the process that claims."""

    def __init__(self, engine: Engine, worker: str) -> None:
        self._engine = engine
        self._worker = worker

    def release_own(self) -> None:
        """At start: what this worker had claimed before it was killed waits again."""
        mine = transcription_tasks.c.claimed_by == self._worker
        with self._engine.begin() as connection:
            connection.execute(
                update(transcription_tasks)
                .where(mine, transcription_tasks.c.state == "claimed")
                .values(state="waiting", claimed_by=None)
            )

    def pending(self) -> int:
        """How many calls wait or are under way."""
        query = select(func.count()).where(transcription_tasks.c.state != "done")
        with reading(self._engine).connect() as connection:
            return connection.scalar(query) or 0

    def claim(self, at: datetime) -> Task | None:
        """The task that is due longest; no other worker gets it."""
        table = transcription_tasks
        due = (
            select(table)
            .where(table.c.state == "waiting", table.c.not_before <= at)
            .order_by(table.c.not_before, table.c.call)
            .limit(1)
        )
        with reading(self._engine).connect() as connection:
            if connection.execute(due).first() is None:
                return None
        with self._engine.begin() as connection:
            row = connection.execute(due.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            connection.execute(
                update(table)
                .where(table.c.call == row.call)
                .values(state="claimed", claimed_by=self._worker)
            )
        return Task(row.call, row.path, row.legs, row.attempts, row.told)

    def finish(self, task: Task, facts: list[Fact]) -> int:
        """Done: its facts and the row in one transaction; the log's new position."""
        with self._engine.begin() as connection:
            entries = append_within(connection, *facts)
            connection.execute(_of(task).values(state="done", claimed_by=None))
        return entries[-1].position

    def postpone(
        self, task: Task, at: datetime, wait: timedelta, told: str | None, facts: list[Fact]
    ) -> int | None:
        """Wait for a model or for the disk; the log's new position when a fact was written."""
        with self._engine.begin() as connection:
            entries = append_within(connection, *facts)
            connection.execute(
                _of(task).values(
                    state="waiting",
                    claimed_by=None,
                    not_before=at + wait,
                    attempts=task.attempts + 1,
                    told=told,
                )
            )
        return entries[-1].position if entries else None


class Erased:
    """See crm.erasures.eraser.Transcripts."""

    def busy(self, session: Session, calls: Sequence[str]) -> bool:
        """Whether a worker has one of these calls now."""
        table = transcription_tasks
        mine = table.c.call.in_(calls) & (table.c.state == "claimed")
        return session.scalar(select(func.count()).where(mine)) != 0

    def drop(self, session: Session, calls: Sequence[str]) -> None:
        """No worker will get one of these calls."""
        session.execute(delete(transcription_tasks).where(transcription_tasks.c.call.in_(calls)))


def _of(task: Task) -> Update:
    return update(transcription_tasks).where(transcription_tasks.c.call == task.call)


def back_off(attempts: int) -> timedelta:
    """How long a task waits after its n-th failure: 5 s, 10 s, 20 s … one hour."""
    wait: timedelta = _FIRST_WAIT * int(2 ** min(attempts, 16))
    return min(wait, _LONGEST_WAIT)
