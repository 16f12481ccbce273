from __future__ import annotations

from datetime import timedelta

import pytest
from crm_floor import Counter, Floor, rang
from sqlalchemy.orm import Session
from test_subscribers import said

from callcenter.crm import timeline
from callcenter.crm.complaints.operations import open_complaint, transition
from callcenter.crm.complaints.stages import Step
from callcenter.crm.customers.operations import PhoneIn, create
from callcenter.crm.interactions import operations, queries
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.interactions.queries import Filters
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import AgentOffered, CallAnswered, CallEnded
from callcenter.ids import new_id


def of(session: Session, call: str) -> Interaction:
    found = queries.by_call(session, call)
    assert found is not None
    return found


def test_a_draft_is_kept_and_becomes_the_notes_at_closing(session: Session, floor: Floor) -> None:
    row = of(session, floor.talk("a1"))
    version = operations.save_draft(session, row, "wants a ref", version=row.version)
    version = operations.save_draft(session, row, "wants a refund", version=version)
    session.commit()
    assert (row.draft, row.notes) == ("wants a refund", "")
    operations.close(session, row, by="a1", disposition="resolved")
    assert (row.draft, row.notes, row.disposition) == (None, "wants a refund", "resolved")
    assert (row.closed_by, row.closed_at is not None) == ("a1", True)


def test_a_draft_from_an_old_state_overwrites_nothing(session: Session, floor: Floor) -> None:
    row = of(session, floor.talk("a1"))
    operations.save_draft(session, row, "first", version=1)
    with pytest.raises(Conflict):
        operations.save_draft(session, row, "second", version=1)
    assert row.draft == "first"


def test_a_draft_that_names_no_version_goes_over_drafts_but_over_no_notes(
    session: Session, floor: Floor
) -> None:
    row = of(session, floor.talk("a1"))
    operations.save_draft(session, row, "first", version=None)
    operations.save_draft(session, row, "second", version=None)
    assert row.draft == "second"
    operations.close(session, row, by="a1", disposition="resolved", notes="All of it.")
    with pytest.raises(Conflict, match="saved meanwhile"):
        operations.save_draft(session, row, "old", version=None)
    operations.save_draft(session, row, "a second thought", version=row.version)
    assert (row.notes, row.draft) == ("All of it.", "a second thought")


def test_a_draft_that_names_no_version_goes_over_no_closed_call_without_notes(
    session: Session, floor: Floor
) -> None:
    row = of(session, floor.talk("a1"))
    operations.close(session, row, by="a1", disposition="resolved")
    with pytest.raises(Conflict):
        operations.save_draft(session, row, "old", version=None)
    assert (row.notes, row.draft) == ("", None)


def test_saving_the_same_draft_again_is_no_change(session: Session, floor: Floor) -> None:
    row = of(session, floor.talk("a1"))
    version = operations.save_draft(session, row, "same", version=1)
    assert operations.save_draft(session, row, "same", version=version) == version


def test_a_call_that_lasts_cannot_be_closed(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call))
    with pytest.raises(Conflict):
        operations.close(session, of(session, call), by="a1", disposition="resolved")


@pytest.mark.parametrize("disposition", ["nonsense", "wrap_up_timeout"])
def test_only_offered_dispositions_are_taken(
    session: Session, floor: Floor, disposition: str
) -> None:
    row = of(session, floor.talk("a1"))
    with pytest.raises(Invalid) as refused:
        operations.change(session, row, by="a1", disposition=disposition)
    assert list(refused.value.fields) == ["disposition"]


def test_dispositions_have_their_words_in_three_languages(session: Session) -> None:
    offered = queries.dispositions(session)
    assert {"resolved", "follow_up", "complaint", "wrong_number", "sales", "information"} <= {
        one.id for one in offered
    }
    assert all(one.label_en and one.label_fa and one.label_he for one in offered)


def test_an_unknown_caller_gets_a_customer_later(session: Session, floor: Floor) -> None:
    row = of(session, floor.talk("a1"))
    sara = create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    operations.assign_customer(session, row, sara.id)
    assert queries.page(session, Filters(customer=sara.id)).items == [row]
    with pytest.raises(NotFound):
        operations.assign_customer(session, row, "nobody")


