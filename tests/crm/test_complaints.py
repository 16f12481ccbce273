from __future__ import annotations

import itertools
import secrets

import pytest
from crm_floor import Counter, Floor
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from test_subscribers import said

from callcenter.crm.complaints import codes, operations, queries
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import STAGES, STEPS, Stage, Step, check
from callcenter.crm.customers.operations import create
from callcenter.crm.interactions.queries import by_call
from callcenter.errors import Conflict, DecisionNotTold, Invalid
from callcenter.events import ComplaintOpened
from callcenter.log import EventLog


def opened(session: Session, **fields: object) -> Complaint:
    return operations.open_complaint(session, **({"by": "a1", "subject": "late"} | fields))  # type: ignore[arg-type]


def full(stage: Stage) -> Step:
    return Step(stage, note="n", decision="refund", channel="phone")


@pytest.mark.parametrize(("stage", "to"), list(itertools.product(STAGES, STAGES)))
def test_exactly_the_steps_of_the_table_may_be_taken(stage: Stage, to: Stage) -> None:
    if to in STEPS[stage]:
        check(stage, full(to))
    else:
        with pytest.raises(Conflict):
            check(stage, full(to))


@pytest.mark.parametrize(
    "stage", [stage for stage in STAGES if stage not in ("communicated", "closed")]
)
def test_nothing_is_closed_before_the_customer_was_told(stage: Stage) -> None:
    with pytest.raises(DecisionNotTold):
        check(stage, full("closed"))


def test_a_response_needs_its_decision_and_telling_its_channel() -> None:
    with pytest.raises(Invalid) as refused:
        check("investigating", Step("responded", decision=" "))
    assert list(refused.value.fields) == ["decision"]
    with pytest.raises(Invalid) as refused:
        check("responded", Step("communicated"))
    assert list(refused.value.fields) == ["channel"]
    with pytest.raises(Invalid):
        check("received", Step("lost"))  # type: ignore[arg-type]


def test_every_stage_can_be_reached_and_left() -> None:
    assert {to for steps in STEPS.values() for to in steps} == set(STAGES) - {"received"}
    assert all(STEPS[stage] for stage in STAGES)


def test_a_complaint_goes_its_whole_way_and_every_step_is_kept(session: Session) -> None:
    complaint = opened(session)
    way: list[Stage] = [
        "acknowledged", "assessing", "investigating", "responded", "communicated", "closed",
        "reopened", "responded", "communicated", "appealed", "investigating",
    ]  # fmt: skip
    for stage in way:
        operations.transition(session, complaint, full(stage), by="s1")
    session.commit()
    assert [one.to_stage for one in complaint.transitions] == ["received", *way]
    assert [one.from_stage for one in complaint.transitions] == [None, "received", *way[:-1]]
    assert {one.by for one in complaint.transitions[1:]} == {"s1"}
    assert (complaint.decision, complaint.told_by) == ("refund", "phone")
    assert (complaint.stage, complaint.reopened, complaint.closed_at) == ("investigating", 2, None)


def test_a_refused_step_leaves_no_trace(session: Session) -> None:
    complaint = opened(session)
    with pytest.raises(DecisionNotTold):
        operations.transition(session, complaint, Step("closed"), by="s1")
    assert (complaint.stage, len(complaint.transitions), complaint.version) == ("received", 1, 1)


def test_a_complaint_of_a_call_quotes_it_and_tells_the_log(session: Session, floor: Floor) -> None:
    customer = create(session, name="Sara", region="IR", phones=[])
    call = floor.talk("a1")
    heard = [said(call, "it never came", t0=9.5), said(call, "I want my money", t0=4.0)]
    floor.happened(*heard)
    row = by_call(session, call)
    assert row is not None
    complaint = opened(
        session,
        interaction=row.id,
        customer=customer.id,
        severity="high",
        utterances=[one.utterance for one in heard],
    )
    session.commit()
    assert [(one.text, one.t0, one.leg) for one in complaint.quotes] == [
        ("I want my money", 4.0, "customer"),
        ("it never came", 9.5, "customer"),
    ]
    (entry,) = EventLog(floor.engine).of_kinds(ComplaintOpened)
    fact = entry.fact
    assert isinstance(fact, ComplaintOpened)
    assert (fact.complaint, fact.code, fact.customer) == (complaint.id, complaint.code, customer.id)
    assert (fact.interaction, fact.call, fact.by) == (row.id, call, "a1")


