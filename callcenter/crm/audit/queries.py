"""Reading the audit trail and proving that it is whole."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.audit.operations import AUDIT, chained
from callcenter.crm.chains import checkpoints
from callcenter.crm.chains.links import is_ours
from callcenter.crm.chains.operations import keys_of
from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.errors import Invalid


def page(
    session: Session,
    *,
    who: str | None = None,
    kind: str | None = None,
    object: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[AuditEntry]:
    """Entries, newest first."""
    query = select(AuditEntry).order_by(AuditEntry.number.desc())
    for column, value in (
        (AuditEntry.who, who),
        (AuditEntry.kind, kind),
        (AuditEntry.object, object),
    ):
        if value is not None:
            query = query.where(column == value)
    if cursor:
        (number,) = key_of(cursor, 1)
        if not number.isdigit():
            raise Invalid("cursor is none of ours: start again without it", {"cursor": "unknown"})
        query = query.where(AuditEntry.number < int(number))
    count = limited(limit)
    rows = session.scalars(query.limit(count + 1)).all()
    more = len(rows) > count
    return Page(rows[:count], after(str(rows[count - 1].number)) if more else None)


def first_broken(session: Session) -> int | None:
    """The number of the first entry that does not fit to the one before; None when whole.

    Where retention has cut the audit it begins behind the checkpoint; of what is kept from before
    that only the chain's links can tell.
    """
    known = checkpoints.find(session, AUDIT.name)
    begin = known if known and is_ours(known, keys_of(session).known) else None
    previous = begin.hash if begin else None
    rows = select(AuditEntry).where(AuditEntry.number > (int(begin.item) if begin else 0))
    for row in session.scalars(rows.order_by(AuditEntry.number)):
        parts = [row.who, row.what, row.kind, row.object, row.reason, row.address, row.result]
        if row.hash != chained(previous, row.at, parts):
            return row.number
        previous = row.hash
    return None
