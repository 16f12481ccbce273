"""The list of recordings: what it is narrowed to, its order and pages, who sees what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from crm_floor import Counter, Floor, rang
from quality_desk import judged, published
from sqlalchemy import event
from sqlalchemy.orm import Session
from test_subscribers import said

from callcenter.crm.interactions import queries as interactions
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.recordings import operations, queries
from callcenter.crm.recordings.queries import Filters, page
from callcenter.crm.review.models import Conversation
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound
from callcenter.events import (
    CallAnswered,
    CallEnded,
    CallTransferred,
    Outcome,
    RecordingSealed,
    TranscriptCompleted,
    now,
)
from callcenter.ids import new_id

LONG_AGO = now() - timedelta(days=30)


def sealed(call: str, seconds: float = 30.0) -> RecordingSealed:
    return RecordingSealed(
        call=call,
        recording=new_id(),
        path=f"2026/11/26/{call}.opus",
        format="opus",
        seconds=seconds,
        size=1,
        sha256="ab" * 32,
        legs={},
    )


@pytest.fixture
def recorded(floor: Floor) -> Callable[..., str]:
    """Call it: a call that was recorded; returns the call's id."""

    def make(
        agent: str = "a1",
        *,
        seconds: float = 30.0,
        queue: str = "support",
        outcome: Outcome = "completed",
        at: datetime | None = None,
        **ring: Any,
    ) -> str:
        call = new_id()
        moment: dict[str, Any] = {"at": at} if at else {}
        floor.happened(
            rang(call, **moment, **ring),
            CallAnswered(call=call, agent=agent, queue=queue, wait_seconds=2.0),
            CallEnded(call=call, reason=outcome, by="customer", agent=agent, talk_seconds=seconds),
            sealed(call, seconds),
        )
        return call

    return make


def calls(session: Session, visible_to: str | None = None, **filters: Any) -> list[str]:
    found = page(
        session, Filters(**filters), visible_to=(visible_to,) if visible_to else None
    ).items
    return [str(one.interaction.call_id) for one in found]


def test_recordings_come_newest_first_and_only_sealed_ones(
    session: Session, floor: Floor, recorded: Callable[..., str]
) -> None:
    floor.talk("a1")  # nobody recorded it
    second, first = recorded(), recorded(at=LONG_AGO)
    assert calls(session) == [second, first]


def test_each_filter_finds_its_calls(session: Session, recorded: Callable[..., str]) -> None:
    plain = recorded()
    other = {
        "line": recorded(line="200"),
        "queue": recorded(queue="sales"),
        "agent": recorded("a2"),
        "outcome": recorded(outcome="failed"),
        "language": recorded(language="he"),
    }
    wanted = {"line": "200", "queue": "sales", "agent": "a2", "outcome": "failed", "language": "he"}
    for name, value in wanted.items():
        assert calls(session, **{name: value}) == [other[name]]
    assert plain in calls(session, line="100", queue="support", agent="a1", language="fa")
    assert calls(session, line="200", queue="sales") == []
    assert calls(session, customer=new_id()) == []


def test_length_and_time_have_both_ends(session: Session, recorded: Callable[..., str]) -> None:
    long = recorded(seconds=3600.0, at=LONG_AGO)
    short = recorded(seconds=12.5)
    assert calls(session, shortest=3600.0) == [long]
    assert calls(session, longest=12.5) == [short]
    assert calls(session, shortest=13, longest=3599) == []
    assert calls(session, since=LONG_AGO, until=LONG_AGO + timedelta(seconds=1)) == [long]
    assert calls(session, until=LONG_AGO) == []
    assert calls(session, since=LONG_AGO + timedelta(seconds=1)) == [short]