def test_a_complaint_that_is_rolled_back_tells_nobody(session: Session, floor: Floor) -> None:
    opened(session)
    session.rollback()
    assert EventLog(floor.engine).of_kinds(ComplaintOpened) == []


def test_only_words_of_that_call_can_be_quoted(session: Session, floor: Floor) -> None:
    mine, other = floor.talk("a1"), floor.talk("a2")
    foreign, own = said(other, "not yours"), said(mine, "yours")
    floor.happened(foreign, own)
    row = by_call(session, mine)
    assert row is not None
    with pytest.raises(Invalid):
        opened(session, interaction=row.id, utterances=[own.utterance, foreign.utterance])
    with pytest.raises(Invalid):
        opened(session, utterances=[own.utterance])
    complaint = opened(session, interaction=row.id)
    operations.quote(session, complaint, [own.utterance])
    operations.quote(session, complaint, [own.utterance])
    assert [one.text for one in complaint.quotes] == ["yours"]


def test_nothing_deletes_a_complaint_or_its_steps(session: Session) -> None:
    complaint = opened(session)
    session.commit()
    for statement in (
        delete(Complaint),
        text("DELETE FROM complaint_transitions"),
        text("UPDATE complaint_transitions SET note = 'other'"),
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            session.execute(statement)
        session.rollback()
    assert queries.get(session, complaint.id).stage == "received"


def test_more_severe_is_due_earlier(session: Session) -> None:
    due = [opened(session, severity=one).due_at for one in ("critical", "high", "normal", "low")]
    assert due == sorted(due)
    with pytest.raises(Invalid):
        opened(session, severity="apocalyptic")


def test_lists_are_filtered_and_cost_a_fixed_number_of_queries(
    session: Session, statements: Counter
) -> None:
    customer = create(session, name="Sara", region="IR")
    mine = [opened(session, customer=customer.id) for _ in range(5)]
    theirs = opened(session, by="a2")
    for stage in ("responded", "communicated", "closed"):
        operations.transition(session, theirs, full(stage), by="a2")
    session.commit()
    ids, sara = [one.id for one in mine], customer.id
    session.expunge_all()
    with statements() as seen:
        page = queries.page(session, stage="open", limit=3)
        assert all(one.transitions and not one.quotes for one in page.items)
    assert len(seen) <= 3
    rest = queries.page(session, stage="open", limit=3, cursor=page.next)
    assert sorted(one.id for one in [*page.items, *rest.items]) == sorted(ids)
    assert [one.created_by for one in queries.page(session, stage="closed").items] == ["a2"]
    assert [one.created_by for one in queries.page(session, visible_to="a2").items] == ["a2"]
    assert len(queries.page(session, customer=sara).items) == 5
    assert queries.open_counts(session, [sara, "nobody"]) == {sara: 5}


def test_a_complaint_is_found_by_the_code_as_people_say_it(session: Session) -> None:
    complaint = opened(session)
    said_code = complaint.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert queries.by_code(session, complaint.code) is complaint
    assert queries.by_code(session, said_code) is complaint
    assert queries.by_code(session, complaint.code[2:]) is complaint
    assert queries.by_code(session, "C-XXXX") is None


@given(st.integers(0, codes.LENGTH), st.sampled_from(codes.ALPHABET))
def test_one_wrong_character_in_a_code_is_always_seen(place: int, char: str) -> None:
    code = codes.new_code()
    wrong = code[: place + 2] + char + code[place + 3 :]
    assert codes.read(code) == code
    assert codes.read(wrong) == (code if wrong == code else None)


@given(st.integers(0, codes.LENGTH - 2))
def test_two_swapped_neighbours_in_a_code_are_always_seen(place: int) -> None:
    body = "".join(secrets.choice(codes.ALPHABET) for _ in range(codes.LENGTH))
    swapped = body[:place] + body[place + 1] + body[place] + body[place + 2 :]
    expected = f"C-{body}{codes.check(body)}" if swapped == body else None
    assert codes.read(f"C-{swapped}{codes.check(body)}") == expected
