"""Reading recordings: one list, narrowed by what a call was and by what was said in it.

Made for millions of rows. Newest first is the order of an index in every case: of all
recordings (`ix_interactions_recorded`, which holds whatever they are narrowed to), of an agent's
calls or of a customer's; the few calls of a small team are looked up and sorted. A page costs what
is read until it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased, lazyload

from callcenter.crm import fts
from callcenter.crm.fts import finding
from callcenter.crm.fts.wanted import Wanted
from callcenter.crm.interactions import queries as interactions
from callcenter.crm.interactions.models import Interaction, Participant, Recording, Utterance
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.quality.models import Evaluation
from callcenter.crm.recordings.models import SavedView
from callcenter.crm.review.models import Conversation

_RARE = 2_000
"""Sentences: up to so many, looking them all up costs less than walking the calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What the list is narrowed to; None leaves a field open.

    `since` ≤ began < `until`; `shortest` ≤ seconds of the recording ≤ `longest`; `words` as
    they are searched for (`fts.query`); `lowest` ≤ score of a submitted evaluation ≤ `highest`.
    """

    since: datetime | None = None
    until: datetime | None = None
    line: str | None = None
    queue: str | None = None
    agent: str | None = None
    customer: str | None = None
    outcome: str | None = None
    shortest: float | None = None
    longest: float | None = None
    words: str | None = None
    language: str | None = None
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording in the list: its contact, and how much the agent spoke (0 to 1) if measured."""

    recording: Recording
    interaction: Interaction
    agent_share: float | None


def page(
    session: Session,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    visible_to: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Recorded]:
    """Sealed recordings, newest first. `visible_to`: agents, of whom one talked in each."""
    count = limited(limit)
    query = _ordered(session, filters, visible_to, cursor)
    if query is None:
        return Page([])
    found = session.scalars(query.limit(count + 1)).all()
    last = found[count - 1] if len(found) > count else None
    rows = _with_recordings(session, found[:count])
    return Page(rows, after(last.started_at, last.id) if last else None)


def views(session: Session, person: str) -> Sequence[SavedView]:
    """The views that this person sees: own ones and shared ones, by name."""
    query = select(SavedView).where(
        or_(SavedView.owner == person, SavedView.shared.is_(True)), SavedView.removed_at.is_(None)
    )
    return session.scalars(query.order_by(SavedView.name, SavedView.id)).all()


def _ordered(
    session: Session, filters: Filters, visible_to: Sequence[str] | None, cursor: str | None
) -> Select[Interaction] | None:
    """None where nothing can be found."""
    query = select(Interaction).options(lazyload(Interaction.participants))
    query = query.where(Interaction.recorded_seconds.is_not(None), *_facts(filters))
    began: Any = Interaction.started_at
    id_: Any = Interaction.id
    few = None
    if visible_to is not None and len(visible_to) != 1:
        among = exists().where(
            Participant.interaction_id == Interaction.id, Participant.agent.in_(visible_to)
        )
        query = query.where(among.correlate(Interaction))
        few = interactions.few_of(session, visible_to)
        if few is not None:
            query = query.join(few, few.c.id == Interaction.id)
            began, id_ = few.c.started_at, few.c.id
    alone = visible_to[0] if visible_to is not None and len(visible_to) == 1 else None
    for agent in dict.fromkeys(one for one in (filters.agent, alone) if one):
        talked = aliased(Participant)
        query = query.join(talked, talked.interaction_id == Interaction.id)
        query = query.where(talked.agent == agent)
        if few is None:
            began, id_ = talked.started_at, talked.interaction_id
    query = query.where(*_times(began, filters))
    if cursor:
        query = query.where(tuple_(began, id_) < tuple_(*moment_and_id(cursor)))
    if filters.lowest is not None or filters.highest is not None:
        query = query.where(_scored(filters, visible_to))
    if filters.words is not None and filters.words.strip():
        asked = fts.wanted(session, filters.words)
        if asked is None:
            return None
        query = query.where(_said(session, asked))
    return query.order_by(began.desc(), id_.desc())


def _facts(filters: Filters) -> list[ColumnElement[bool]]:
    equal = (
        (Interaction.line, filters.line),
        (Interaction.queue, filters.queue),
        (Interaction.customer_id, filters.customer),
        (Interaction.outcome, filters.outcome),
        (Interaction.language, filters.language),
    )
    wanted: list[ColumnElement[bool]] = [
        column == value for column, value in equal if value is not None
    ]
    if filters.shortest is not None:
        wanted.append(Interaction.recorded_seconds >= filters.shortest)
    if filters.longest is not None:
        wanted.append(Interaction.recorded_seconds <= filters.longest)
    return wanted


def _times(began: Any, filters: Filters) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if filters.since is not None:
        wanted.append(began >= filters.since)
    if filters.until is not None:
        wanted.append(began < filters.until)
    return wanted


def _scored(filters: Filters, about: Sequence[str] | None) -> ColumnElement[bool]:
    """A submitted evaluation lies between; `about`: of one of these agents only."""
    judged = select(Evaluation.interaction_id).where(
        Evaluation.state == "submitted",
        Evaluation.calibration_id.is_(None),
        Evaluation.score.is_not(None),
    )
    if filters.lowest is not None:
        judged = judged.where(Evaluation.score >= filters.lowest)
    if filters.highest is not None:
        judged = judged.where(Evaluation.score <= filters.highest)
    if about is not None:
        judged = judged.where(Evaluation.agent.in_(about))
    return Interaction.id.in_(judged)


def _said(session: Session, asked: Wanted) -> ColumnElement[bool]:
    """The words were said in one sentence, in the revision to show.

    Rare words: their few calls are looked up, then sorted. Common words: calls are walked, newest
    first, until enough of them hold the words.
    """
    if _is_common(session, asked):
        sentence = select(Utterance.number).where(
            Utterance.call_id == Interaction.call_id,
            Utterance.revision == Interaction.transcript_revision,
            finding.holding(session, asked, Utterance.number.expression),
        )
        return sentence.offset(0).exists()
    shown = aliased(Interaction)
    calls = (
        select(Utterance.call_id)
        .join(shown, shown.call_id == Utterance.call_id)
        .where(
            Utterance.number.in_(finding.matching(session, asked)),
            Utterance.revision == shown.transcript_revision,
        )
    )
    return Interaction.call_id.in_(calls)


def _is_common(session: Session, asked: Wanted) -> bool:
    """The vocabulary knows how often each word was said; of several, only the index does."""
    if asked.most <= _RARE:
        return False
    some = finding.matching(session, asked).limit(_RARE + 1).subquery()
    return (session.scalar(select(func.count()).select_from(some)) or 0) > _RARE


def _with_recordings(session: Session, rows: Sequence[Interaction]) -> list[Recorded]:
    """In two queries for the whole page."""
    calls = [row.call_id for row in rows]
    kept = select(Recording).where(Recording.call_id.in_(calls))
    found = session.scalars(kept.options(lazyload(Recording.redactions)))
    recordings = {one.call_id: one for one in found}
    shares = select(Conversation.call_id, Conversation.agent_share).where(
        Conversation.call_id.in_(calls), Conversation.state == "measured"
    )
    measured = {row.call_id: row.agent_share for row in session.execute(shares)}
    return [
        Recorded(recordings[row.call_id], row, measured.get(row.call_id))
        for row in rows
        if row.call_id in recordings
    ]
