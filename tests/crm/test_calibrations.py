"""Calibrations: judged blind, compared, agreed on; apart from agents and trends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from crm_floor import Floor
from quality_desk import AGENT, given, published, talked
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.quality import calibrations, coaching, evaluations, queries, trends
from callcenter.crm.quality.models import Calibration, Evaluation
from callcenter.crm.quality.queries import Filters
from callcenter.crm.quality.weeks import Week
from callcenter.crm.users import operations as users
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound


@pytest.fixture
def judges(session: Session) -> list[str]:
    made = [
        users.create(session, username=name, password_hash="x", role="supervisor", language="en")
        for name in ("sara", "omid")
    ]
    session.commit()
    return [one.id for one in made]


@pytest.fixture
def calibration(session: Session, floor: Floor, judges: list[str]) -> Calibration:
    made = calibrations.start(
        session,
        talked(floor),
        scorecard=published(session).id,
        agent=AGENT,
        judges=judges,
        by=judges[0],
    )
    session.commit()
    return made


def of(session: Session, calibration: Calibration, judge: str) -> Evaluation:
    judged = calibrations.judgements(session, [calibration])[calibration.id]
    return next(one for one in judged if one.evaluator == judge)


def scored(session: Session, one: Evaluation, **values: int | None) -> None:
    answers = given(**({"name": 1, "tone": 4, "identity": 1} | values))
    evaluations.save(session, one, by=one.evaluator, answers=answers)
    evaluations.submit(session, one, by=one.evaluator)
    session.commit()


def test_nobody_reads_another_before_all_have_submitted(
    session: Session, calibration: Calibration, judges: list[str]
) -> None:
    first, second = (of(session, calibration, judge) for judge in judges)
    assert first.version_id == second.version_id == calibration.version_id
    scored(session, first, tone=4)
    for reader, own in ((judges[1], False), ("manager", False), (AGENT, True)):
        with pytest.raises(NotFound):
            queries.readable(session, first.id, reader=reader, own=own)
    with pytest.raises(Conflict):
        calibrations.agree(session, calibration, by=judges[0])
    scored(session, second, tone=2)
    assert queries.readable(session, first.id, reader=judges[1], own=False) is first
    with pytest.raises(NotFound):
        queries.readable(session, first.id, reader=AGENT, own=True)
    judged = calibrations.judgements(session, [calibration])[calibration.id]
    found = calibrations.differences(session, calibration, judged)
    assert (found[0].question.id, found[0].size) == ("tone", 0.5)
    assert found[0].values == {judges[0]: 4, judges[1]: 2}


def test_what_is_agreed_on_is_written_down_with_reason(
    session: Session, calibration: Calibration, judges: list[str]
) -> None:
    for judge, tone in zip(judges, (4, 2), strict=True):
        scored(session, of(session, calibration, judge), tone=tone)
    agreed = calibrations.agree(session, calibration, by=judges[0])
    assert evaluations.values(agreed) == {"name": 1, "identity": 1}
    assert calibrations.agree(session, calibration, by=judges[0]) is agreed
    with pytest.raises(Conflict):
        calibrations.agree(session, calibration, by=judges[1])
    answers = given(name=1, tone=3, identity=1)
    evaluations.save(session, agreed, by=judges[0], answers=answers)
    with pytest.raises(Invalid) as wrong:
        evaluations.submit(session, agreed, by=judges[0])
    assert wrong.value.fields == {"summary": "is needed"}
    evaluations.save(session, agreed, by=judges[0], answers=answers, summary="3: polite, hasty")
    evaluations.submit(session, agreed, by=judges[0])
    session.commit()
    judged = calibrations.judgements(session, [calibration])[calibration.id]
    assert agreed.id not in [one.id for one in judged]
    assert len(judged) == 2


def test_closing_shows_what_there_is_and_leaves_out_the_rest(
    session: Session, calibration: Calibration, judges: list[str]
) -> None:
    first, second = (of(session, calibration, judge) for judge in judges)
    scored(session, first)
    evaluations.save(session, second, by=judges[1], answers=given(name=0))
    calibrations.close(session, calibration, by=judges[1])
    session.commit()
    with pytest.raises(Conflict):
        calibrations.close(session, calibration, by=judges[0])
    for refused in (
        lambda: evaluations.save(session, second, by=judges[1], answers=[]),
        lambda: evaluations.submit(session, second, by=judges[1]),
    ):
        with pytest.raises(Conflict):
            refused()
    judged = calibrations.judgements(session, [calibration])[calibration.id]
    assert calibrations.revealed(calibration, judged)
    found = calibrations.differences(session, calibration, judged)
    assert all(list(one.values) == [judges[0]] for one in found)
    with pytest.raises(NotFound):
        queries.readable(session, second.id, reader=judges[0], own=False)
    agreed = calibrations.agree(session, calibration, by=judges[1])
    assert evaluations.values(agreed) == {"name": 1, "tone": 4, "identity": 1}


def test_agents_and_trends_know_nothing_of_it(
    session: Session, calibration: Calibration, judges: list[str]
) -> None:
    for judge in judges:
        scored(session, of(session, calibration, judge))
    one = of(session, calibration, judges[0])
    read = queries.page(session, Filters(), reader=AGENT, own=True).items
    assert list(read) == []
    day = timedelta(days=1)
    at = one.call_at if one.call_at.tzinfo else one.call_at.replace(tzinfo=UTC)
    week = Week(datetime.now(UTC).date(), at - day, at + day)
    assert list(trends.scores(session, [week], one.scorecard_id)) == []
    assert list(trends.questions(session, [week], one.scorecard_id)) == []
    with pytest.raises(Conflict):
        evaluations.say(session, one, by=judges[1], text="x")
    ann = users.create(session, username="ann", password_hash="x", role="agent", language="en")
    with pytest.raises(Conflict):
        coaching.give(session, by=judges[0], agent=ann.id, text="x", evaluation=one.id)


def test_an_evaluation_of_ones_own_beside_it_is_another(
    session: Session, calibration: Calibration, judges: list[str]
) -> None:
    mine = of(session, calibration, judges[0])
    call = session.get_one(Interaction, calibration.interaction_id)
    card = mine.scorecard_id
    made = evaluations.begin(session, call, scorecard=card, agent=AGENT, by=judges[0])
    assert (made.id != mine.id, made.calibration_id) == (True, None)


def test_only_two_to_ten_supervisors_calibrate(
    session: Session, floor: Floor, judges: list[str]
) -> None:
    call, card = talked(floor), published(session)
    ann = users.create(session, username="ann", password_hash="x", role="agent", language="en")
    for wrong in ([], judges[:1], [judges[0]] * 2, [judges[0], ann.id], [judges[0], "nobody"]):
        with pytest.raises(Invalid):
            calibrations.start(
                session, call, scorecard=card.id, agent=AGENT, judges=wrong, by=judges[0]
            )
    own = talked(floor, judges[1])
    with pytest.raises(Forbidden):
        calibrations.start(
            session, own, scorecard=card.id, agent=judges[1], judges=judges, by=judges[0]
        )
