"""Reading evaluations: lists with filters, one evaluation for somebody who may read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.quality import calibrations
from callcenter.crm.quality.evaluations import get_or_raise
from callcenter.crm.quality.models import Evaluation, Scorecard, ScorecardVersion
from callcenter.errors import NotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list is narrowed to; None leaves a field open. `since` ≤ call < `until`."""

    agent: str | None = None
    evaluator: str | None = None
    interaction: str | None = None
    scorecard: str | None = None
    state: str | None = None
    acknowledged: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(
    session: Session,
    filters: Filters,
    *,
    reader: str,
    own: bool,
    among: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Evaluation]:
    """Evaluations that `reader` may read, the newest first; `own`: only what is about them.

    `among`: the agents of the reader's team; None: everybody.
    """
    about = (reader,) if own else among
    query = select(Evaluation).where(_readable(reader, about), *_narrowed(filters))
    if cursor:
        moment, id_ = moment_and_id(cursor)
        older = Evaluation.created_at < moment
        query = query.where(or_(older, and_(Evaluation.created_at == moment, Evaluation.id < id_)))
    count = limited(limit)
    query = query.order_by(Evaluation.created_at.desc(), Evaluation.id.desc())
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.created_at, last.id) if last else None)


def readable(
    session: Session,
    evaluation: str,
    *,
    reader: str,
    own: bool,
    among: Sequence[str] | None = None,
) -> Evaluation:
    """The evaluation, for somebody who may read it (see `page`); else NotFound."""
    found = get_or_raise(session, evaluation)
    if found.evaluator == reader:
        return found
    about = (reader,) if own else among
    theirs = about is not None and found.agent not in about
    hidden = theirs or (own and found.calibration_id is not None)
    if found.state != "submitted" or hidden or _is_blind(session, found):
        raise NotFound("there is no such evaluation")
    return found


def cards_of(
    session: Session, versions: Iterable[str]
) -> dict[str, tuple[ScorecardVersion, Scorecard]]:
    """Version → it and its scorecard, in one query."""
    query = (
        select(ScorecardVersion, Scorecard)
        .join(Scorecard, Scorecard.id == ScorecardVersion.scorecard_id)
        .where(ScorecardVersion.id.in_(set(versions)))
    )
    return {version.id: (version, card) for version, card in session.execute(query)}


def _is_blind(session: Session, evaluation: Evaluation) -> bool:
    if not evaluation.calibration_id:
        return False
    found = calibrations.get_or_raise(session, evaluation.calibration_id)
    judged = calibrations.judgements(session, [found])[found.id]
    return not calibrations.revealed(found, judged)


def _readable(reader: str, about: Sequence[str] | None) -> ColumnElement[bool]:
    """A draft is its author's; what is submitted is read by whom it is about and by those above.

    Others' parts of a calibration are found there, once it is blind no more.
    """
    submitted = and_(Evaluation.state == "submitted", Evaluation.calibration_id.is_(None))
    if about is not None:
        submitted = and_(submitted, Evaluation.agent.in_(about))
    return or_(submitted, Evaluation.evaluator == reader)


def _narrowed(filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (Evaluation.agent, filters.agent),
            (Evaluation.evaluator, filters.evaluator),
            (Evaluation.interaction_id, filters.interaction),
            (Evaluation.scorecard_id, filters.scorecard),
            (Evaluation.state, filters.state),
        )
        if value is not None
    ]
    if filters.acknowledged is not None:
        unread = Evaluation.acknowledged_at.is_(None)
        wanted.append(~unread if filters.acknowledged else unread)
    if filters.since is not None:
        wanted.append(Evaluation.call_at >= filters.since)
    if filters.until is not None:
        wanted.append(Evaluation.call_at < filters.until)
    return wanted
