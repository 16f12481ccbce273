"""Writing the audit trail."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains import operations as chains
from callcenter.crm.chains.links import spelled
from callcenter.events import now


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
    end = chains.lock(session, AUDIT)
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
    end.add(str(entry.number), _content(entry))
    return entry


def chained(previous: str | None, moment: datetime, parts: list[str | None]) -> str:
    """SHA-256 over the hash before and this row in one fixed spelling."""
    row = msgspec.json.encode([previous, moment.isoformat(), *parts])
    return hashlib.sha256(row).hexdigest()


def _content(row: AuditEntry) -> bytes:
    """Every column; a new one must not change what is written of old rows."""
    at = row.at.astimezone(UTC).isoformat()
    parts = [row.who, row.what, row.kind, row.object, row.reason, row.address, row.result]
    return spelled(row.number, at, *parts, row.hash)


def _page(session: Session, after: str, limit: int) -> chains.Rows:
    query = select(AuditEntry).where(AuditEntry.number > int(after or 0))
    rows = session.scalars(query.order_by(AuditEntry.number).limit(limit))
    return [(str(row.number), _content(row)) for row in rows]


def _some(session: Session, items: Sequence[str]) -> chains.Rows:
    numbers = [int(item) for item in items if item.isdecimal()]
    rows = session.scalars(select(AuditEntry).where(AuditEntry.number.in_(numbers)))
    return [(str(row.number), _content(row)) for row in rows]


AUDIT = chains.Chain("audit", _page, _some)
"""The chain over this table."""
