"""Erasures, newest first."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.erasures.models import Erasure
from callcenter.crm.paging import Page, after, key_of, limited


def page(
    session: Session,
    *,
    customer: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Erasure]:
    """Those of one customer, or of all."""
    query = select(Erasure).where(Erasure.customer_id.is_not(None))
    if customer is not None:
        query = query.where(Erasure.customer_id == customer)
    if cursor:
        (last,) = key_of(cursor, 1)
        query = query.where(Erasure.id < last)
    count = limited(limit)
    rows = session.scalars(query.order_by(Erasure.id.desc()).limit(count + 1)).all()
    return Page(rows[:count], after(rows[count - 1].id) if len(rows) > count else None)
