"""Scorecards and evaluations: versions, drafts, what is frozen, who reads what."""

from __future__ import annotations

import pytest
from crm_floor import Counter, Floor
from quality_desk import AGENT, BOSS, given, judged, published, sections, talked
from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.quality import evaluations, queries, scorecards
from callcenter.crm.quality.evaluations import Given
from callcenter.crm.quality.models import Evaluation, EvaluationAnswer
from callcenter.crm.quality.queries import Filters
from callcenter.crm.quality.scoring import Question, Section
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound

# --- Scorecards ------------------------------------------------------------------------------


def test_a_scorecard_is_a_draft_until_it_is_published(session: Session) -> None:
    card = scorecards.create(session, by=BOSS, name=" Support ", sections=sections())
    with pytest.raises(Conflict):
        scorecards.in_force(session, card)
    scorecards.edit(session, card, by=BOSS, sections=sections(weight=5))
    scorecards.publish(session, card, by=BOSS)
    first = scorecards.in_force(session, card)
    assert (card.name, first.number, first.published_by) == ("Support", 1, BOSS)
    assert scorecards.sections_of(first)[0].weight == 5
    with pytest.raises(Conflict):
        scorecards.publish(session, card, by=BOSS)


def test_a_change_begins_a_new_version_and_the_old_one_stays(session: Session) -> None:
    card = published(session)
    scorecards.edit(session, card, by="other", sections=sections(weight=9))
    scorecards.edit(session, card, by="other", sections=sections(weight=8))
    draft, old = scorecards.versions(session, card)
    assert (draft.number, draft.published_at, old.number) == (2, None, 1)
    assert scorecards.in_force(session, card).number == 1
    assert [one.number for one in scorecards.newest(session, [card.id])[card.id]] == [2, 1]
    scorecards.publish(session, card, by="other")
    assert scorecards.sections_of(scorecards.in_force(session, card))[0].weight == 8
    assert scorecards.sections_of(old)[0].weight == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [Section(id="s", title="S")],
        [Section(id="s", title=" ", questions=[Question(id="q", text="Q")])],
        [Section(id="s", title="S", weight=0, questions=[Question(id="q", text="Q")])],
        [Section(id="s", title="S", questions=[Question(id="q", text=" ")])],
        [Section(id="s", title="S", questions=[Question(id="q", text="Q", scale=10)])],
        [Section(id="s", title="S", questions=[Question(id="q", text="Q", points=0)])],
        [Section(id="q", title="S", questions=[Question(id="q", text="Q")])],
        [Section(id="s", title="S", questions=[Question(id=str(n), text="Q") for n in range(61)])],
    ],
)
def test_what_no_call_can_be_judged_by_is_not_published(
    session: Session, wrong: list[Section]
) -> None:
    card = scorecards.create(session, by=BOSS, name="X", sections=wrong)
    with pytest.raises(Invalid):
        scorecards.publish(session, card, by=BOSS)


def test_a_retired_scorecard_judges_nothing_new(session: Session, floor: Floor) -> None:
    card = published(session)
    call = talked(floor)
    scorecards.retire(session, card, by=BOSS)
    scorecards.retire(session, card, by="other")
    assert card.retired_by == BOSS
    assert scorecards.listed(session) == []
    assert scorecards.listed(session, retired=True) == [card]
    for refused in (
        lambda: scorecards.edit(session, card, by=BOSS, name="Y"),
        lambda: evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS),
    ):
        with pytest.raises(Conflict):
            refused()


# --- Evaluations -----------------------------------------------------------------------------


def test_a_draft_keeps_answers_evidence_and_score_and_is_gone_on_with(
    session: Session, floor: Floor
) -> None:
    card, call = published(session), talked(floor)
    made = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    answers = [
        Given(question="name", value=0, t0=3.5, remark=" says no name "),
        Given(question="tone", value=1),
        Given(question="tone", value=3),
    ]
    found = evaluations.save(session, made, by=BOSS, answers=answers, version=1)
    assert (found.missing, made.version) == (["identity"], 2)
    assert made.score == found.total == round(100 * (0 + 3 * 0.75) / 4, 1)
    session.commit()
    assert evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS) is made
    kept = {one.question: one for one in made.answers}
    assert (kept["name"].t0, kept["name"].remark) == (3.5, "says no name")
    assert kept["tone"].share == 0.75
    with pytest.raises(Conflict):
        evaluations.save(session, made, by=BOSS, answers=answers, version=1)
    evaluations.save(session, made, by=BOSS, answers=given(tone=2))
    session.commit()
    assert [(one.question, one.value) for one in session.scalars(select(EvaluationAnswer))] == [
        ("tone", 2)
    ]


def test_an_evaluation_keeps_the_version_it_was_begun_with(session: Session, floor: Floor) -> None:
    card, call = published(session), talked(floor)
    made = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    scorecards.edit(session, card, by=BOSS, sections=sections(weight=50))
    scorecards.publish(session, card, by=BOSS)
    evaluations.save(session, made, by=BOSS, answers=given(name=0, tone=4, identity=1))
    assert made.score == 75.0
    assert evaluations.sections_of(session, made)[0].weight == 1