@pytest.mark.parametrize("few", [-1, 2_000])
def test_a_teams_calls_come_in_order_page_by_page_however_few_they_are(
    session: Session,
    floor: Floor,
    recorded: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    monkeypatch.setattr(interactions, "FEW", few)
    team = ("a1", "a2")
    made = [
        recorded(
            agent, at=LONG_AGO + timedelta(hours=hour), queue="sales" if hour > 3 else "support"
        )
        for hour, agent in enumerate(("a1", "b1", "a2", "b1", "a1", "b2", "a2"))
    ]
    passed_on = made[4]
    floor.happened(
        CallTransferred(call=passed_on, from_agent="a1", to_agent="a2"),
        CallAnswered(call=passed_on, agent="a2", queue="sales", wait_seconds=1.0),
    )
    wanted = [made[6], passed_on, made[2], made[0]]
    hour = timedelta(hours=1)
    narrowed: list[tuple[dict[str, Any], list[str]]] = [
        ({}, wanted),
        ({"queue": "sales"}, wanted[:2]),
        ({"since": LONG_AGO + hour, "until": LONG_AGO + 6 * hour}, wanted[1:3]),
        ({"agent": "a2"}, wanted[:3]),
        ({"agent": "b1"}, []),
    ]
    for filters, expected in narrowed:
        found = page(session, Filters(**filters), visible_to=team).items
        assert [one.interaction.call_id for one in found] == expected, filters
    for limit in (1, 2, 3):
        heard, listed = [], []
        cursor: str | None = ""
        while cursor is not None:
            part = page(session, visible_to=team, limit=limit, cursor=cursor or None)
            heard += [one.interaction.call_id for one in part.items]
            cursor = part.next
        cursor = ""
        while cursor is not None:
            narrow = interactions.Filters(agents=team)
            rows = interactions.page(session, narrow, limit=limit, cursor=cursor or None)
            listed += [row.call_id for row in rows.items]
            cursor = rows.next
        assert heard == listed == wanted
    floor.happened(*(said(one, "the parcel") for one in (made[0], made[1], passed_on)))
    spoken = interactions.Filters(agents=team, q="parcel")
    assert [row.call_id for row in interactions.page(session, spoken).items] == [
        passed_on,
        made[0],
    ]
    assert page(session, visible_to=()).items == []


def test_few_calls_of_a_team_are_looked_up_and_not_searched_for_among_all(
    session: Session, recorded: Callable[..., str]
) -> None:
    if session.get_bind().dialect.name != "sqlite":
        pytest.skip("with so few rows PostgreSQL reads whole tables, whatever the query is")
    recorded("a1")
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        page(session, visible_to=("a1", "a2"))
        interactions.page(session, interactions.Filters(agents=("a1", "a2")))
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)
    paged = [one for one in asked if "UNION" in one[0]]
    assert len(paged) == 2
    for statement, parameters in paged:
        rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [str(row[-1]) for row in rows]
        assert not [step for step in steps if step.startswith("SCAN interactions")], steps
        assert [step for step in steps if step.startswith("SEARCH interactions")], steps


@pytest.mark.parametrize("rare", [-1, 2_000])
def test_words_find_calls_however_common_they_are(
    session: Session,
    floor: Floor,
    recorded: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    rare: int,
) -> None:
    monkeypatch.setattr(queries, "_RARE", rare)
    first, second = recorded(at=LONG_AGO), recorded()
    other = recorded()
    floor.happened(
        said(first, "شرکت ما بسته را نفرستاد"),
        said(second, "the parcel"),
        said(first, "a parcel too"),
        said(other, "nothing"),
    )
    assert calls(session, words="شركت") == [first]
    assert calls(session, words="parc") == [second, first]
    assert calls(session, words="parcel", until=LONG_AGO + timedelta(days=1)) == [first]
    assert calls(session, words="parcel nothing") == []
    assert calls(session, words='"') == []
    floor.happened(  # the second pass heard something else
        TranscriptCompleted(call=first, revision=2, engine="w", language="en", utterances=0)
    )
    assert calls(session, words="parcel") == [second]


def test_an_agent_sees_the_calls_he_talked_in_also_those_he_passed_on(
    session: Session, floor: Floor, recorded: Callable[..., str]
) -> None:
    mine, theirs = recorded("a1"), recorded("a2")
    passed = new_id()
    floor.happened(
        rang(passed),
        CallAnswered(call=passed, agent="a1", queue="support", wait_seconds=2.0),
        CallTransferred(call=passed, from_agent="a1", to_agent="a2"),
        CallAnswered(call=passed, agent="a2", queue="support", wait_seconds=2.0),
        sealed(passed),
    )
    assert calls(session, "a1") == [passed, mine]
    assert calls(session, "a2") == [passed, theirs]
    assert calls(session, "a1", agent="a2") == [passed]
    assert calls(session, "a3") == []


