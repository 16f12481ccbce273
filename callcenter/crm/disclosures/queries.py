"""What is open to whom, and what was."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.disclosures.models import Disclosure, Kind
from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.events import now


def is_open(session: Session, opened_by: str, kind: Kind, object: str) -> bool:
    """Whether it is open now to the session with that token hash."""
    query = select(Disclosure.id).where(
        Disclosure.session == opened_by,
        Disclosure.kind == kind,
        Disclosure.object == object,
        Disclosure.until > now(),
    )
    return session.scalar(query.limit(1)) is not None


def page(
    session: Session, *, limit: int | None = None, cursor: str | None = None
) -> Page[Disclosure]:
    """All of them, newest first."""
    query = select(Disclosure).order_by(Disclosure.id.desc())
    if cursor:
        (last,) = key_of(cursor, 1)
        query = query.where(Disclosure.id < last)
    count = limited(limit)
    rows = session.scalars(query.limit(count + 1)).all()
    return Page(rows[:count], after(rows[count - 1].id) if len(rows) > count else None)