def test_what_is_submitted_is_complete_and_stays_as_it_is(session: Session, floor: Floor) -> None:
    card, call = published(session), talked(floor)
    made = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    evaluations.save(session, made, by=BOSS, answers=given(name=1, tone=4))
    with pytest.raises(Invalid) as wrong:
        evaluations.submit(session, made, by=BOSS)
    assert wrong.value.fields == {"identity": "has no answer"}
    evaluations.save(session, made, by=BOSS, answers=given(name=1, tone=4, identity=0))
    evaluations.submit(session, made, by=BOSS)
    assert (made.score, made.knocked_out, made.state) == (0.0, True, "submitted")
    with pytest.raises(Conflict):
        evaluations.save(session, made, by=BOSS, answers=given(name=1, tone=4, identity=1))
    with pytest.raises(Conflict):
        evaluations.submit(session, made, by=BOSS)
    again = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    assert again.id != made.id


def test_only_who_began_it_changes_it_and_nobody_judges_himself(
    session: Session, floor: Floor
) -> None:
    card, call = published(session), talked(floor)
    made = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    for refused in (
        lambda: evaluations.save(session, made, by="other", answers=[]),
        lambda: evaluations.submit(session, made, by="other"),
        lambda: evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=AGENT),
    ):
        with pytest.raises(Forbidden):
            refused()
    with pytest.raises(Invalid):
        evaluations.begin(session, call, scorecard=card.id, agent="bob", by=BOSS)


@pytest.mark.parametrize(
    "wrong",
    [
        Given(question="none", value=1),
        Given(question="tone", value=5),
        Given(question="tone", value=1, t0=1e9),
        Given(question="tone", value=1, remark="x" * 4_001),
    ],
)
def test_answers_are_checked(session: Session, floor: Floor, wrong: Given) -> None:
    card, call = published(session), talked(floor)
    made = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    with pytest.raises(Invalid):
        evaluations.save(session, made, by=BOSS, answers=[wrong])


def test_an_evaluation_is_replied_to_answered_and_acknowledged_once(
    session: Session, floor: Floor
) -> None:
    card, call = published(session), talked(floor)
    draft = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by=BOSS)
    with pytest.raises(Conflict):
        evaluations.say(session, draft, by=BOSS, text="too early")
    made = judged(session, call, card, tone=2)
    evaluations.say(session, made, by=AGENT, text="The line was bad.")
    evaluations.say(session, made, by=BOSS, text="True: look at second 12.")
    evaluations.acknowledge(session, made, by=AGENT)
    with pytest.raises(Conflict):
        evaluations.acknowledge(session, made, by=AGENT)
    with pytest.raises(Forbidden):
        evaluations.acknowledge(session, made, by=BOSS)
    assert [(one.kind, one.by) for one in made.notes] == [
        ("reply", AGENT),
        ("answer", BOSS),
        ("acknowledged", AGENT),
    ]
    assert made.acknowledged_at == made.notes[-1].at


def test_agents_read_what_is_about_them_and_drafts_are_their_authors(
    session: Session, floor: Floor
) -> None:
    card, call = published(session), talked(floor)
    draft = evaluations.begin(session, call, scorecard=card.id, agent=AGENT, by="second")
    done = judged(session, call, card)

    def reads(reader: str, *, own: bool) -> list[Evaluation]:
        return list(queries.page(session, Filters(), reader=reader, own=own).items)

    assert reads(AGENT, own=True) == [done]
    assert reads("bob", own=True) == []
    assert reads("manager", own=False) == [done]
    assert reads("second", own=False) == [done, draft]
    assert queries.readable(session, done.id, reader=AGENT, own=True) is done
    for reader, own, hidden in ((AGENT, True, draft), ("bob", True, done), (BOSS, False, draft)):
        with pytest.raises(NotFound):
            queries.readable(session, hidden.id, reader=reader, own=own)


def test_lists_are_narrowed_and_paged(session: Session, floor: Floor) -> None:
    card = published(session)
    made = [judged(session, talked(floor, agent), card) for agent in ("ann", "ann", "bob")]
    evaluations.acknowledge(session, made[2], by="bob")

    def ids(**fields: object) -> list[str]:
        filters = Filters(**fields)  # type: ignore[arg-type]
        return [one.id for one in queries.page(session, filters, reader=BOSS, own=False).items]

    assert ids() == [made[2].id, made[1].id, made[0].id]
    assert ids(agent="bob") == ids(acknowledged=True) == [made[2].id]
    assert ids(interaction=made[0].interaction_id) == [made[0].id]
    assert ids(scorecard="none") == ids(until=made[0].call_at) == ids(state="draft") == []
    first = queries.page(session, Filters(), reader=BOSS, own=False, limit=2)
    rest = queries.page(session, Filters(), reader=BOSS, own=False, limit=2, cursor=first.next)
    assert [one.id for one in (*first.items, *rest.items)] == ids()
    assert rest.next is None


def test_a_list_of_evaluations_is_one_query(
    session: Session, floor: Floor, statements: Counter
) -> None:
    card = published(session)
    for _ in range(3):
        judged(session, talked(floor), card)
    session.expire_all()
    with statements() as seen:
        queries.page(session, Filters(agent=AGENT), reader=BOSS, own=False)
    assert len(seen) == 1
