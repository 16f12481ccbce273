"""What is held, and what was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.holds.models import Kind, LegalHold
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.paging import Page, after, key_of, limited


def of_interaction() -> ColumnElement[bool]:
    """Condition on a row of `Interaction`: it is held, or its customer is."""
    own = and_(LegalHold.kind == "interaction", LegalHold.object == Interaction.id)
    customers = and_(LegalHold.kind == "customer", LegalHold.object == Interaction.customer_id)
    held = exists().where(LegalHold.released_at.is_(None), or_(own, customers))
    return held.correlate(Interaction)


def of_customer_or_interaction(customer: Any, interaction: Any) -> ColumnElement[bool]:
    """Condition on a row that belongs to that customer and was born in that call: one is held."""
    its = and_(LegalHold.kind == "customer", LegalHold.object == customer)
    calls = and_(LegalHold.kind == "interaction", LegalHold.object == interaction)
    return exists().where(LegalHold.released_at.is_(None), or_(its, calls))


def page(
    session: Session,
    kind: Kind,
    object: str,
    *,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[LegalHold]:
    """The holds of one customer or call, newest first, released ones too."""
    query = select(LegalHold).where(LegalHold.kind == kind, LegalHold.object == object)
    if cursor:
        (last,) = key_of(cursor, 1)
        query = query.where(LegalHold.id < last)
    count = limited(limit)
    rows = session.scalars(query.order_by(LegalHold.id.desc()).limit(count + 1)).all()
    return Page(rows[:count], after(rows[count - 1].id) if len(rows) > count else None)
