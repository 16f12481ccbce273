"""Reading complaints: the list, one by id or code, how many are open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints.codes import read
from callcenter.crm.complaints.models import Cause, Complaint, ComplaintCall
from callcenter.crm.complaints.operations import get_or_raise
from callcenter.crm.complaints.stages import OPEN_STAGES, STAGES, WAITING_STAGES, Stage
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.errors import NotFound
from callcenter.events import now

get = get_or_raise


def of_call(session: Session, code: str, call: str) -> Complaint:
    """The complaint with that code, where the customer of that call may hear of it.

    Raises NotFound where it was neither born in the call, nor tied to it, nor is the customer's.
    """
    row, contact = by_code(session, code), by_call(session, call)
    if row is not None and contact is not None:
        tied = session.get(ComplaintCall, (row.id, contact.id)) is not None
        own = row.customer_id is not None and row.customer_id == contact.customer_id
        if tied or own or row.interaction_id == contact.id:
            return row
    raise NotFound("there is no such complaint of this call's customer")


def by_code(session: Session, typed: str) -> Complaint | None:
    """The complaint whose code somebody said or typed."""
    code = read(typed)
    return session.scalar(select(Complaint).where(Complaint.code == code)) if code else None


def by_ids(session: Session, complaints: Iterable[str]) -> dict[str, Complaint]:
    """Id → complaint, in one query."""
    wanted = set(complaints)
    if not wanted:
        return {}
    return {
        one.id: one for one in session.scalars(select(Complaint).where(Complaint.id.in_(wanted)))
    }


def concerned(complaint: Complaint) -> set[str]:
    """Whose the complaint is: its owner's, and whoever's who registered it; ids of users."""
    return {one for one in (complaint.owner, complaint.created_by) if one}


def page(
    session: Session,
    *,
    stage: str | None = None,
    customer: str | None = None,
    interaction: str | None = None,
    owner: str | None = None,
    visible_to: str | None = None,
    overdue: bool | None = None,
    escalated: bool | None = None,
    cause: str | None = None,
    incident: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Complaint]:
    """Complaints, newest first. `stage` may be `open`: everything but closed.

    `interaction`: born in it, or talked about in it. `visible_to`: an agent who sees what he
    opened or owns; None sees all.
    """
    query = select(Complaint).order_by(Complaint.created_at.desc(), Complaint.id.desc())
    if interaction is not None:
        query = query.where(_of_interaction(interaction))
    if escalated is not None:
        reached = Complaint.escalation > 0
        query = query.where(reached if escalated else not_(reached))
    if stage == "open":
        query = query.where(Complaint.stage.in_(OPEN_STAGES))
    elif stage is not None:
        query = query.where(Complaint.stage == stage)
    for column, value in (
        (Complaint.customer_id, customer),
        (Complaint.owner, owner),
        (Complaint.cause, cause),
        (Complaint.incident_id, incident),
    ):
        if value is not None:
            query = query.where(column == value)
    if overdue is not None:
        query = query.where(late(now()) if overdue else not_(late(now())))
    if visible_to is not None:
        query = query.where(or_(Complaint.owner == visible_to, Complaint.created_by == visible_to))
    if cursor:
        moment, id_ = moment_and_id(cursor)
        same = and_(Complaint.created_at == moment, Complaint.id < id_)
        query = query.where(or_(Complaint.created_at < moment, same))
    count = limited(limit)
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.created_at, last.id) if last else None)


def _of_interaction(interaction: str) -> ColumnElement[bool]:
    later = select(ComplaintCall.complaint_id).where(ComplaintCall.interaction_id == interaction)
    return or_(Complaint.interaction_id == interaction, Complaint.id.in_(later))


@dataclass(frozen=True, slots=True)
class Column:
    """The complaints of one stage: how many there are, and the first of them by deadline."""

    stage: Stage
    count: int
    cards: Sequence[Complaint]


def board(
    session: Session, *, owner: str | None = None, most: int = 50, closed: int = 10
) -> list[Column]:
    """Every stage with its complaints, the most urgent first; of closed ones the last few."""

    def narrowed(query: Any) -> Any:
        return query if owner is None else query.where(Complaint.owner == owner)

    counted = narrowed(select(Complaint.stage, func.count()).group_by(Complaint.stage))
    counts = {row[0]: row[1] for row in session.execute(counted)}
    columns = []
    for stage in STAGES:
        query = narrowed(select(Complaint).where(Complaint.stage == stage))
        if stage == "closed":
            query = query.order_by(Complaint.closed_at.desc(), Complaint.id).limit(closed)
        else:
            query = query.order_by(Complaint.due_at, Complaint.id).limit(most)
        columns.append(Column(stage, counts.get(stage, 0), session.scalars(query).all()))
    return columns


def causes(session: Session) -> Sequence[Cause]:
    """The list of causes, in its order."""
    return session.scalars(select(Cause).order_by(Cause.position, Cause.id)).all()


def late(at: datetime) -> ColumnElement[bool]:
    """The customer waits longer than promised: for the receipt, or for the answer."""
    unacknowledged = and_(Complaint.stage == "received", Complaint.acknowledge_due_at < at)
    return and_(Complaint.stage.in_(WAITING_STAGES), or_(Complaint.due_at < at, unacknowledged))


def is_overdue(complaint: Complaint) -> bool:
    """`late` for one complaint that is loaded."""
    at, receipt = now(), complaint.acknowledge_due_at
    unacknowledged = complaint.stage == "received" and receipt is not None and receipt < at
    return complaint.stage in WAITING_STAGES and (complaint.due_at < at or unacknowledged)


def open_counts(session: Session, customers: Iterable[str]) -> dict[str, int]:
    """Customer → number of complaints that are not closed, in one query; 0 is left out."""
    query = (
        select(Complaint.customer_id, func.count())
        .where(Complaint.customer_id.in_(set(customers)), Complaint.stage.in_(OPEN_STAGES))
        .group_by(Complaint.customer_id)
    )
    return {row[0]: row[1] for row in session.execute(query) if row[0]}
