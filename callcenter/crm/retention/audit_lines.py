"""The audit's own retention: its beginning is marked, then cut off behind a checkpoint.

It is a chain, so it goes from its beginning in one piece: one mark a night stands for every line up
to a number. Lines that must stay are linked anew at the chain's end and looked at again when the
cut comes to them there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.audit import cutting
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.audit.operations import AUDIT
from callcenter.crm.chains import operations as chains
from callcenter.crm.holds import queries as holds
from callcenter.crm.interactions.models import Recording
from callcenter.crm.retention.models import RetentionMark
from callcenter.crm.trust.verify import SHRED

NAME = "audit"
"""As in the settings, the marks and the audit itself."""
_LOGGER = structlog.get_logger()


class AuditLines:
    """Lines of the audit that are older than `days`; shredded `after` they were marked."""

    def __init__(self, days: int, after: timedelta) -> None:
        self._days, self._after = timedelta(days=days), after

    def to_mark(self, session: Session, at: datetime) -> int:
        """How many lines `mark` would mark."""
        due, known = self._due(session, at), self._marked(session)
        query = select(func.count()).where(AuditEntry.number > known, AuditEntry.number <= due)
        return session.scalar(query.where(not_(_kept()))) or 0

    def to_shred(self, session: Session, at: datetime) -> int:
        """How many lines `shred` would take, called until it finds none."""
        return cutting.counted(session, self.ripe(session, at), _kept())

    def held(self, session: Session, at: datetime) -> int:
        """How many lines that are old enough a legal hold keeps."""
        query = select(func.count()).where(AuditEntry.number <= self._due(session, at))
        return session.scalar(query.where(holds.of_audit())) or 0

    def mark(self, session: Session, at: datetime) -> int:
        """Mark what is too old. → how many lines"""
        chains.lock(session, AUDIT)  # two at once would set the same mark
        count, due = self.to_mark(session, at), self._due(session, at)
        if due > self._marked(session):
            session.add(RetentionMark(kind=NAME, object=str(due), marked_at=at))
        return count

    def ripe(self, session: Session, at: datetime) -> int:
        """The newest line that was marked long enough ago; 0: none was.

        Whoever lengthened the time meanwhile is obeyed.
        """
        marks = [m for m in self._waiting(session) if m.marked_at <= at - self._after]
        newest = max((int(mark.object) for mark in marks), default=0)
        return min(newest, self._due(session, at)) if newest else 0

    def shred(self, session: Session, at: datetime, until: int, limit: int) -> tuple[int, int]:
        """Take at most so many lines up to that one, but none that must stay.

        → how many were looked at, and how many of those went. Raises ChainBroken.
        """
        seen, gone = cutting.cut(session, until, _kept(), limit)
        begin = cutting.begin(session)
        for mark in self._waiting(session):
            if int(mark.object) <= begin:
                mark.shredded_at = at
        return seen, gone

    def _due(self, session: Session, at: datetime) -> int:
        return cutting.due(session, at - self._days)

    def _marked(self, session: Session) -> int:
        """The newest line that is marked or was taken."""
        marks = [int(mark.object) for mark in self._waiting(session)]
        return max([cutting.begin(session), *marks])

    def _waiting(self, session: Session) -> list[RetentionMark]:
        mine = (RetentionMark.kind == NAME, RetentionMark.shredded_at.is_(None))
        return list(session.scalars(select(RetentionMark).where(*mine)))


def _kept() -> ColumnElement[bool]:
    """A hold keeps it, or it says why the file of a recording is not there: verify asks it."""
    known = exists().where(Recording.id == AuditEntry.object)
    gone = and_(AuditEntry.kind == "recording", AuditEntry.what == SHRED, known)
    return or_(holds.of_audit(), gone)
