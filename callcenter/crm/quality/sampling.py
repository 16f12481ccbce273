"""Which calls supervisors are to evaluate: rules, and the jobs process's weekly draw by them.

A finished week is drawn once by each rule. The draw and its row are one transaction: a process that
is killed in between draws again, and by the stored seed draws the same.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from sqlalchemy import ColumnElement, Engine, Select, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from callcenter.crm.db import insert_or
from callcenter.crm.interactions.models import Interaction, Participant
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.phrases.models import PhraseMark
from callcenter.crm.quality import scorecards
from callcenter.crm.quality.drawing import Method, drawn
from callcenter.crm.quality.models import (
    Evaluation,
    SampledCall,
    SampledMark,
    SamplingDraw,
    SamplingRule,
)
from callcenter.crm.quality.weeks import WEEK, Week, Weeks
from callcenter.crm.review.models import Conversation
from callcenter.crm.text import checked
from callcenter.crm.users.models import User
from callcenter.crm.users.queries import by_id
from callcenter.database import reading
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound
from callcenter.events import now

LOOK_SECONDS = 60.0
BACK = 4
"""Weeks that are drawn later where the jobs process was off."""
LONG_HOLD = 60.0
MOST_NUMBER = 50


def add_rule(
    session: Session,
    *,
    by: str,
    name: str,
    scorecard: str,
    evaluator: str,
    method: Method,
    amount: float,
    mark: SampledMark | None = None,
    queue: str | None = None,
    least_seconds: float = 0.0,
    seed: int | None = None,
) -> SamplingRule:
    """So many calls, or that share, of each agent and week; drawn from the last week on."""
    card = scorecards.get_or_raise(session, scorecard)
    scorecards.in_force(session, card)
    _check_amount(method, amount)
    person = by_id(session, evaluator)
    if person is None or person.disabled_at or person.role != "supervisor":
        raise Invalid("calls are given to a supervisor", {"evaluator": "is no supervisor"})
    made = SamplingRule(
        name=checked("name", name, most=200, needed=True),
        scorecard_id=card.id,
        evaluator=evaluator,
        method=method,
        amount=amount,
        mark=mark,
        queue=queue,
        least_seconds=least_seconds,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        created_by=by,
    )
    session.add(made)
    session.flush()
    return made


def end_rule(session: Session, rule: str, *, by: str) -> SamplingRule:
    """Draw by it no more; what was drawn stays. Doing it twice changes nothing."""
    found = session.get(SamplingRule, rule)
    if found is None:
        raise NotFound("there is no such rule")
    if found.ended_at is None:
        found.ended_by, found.ended_at = by, now()
        session.flush()
    return found


def rules(session: Session) -> Sequence[SamplingRule]:
    """All rules, those in force first, 200 at most."""
    query = select(SamplingRule).order_by(SamplingRule.ended_at.is_not(None), SamplingRule.name)
    return session.scalars(query.limit(200)).all()


def to_evaluate(
    session: Session,
    evaluator: str,
    *,
    among: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[SampledCall]:
    """The drawn calls that this person has neither evaluated nor passed over, the newest first.

    `among`: the agents of that person's team; None: everybody.
    """
    query = (
        select(SampledCall)
        .outerjoin(Evaluation, Evaluation.id == SampledCall.evaluation_id)
        .where(SampledCall.evaluator == evaluator, _open())
    )
    if among is not None:
        query = query.where(SampledCall.agent.in_(among))
    if cursor:
        moment, id_ = moment_and_id(cursor)
        same = and_(SampledCall.drawn_at == moment, SampledCall.id < id_)
        query = query.where(or_(SampledCall.drawn_at < moment, same))
    count = limited(limit)
    query = query.order_by(SampledCall.drawn_at.desc(), SampledCall.id.desc())
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.drawn_at, last.id) if last else None)


def pass_over(session: Session, call: str, *, by: str, why: str) -> SampledCall:
    """This call is not worth an evaluation; the reason is kept."""
    found = session.get(SampledCall, call)
    if found is None:
        raise NotFound("there is no such call to evaluate")
    if found.evaluator != by:
        raise Forbidden("this call was given to somebody else")
    if found.passed_at or found.evaluation_id:
        raise Conflict("this call is dealt with already")
    found.why = checked("why", why, most=2_000, needed=True)
    found.passed_at = now()
    session.flush()
    return found


def begun(session: Session, evaluation: Evaluation) -> None:
    """An evaluation was begun: the drawn call that it is about is in hand."""
    session.execute(
        update(SampledCall)
        .where(
            SampledCall.interaction_id == evaluation.interaction_id,
            SampledCall.agent == evaluation.agent,
            SampledCall.evaluator == evaluation.evaluator,
            SampledCall.scorecard_id == evaluation.scorecard_id,
            SampledCall.evaluation_id.is_(None),
            SampledCall.passed_at.is_(None),
        )
        .values(evaluation_id=evaluation.id)
    )


class Sampler:
    """The jobs process's draw: looks once a minute whether a week is over."""

    def __init__(self, engine: Engine, weeks: Weeks) -> None:
        self._engine, self._weeks = engine, weeks
        self._next = 0.0

    def round(self) -> int:
        """Draw what is due; returns how many calls were drawn."""
        if time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + LOOK_SECONDS
        with Session(reading(self._engine)) as session:
            waiting = due(session, self._weeks, now())
        found = 0
        for rule, week in waiting:
            with Session(self._engine) as session, session.begin():
                found += draw(session, session.get_one(SamplingRule, rule), week)
        return found


