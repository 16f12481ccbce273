"""The exports of a customer."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.paging import Page, after, key_of, limited


def page(
    session: Session, customer: str, *, limit: int | None = None, cursor: str | None = None
) -> Page[CustomerExport]:
    """Exports of one customer, newest first."""
    query = select(CustomerExport).where(CustomerExport.customer_id == customer)
    if cursor:
        (last,) = key_of(cursor, 1)
        query = query.where(CustomerExport.id < last)
    count = limited(limit)
    rows = session.scalars(query.order_by(CustomerExport.id.desc()).limit(count + 1)).all()
    return Page(rows[:count], after(rows[count - 1].id) if len(rows) > count else None)
