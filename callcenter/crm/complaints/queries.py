"""Reading complaints: the list, one by id or code, how many are open."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints.codes import read
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.operations import get_or_raise
from callcenter.crm.complaints.stages import OPEN_STAGES, WAITING_STAGES
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.events import now

get = get_or_raise


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


def page(
    session: Session,
    *,
    stage: str | None = None,
    customer: str | None = None,
    interaction: str | None = None,
    owner: str | None = None,
    visible_to: str | None = None,
    overdue: bool | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Complaint]:
    """Complaints, newest first. `stage` may be `open`: everything but closed.

    `visible_to`: an agent who sees what he opened or owns; None sees all.
    """
    query = select(Complaint).order_by(Complaint.created_at.desc(), Complaint.id.desc())
    if stage == "open":
        query = query.where(Complaint.stage.in_(OPEN_STAGES))
    elif stage is not None:
        query = query.where(Complaint.stage == stage)
    for column, value in (
        (Complaint.customer_id, customer),
        (Complaint.interaction_id, interaction),
        (Complaint.owner, owner),
    ):
        if value is not None:
            query = query.where(column == value)
    if overdue is not None:
        late = and_(Complaint.stage.in_(WAITING_STAGES), Complaint.due_at < now())
        query = query.where(late if overdue else not_(late))
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


def is_overdue(complaint: Complaint) -> bool:
    """The answer was due, and the customer was not told it yet."""
    return complaint.stage in WAITING_STAGES and complaint.due_at < now()


def open_counts(session: Session, customers: Iterable[str]) -> dict[str, int]:
    """Customer → number of complaints that are not closed, in one query; 0 is left out."""
    query = (
        select(Complaint.customer_id, func.count())
        .where(Complaint.customer_id.in_(set(customers)), Complaint.stage.in_(OPEN_STAGES))
        .group_by(Complaint.customer_id)
    )
    return {row[0]: row[1] for row in session.execute(query) if row[0]}
