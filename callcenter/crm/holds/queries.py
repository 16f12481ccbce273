"""What is held, and what was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.holds.models import Kind, LegalHold
from callcenter.crm.interactions.models import Interaction, Recording
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


def of_audit() -> ColumnElement[bool]:
    """Condition on a line of the audit: it says what somebody did to a held customer or call, to a
    call of a held customer, or to the recording of such a call."""
    customer = exists().where(
        LegalHold.released_at.is_(None),
        LegalHold.kind == "customer",
        LegalHold.object == AuditEntry.object,
    )
    call = exists().where(Interaction.id == AuditEntry.object, of_interaction())
    sound = exists().where(
        Recording.id == AuditEntry.object, Interaction.call_id == Recording.call_id,
        of_interaction(),
    )  # fmt: skip
    return or_(
        and_(AuditEntry.kind == "customer", customer),
        and_(AuditEntry.kind == "interaction", call),
        and_(AuditEntry.kind == "recording", sound),
    )


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
