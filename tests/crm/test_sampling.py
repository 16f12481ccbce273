"""Which calls are drawn for evaluation: reproducibly, once, for the right person."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from crm_floor import Floor
from quality_desk import AGENT, given, judged, published, talked
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from callcenter.config import Site
from callcenter.crm import workdays
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.phrases.models import PhraseList, PhraseMark
from callcenter.crm.quality import evaluations, sampling
from callcenter.crm.quality.drawing import drawn
from callcenter.crm.quality.models import SampledCall, SamplingDraw, SamplingRule
from callcenter.crm.quality.sampling import Sampler
from callcenter.crm.quality.weeks import Weeks, weeks_of
from callcenter.crm.review.models import Conversation
from callcenter.crm.users import operations as users
from callcenter.errors import Conflict, Forbidden, Invalid
from callcenter.events import now

WEEKS = Weeks(ZoneInfo("UTC"))
CALLS = [f"call-{number}" for number in range(100)]

# --- Drawing and weeks -----------------------------------------------------------------------


def test_the_same_seed_draws_the_same_calls_whatever_their_order() -> None:
    first = drawn(CALLS, "number", 5, 7)
    assert first == drawn(reversed(CALLS), "number", 5, 7)
    assert len(set(first)) == 5
    assert first != drawn(CALLS, "number", 5, 8)
    assert first != CALLS[:5]


@pytest.mark.parametrize(
    ("calls", "share", "count"), [(100, 0.1, 10), (7, 0.1, 1), (3, 1.0, 3), (0, 0.5, 0)]
)
def test_a_share_is_rounded_up_so_that_nobody_is_left_out(
    calls: int, share: float, count: int
) -> None:
    assert len(drawn(CALLS[:calls], "share", share, 1)) == count


def test_a_number_is_of_as_many_as_there_are() -> None:
    assert sorted(drawn(CALLS[:2], "number", 5, 1)) == CALLS[:2]


def test_every_call_is_drawn_about_equally_often() -> None:
    hits = dict.fromkeys(CALLS[:10], 0)
    for seed in range(600):
        for call in drawn(CALLS[:10], "number", 3, seed):
            hits[call] += 1
    assert all(130 < count < 230 for count in hits.values()), hits


def test_a_week_begins_with_the_sites_first_working_day_by_its_own_clock() -> None:
    tehran = weeks_of(workdays.of(Site(region="IR", timezone="Asia/Tehran")))
    friday_night = datetime(2026, 11, 27, 21, 0, tzinfo=UTC)  # Saturday 00:30 in Tehran
    week = tehran.holding(friday_night)
    assert (week.first, week.since) == (
        date(2026, 11, 28),
        datetime(2026, 11, 27, 20, 30, tzinfo=UTC),
    )
    assert tehran.holding(friday_night - timedelta(hours=1)).first == date(2026, 11, 21)
    israel = weeks_of(workdays.of(Site(region="IL", timezone="Asia/Jerusalem")))
    assert israel.begins == 6
    assert weeks_of(workdays.of(Site(region="DE", timezone="Europe/Berlin"))).begins == 0


def test_weeks_follow_each_other_without_a_gap_also_when_the_clock_changes() -> None:
    berlin = Weeks(ZoneInfo("Europe/Berlin"))
    weeks = berlin.last(5, datetime(2026, 11, 10, tzinfo=UTC))
    assert [one.since for one in weeks[1:]] == [one.until for one in weeks[:-1]]
    assert {one.until - one.since for one in weeks} == {timedelta(days=7), timedelta(hours=169)}


# --- Rules and draws -------------------------------------------------------------------------


@pytest.fixture
def boss(session: Session) -> str:
    made = users.create(
        session, username="boss", password_hash="x", role="supervisor", language="en"
    )
    session.commit()
    return made.id


def rule(session: Session, boss: str, **fields: object) -> SamplingRule:
    wanted = {"name": "Every week", "method": "number", "amount": 2, "seed": 11} | fields
    card = published(session).id
    made = sampling.add_rule(session, by=boss, scorecard=card, evaluator=boss, **wanted)  # type: ignore[arg-type]
    session.commit()
    return made


def last_week(session: Session, floor: Floor, count: int, agent: str = AGENT) -> list[str]:
    """Recorded calls of that agent in the week before this one."""
    calls = [talked(floor, agent).id for _ in range(count)]
    moment = WEEKS.last(2, now())[0].since + timedelta(hours=30)
    session.execute(
        update(Interaction)
        .where(Interaction.id.in_(calls))
        .values(recording_state="sealed", started_at=moment)
    )
    session.commit()
    return calls


def sampled(session: Session) -> dict[str, list[str]]:
    session.rollback()
    found: dict[str, list[str]] = {}
    for one in session.scalars(select(SampledCall)):
        found.setdefault(one.agent, []).append(one.interaction_id)
    session.rollback()  # or it would hold off the other writers
    return {agent: sorted(calls) for agent, calls in found.items()}


def test_a_finished_week_is_drawn_once_for_each_agent(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    calls = last_week(session, floor, 5) + last_week(session, floor, 1, "bob")
    talked(floor)  # of this week, which is not over
    rule(session, boss)
    assert Sampler(engine, WEEKS).round() == 3
    found = sampled(session)
    assert (len(found[AGENT]), len(found["bob"])) == (2, 1)
    assert {call for some in found.values() for call in some} <= set(calls)
    assert Sampler(engine, WEEKS).round() == 0
    assert sampled(session) == found


def test_a_draw_that_was_killed_is_drawn_again_the_same(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    last_week(session, floor, 9)
    made = rule(session, boss, amount=3)
    (_, week) = sampling.due(session, WEEKS, now())[-1]
    assert sampling.draw(session, made, week) == 3
    killed = sorted(session.scalars(select(SampledCall.interaction_id)))
    session.rollback()
    assert sampled(session) == {}
    Sampler(engine, WEEKS).round()
    assert sampled(session) == {AGENT: killed}
    assert sampling.draw(session, made, week) == 0


def test_a_rule_takes_only_calls_with_its_mark_length_queue_and_a_recording(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    calls = last_week(session, floor, 4)
    rows = session.scalars(select(Interaction).where(Interaction.id.in_(calls))).all()
    for place, row in enumerate(rows):
        overs = {"talk_overs": int(place > 0), "marks": [], "quiet": []}
        session.add(Conversation(call_id=row.call_id, state="measured", **overs))
    rows[1].talk_seconds = 5
    rows[2].recording_state = "failed"
    session.commit()
    rule(session, boss, amount=9, mark="talk_over", least_seconds=10, queue="support")
    rule(session, boss, amount=9, queue="sales")
    Sampler(engine, WEEKS).round()
    assert sampled(session) == {AGENT: [rows[3].id]}


def test_calls_in_which_a_phrase_of_the_lists_was_said_are_drawn(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    calls = last_week(session, floor, 3)
    lists = PhraseList(name="Leaving", language="en", severity="note", phrases=["cancel"], by=boss)
    session.add(lists)
    session.flush()
    for place, revision in ((0, 1), (1, 2)):
        row = session.get_one(Interaction, calls[place])
        session.add(
            PhraseMark(
                call_id=row.call_id, list_id=lists.id, utterance=f"u{place}", revision=revision,
                leg="customer", phrase="cancel", t0=1, t1=2,
            )
        )  # fmt: skip
    session.commit()
    rule(session, boss, amount=9, mark="phrase")
    Sampler(engine, WEEKS).round()
    assert sampled(session) == {AGENT: [calls[0]]}


def test_an_evaluator_in_a_team_is_given_that_teams_calls(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    made = {
        name: users.create(session, username=name, password_hash="x", role="agent", team=name)
        for name in ("north", "south")
    }
    users.change(session, users.get_or_raise(session, boss), team="north")
    for agent in made.values():
        last_week(session, floor, 1, agent.id)
    rule(session, boss)
    assert Sampler(engine, WEEKS).round() == 1
    assert set(sampled(session)) == {made["north"].id}


def test_nobody_gets_their_own_calls_and_an_ended_rule_draws_nothing(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    last_week(session, floor, 2, boss)
    rule(session, boss)
    assert Sampler(engine, WEEKS).round() == 0
    assert len(session.scalars(select(SamplingDraw)).all()) == 1
    last_week(session, floor, 2)
    ended = rule(session, boss)
    sampling.end_rule(session, ended.id, by=boss)
    session.commit()
    assert Sampler(engine, WEEKS).round() == 0
    assert sampling.rules(session)[-1] is ended


def test_drawn_calls_wait_until_they_are_evaluated_or_passed_over(
    engine: Engine, session: Session, floor: Floor, boss: str
) -> None:
    calls = last_week(session, floor, 3)
    made = rule(session, boss, amount=3)
    Sampler(engine, WEEKS).round()
    assert {one.interaction_id for one in sampling.to_evaluate(session, boss).items} == set(calls)
    first, second, _third = sampling.to_evaluate(session, boss).items
    sampling.pass_over(session, first.id, by=boss, why="only the weather")
    with pytest.raises(Conflict):
        sampling.pass_over(session, first.id, by=boss, why="again")
    with pytest.raises(Forbidden):
        sampling.pass_over(session, second.id, by="other", why="not mine")

    call = session.get_one(Interaction, second.interaction_id)
    draft = evaluations.begin(session, call, scorecard=made.scorecard_id, agent=AGENT, by=boss)
    sampling.begun(session, draft)
    session.commit()
    waiting = {one.id: one.evaluation_id for one in sampling.to_evaluate(session, boss).items}
    assert waiting[second.id] == draft.id
    assert len(waiting) == 2
    evaluations.save(session, draft, by=boss, answers=given(name=1, tone=1, identity=1))
    evaluations.submit(session, draft, by=boss)
    page = sampling.to_evaluate(session, boss, limit=1)
    assert [one.id for one in page.items] == [_third.id]
    assert page.next is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "number", "amount": 0},
        {"method": "number", "amount": 1.5},
        {"method": "number", "amount": 51},
        {"method": "share", "amount": 1.1},
        {"method": "both"},
        {"name": " "},
    ],
)
def test_rules_are_checked(session: Session, boss: str, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        rule(session, boss, **wrong)


def test_calls_are_given_to_supervisors_only(session: Session, boss: str) -> None:
    card = published(session)
    ann = users.create(session, username="ann", password_hash="x", role="agent", language="en")
    for evaluator in (ann.id, "nobody"):
        with pytest.raises(Invalid):
            sampling.add_rule(
                session, by=boss, name="X", scorecard=card.id, evaluator=evaluator,
                method="number", amount=1,
            )  # fmt: skip


def test_an_evaluation_that_nobody_drew_changes_no_list(session: Session, floor: Floor) -> None:
    made = judged(session, talked(floor), published(session))
    sampling.begun(session, made)
    assert session.scalars(select(SampledCall)).all() == []
