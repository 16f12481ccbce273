"""The nightly round: mark what is too old, shred what was marked long enough ago.

Batches of 100, each with its own commit, so a round that was killed goes on where it was. A file is
removed first, then its key is destroyed and that is noted in the audit, which `recordings verify`
asks about a missing file. Doing either twice changes nothing.

The audit comes last. Where its beginning is not as it was written nothing is taken from it, which
is an alarm; everything else goes its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, Engine, Select, exists, func, select, update
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.retention.audit_lines import NAME, AuditLines
from callcenter.crm.retention.kinds import Kind, Rules, counted, kinds
from callcenter.crm.retention.models import RetentionMark
from callcenter.database import AWAY, reading
from callcenter.errors import ChainBroken
from callcenter.events import now

BATCH = 100
LINES = 500
"""Lines of the audit in a batch."""
PAUSE_SECONDS = 0.15
"""Between those batches. Whoever waits for SQLite's write lock looks every 0.1 s whether it is
free: without a pause the floor would wait until the last batch is done."""
NIGHT_HOUR = 2
"""Hour of the site's day from which on the round of that day is made."""
OVERDUE = timedelta(hours=36)
"""So long after a round its absence is an alarm."""
RUN = "retention"
"""What the audit says of a round, once for each kind."""
_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counts:
    """What a round did of one kind, or would do."""

    marked: int
    shredded: int
    held: int = 0
    """What would be due and is kept under a legal hold."""
    problem: str = ""
    """Why nothing of it was shredded: a sentence."""


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
        at = clock()
        self._engine, self._after = engine, timedelta(days=rules.shred_after)
        self._kinds = [one for one in kinds(rules, remove) if one.due(at) is not None]
        self._audit = AuditLines(rules.audit, self._after) if rules.audit is not None else None
        self._names = [kind.name for kind in self._kinds] + ([NAME] if self._audit else [])
        self._zone, self._clock = ZoneInfo(timezone), clock
        self._began, self._told = at, at - OVERDUE

    def round(self) -> None:
        """Once a night."""
        today = self._clock().astimezone(self._zone)
        if not self._names or today.hour < NIGHT_HOUR:
            return
        last = self._last()
        if last is None or last.astimezone(self._zone).date() < today.date():
            self.run()

    def overdue(self) -> str | None:
        """A sentence where nothing was looked at for 36 hours, though the settings want it, or
        where the audit is not as it was written."""
        at = self._clock()
        if self._audit is not None and self._refused():
            return "nothing is taken from the audit: run callcenter recordings verify"
        if not self._names or at - self._began < OVERDUE:
            return None
        last = self._last() or self._began
        if at - last < OVERDUE:
            return None
        hours = int((at - last).total_seconds() // 3600)
        text = f"nothing was shredded for {hours} hours: see the log of jobs"
        if at - self._told >= OVERDUE:
            self._told = at
            _LOGGER.error("retention did not run; run `callcenter retention`", hours=hours)
        return text

    def dry_run(self) -> dict[str, Counts]:
        """What `run` would do now, by kind; nothing is changed."""
        at = self._clock()
        found = {}
        with Session(reading(self._engine)) as session:
            for kind in self._kinds:
                marked = session.scalar(counted(self._too_old(kind, at, ~kind.held())))
                ripe = session.scalar(counted(self._ripe(kind, at, ~kind.held())))
                found[kind.name] = Counts(marked or 0, ripe or 0, self._held(session, kind, at))
            if self._audit is not None:
                lines = self._audit
                marked, ripe = lines.to_mark(session, at), lines.to_shred(session, at)
                found[NAME] = Counts(marked, ripe, lines.held(session, at))
        return found

    def run(self) -> dict[str, Counts]:
        """Mark and shred what is due, and note it in the audit; by kind."""
        at = self._clock()
        found = {}
        for kind in self._kinds:
            with Session(reading(self._engine)) as session:
                held = self._held(session, kind, at)
            marked = self._repeat(self._mark, kind, at)
            found[kind.name] = Counts(marked, self._repeat(self._shred, kind, at), held)
            self._note(kind.name, found[kind.name])
        if self._audit is not None:
            found[NAME] = self._run_audit(self._audit, at)
        return found

    def _run_audit(self, lines: AuditLines, at: datetime) -> Counts:
        with Session(reading(self._engine)) as session:
            held = lines.held(session, at)
        with Session(self._engine) as session, session.begin():
            marked = lines.mark(session, at)
        with Session(reading(self._engine)) as session:
            until = lines.ripe(session, at)
        shredded, seen, problem, result = 0, LINES, "", "ok"
        try:
            while until and seen == LINES:
                with Session(self._engine) as session, session.begin():
                    seen, gone = lines.shred(session, at, until, LINES)
                shredded += gone
                time.sleep(PAUSE_SECONDS if seen == LINES else 0)
        except ChainBroken as error:
            problem, result = error.detail, error.kind
            _LOGGER.error("the audit is not as it was written", problem=problem)
        counts = Counts(marked, shredded, held, problem)
        self._note(NAME, counts, result)
        return counts

    def _note(self, kind: str, counts: Counts, result: str = "ok") -> None:
        marked, shredded, held = counts.marked, counts.shredded, counts.held
        with Session(self._engine) as session, session.begin():
            text = f"marked {marked}, shredded {shredded}, held {held}"
            audit.record(session, None, RUN, kind, reason=text, result=result)
        _LOGGER.info("retention", kind=kind, marked=marked, shredded=shredded, held=held)

    def _refused(self) -> bool:
        """Whether the last round, of whichever process, took nothing because it must not."""
        runs = select(AuditEntry.result).where(AuditEntry.kind == NAME, AuditEntry.what == RUN)
        try:
            with Session(reading(self._engine)) as session:
                result = session.scalar(runs.order_by(AuditEntry.number.desc()).limit(1))
        except AWAY:
            return False  # that is another alarm's
        return result not in {None, "ok"}

    def _held(self, session: Session, kind: Kind, at: datetime) -> int:
        held = kind.held()
        found = (self._too_old(kind, at, held), self._ripe(kind, at, held))
        return sum(session.scalar(counted(query)) or 0 for query in found)

    def _repeat(self, batch: Callable[[Kind, datetime], int], kind: Kind, at: datetime) -> int:
        done = count = batch(kind, at)
        while count == BATCH:
            count = batch(kind, at)
            done += count
        return done

    def _mark(self, kind: Kind, at: datetime) -> int:
        with Session(self._engine) as session, session.begin():
            found = session.scalars(self._too_old(kind, at, ~kind.held()).limit(BATCH)).all()
            marks = [RetentionMark(kind=kind.name, object=one, marked_at=at) for one in found]
            session.add_all(marks)
        return len(found)

    def _shred(self, kind: Kind, at: datetime) -> int:
        with Session(self._engine) as session, session.begin():
            found = session.scalars(self._ripe(kind, at, ~kind.held()).limit(BATCH)).all()
            kind.shred(session, found)
            mine = (RetentionMark.kind == kind.name, RetentionMark.object.in_(found))
            session.execute(update(RetentionMark).where(*mine).values(shredded_at=at))
        return len(found)

    def _too_old(self, kind: Kind, at: datetime, also: ColumnElement[bool]) -> Select[Any]:
        marked = exists().where(RetentionMark.kind == kind.name, RetentionMark.object == kind.id)
        return kind.ids().where(_due(kind, at), also, ~marked).order_by(kind.id)

    def _ripe(self, kind: Kind, at: datetime, also: ColumnElement[bool]) -> Select[Any]:
        query = kind.ids().join(
            RetentionMark,
            (RetentionMark.kind == kind.name) & (RetentionMark.object == kind.id),
        )
        return query.where(
            RetentionMark.shredded_at.is_(None),
            RetentionMark.marked_at <= at - self._after,
            also,
            _due(kind, at),  # whoever lengthened the time meanwhile is obeyed
        ).order_by(kind.id)

    def _last(self) -> datetime | None:
        runs = select(func.max(AuditEntry.number)).where(
            AuditEntry.kind.in_(self._names), AuditEntry.what == RUN
        )
        query = select(AuditEntry.at).where(AuditEntry.number == runs.scalar_subquery())
        with Session(reading(self._engine)) as session:
            return session.scalar(query)


def _due(kind: Kind, at: datetime) -> ColumnElement[bool]:
    due = kind.due(at)
    assert due is not None, "a kind that is kept for ever is not looked at"
    return due
