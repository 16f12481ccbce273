"""The nightly round: mark what is too old, shred what was marked long enough ago.

Batches of 100, each with its own commit, so a round that was killed goes on where it was. A file is
removed first, then its key is destroyed and that is noted in the audit, which `recordings verify`
asks about a missing file. Doing either twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, Engine, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.holds import queries as holds
from callcenter.crm.interactions.models import Interaction, Recording
from callcenter.crm.retention.models import RetentionMark
from callcenter.crm.trust.verify import SHRED
from callcenter.crm.vault import operations as vault
from callcenter.database import reading
from callcenter.events import now

BATCH = 100
NIGHT_HOUR = 2
"""Hour of the site's day from which on the round of that day is made."""
_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """Days that recordings are kept (None: for ever), by queue where it has its own; days
    between marking and shredding."""

    days: int | None = None
    queues: Mapping[str, int] = field(default_factory=dict)
    shred_after: int = 7

    @property
    def any(self) -> bool:
        """Whether anything is ever too old."""
        return self.days is not None or bool(self.queues)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a round did, or would do."""

    marked: int
    shredded: int
    held: int = 0
    """What would be due and is kept under a legal hold."""


class Retention:
    """`remove(path)` removes the files of a recording; where there are none nothing happens."""

    def __init__(
        self,
        engine: Engine,
        rules: Rules,
        remove: Callable[[str], None],
        timezone: str = "UTC",
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._engine, self._rules, self._remove = engine, rules, remove
        self._zone, self._clock = ZoneInfo(timezone), clock

    def round(self) -> None:
        """Once a night."""
        today = self._clock().astimezone(self._zone)
        if not self._rules.any or today.hour < NIGHT_HOUR:
            return
        last = self._last()
        if last is None or last.astimezone(self._zone).date() < today.date():
            self.run()

    def dry_run(self) -> Counts:
        """What `run` would do now; nothing is changed."""
        at = self._clock()
        with Session(reading(self._engine)) as session:
            marked = session.scalar(_counted(self._too_old(at, ~holds.of_interaction())))
            ripe = session.scalar(_counted(self._ripe(at, ~holds.of_interaction())))
        return Counts(marked or 0, ripe or 0, self._held(at))

    def run(self) -> Counts:
        """Mark and shred what is due, and note it in the audit."""
        at = self._clock()
        held = self._held(at)
        counts = Counts(self._repeat(self._mark, at), self._repeat(self._shred, at), held)
        with Session(self._engine) as session, session.begin():
            text = f"marked {counts.marked}, shredded {counts.shredded}, held {held}"
            audit.record(session, None, "retention", "recordings", reason=text)
        _LOGGER.info("retention", marked=counts.marked, shredded=counts.shredded, held=held)
        return counts

    def _held(self, at: datetime) -> int:
        held = holds.of_interaction()
        with Session(reading(self._engine)) as session:
            found = (self._too_old(at, held), self._ripe(at, held))
            return sum(session.scalar(_counted(query)) or 0 for query in found)

    def _repeat(self, batch: Callable[[datetime], int], at: datetime) -> int:
        done = count = batch(at)
        while count == BATCH:
            count = batch(at)
            done += count
        return done

    def _mark(self, at: datetime) -> int:
        with Session(self._engine) as session, session.begin():
            found = session.scalars(self._too_old(at, ~holds.of_interaction()).limit(BATCH)).all()
            session.add_all(RetentionMark(recording_id=one, marked_at=at) for one in found)
        return len(found)

    def _shred(self, at: datetime) -> int:
        with Session(self._engine) as session, session.begin():
            found = session.scalars(self._ripe(at, ~holds.of_interaction()).limit(BATCH)).all()
            query = select(Recording).where(Recording.id.in_(found))
            recordings = session.scalars(query).all()
            for row in recordings:
                self._remove(row.path)
                audit.record(session, None, SHRED, "recording", row.id)
            vault.destroy(session, None, [row.call_id for row in recordings])
            marks = select(RetentionMark).where(RetentionMark.recording_id.in_(found))
            for mark in session.scalars(marks):
                mark.shredded_at = at
        return len(found)

    def _too_old(self, at: datetime, also: ColumnElement[bool]) -> Select[str]:
        marked = exists().where(RetentionMark.recording_id == Recording.id)
        query = select(Recording.id).join(Interaction, Interaction.call_id == Recording.call_id)
        return query.where(self._due(at), also, ~marked).order_by(Recording.id)

    def _due(self, at: datetime) -> ColumnElement[bool]:
        own = self._rules.queues
        due = [
            and_(Interaction.queue == name, Recording.sealed_at < at - timedelta(days=days))
            for name, days in own.items()
        ]
        if self._rules.days is not None:
            others = or_(Interaction.queue.is_(None), Interaction.queue.not_in(list(own)))
            before = at - timedelta(days=self._rules.days)
            due.append(and_(others, Recording.sealed_at < before))
        return or_(*due) if due else Recording.id.is_(None)

    def _ripe(self, at: datetime, also: ColumnElement[bool]) -> Select[str]:
        before = at - timedelta(days=self._rules.shred_after)
        query = select(RetentionMark.recording_id).order_by(RetentionMark.recording_id)
        query = query.join(Recording, Recording.id == RetentionMark.recording_id)
        query = query.join(Interaction, Interaction.call_id == Recording.call_id)
        return query.where(
            RetentionMark.shredded_at.is_(None),
            RetentionMark.marked_at <= before,
            also,
            self._due(at),  # whoever lengthened the time meanwhile is obeyed
        )

    def _last(self) -> datetime | None:
        query = select(AuditEntry.at).where(
            AuditEntry.kind == "recordings", AuditEntry.what == "retention"
        )
        with Session(reading(self._engine)) as session:
            return session.scalar(query.order_by(AuditEntry.number.desc()).limit(1))


def _counted(query: Select[str]) -> Select[int]:
    return select(func.count()).select_from(query.order_by(None).subquery())