def test_pages_follow_each_other_and_cost_the_same(
    session: Session, recorded: Callable[..., str], statements: Counter
) -> None:
    made = [recorded(at=LONG_AGO) for _ in range(2)] + [recorded() for _ in range(3)]
    found: list[str] = []
    costs = set()
    for agent in (None, "a1"):
        cursor = None
        while True:
            with statements() as seen:
                part = page(session, Filters(agent=agent), limit=2, cursor=cursor)
            costs.add(len(seen))
            found += [str(one.interaction.call_id) for one in part.items]
            if (cursor := part.next) is None:
                break
    assert found[:3] == made[:1:-1]
    assert sorted(found) == sorted(made * 2)
    assert costs == {3}
    with pytest.raises(Invalid):
        page(session, cursor="forged")


def test_the_share_of_the_agent_is_there_once_it_was_measured(
    session: Session, recorded: Callable[..., str]
) -> None:
    call = recorded()
    assert [one.agent_share for one in page(session).items] == [None]
    session.get_one(Conversation, call).state = "measured"
    session.get_one(Conversation, call).agent_share = 0.25
    session.commit()
    assert [one.agent_share for one in page(session).items] == [0.25]


def test_scores_find_calls_that_were_judged_and_for_an_agent_only_his_own(
    session: Session, recorded: Callable[..., str]
) -> None:
    card = published(session)
    good, bad = recorded("a1"), recorded("a2")
    recorded("a1")  # nobody judged it
    for call, identity in ((good, 1), (bad, 0)):
        interaction = by_call(session, call)
        assert interaction is not None
        judged(session, interaction, card, identity=identity)
    assert calls(session, lowest=0, highest=100) == [bad, good]
    assert calls(session, lowest=60) == [good]
    assert calls(session, highest=59.9) == [bad]
    assert calls(session, "a1", lowest=0) == [good]
    assert calls(session, "a3", lowest=0) == []


# --- Saved views -----------------------------------------------------------------------------


def names(session: Session, person: str) -> list[str]:
    return [view.name for view in queries.views(session, person)]


def test_a_view_is_its_owners_or_everybodys(session: Session) -> None:
    own = operations.save(session, owner="a1", name=" Mine ", filters={"line": "1"}, shared=False)
    shared = operations.save(session, owner="s1", name="All", filters={}, shared=True)
    assert (names(session, "a1"), names(session, "a2")) == (["All", "Mine"], ["All"])
    with pytest.raises(NotFound):
        operations.change(session, own.id, by="a2", name="x")
    with pytest.raises(Forbidden):
        operations.change(session, shared.id, by="a1", name="x")
    operations.change(session, shared.id, by="s1", shared=False, name="Less", filters={"q": 1})
    assert (names(session, "s1"), names(session, "a1")) == (["Less"], ["Mine"])


def test_a_view_is_taken_back_by_its_owner_only(session: Session) -> None:
    shared = operations.save(session, owner="s1", name="All", filters={}, shared=True)
    with pytest.raises(Forbidden):
        operations.take_back(session, shared.id, by="a1")
    operations.take_back(session, shared.id, by="s1")
    assert names(session, "a1") == names(session, "s1") == []
    with pytest.raises(NotFound):
        operations.take_back(session, shared.id, by="s1")


def test_names_and_numbers_of_views_have_an_end(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (" ", "x" * 101, "a\0"):
        with pytest.raises(Invalid):
            operations.save(session, owner="a1", name=name, filters={}, shared=False)
    monkeypatch.setattr(operations, "MOST_VIEWS", 1)
    operations.save(session, owner="a1", name="one", filters={}, shared=False)
    with pytest.raises(Conflict):
        operations.save(session, owner="a1", name="two", filters={}, shared=False)
    operations.save(session, owner="a2", name="two", filters={}, shared=False)
