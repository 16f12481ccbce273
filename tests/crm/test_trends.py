"""Figures by week: scores, answers, conversations; each one query over an index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crm_floor import Counter, Floor
from quality_desk import BOSS, judged, published, talked
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.quality import evaluations, trends
from callcenter.crm.quality.models import Evaluation
from callcenter.crm.quality.weeks import Weeks
from callcenter.crm.review.models import Conversation

WEEKS = Weeks(ZoneInfo("UTC")).last(3, datetime(2026, 11, 25, tzinfo=UTC))


def scored(
    session: Session, floor: Floor, card: Any, week: int, agent: str = "ann", **values: int | None
) -> Evaluation:
    made = judged(session, talked(floor, agent), card, by=BOSS, **values)
    session.execute(
        update(Evaluation)
        .where(Evaluation.id == made.id)
        .values(call_at=WEEKS[week].since + timedelta(days=2))
    )
    session.commit()
    return made


def test_scores_are_means_by_agent_and_week(session: Session, floor: Floor) -> None:
    card, other = published(session), published(session, "Sales")
    scored(session, floor, card, 0, name=0)  # 75
    scored(session, floor, card, 0)  # 100
    scored(session, floor, card, 2, identity=0)  # knocked out
    scored(session, floor, card, 2, "bob")
    scored(session, floor, other, 1)
    draft = evaluations.begin(session, talked(floor), scorecard=card.id, agent="ann", by="x")
    draft.call_at = WEEKS[1].since
    session.commit()
    found = {(one.key, one.week): one for one in trends.scores(session, WEEKS, card.id)}
    assert {key: (one.count, one.mean, one.worst) for key, one in found.items()} == {
        ("ann", 0): (2, 87.5, 0),
        ("ann", 2): (1, 0.0, 1),
        ("bob", 2): (1, 100.0, 0),
    }
    assert {one.key for one in trends.scores(session, WEEKS, card.id, agents=["bob"])} == {"bob"}


def test_answers_are_shares_by_question_without_what_did_not_apply(
    session: Session, floor: Floor
) -> None:
    card = published(session)
    scored(session, floor, card, 1, tone=1, name=None)
    scored(session, floor, card, 1, "bob", tone=0)
    found = {one.key: one for one in trends.questions(session, WEEKS, card.id)}
    assert (found["tone"].count, found["tone"].mean, found["tone"].worst) == (2, 0.125, 1)
    assert found["name"].count == 1
    own = {one.key: one for one in trends.questions(session, WEEKS, card.id, agents=["ann"])}
    assert (own["tone"].mean, "name" in own) == (0.25, False)


def test_what_lies_outside_the_weeks_does_not_count(session: Session, floor: Floor) -> None:
    card = published(session)
    for moment in (WEEKS[0].since - timedelta(seconds=1), WEEKS[-1].until):
        scored(session, floor, card, 0).call_at = moment
    scored(session, floor, card, 0).call_at = WEEKS[0].until - timedelta(seconds=1)
    scored(session, floor, card, 0).call_at = WEEKS[1].since
    session.commit()
    assert [(one.week, one.count) for one in trends.scores(session, WEEKS, card.id)] == [
        (0, 1),
        (1, 1),
    ]


def spoken(session: Session, floor: Floor, week: int, agent: str = "ann", **figures: Any) -> None:
    call = talked(floor, agent)
    session.execute(
        update(Interaction)
        .where(Interaction.id == call.id)
        .values(started_at=WEEKS[week].since + timedelta(days=1))
    )
    values = {"state": "measured", "seconds": 100.0, "marks": [], "quiet": []} | figures
    session.add(Conversation(call_id=call.call_id, **values))
    session.commit()


def test_conversations_are_figures_by_agent_or_queue_and_week(
    session: Session, floor: Floor
) -> None:
    spoken(
        session, floor, 1,
        agent_share=0.4, both_seconds=5, silence_seconds=20, agent_longest=30,
        agent_words=100, agent_seconds=50, agent_pace=120,
    )  # fmt: skip
    spoken(
        session, floor, 1,
        seconds=300.0, agent_share=0.6, both_seconds=15, silence_seconds=0, agent_longest=10,
        agent_words=1, agent_seconds=2, agent_pace=None,
    )  # fmt: skip
    spoken(session, floor, 2, "bob", agent_share=0.5)
    spoken(session, floor, 2, "bob", state="waiting", seconds=0.0)
    ann, bob = sorted(trends.conversations(session, WEEKS, "agent"), key=lambda one: one.key)
    assert (ann.week, ann.count, ann.longest, ann.pace) == (1, 2, 20, 120)
    assert ann.share == pytest.approx(0.5)
    assert ann.talk_over == pytest.approx(0.05)
    assert ann.silence == pytest.approx(0.05)
    assert (bob.week, bob.count, bob.pace) == (2, 1, None)
    queues = trends.conversations(session, WEEKS, "queue")
    assert sorted((one.key, one.week, one.count) for one in queues) == [
        ("support", 1, 2),
        ("support", 2, 1),
    ]
    own = trends.conversations(session, WEEKS, "queue", agents=["ann"])
    assert [(one.key, one.count) for one in own] == [("support", 2)]


def test_each_figure_is_one_query_over_an_index(
    engine: Engine, session: Session, statements: Counter
) -> None:
    with statements() as seen:
        trends.scores(session, WEEKS, "card")
        trends.questions(session, WEEKS, "card")
        trends.conversations(session, WEEKS, "agent")
        trends.conversations(session, WEEKS, "agent", agents=["ann"])
    assert len(seen) == 4
    if engine.dialect.name != "sqlite":
        return
    wanted = ("ix_evaluations_trend", "ix_evaluations_trend", "ix_interactions_", "ix_interactions")
    for statement, index in zip(seen, wanted, strict=True):
        places = statement.count("?")
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {statement}", ("2026-01-01",) * places
        )
        steps = [str(row[3]) for row in plan]
        assert any(index in step for step in steps), steps
        assert not [step for step in steps if step.startswith("SCAN ")], steps
