"""Everything that happened with a customer, over all channels, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, and_, cast, literal, or_, select, union_all
from sqlalchemy.orm import Session

from callcenter.crm.complaints.models import Complaint, ComplaintTransition
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.paging import Page, after, limited, moment_and_id

Kind = Literal["interaction", "complaint", "transition"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: an interaction, a complaint opened, or a step of one."""

    kind: Kind
    at: datetime
    record: Interaction | Complaint | ComplaintTransition


def page(
    session: Session, customer: str, *, limit: int | None = None, cursor: str | None = None
) -> Page[Moment]:
    """The customer's timeline: one query for the order, one for each kind of record."""
    union = union_all(
        select(
            literal("interaction").label("kind"),
            Interaction.id.label("id"),
            Interaction.started_at.label("at"),
        ).where(Interaction.customer_id == customer),
        select(literal("complaint"), Complaint.id, Complaint.created_at).where(
            Complaint.customer_id == customer
        ),
        select(
            literal("transition"),
            cast(ComplaintTransition.number, String),
            ComplaintTransition.at,
        )
        .join(Complaint, Complaint.id == ComplaintTransition.complaint_id)
        .where(Complaint.customer_id == customer, ComplaintTransition.from_stage.is_not(None)),
    ).subquery()
    query = select(union).order_by(union.c.at.desc(), union.c.id.desc())
    if cursor:
        moment, id_ = moment_and_id(cursor)
        same = and_(union.c.at == moment, union.c.id < id_)
        query = query.where(or_(union.c.at < moment, same))
    count = limited(limit)
    rows = session.execute(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    rows = rows[:count]
    found = _records(session, [(row.kind, row.id) for row in rows])
    items = [Moment(row.kind, row.at, found[row.kind, row.id]) for row in rows]
    return Page(items, after(last.at, last.id) if last else None)


def _records(session: Session, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    ids: dict[str, list[str]] = {}
    for kind, id_ in keys:
        ids.setdefault(kind, []).append(id_)
    if wanted := ids.get("interaction"):
        for one in session.scalars(select(Interaction).where(Interaction.id.in_(wanted))):
            found["interaction", one.id] = one
    if wanted := ids.get("complaint"):
        for complaint in session.scalars(select(Complaint).where(Complaint.id.in_(wanted))):
            found["complaint", complaint.id] = complaint
    if wanted := ids.get("transition"):
        numbers = [int(id_) for id_ in wanted]
        query = select(ComplaintTransition).where(ComplaintTransition.number.in_(numbers))
        for step in session.scalars(query):
            found["transition", str(step.number)] = step
    return found