def test_a_missed_call_is_handled_once(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call), CallEnded(call=call, reason="missed", by="system"))
    row = of(session, call)
    assert operations.mark_handled(session, row, by="a1") is True
    assert operations.mark_handled(session, row, by="a2") is False
    assert (row.handled_by, queries.missed(session).items) == ("a1", [])
    with pytest.raises(Conflict):
        operations.mark_handled(session, of(session, floor.talk("a1")), by="a1")


def test_every_filter_narrows_the_list(session: Session, floor: Floor) -> None:
    sara = create(session, name="سارا", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    one = of(session, floor.talk("a1"))
    other = of(session, floor.talk("a2", "09120000000"))
    floor.happened(said(one.call_id or "", "the parcel"))

    def listed(**fields: object) -> list[str]:
        filters = Filters(**fields)  # type: ignore[arg-type]
        return [row.id for row in queries.page(session, filters).items]

    assert listed() == [other.id, one.id]
    assert listed(call_id=one.call_id) == [one.id]
    assert listed(customer=sara.id) == [one.id]
    assert listed(agent="a2") == [other.id]
    assert listed(outcome="completed") == [other.id, one.id]
    assert listed(outcome="missed") == []
    assert listed(queue="support") == [other.id, one.id]
    assert listed(since=other.started_at) == [other.id]
    assert listed(until=other.started_at) == [one.id]
    assert listed(since=other.started_at + timedelta(seconds=1)) == []
    assert listed(q="parcel") == [one.id]
    assert listed(q="سار") == [one.id]
    assert listed(q="!!") == []
    assert listed(unhandled=True) == []


def test_an_agent_sees_own_calls_and_the_teams_missed_ones(session: Session, floor: Floor) -> None:
    mine = floor.talk("a1")
    theirs = floor.talk("a2")
    lost = new_id()
    floor.happened(rang(lost), CallEnded(call=lost, reason="abandoned", by="customer"))
    floor.happened(said(theirs, "secret words"))
    seen = [row.call_id for row in queries.page(session, visible_to="a1").items]
    assert seen == [lost, mine]
    assert queries.page(session, Filters(q="secret"), visible_to="a1").items == []
    assert not queries.may_see(of(session, theirs), "a1")
    assert queries.may_see(of(session, lost), "a1")
    assert not queries.may_hear(of(session, theirs), "a1")


def test_nobody_learns_by_searching_what_another_agent_heard(
    session: Session, floor: Floor
) -> None:
    call = new_id()
    floor.happened(
        rang(call),
        AgentOffered(call=call, agent="a1", queue="support", attempt=1),
        CallAnswered(call=call, agent="a2", queue="support", wait_seconds=9.0),
        said(call, "secret words"),
    )
    rows = queries.page(session, visible_to="a1").items
    assert [row.call_id for row in rows] == [call]
    assert queries.page(session, Filters(q="secret"), visible_to="a1").items == []
    assert len(queries.page(session, Filters(q="secret"), visible_to="a2").items) == 1


def test_pages_are_whole_and_cost_one_query_each(
    session: Session, floor: Floor, statements: Counter
) -> None:
    moment = rang().at
    calls = [new_id() for _ in range(7)]
    floor.happened(*(rang(call, at=moment) for call in calls))
    seen: list[str | None] = []
    cursor = None
    for _ in range(3):
        with statements() as issued:
            page = queries.page(session, limit=3, cursor=cursor)
        assert len(issued) <= 2  # the rows, and who talked in them
        seen += [row.call_id for row in page.items]
        cursor = page.next
    assert (sorted(map(str, seen)), cursor) == (sorted(calls), None)


def test_the_timeline_merges_calls_complaints_and_their_steps(
    session: Session, floor: Floor, statements: Counter
) -> None:
    sara = create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    first = of(session, floor.talk("a1"))
    complaint = open_complaint(session, by="a1", subject="late", interaction=first.id)
    transition(session, complaint, Step("acknowledged"), by="a1")
    session.commit()
    second = of(session, floor.talk("a1"))
    sara_id = sara.id
    with statements() as issued:
        page = timeline.page(session, sara_id)
    assert [(one.kind, one.record) for one in page.items] == [
        ("interaction", second),
        ("transition", complaint.transitions[1]),
        ("complaint", complaint),
        ("interaction", first),
    ]
    assert len(issued) <= 7
    part = timeline.page(session, sara.id, limit=3)
    rest = timeline.page(session, sara.id, limit=3, cursor=part.next)
    assert [one.record for one in rest.items] == [first]
    assert rest.next is None