def due(session: Session, weeks: Weeks, at: datetime) -> list[tuple[str, Week]]:
    """Rule and finished week of which no draw is kept yet; a new rule begins with the last one."""
    finished = [week for week in weeks.last(BACK + 1, at) if week.until <= at]
    made = select(SamplingDraw.rule_id, SamplingDraw.week).where(
        SamplingDraw.week >= finished[0].first
    )
    done = {(rule, week) for rule, week in session.execute(made)}
    running = select(SamplingRule).where(SamplingRule.ended_at.is_(None))
    return [
        (rule.id, week)
        for rule in session.scalars(running)
        for week in finished
        if (rule.id, week.first) not in done and week.until > rule.created_at - WEEK
    ]


def draw(session: Session, rule: SamplingRule, week: Week) -> int:
    """Draw that week's calls by the rule; returns how many. Nothing where somebody did already."""
    new = insert_or(session, SamplingDraw.__table__).values(
        rule_id=rule.id, week=week.first, at=now()
    )
    fresh = new.on_conflict_do_nothing().returning(SamplingDraw.rule_id)
    if session.scalar(fresh) is None:
        return 0
    by_agent: dict[str, list[str]] = {}
    evaluator = by_id(session, rule.evaluator)
    team = evaluator.team if evaluator else None
    for call, agent in session.execute(_candidates(rule, week, team)):
        by_agent.setdefault(agent, []).append(call)
    picked = [
        SampledCall(
            rule_id=rule.id,
            interaction_id=call,
            scorecard_id=rule.scorecard_id,
            agent=agent,
            evaluator=rule.evaluator,
            week=week.first,
        )
        for agent, calls in sorted(by_agent.items())
        for call in drawn(calls, rule.method, rule.amount, rule.seed)
    ]
    session.add_all(picked)
    session.flush()
    return len(picked)


def _candidates(rule: SamplingRule, week: Week, team: str | None) -> Select[str, str]:
    """Recorded calls of the week, with each agent who talked; nobody evaluates their own.

    Whoever is in a team evaluates that team's agents only.
    """
    query = (
        select(Interaction.id, Participant.agent)
        .join(Participant, Participant.interaction_id == Interaction.id)
        .where(
            Interaction.started_at >= week.since,
            Interaction.started_at < week.until,
            Interaction.recording_state == "sealed",
            Interaction.talk_seconds >= rule.least_seconds,
            Participant.agent != rule.evaluator,
        )
    )
    if team is not None:
        query = query.where(Participant.agent.in_(select(User.id).where(User.team == team)))
    if rule.queue:
        query = query.where(Interaction.queue == rule.queue)
    if rule.mark == "phrase":
        shown = PhraseMark.revision == Interaction.transcript_revision
        query = query.where(exists().where(PhraseMark.call_id == Interaction.call_id, shown))
    elif rule.mark:
        query = query.join(Conversation, Conversation.call_id == Interaction.call_id)
        query = query.where(_marked(rule.mark))
    return query


def _marked(mark: SampledMark) -> ColumnElement[bool]:
    if mark == "talk_over":
        return Conversation.talk_overs > 0
    if mark == "dead_air":
        return Conversation.dead_airs > 0
    return Conversation.hold_seconds >= LONG_HOLD


def _open() -> ColumnElement[bool]:
    unfinished = or_(Evaluation.id.is_(None), Evaluation.state == "draft")
    return and_(SampledCall.passed_at.is_(None), unfinished)


def _check_amount(method: Method, amount: float) -> None:
    if method not in get_args(Method):
        raise Invalid("a rule draws a number or a share", {"method": "is number or share"})
    if method == "number" and not (amount == int(amount) and 1 <= amount <= MOST_NUMBER):
        sentence = f"is a number of 1 to {MOST_NUMBER} calls"
        raise Invalid(f"the amount {sentence}", {"amount": sentence})
    if method == "share" and not 0 < amount <= 1:
        raise Invalid("a share is over 0 and at most 1", {"amount": "is over 0 and at most 1"})
