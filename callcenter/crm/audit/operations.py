"""Writing the audit trail."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from callcenter.crm.audit.models import AuditEntry
from callcenter.events import now

_LOCK = 0x61756469  # PostgreSQL: one writer at a time, so that the chain has one end


def record(
    session: Session,
    who: str | None,
    what: str,
    kind: str,
    object: str | None = None,
    *,
    reason: str = "",
    address: str | None = None,
    result: str = "ok",
) -> AuditEntry:
    """Note that `who` did `what` (listen, read, search, sign_in …) to one object of `kind`.

    Ids only, never content. Committed with the caller's transaction: a refusal is to be
    recorded in one of its own.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    previous = session.scalar(select(AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1))
    moment = now()
    parts = [who, what, kind, object, reason, address, result]
    entry = AuditEntry(
        at=moment,
        who=who,
        what=what,
        kind=kind,
        object=object,
        reason=reason,
        address=address,
        result=result,
        hash=chained(previous, moment, parts),
    )
    session.add(entry)
    session.flush()
    return entry


def chained(previous: str | None, moment: datetime, parts: list[str | None]) -> str:
    """SHA-256 over the hash before and this row in one fixed spelling."""
    row = msgspec.json.encode([previous, moment.isoformat(), *parts])
    return hashlib.sha256(row).hexdigest()
