"""The complaint desk by ISO 10002: clocks, escalation, changes, incidents, messages, figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from crm_floor import Floor
from sqlalchemy import Engine, delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.crm.complaints import incidents, operations, queries, status
from callcenter.crm.complaints.clocks import Rules, clock, level, rules_of, usual
from callcenter.crm.complaints.desk import Desk
from callcenter.crm.complaints.figures import figures
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import Step
from callcenter.crm.complaints.watch import Watch
from callcenter.crm.customers.operations import PhoneIn, create
from callcenter.crm.dates import day
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.messages.models import Message
from callcenter.crm.messages.operations import Post
from callcenter.errors import Conflict, Invalid
from callcenter.events import ComplaintEscalated, ComplaintMoved, IncidentClosed, IncidentOpened
from callcenter.log import EventLog

TEHRAN = ZoneInfo("Asia/Tehran")
SUNDAY = datetime(2026, 11, 22, 9, 0, tzinfo=TEHRAN)  # an ordinary week in Iran
MAIL = Post(("mail", "sms"), "Sepehr", "fa", "https://calls.example/portal")


SILENT = Post((), "Sepehr", "fa", "")


def desk(post: Post = SILENT, **rules: Any) -> Desk:
    return Desk(replace(usual(), **rules), post)


def opened(session: Session, using: Desk | None = None, **fields: Any) -> Complaint:
    return (using or desk()).register(session, **({"by": "a1", "subject": "late"} | fields))


def moved(session: Session, complaint: Complaint, *stages: Any, using: Desk | None = None) -> None:
    for stage in stages:
        step = Step(stage, decision="refund", channel="phone")
        (using or desk()).move(session, complaint, step, by="s1")


# --- Clocks ----------------------------------------------------------------------------------


def shows(complaint: Complaint, at: datetime, rules: Rules | None = None) -> tuple[Any, ...]:
    found = clock(
        complaint.stage, complaint.acknowledge_due_at, complaint.due_at, rules or usual(), at
    )
    return found.awaited, found.state, found.days


def test_the_clock_waits_for_acknowledgement_then_decision_then_telling(session: Session) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session, severity="high")
        assert shows(complaint, SUNDAY) == ("acknowledge", "soon", 1)
        moved(session, complaint, "acknowledged")
        assert shows(complaint, SUNDAY) == ("decide", "on_time", 3)
        moved(session, complaint, "responded")
        assert shows(complaint, SUNDAY + timedelta(days=2)) == ("tell", "soon", 1)
        # Wednesday is over; Thursday and Friday are no working days.
        assert shows(complaint, SUNDAY + timedelta(days=6)) == ("tell", "overdue", -1)
        moved(session, complaint, "communicated")
        assert shows(complaint, SUNDAY) == (None, "done", 0)


def test_the_answer_of_a_complaint_before_nowruz_is_due_after_it(session: Session) -> None:
    with time_machine.travel(datetime(2027, 3, 16, 10, 0, tzinfo=TEHRAN), tick=False):
        complaint = opened(session, severity="high")
    due = complaint.due_at.astimezone(TEHRAN)
    assert (due.date().isoformat(), due.hour) == ("2027-03-28", 23)


def test_another_severity_sets_another_deadline_from_where_the_clock_began(
    session: Session,
) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session)
    with time_machine.travel(SUNDAY + timedelta(days=1), tick=False):
        desk().change(session, complaint, by="s1", severity="critical", why="a child was hurt")
    assert complaint.due_at.astimezone(TEHRAN).date().isoformat() == "2026-11-23"
    changed = {one.field: (one.by, one.why) for one in complaint.changes}
    assert set(changed) == {"severity", "due_at"}
    assert changed["severity"] == ("s1", "a child was hurt")


def test_an_appeal_starts_the_clock_again_and_keeps_the_first_decision(session: Session) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session, severity="high")
        moved(session, complaint, "responded", "communicated")
        first = complaint.decided_at
    with time_machine.travel(SUNDAY + timedelta(days=14), tick=False):
        moved(session, complaint, "appealed")
    assert complaint.due_at.astimezone(TEHRAN).date().isoformat() == "2026-12-09"
    assert (complaint.decided_at, complaint.reopened, complaint.escalation) == (first, 1, 0)


# --- A38: who, when, from, to, why ------------------------------------------------------------


def test_every_change_says_who_when_from_to_and_why(session: Session, floor: Floor) -> None:
    complaint = opened(session)
    desk().change(
        session,
        complaint,
        by="s1",
        why="asked the workshop",
        owner="a2",
        safety=True,
        impact="high",
        complexity="low",
        cause="repair",
        corrective="a second technician",
        remedy="refund",
        remedy_cents=1_250_000,
        product="Kettle 3",
    )
    session.commit()
    kept = {one.field: (one.by, one.before, one.after, one.why) for one in complaint.changes}
    why = "asked the workshop"
    assert kept["owner"] == ("s1", "a1", "a2", why)
    assert kept["safety"] == ("s1", "false", "true", why)
    assert kept["remedy_cents"] == ("s1", None, "1250000", why)
    assert len(kept) == 9
    assert all(one.at for one in complaint.changes)
    desk().change(session, complaint, by="s1", owner="a2")
    assert len(complaint.changes) == 9  # nothing changed: nothing to say
    moved(session, complaint, "acknowledged")
    session.commit()
    (fact,) = [one.fact for one in EventLog(floor.engine).of_kinds(ComplaintMoved)]
    assert isinstance(fact, ComplaintMoved)
    assert (fact.from_stage, fact.to_stage, fact.by) == ("received", "acknowledged", "s1")


def test_nothing_of_a_complaint_is_deleted_or_rewritten(session: Session) -> None:
    complaint = opened(session)
    desk().change(session, complaint, by="s1", product="Kettle")
    session.commit()
    for statement in (
        delete(Complaint),
        text("DELETE FROM complaint_changes"),
        text("UPDATE complaint_changes SET why = 'other'"),
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            session.execute(statement)
        session.rollback()


def test_a_bad_value_is_named_and_changes_nothing(session: Session) -> None:
    complaint = opened(session)
    for field, value in (
        ("cause", "moon"),
        ("remedy", "gold"),
        ("impact", "vast"),
        ("remedy_cents", -1),
        ("incident_id", "none"),
        ("code", "C-1"),
    ):
        with pytest.raises(Invalid) as refused:
            desk().change(session, complaint, by="s1", **{field: value})
        assert list(refused.value.fields) == [field.replace("_cents", "_cost").removesuffix("_id")]
    assert (complaint.version, complaint.changes) == (1, [])


def test_a_later_call_about_a_complaint_belongs_to_it(session: Session, floor: Floor) -> None:
    first, second = (by_call(session, floor.talk("a1")) for _ in range(2))
    assert first
    assert second
    complaint = opened(session, interaction=first.id)
    assert complaint.queue == "support"
    for _ in range(2):
        operations.add_call(session, complaint, second.id, by="a1")
    assert [one.interaction_id for one in complaint.calls] == [second.id]
    assert queries.page(session, interaction=second.id).items == [complaint]


# --- Escalation ------------------------------------------------------------------------------


def escalations(engine: Engine) -> list[tuple[int, str, str]]:
    facts = [one.fact for one in EventLog(engine).of_kinds(ComplaintEscalated)]
    return [(f.level, f.role, f.awaited) for f in facts if isinstance(f, ComplaintEscalated)]


def test_late_complaints_are_told_role_by_role_once_also_after_a_restart(
    engine: Engine, session: Session
) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session, severity="high")  # acknowledge: Monday, decide: Wednesday
        session.commit()

    def look(days: int) -> int:
        with time_machine.travel(SUNDAY + timedelta(days=days), tick=False):
            return Watch(engine, MemoryBus(), rules_of(Settings())).round()

    assert look(1) == 0
    assert look(2) == 1  # Tuesday: nobody acknowledged it
    assert look(2) == 0  # a process that starts anew tells nobody twice
    assert escalations(engine) == [(1, "supervisor", "acknowledge")]
    session.refresh(complaint)
    moved(session, complaint, "acknowledged")
    session.commit()
    assert look(6) == 0  # Saturday: one working day after the deadline, step one is taken
    assert look(10) == 1  # Wednesday: more than three
    assert escalations(engine)[-1] == (2, "manager", "decide")
    session.expire_all()
    assert complaint.escalation == 2
    assert [(one.field, one.after, one.by) for one in complaint.changes][-1] == (
        "escalation",
        "2",
        "system",
    )
    assert queries.page(session, escalated=True).items == [complaint]


def test_one_that_nobody_looked_at_for_weeks_takes_every_step_at_once(
    engine: Engine, session: Session
) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        opened(session)
        session.commit()
    with time_machine.travel(SUNDAY + timedelta(days=60), tick=False):
        assert Watch(engine, MemoryBus(), rules_of(Settings())).round() == 2
    assert [one[:2] for one in escalations(engine)] == [(1, "supervisor"), (2, "manager")]


def test_a_complaint_whose_answer_was_told_is_never_late(engine: Engine, session: Session) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session)
        moved(session, complaint, "responded", "communicated")
        session.commit()
    with time_machine.travel(SUNDAY + timedelta(days=60), tick=False):
        assert Watch(engine, MemoryBus(), usual()).round() == 0


def test_levels_count_working_days_after_the_deadline() -> None:
    rules = replace(usual(), escalate=((0, "supervisor"), (2, "manager")))
    due = datetime(2026, 11, 25, 20, 29, tzinfo=UTC)  # the end of a Wednesday
    found = [
        level(clock("assessing", None, due, rules, at), rules, at)
        for at in (due - timedelta(1), due + timedelta(days=3), due + timedelta(days=4, hours=5))
    ]
    assert found == [0, 1, 2]


# --- Incidents -------------------------------------------------------------------------------


def test_three_complaints_of_one_cause_become_an_incident(session: Session, floor: Floor) -> None:
    three = [opened(session, product="Kettle") for _ in range(3)]
    other = opened(session, product="Toaster")
    for one in (*three[:2], other):
        desk().change(session, one, by="s1", cause="defect")
    assert incidents.listed(session) == []
    desk().change(session, three[2], by="s1", cause="defect")
    session.commit()
    (found,) = incidents.listed(session, is_open=True)
    assert (found.complaints, found.incident.cause, found.incident.product) == (
        3,
        "defect",
        "Kettle",
    )
    assert {one.incident_id for one in three} == {found.incident.id}
    assert other.incident_id is None
    fourth = opened(session, product="Kettle")
    desk().change(session, fourth, by="s1", cause="defect")
    assert fourth.incident_id == found.incident.id
    incidents.close(session, found.incident, by="s1", why="the supplier changed the lid")
    session.commit()
    assert incidents.listed(session, is_open=True) == []
    session.refresh(fourth)
    assert fourth.corrective == "the supplier changed the lid"
    with pytest.raises(Conflict):
        incidents.close(session, found.incident, by="s1", why="again")
    kinds = [
        type(one.fact) for one in EventLog(floor.engine).of_kinds(IncidentOpened, IncidentClosed)
    ]
    assert kinds == [IncidentOpened, IncidentClosed]


def test_old_complaints_make_no_incident_and_zero_means_by_hand(session: Session) -> None:
    with time_machine.travel(SUNDAY - timedelta(days=30), tick=False):
        old = [opened(session) for _ in range(5)]
        for one in old:
            one.cause = "billing"
    never = desk(incident_size=0)
    for _ in range(4):
        never.change(session, opened(session), by="s1", cause="delivery")
    desk().change(session, opened(session), by="s1", cause="billing")
    assert incidents.listed(session) == []
    made = incidents.open_incident(
        session, cause="billing", by="s1", title="Double charge", complaints=[old[0].id]
    )
    assert old[0].incident_id == made.id
    with pytest.raises(Conflict):
        incidents.open_incident(session, cause="billing", by="s1")


# --- Messages --------------------------------------------------------------------------------


def sara(session: Session, **fields: Any) -> Any:
    phones = [PhoneIn("021 8888 8888", "IR", "office"), PhoneIn("0912 123 4567", "IR", "mobile")]
    given = {"name": "سارا", "region": "IR", "language": "fa", "emails": ["sara@example.com"]}
    return create(session, **({**given, "phones": phones} | fields))


def outbox(session: Session) -> list[tuple[str, str, str]]:
    rows = session.scalars(select(Message).order_by(Message.created_at, Message.id))
    return [(one.kind, one.channel, one.to) for one in rows]


def test_the_customer_gets_a_receipt_with_code_and_deadline_in_their_language(
    session: Session,
) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        complaint = opened(session, desk(MAIL), customer=sara(session).id, subject="تأخیر")
    assert sorted(outbox(session)) == [
        ("receipt", "mail", "sara@example.com"),
        ("receipt", "sms", "+989121234567"),  # the mobile, not the office
    ]
    mail, sms = session.scalars(select(Message).order_by(Message.channel))
    for one in (mail, sms):
        assert complaint.code in one.body
        assert day(complaint.due_at, "fa", TEHRAN) in one.body
        assert "https://calls.example/portal" in one.body
    assert (mail.language, sms.subject) == ("fa", "")


def test_the_answer_is_written_to_the_customer_when_it_is_told_by_mail(session: Session) -> None:
    using = desk(MAIL)
    complaint = opened(session, using, customer=sara(session).id)
    for step in (
        Step("acknowledged"),
        Step("responded", decision="پول شما برگشت داده شد"),
        Step("communicated", channel="mail"),
    ):
        using.move(session, complaint, step, by="s1")
    kinds = [one[:2] for one in outbox(session)]
    assert kinds.count(("decision", "mail")) == 1
    assert ("decision", "sms") not in kinds
    assert ("acknowledged", "sms") in kinds
    told = session.scalars(select(Message).where(Message.kind == "decision")).one()
    assert "پول شما برگشت داده شد" in told.body


def test_nobody_was_told_by_mail_who_has_no_address(session: Session) -> None:
    using = desk(MAIL)
    complaint = opened(session, using, customer=sara(session, emails=[]).id)
    using.move(session, complaint, Step("responded", decision="refund"), by="s1")
    with pytest.raises(Invalid) as refused:
        using.move(session, complaint, Step("communicated", channel="mail"), by="s1")
    assert list(refused.value.fields) == ["channel"]
    assert complaint.stage == "responded"
    using.move(session, complaint, Step("communicated", channel="letter"), by="s1")
    assert complaint.told_by == "letter"


def test_without_a_way_to_customers_nothing_is_written(session: Session) -> None:
    opened(session, customer=sara(session).id)
    opened(session, desk(MAIL))  # nobody knows whose it is
    assert outbox(session) == []


# --- What the customer may know --------------------------------------------------------------


def test_status_by_code_and_the_end_of_the_number(session: Session) -> None:
    complaint = opened(session, customer=sara(session).id)
    assert status.look_up(session, complaint.code, "4567")
    assert status.look_up(session, complaint.code.lower(), "۴۵۶۷")
    for code, digits in (
        (complaint.code, "4568"),
        (complaint.code, ""),
        (complaint.code, "abcd"),
        ("C-0000000", "4567"),
    ):
        assert status.look_up(session, code, digits) is None


def test_the_answer_is_shown_only_after_it_was_told(session: Session) -> None:
    complaint = opened(session, customer=sara(session).id)
    moved(session, complaint, "acknowledged", "responded")
    found = status.of(complaint)
    assert (found.answer, found.due) == ("", complaint.due_at)
    moved(session, complaint, "communicated")
    found = status.of(complaint)
    assert (found.answer, found.due) == ("refund", None)
    assert [stage for stage, _ in found.steps][-1] == "communicated"


# --- Figures and board -----------------------------------------------------------------------


def test_a_receipt_that_is_late_is_overdue_in_list_figures_and_record_alike(
    session: Session,
) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        waits, confirmed = opened(session), opened(session)
        moved(session, confirmed, "acknowledged")
    at = SUNDAY + timedelta(days=2)  # a working day is over, the time to decide is not
    with time_machine.travel(at, tick=False):
        (late,) = queries.page(session, overdue=True).items
        (on_time,) = queries.page(session, overdue=False).items
        assert (late.id, on_time.id) == (waits.id, confirmed.id)
        assert (queries.is_overdue(late), queries.is_overdue(on_time)) == (True, False)
    assert figures(session, usual(), at, since=SUNDAY, until=at).overdue == 1


def test_figures_count_working_days_and_say_of_how_many(session: Session) -> None:
    with time_machine.travel(SUNDAY, tick=False):
        quick, slow, waits = (opened(session, severity="high") for _ in range(3))
        moved(session, quick, "responded")
    with time_machine.travel(SUNDAY + timedelta(days=7), tick=False):
        moved(session, slow, "responded", "communicated", "reopened")
        desk().change(session, slow, by="s1", cause="defect", remedy="refund", remedy_cents=5_000)
    at = SUNDAY + timedelta(days=8)
    found = figures(session, usual(), at, since=SUNDAY - timedelta(days=1), until=at)
    assert (found.received, found.reopened, found.overdue) == (3, 1, 2)
    assert (found.decide.count, found.decide.median, found.decide.ninety) == (2, 2.5, 5)
    assert found.decide.in_time == 0.5  # five working days are more than three
    assert found.open["received"] == [0, 0, 1, 0, 0]  # eight days old
    assert [(one.key, one.count, one.cost_cents) for one in found.causes] == [
        (None, 2, 0),
        ("defect", 1, 5_000),
    ]
    assert sum(map(sum, found.open.values())) == 3
    assert waits.stage == "received"
    empty = figures(session, usual(), at, since=at, until=at + timedelta(days=1))
    assert (empty.received, empty.decide.count, empty.decide.in_time) == (0, 0, None)


def test_the_board_has_every_stage_and_the_most_urgent_first(session: Session) -> None:
    late, urgent = opened(session, severity="low"), opened(session, severity="critical")
    done = opened(session, by="a2")
    moved(session, done, "responded", "communicated", "closed")
    columns = {one.stage: one for one in queries.board(session)}
    assert list(columns["received"].cards) == [urgent, late]
    assert (columns["closed"].count, columns["assessing"].count) == (1, 0)
    mine = {one.stage: one.count for one in queries.board(session, owner="a2")}
    assert (mine["received"], mine["closed"]) == (0, 1)


def test_a_day_is_written_as_its_language_does() -> None:
    moment = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    assert day(moment, "fa", TEHRAN) == "۳ آذر ۱۴۰۵"
    assert day(moment, "he", ZoneInfo("Asia/Jerusalem")) == "23 בנובמבר 2026"
    assert day(moment, "en", ZoneInfo("UTC")) == "23 November 2026"
