"""How figures move from week to week: scores by agent and by question, how people spoke.

Each is one query over an index: `ix_evaluations_trend`, `ix_interactions_started` or
`ix_interactions_agent`. The week of a call is found by its bounds, so that it follows the site's
own clock and first working day on every database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, case, cast, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.quality.models import Evaluation, EvaluationAnswer
from callcenter.crm.quality.weeks import Week
from callcenter.crm.review.models import Conversation

By = Literal["agent", "queue"]
_WEEK: ColumnElement[int] = literal_column("nth")
"""By its name: PostgreSQL takes the same expression with other parameters for another one."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Of one agent or question in one week: `mean` is a score of 0 to 100, or a share of 0 to 1."""

    key: str
    week: int
    count: int
    mean: float
    worst: int  # knocked out, or answered with 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """The conversations of one agent or queue in one week; means of the calls, 0 to 1 or seconds.

    `talk_over` and `silence` are shares of the calls' time; `pace` is of the agent, None where too
    little was said.
    """

    key: str
    week: int
    count: int
    share: float
    talk_over: float
    silence: float
    longest: float
    pace: float | None


def scores(
    session: Session, weeks: Sequence[Week], scorecard: str, *, agents: Sequence[str] | None = None
) -> Sequence[Scored]:
    """Scores by agent, of these agents or of all; `week` counts from the first of `weeks`."""
    week = _week(Evaluation.call_at, weeks)
    failed = func.sum(cast(Evaluation.knocked_out, Integer))
    query = (
        select(Evaluation.agent, week, func.count(), func.avg(Evaluation.score), failed)
        .where(*_submitted(weeks, scorecard, agents), Evaluation.score.is_not(None))
        .group_by(Evaluation.agent, _WEEK)
    )
    return [Scored(*row) for row in session.execute(query)]


def questions(
    session: Session, weeks: Sequence[Week], scorecard: str, *, agents: Sequence[str] | None = None
) -> Sequence[Scored]:
    """Answers by question, as shares of their scales; what did not apply does not count."""
    week = _week(Evaluation.call_at, weeks)
    zero = func.sum(case((EvaluationAnswer.value == 0, 1), else_=0))
    query = (
        select(
            EvaluationAnswer.question, week, func.count(), func.avg(EvaluationAnswer.share), zero
        )
        .join(Evaluation, Evaluation.id == EvaluationAnswer.evaluation_id)
        .where(*_submitted(weeks, scorecard, agents), EvaluationAnswer.share.is_not(None))
        .group_by(EvaluationAnswer.question, _WEEK)
    )
    return [Scored(*row) for row in session.execute(query)]


def conversations(
    session: Session, weeks: Sequence[Week], by: By, *, agents: Sequence[str] | None = None
) -> Sequence[Spoken]:
    """What conversations were like, by agent or queue; of these agents or of all."""
    week = _week(Interaction.started_at, weeks)
    key = Interaction.agent if by == "agent" else Interaction.queue
    paced = case((Conversation.agent_pace.is_not(None), Conversation.agent_seconds))
    words = case((Conversation.agent_pace.is_not(None), Conversation.agent_words))
    query = (
        select(
            key,
            week,
            func.count(),
            func.avg(Conversation.agent_share),
            func.sum(Conversation.both_seconds),
            func.sum(Conversation.silence_seconds),
            func.sum(Conversation.seconds),
            func.avg(Conversation.agent_longest),
            func.sum(words),
            func.sum(paced),
        )
        .join(Conversation, Conversation.call_id == Interaction.call_id)
        .where(
            Interaction.started_at >= weeks[0].since,
            Interaction.started_at < weeks[-1].until,
            Conversation.seconds > 0,  # those being measured anew count as they were
            key.is_not(None),
        )
        .group_by(key, _WEEK)
    )
    if agents is not None:
        query = query.where(Interaction.agent.in_(agents))
    return [_spoken(*row) for row in session.execute(query)]


def _spoken(key: str, week: int, count: int, share: float, *sums: Any) -> Spoken:
    both, silence, seconds, longest, words, paced = sums
    return Spoken(
        key=key,
        week=week,
        count=count,
        share=float(share),
        talk_over=both / seconds,
        silence=silence / seconds,
        longest=float(longest),
        pace=60 * words / paced if paced else None,
    )


def _submitted(
    weeks: Sequence[Week], scorecard: str, agents: Sequence[str] | None
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        Evaluation.scorecard_id == scorecard,
        Evaluation.state == "submitted",
        Evaluation.calibration_id.is_(None),
        Evaluation.call_at >= weeks[0].since,
        Evaluation.call_at < weeks[-1].until,
    ]
    if agents is not None:
        wanted.append(Evaluation.agent.in_(agents))
    return wanted


def _week(moment: InstrumentedAttribute[datetime], weeks: Sequence[Week]) -> ColumnElement[int]:
    """0 for the first of the weeks, 1 for the next …"""
    return case(*((moment < week.until, place) for place, week in enumerate(weeks))).label("nth")
