"""Retention: what is too old goes in two steps, once, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crm_floor import Floor
from sealed_files import Files
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.complaints.models import Complaint, ComplaintTransition
from callcenter.crm.complaints.operations import open_complaint
from callcenter.crm.customers.operations import create
from callcenter.crm.holds.models import Kind
from callcenter.crm.holds.operations import put, release
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.messages.models import Message
from callcenter.crm.retention import operations
from callcenter.crm.retention.kinds import Rules
from callcenter.crm.retention.operations import OVERDUE, Counts, Retention
from callcenter.crm.shredding import texts
from callcenter.crm.trust.verify import verify
from callcenter.crm.users.operations import create as create_user
from callcenter.events import RecordingSealed, UtteranceHeard
from callcenter.ids import new_id
from callcenter.log import EventLog, facts

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def files() -> Files:
    return Files()


def kept(floor: Floor, files: Files, days: float, queue: str = "support") -> str:
    """A call whose recording was sealed so many days ago. → the call"""
    call = floor.talk("a1", "09121234567")
    files.there.add(f"{call}.opus")
    floor.happened(
        RecordingSealed(
            call=call, recording=new_id(), path=f"{call}.opus", format="opus", seconds=1.0, size=9,
            sha256="ab" * 32, legs={}, at=NOW - timedelta(days=days),
        )
    )  # fmt: skip
    with Session(floor.engine) as session, session.begin():
        query = select(Interaction).where(Interaction.call_id == call)
        session.scalars(query).one().queue = queue
    KeysOfCalls(floor.engine).make(call)
    return call


class Keeper(Retention):
    """Of recordings alone: what their counts are."""

    def run(self) -> Counts:  # type: ignore[override]
        return super().run()["recordings"]

    def dry_run(self) -> Counts:  # type: ignore[override]
        return super().dry_run()["recordings"]


def keeper(floor: Floor, files: Files, clock: Clock, **rules: object) -> Keeper:
    return Keeper(floor.engine, Rules(**rules), files.remove, clock=clock)  # type: ignore[arg-type]


def test_what_a_dry_run_counts_is_what_the_run_does(floor: Floor, files: Files) -> None:
    clock = Clock()
    calls = {days: kept(floor, files, days) for days in (5, 29, 31, 100)}
    sales = kept(floor, files, 12, queue="sales")
    retention = keeper(floor, files, clock, recordings=30, queues={"sales": 10}, shred_after=7)
    for passed, expected in ((0, Counts(3, 0)), (6, Counts(1, 0)), (7, Counts(0, 3))):
        clock.at = NOW + timedelta(days=passed)
        assert retention.dry_run() == expected
        assert retention.run() == expected
        assert retention.run() == Counts(0, 0)
    assert files.there == {f"{calls[5]}.opus", f"{calls[29]}.opus"}
    keys = KeysOfCalls(floor.engine)
    assert [keys.find(call) for call in (calls[31], calls[100], sales)] == [None] * 3
    assert keys.find(calls[29]) is not None


def test_verify_tells_a_shredded_file_from_a_missing_one(floor: Floor, files: Files) -> None:
    clock = Clock()
    for days in (1, 40, 50):
        kept(floor, files, days)
    keeper(floor, files, clock, recordings=30, shred_after=0).run()
    report = verify(floor.engine, files)
    assert (report.shredded, report.wrong) == (2, 0)
    files.there.clear()
    report = verify(floor.engine, files)
    assert (report.shredded, report.wrong, report.findings[0].kind) == (2, 1, "missing")


def test_a_round_that_was_killed_is_finished_by_the_next(
    floor: Floor, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "BATCH", 2)
    for _ in range(5):
        kept(floor, files, 40)
    clock, taken = Clock(), 0

    def killed(path: str) -> None:
        nonlocal taken
        taken += 1
        if taken == 4:
            raise KeyboardInterrupt
        files.remove(path)

    retention = Keeper(floor.engine, Rules(30, shred_after=0), killed, clock=clock)
    with pytest.raises(KeyboardInterrupt):
        retention.run()
    assert retention.dry_run() == Counts(0, 3)
    assert retention.run() == Counts(0, 3)
    assert files.there == set()
    report = verify(floor.engine, files)
    assert (report.shredded, report.wrong) == (5, 0)


def test_a_longer_time_that_is_set_after_the_mark_is_obeyed(floor: Floor, files: Files) -> None:
    clock = Clock()
    kept(floor, files, 40)
    assert keeper(floor, files, clock, recordings=30).run() == Counts(1, 0)
    clock.at = NOW + timedelta(days=20)
    assert keeper(floor, files, clock, recordings=365).run() == Counts(0, 0)
    assert len(files.there) == 1


@pytest.mark.parametrize("kind", ["customer", "interaction"])
def test_what_is_held_stays_until_the_hold_is_released(
    floor: Floor, files: Files, kind: Kind
) -> None:
    """A36: holds are skipped, also where the recording was marked before, and counted."""
    clock = Clock()
    call, _ = kept(floor, files, 40), kept(floor, files, 40)
    retention = keeper(floor, files, clock, recordings=30, shred_after=7)
    assert retention.run() == Counts(2, 0)
    clock.at = NOW + timedelta(days=8)
    late = kept(floor, files, 30)
    with Session(floor.engine) as session, session.begin():
        by = create_user(session, username="audrey", name="A", role="auditor", password_hash="x").id
        customer = create(session, name="Sara", region="IR").id
        query = select(Interaction).where(Interaction.call_id.in_([call, late]))
        rows = session.scalars(query).all()
        for row in rows:
            row.customer_id = customer
        held = [customer] if kind == "customer" else [row.id for row in rows]
        made = [put(session, kind, one, reason="x", by=by, address=None).id for one in held]
        put(session, kind, held[0], reason="a second case", by=by, address=None)
    expected = Counts(0, 1, held=2)
    assert retention.dry_run() == expected
    assert retention.run() == expected
    assert files.there == {f"{call}.opus", f"{late}.opus"}
    assert KeysOfCalls(floor.engine).find(call) is not None

    with Session(floor.engine) as session, session.begin():
        for one in made:
            release(session, one, reason="over", by=by, address=None)
    count = retention.dry_run().held
    assert count == (2 if kind == "customer" else 1), "the second hold is still in force"


def test_it_runs_once_a_night_and_never_without_rules(
    engine: Engine, floor: Floor, files: Files
) -> None:
    clock = Clock()
    runs = select(AuditEntry.at).where(AuditEntry.what == "retention")

    def count() -> int:
        with Session(engine) as session:
            return len(session.scalars(runs).all())

    keeper(floor, files, clock).round()
    assert count() == 0
    retention = keeper(floor, files, clock, recordings=30)
    retention.round()
    assert count() == 1
    clock.at = datetime.now(UTC).replace(hour=3)  # the audit has its own clock
    retention.round()
    assert count() == 1
    clock.at += timedelta(hours=22)
    retention.round()
    assert count() == 1, "not yet two o'clock"
    clock.at += timedelta(hours=1)
    retention.round()
    assert count() == 2


def test_files_are_removed_with_what_stands_beside_them(tmp_path: Path) -> None:
    from callcenter.telephony.adapters.recordings import DiskRecordings

    for name in ("a.opus", "a.peaks", "a.json", "b.opus"):
        (tmp_path / name).write_bytes(b"x")
    store = DiskRecordings(tmp_path)
    store.remove("a.opus")
    store.remove("a.opus")
    assert [path.name for path in tmp_path.iterdir()] == ["b.opus"]


def said(floor: Floor, days: float, text: str = "my dishwasher leaks") -> str:
    """A call that ended so many days ago, in which that was said. → the call"""
    call = floor.talk("a1", "09121234567")
    floor.happened(
        UtteranceHeard(
            call=call, utterance=new_id(), leg="customer", text=text, t0=1.0, t1=2.0,
            language="en", engine="test",
        )
    )  # fmt: skip
    with Session(floor.engine) as session, session.begin():
        query = select(Interaction).where(Interaction.call_id == call)
        session.scalars(query).one().ended_at = NOW - timedelta(days=days)
    return call


def texts_of(floor: Floor, call: str) -> tuple[list[str], list[str]]:
    """(in the table, in the log)"""
    with Session(floor.engine) as session:
        rows = session.scalars(select(Utterance.text).where(Utterance.call_id == call)).all()
    facts = [entry.fact for entry in EventLog(floor.engine).of_call(call)]
    return list(rows), [fact.text for fact in facts if isinstance(fact, UtteranceHeard)]


def found(floor: Floor, word: str) -> int:
    with Session(floor.engine) as session:
        numbers = fts.numbers(session, word)
        return 0 if numbers is None else len(session.execute(numbers).all())


def test_a_transcript_goes_from_table_index_and_log_in_two_steps(
    floor: Floor, files: Files
) -> None:
    clock = Clock()
    old, new = said(floor, 40), said(floor, 5, "my fridge hums")
    retention = Retention(floor.engine, Rules(transcripts=30), files.remove, clock=clock)
    assert retention.run() == {"transcripts": Counts(1, 0)}
    assert found(floor, "dishwasher") == 1, "until it is shredded it can be read"
    clock.at = NOW + timedelta(days=7)
    assert retention.dry_run() == {"transcripts": Counts(0, 1)}
    assert retention.run() == {"transcripts": Counts(0, 1)}
    assert texts_of(floor, old) == ([], [""])
    assert texts_of(floor, new) == (["my fridge hums"], ["my fridge hums"])
    assert (found(floor, "dishwasher"), found(floor, "fridge")) == (0, 1)
    assert retention.run() == {"transcripts": Counts(0, 0)}


def test_the_log_lets_only_what_is_marked_be_shredded(floor: Floor, files: Files) -> None:
    call = said(floor, 40)
    with pytest.raises(IntegrityError, match="append-only"), Session(floor.engine) as session:
        texts.transcripts(session, [call])
    Retention(floor.engine, Rules(transcripts=30), files.remove, clock=Clock()).run()
    rang = update(facts).where(facts.c.subject == call, facts.c.kind == "CallRang")
    with pytest.raises(IntegrityError, match="append-only"), floor.engine.begin() as connection:
        connection.execute(rang.values(payload={}))


def complained(floor: Floor, days: float, stage: str = "closed") -> str:
    with Session(floor.engine) as session, session.begin():
        made = open_complaint(session, subject="dishwasher", description="leaks", by="u1")
        made.stage = stage  # type: ignore[assignment]
        made.closed_at = NOW - timedelta(days=days)
        session.add(
            Message(
                channel="mail", kind="receipt", to="m@x.example", language="en",
                subject="dishwasher", body="leaks", complaint_id=made.id, state="sent",
                created_at=made.closed_at,
            )
        )  # fmt: skip
        return made.id


def test_texts_of_complaints_and_messages_go_and_figures_stay(floor: Floor, files: Files) -> None:
    clock = Clock()
    old, new = complained(floor, 2000), complained(floor, 10)
    still_open = complained(floor, 2000, stage="investigating")
    rules = Rules(complaints=1825, messages=365, shred_after=0)
    retention = Retention(floor.engine, rules, files.remove, clock=clock)
    done = {"complaints": Counts(1, 1), "messages": Counts(2, 2)}
    assert retention.run() == done
    with Session(floor.engine) as session:
        rows = {row.id: row for row in session.scalars(select(Complaint))}
        assert (rows[old].subject, rows[old].description, rows[old].stage) == ("—", "", "closed")
        assert rows[new].subject == rows[still_open].subject == "dishwasher"
        bodies = session.scalars(select(Message.body).order_by(Message.created_at)).all()
        assert sorted(bodies) == ["", "", "leaks"]
        steps = session.scalars(
            select(ComplaintTransition.note).where(ComplaintTransition.complaint_id == old)
        ).all()
        assert set(steps) == {""}


def test_a_complaint_under_hold_is_kept(floor: Floor, files: Files) -> None:
    old = complained(floor, 2000)
    with Session(floor.engine) as session, session.begin():
        by = create_user(session, username="audrey", name="A", role="auditor", password_hash="x").id
        customer = create(session, name="Sara", region="IR").id
        session.get_one(Complaint, old).customer_id = customer
        put(session, "customer", customer, reason="court", by=by, address=None)
    complained(floor, 2000)  # of somebody else
    rules = Rules(complaints=1825, messages=365, shred_after=0)
    retention = Retention(floor.engine, rules, files.remove, clock=Clock())
    with Session(floor.engine) as session, session.begin():
        session.execute(
            update(Message).where(Message.complaint_id == old).values(customer_id=customer)
        )
    held = {"complaints": Counts(1, 1, held=1), "messages": Counts(1, 1, held=1)}
    assert retention.dry_run() == {name: replace(one, shredded=0) for name, one in held.items()}
    assert retention.run() == held


def test_a_round_that_stays_away_for_36_hours_is_an_alarm(
    floor: Floor, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    assert keeper(floor, files, clock).overdue() is None, "nothing is to be done"
    retention = keeper(floor, files, clock, recordings=30)
    assert retention.overdue() is None
    clock.at = NOW + OVERDUE + timedelta(hours=1)
    assert retention.overdue() == "nothing was shredded for 37 hours: see the log of jobs"
    retention.overdue()
    assert capsys.readouterr().out.count("retention did not run") == 1
    clock.at = datetime.now(UTC)  # the audit has its own clock
    retention.run()
    assert retention.overdue() is None
    clock.at += OVERDUE + timedelta(minutes=5)
    assert "for 36 hours" in str(retention.overdue())
