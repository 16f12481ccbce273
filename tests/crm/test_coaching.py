"""Coaching tasks: from an evaluation or free, done by the agent, checked by somebody else."""

from __future__ import annotations

from datetime import date

import pytest
from crm_floor import Counter, Floor
from quality_desk import BOSS, judged, published, talked
from sqlalchemy.orm import Session

from callcenter.crm.quality import coaching, evaluations
from callcenter.crm.quality.coaching import MomentOfCall
from callcenter.crm.quality.models import CoachingTask
from callcenter.crm.users import operations as users
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound


@pytest.fixture
def agent(session: Session) -> str:
    made = users.create(session, username="dana", password_hash="x", role="agent", language="en")
    session.commit()
    return made.id


def task(session: Session, agent: str, text: str = "Mind the tone") -> CoachingTask:
    made = coaching.give(session, by=BOSS, agent=agent, text=text)
    session.commit()
    return made


def test_a_task_is_born_from_an_evaluation_with_moments_of_calls(
    session: Session, floor: Floor, agent: str
) -> None:
    call = talked(floor, agent)
    about = judged(session, call, published(session), tone=1)
    made = coaching.give(
        session,
        by=BOSS,
        agent=agent,
        text=" Let them finish ",
        due=date(2026, 12, 1),
        evaluation=about.id,
        moments=[MomentOfCall(call.id, 12.5)],
    )
    session.commit()
    session.expire_all()
    assert (made.text, made.due, made.state) == ("Let them finish", date(2026, 12, 1), "open")
    assert made.evaluation_id == about.id
    assert made.moments == [{"interaction": call.id, "t0": 12.5}]
    assert [(one.kind, one.by) for one in made.steps] == [("given", BOSS)]


def test_the_agent_does_it_and_somebody_else_checks_it_or_gives_it_back(
    session: Session, agent: str
) -> None:
    made = task(session, agent)
    for kind, by in (("done", BOSS), ("done", "other")):
        with pytest.raises(Forbidden):
            coaching.take(session, made, kind, by=by)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        coaching.take(session, made, "checked", by=BOSS)
    coaching.take(session, made, "done", by=agent, note="Listened to three calls")
    for kind in ("checked", "returned"):
        with pytest.raises(Forbidden):
            coaching.take(session, made, kind, by=agent, note="x")  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        coaching.take(session, made, "returned", by=BOSS, note=" ")
    coaching.take(session, made, "returned", by=BOSS, note="And the fourth?")
    coaching.take(session, made, "done", by=agent)
    coaching.take(session, made, "checked", by=BOSS)
    session.commit()
    session.expire_all()
    assert made.state == "checked"
    assert [(one.kind, one.by, one.note) for one in made.steps] == [
        ("given", BOSS, ""),
        ("done", agent, "Listened to three calls"),
        ("returned", BOSS, "And the fourth?"),
        ("done", agent, ""),
        ("checked", BOSS, ""),
    ]
    with pytest.raises(Conflict):
        coaching.take(session, made, "done", by=agent)
    with pytest.raises(Conflict):
        coaching.take(session, made, "returned", by=BOSS, note="x")


def test_what_makes_no_sense_is_refused(session: Session, floor: Floor, agent: str) -> None:
    card, call, others = published(session), talked(floor, agent), talked(floor, "bob")
    about = judged(session, others, card)
    draft = evaluations.begin(session, call, scorecard=card.id, agent=agent, by=BOSS)
    wrong: list[dict[str, object]] = [
        {"text": " "},
        {"agent": "nobody"},
        {"evaluation": about.id},
        {"moments": [MomentOfCall(others.id, 1.0)]},
        {"moments": [MomentOfCall("none", 1.0)]},
        {"moments": [MomentOfCall(call.id, 1e9)]},
        {"moments": [MomentOfCall(call.id, 1.0)] * 21},
    ]
    given: dict[str, object] = {"by": BOSS, "agent": agent, "text": "x"}
    for fields in wrong:
        with pytest.raises(Invalid):
            coaching.give(session, **(given | fields))  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        coaching.give(session, by=BOSS, agent=agent, text="x", evaluation=draft.id)
    with pytest.raises(Forbidden):
        coaching.give(session, by=agent, agent=agent, text="x")
    assert coaching.page(session).items == []


def test_agents_read_their_own_and_lists_are_narrowed_and_paged(
    session: Session, agent: str, statements: Counter
) -> None:
    made = [task(session, agent, text) for text in ("one", "two", "three")]
    coaching.take(session, made[0], "done", by=agent)
    session.commit()
    assert [one.text for one in coaching.page(session, state="done").items] == ["one"]
    assert coaching.page(session, agent="bob").items == []
    session.expire_all()
    with statements() as seen:
        first = coaching.page(session, agent=agent, limit=2)
    assert len(seen) == 2  # the tasks, and the steps of all of them
    rest = coaching.page(session, agent=agent, limit=2, cursor=first.next)
    assert [one.text for one in (*first.items, *rest.items)] == ["three", "two", "one"]
    assert rest.next is None
    for among in ([agent], [agent, "bob"], None):
        assert coaching.readable(session, made[0].id, among=among) is made[0]
        assert len(coaching.page(session, among=among).items) == 3
    assert coaching.page(session, among=["bob"]).items == []
    for id_, reader in ((made[0].id, "bob"), ("none", agent)):
        with pytest.raises(NotFound):
            coaching.readable(session, id_, among=[reader])
