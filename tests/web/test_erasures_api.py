"""Erasure of one customer (A35): nothing personal is left, figures and proofs stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, String, Text, cast, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from test_records_api import ended
from web_world import World

from callcenter import events, log
from callcenter.bootstrap import eraser_of
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains.operations import keys_of
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.customers.models import Customer
from callcenter.crm.erasures.eraser import AGAIN, LEASE, Eraser
from callcenter.crm.erasures.models import STEPS, Erasure
from callcenter.crm.erasures.tombstones import FILE, Tombstone, Tombstones, mac_of
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.models import Interaction, Recording
from callcenter.crm.models import metadata
from callcenter.crm.shredding.facts import PERSONAL, forgotten
from callcenter.crm.trust.verify import verify
from callcenter.errors import StartError
from callcenter.events import CallerReplaced, UtteranceHeard, now
from callcenter.ids import new_id
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import Codec

NUMBER = "+989135550001"
NAME = "Mahtab Zandieh"
MARKS = ("Mahtab", "Zandieh", "mahtab", "zandieh", "9135550001", "dishwasher", "zanbagh")
"""What was only ever said of, or by, the customer who is erased."""
NOT_PERSONAL = {
    "agent", "awaited", "by", "call", "cause", "code", "codec", "colleague", "complaint",
    "consent", "customer", "direction", "engine", "format", "from_agent", "from_stage",
    "incident", "interaction", "kind", "language", "leg", "legs", "line", "list", "node",
    "others", "outcome", "outside", "owner", "path", "policy", "previous", "problem", "queue",
    "reason", "recording", "redaction", "region", "role", "sha256", "silences", "state", "to_agent",
    "to_queue", "to_stage", "trunk", "utterance", "verstat",
}  # fmt: skip


def test_every_field_of_every_fact_is_decided_on() -> None:
    """A new field is personal or not; `to_number` is ours on calls to us."""
    undecided = {
        f"{kind}.{field.name}"
        for kind, fact in events.FACTS.items()
        for field in dataclasses.fields(fact)
        if any(word in str(field.type) for word in ("str", "dict", "list", "Name", "Literal"))
        and field.name not in NOT_PERSONAL
        and field.name not in PERSONAL.get(kind, {})
        and (kind, field.name) != ("CallRang", "to_number")
    }
    assert undecided == set()


def test_a_fact_stays_readable_without_what_is_personal() -> None:
    rang = {"direction": "inbound", "from_number": NUMBER, "to_number": "100", "line": "100"}
    assert forgotten("CallRang", rang) == {**rang, "from_number": None}
    outward = {"direction": "outbound", "from_number": "100", "to_number": NUMBER}
    assert forgotten("CallRang", outward)["to_number"] == ""
    ended = {"call": "c", "reason": "completed", "detail": "x"}
    assert forgotten("CallEnded", ended) == {**ended, "detail": ""}
    assert forgotten("CallHeld", {"by": "agent"}) == {"by": "agent"}


@pytest.fixture
def mahtab(world: World) -> str:
    """A customer with all that is ever kept of one. → the id"""
    boss = world.client("supervisor")
    made = boss.post(
        "/customers",
        {
            "name": NAME, "phones": [{"number": NUMBER}], "emails": ["mahtab@zandieh.example"],
            "notes": "likes zanbagh", "address": "Zanbagh alley 9",
        },
    )  # fmt: skip
    customer = str(made.get_json()["id"])
    call = ended(world, "agent")
    store = DiskRecordings(
        world.settings.recordings_dir, format="wav", keys=KeysOfCalls(world.engine)
    )
    journal = store.open_journal(call)
    journal.leg("customer").write(0, bytes(160) * 50, Codec.PCMU)
    journal.close(8000)
    world.happens(
        store.seal(call).fact(),
        CallerReplaced(
            call=call, from_number=NUMBER, from_name=NAME, trunk="local", sip_call_id="x@10.0.0.9"
        ),
        UtteranceHeard(
            call=call, utterance=new_id(), leg="customer", text="my dishwasher leaks", t0=1.0,
            t1=2.0, language="en", engine="test",
        ),
    )  # fmt: skip
    mine = world.interaction(call)
    boss.patch(f"/interactions/{mine}", {"customer": customer, "notes": "dishwasher of zandieh"})
    boss.post(f"/interactions/{mine}/comments", {"text": "calm with Mahtab", "t0": 1.0})
    complaint = boss.post(
        "/complaints", {"subject": "dishwasher", "interaction": mine, "description": NAME}
    ).get_json()
    close(world, complaint["id"])
    outward = ended(world, "agent", direction="outbound", to_number=NUMBER)
    boss.patch(f"/interactions/{world.interaction(outward)}", {"customer": customer})
    return customer


def close(world: World, complaint: str) -> None:
    """Its way to the end is the complaint desk's matter, not ours."""
    with Session(world.engine) as session, session.begin():
        row = session.get_one(Complaint, complaint)
        row.stage, row.closed_at, row.decision = "closed", now(), "a new dishwasher"


def eraser(world: World, **options: Any) -> Eraser:
    made = eraser_of(world.settings, world.engine)
    for name, value in options.items():
        setattr(made, f"_{name}", value)
    return made


def asked(world: World, customer: str, by: str = "supervisor") -> str:
    answer = world.client(by).post(f"/customers/{customer}/erasures", {"reason": "GDPR, letter 7"})
    assert answer.status_code == 201, answer.get_json()
    return str(answer.get_json()["id"])


def let_run(world: World, customer: str) -> str:
    erasure = asked(world, customer)
    answer = world.client("admin").post(f"/erasures/{erasure}/run", {})
    assert answer.status_code == 202, answer.get_json()
    return erasure


def found_in_tables(world: World, marks: Sequence[str] = MARKS) -> list[str]:
    """table.column: where one of the marks stands."""
    found = []
    tables = [*metadata.sorted_tables, log.facts]
    with Session(world.engine) as session:
        for table in tables:
            for column in table.columns:
                if not isinstance(column.type, String | Text | JSON):
                    continue
                as_text = func.lower(cast(column, Text))
                hits = [as_text.contains(mark.lower(), autoescape=True) for mark in marks]
                for hit in hits:
                    if session.scalar(select(func.count()).select_from(table).where(hit)):
                        found.append(f"{table.name}.{column.name}")
    return sorted(set(found))


def found_in_files(world: World, marks: Sequence[str] = (*MARKS, NAME)) -> list[str]:
    """Files below the data directory and the recordings that hold one of the marks."""
    roots = {world.settings.data_dir, world.settings.recordings_dir, world.settings.heads_dir}
    if world.engine.url.database and world.engine.dialect.name == "sqlite":
        roots.add(Path(world.engine.url.database).parent)
    files = {path for root in roots for path in root.rglob("*") if path.is_file()}
    name = Path(world.engine.url.database or "").name
    mine = [path for path in files if path.suffix != ".db" or path.name == name]
    return [path.name for path in mine if any(mark.encode() in path.read_bytes() for mark in marks)]


def test_nothing_of_the_customer_is_left(world: World, mahtab: str) -> None:
    assert set(found_in_tables(world)) >= {
        "customers.name", "customer_phones.number", "customer_words.word", "facts.payload",
        "interactions.from_number", "interactions.notes", "interactions.to_number",
        "utterances.text", "vocabulary.word", "review_comments.text", "complaints.subject",
    }  # fmt: skip
    erasure = let_run(world, mahtab)
    eraser(world).round()
    assert found_in_tables(world) == []
    assert found_in_files(world) == []
    with Session(world.engine) as session:
        row = session.get_one(Erasure, erasure)
        assert (row.state, row.done, row.total, row.reason) == ("done", 2, 2, "")


def test_what_is_left_can_be_counted_read_and_proved(world: World, mahtab: str) -> None:
    with Session(world.engine) as session:
        before = session.execute(select(Interaction.id, Interaction.talk_seconds)).all()
        paths = session.scalars(select(Recording.path)).all()
    assert [path for path in paths if (world.settings.recordings_dir / path).exists()]
    let_run(world, mahtab)
    eraser(world).round()
    with Session(world.engine) as session:
        assert session.execute(select(Interaction.id, Interaction.talk_seconds)).all() == before
        (complaint,) = session.scalars(select(Complaint)).all()
        assert (complaint.stage, complaint.subject) == ("closed", "—")
    assert not [path for path in paths if (world.settings.recordings_dir / path).exists()]
    files = DiskRecordings(world.settings.recordings_dir)
    report = verify(world.engine, files, None, lambda *_: None)
    assert (report.wrong, report.shredded) == (0, 1), report.findings
    for entry in log.EventLog(world.engine).read():
        assert not isinstance(entry.fact, log.UnknownFact)


def test_nobody_finds_or_opens_the_customer_again(world: World, mahtab: str) -> None:
    boss = world.client("supervisor")
    with Session(world.engine) as session:
        code = session.scalar(select(Complaint.code))
        recording = session.scalar(select(Recording.id))
    assert boss.get("/sentences?q=dishwasher").get_json()["items"]
    let_run(world, mahtab)
    eraser(world).round()
    assert boss.get(f"/customers/{mahtab}").status_code == 410
    assert boss.get(f"/customers/{mahtab}").get_json()["type"].endswith("erased")
    assert boss.get(f"/customers/{mahtab}/timeline").status_code == 410
    assert boss.patch(f"/customers/{mahtab}", {"name": "again"}).status_code == 410
    assert boss.get("/customers?q=mahtab").get_json()["items"] == []
    assert mahtab not in str(boss.get("/customers").get_json())
    assert boss.get("/customers/lookup?phone=%2B989135550001").get_json()["items"] == []
    assert boss.get("/sentences?q=dishwasher").get_json()["items"] == []
    assert boss.http.get(f"/api/v1/recordings/{recording}/audio").status_code in (404, 410)
    said = world.client().http.get(f"/portal?code={code}").get_data(as_text=True)
    assert "dishwasher" not in said
    again = boss.post(f"/customers/{mahtab}/erasures", {"reason": "again"})
    assert again.status_code == 410
    (shown,) = boss.get(f"/customers/{mahtab}/erasures").get_json()["items"]
    assert (shown["state"], shown["done"], shown["total"]) == ("done", 2, 2)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_step_is_gone_on_from(
    world: World, mahtab: str, step: Any, when: str
) -> None:
    let_run(world, mahtab)
    killed = eraser(world)
    do = killed._do[step]

    def dies(customer: str) -> str | None:
        if when == "after":
            do(customer)
        raise KeyboardInterrupt

    killed._do[step] = dies
    with pytest.raises(KeyboardInterrupt):
        killed.round()
    eraser(world).round()  # its lease is not over
    with Session(world.engine) as session:
        assert session.scalar(select(Erasure.state)) == "running"
    eraser(world, clock=lambda: now() + LEASE + timedelta(seconds=1)).round()
    assert found_in_tables(world) == []
    with Session(world.engine) as session:
        assert session.scalar(select(Erasure.state)) == "done"
    assert len(list(Tombstones(world.settings.heads_dir / FILE).read())) == 1


def test_a_failure_is_tried_again_and_says_so(world: World, mahtab: str) -> None:
    let_run(world, mahtab)
    broken = eraser(world)

    def full(_customer: str) -> None:
        raise OSError("no space")

    broken._do["tombstone"] = full
    broken.round()
    with Session(world.engine) as session:
        row = session.scalars(select(Erasure)).one()
        assert (row.state, row.step, row.waits_for) == ("running", "tombstone", "failure")
        assert session.get_one(Customer, mahtab).name == NAME
    eraser(world, clock=lambda: now() + AGAIN + timedelta(seconds=1)).round()
    assert found_in_tables(world) == []


def test_a_hold_and_an_open_complaint_are_in_the_way(world: World, mahtab: str) -> None:
    auditor, boss = world.client("auditor"), world.client("supervisor")
    with Session(world.engine) as session:
        call = session.scalar(select(Interaction.id).order_by(Interaction.id).limit(1))
    hold = auditor.post(f"/interactions/{call}/holds", {"reason": "court"}).get_json()["id"]
    refused = boss.post(f"/customers/{mahtab}/erasures", {"reason": "GDPR"})
    assert refused.status_code == 409
    assert "a legal hold" in refused.get_json()["detail"]
    auditor.post(f"/holds/{hold}/release", {"reason": "over"})

    erasure = asked(world, mahtab)
    auditor.post(f"/customers/{mahtab}/holds", {"reason": "court"})
    refused = world.client("admin").post(f"/erasures/{erasure}/run", {})
    assert refused.status_code == 409
    with Session(world.engine) as session, session.begin():  # it came in the same moment
        session.execute(update(Erasure).values(state="running"))
    eraser(world).round()
    with Session(world.engine) as session:
        row = session.scalars(select(Erasure)).one()
        assert (row.state, row.waits_for) == ("running", "hold")
        assert session.get_one(Customer, mahtab).name == NAME
        complaint = session.scalars(select(Complaint)).one().id
    with Session(world.engine) as session, session.begin():
        session.execute(update(Erasure).values(state="withdrawn"))
        session.get_one(Complaint, complaint).stage = "assessing"
        session.execute(text("UPDATE legal_holds SET released_at = set_at"))
    refused = boss.post(f"/customers/{mahtab}/erasures", {"reason": "GDPR"})
    assert refused.status_code == 409
    assert "a complaint of this customer is open" in refused.get_json()["detail"]


def test_it_waits_while_a_call_lasts(world: World, mahtab: str) -> None:
    call = world.call(agent=world.people["agent"], from_number=NUMBER)
    let_run(world, mahtab)
    eraser(world).round()
    with Session(world.engine) as session:
        assert session.scalar(select(Erasure.waits_for)) == "call"
    world.happens(events.CallEnded(call=call, reason="completed", by="customer", seconds=3.0))
    eraser(world, clock=lambda: now() + AGAIN + timedelta(seconds=1)).round()
    assert found_in_tables(world) == []


def test_two_people_are_needed_and_each_step_is_audited(world: World, mahtab: str) -> None:
    boss, admin = world.client("supervisor"), world.client("admin")
    erasure = asked(world, mahtab)
    assert boss.post(f"/erasures/{erasure}/run", {}).status_code == 403
    assert boss.post(f"/customers/{mahtab}/erasures", {"reason": "x"}).status_code == 409
    withdrawn = admin.post(f"/erasures/{erasure}/withdrawal", {"reason": "a mistake"})
    assert withdrawn.get_json()["state"] == "withdrawn"
    assert admin.post(f"/erasures/{erasure}/run", {}).status_code == 409
    with Session(world.engine) as session, session.begin():
        session.execute(update(Erasure).values(state="asked", asked_by=world.people["admin"]))
    refused = admin.post(f"/erasures/{erasure}/run", {})
    assert refused.status_code == 403
    assert "somebody else than who asked for it" in refused.get_json()["detail"]
    with Session(world.engine) as session, session.begin():
        session.execute(update(Erasure).values(asked_by=world.people["supervisor"]))
    assert admin.post(f"/erasures/{erasure}/run", {}).status_code == 202
    eraser(world).round()
    with Session(world.engine) as session:
        rows = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.what.startswith("erase"))
            .order_by(AuditEntry.number)
        ).all()
        assert [row.what for row in rows] == [
            "erase.ask", "erase.withdraw", "erase.run", "erase.done",
        ]  # fmt: skip
        assert {row.object for row in rows} == {mahtab}


@pytest.mark.parametrize(
    "change", [{"payload": {}}, {"kind": "CallHeld"}, {"subject": None}, {"id": "x"}]
)
def test_the_log_lets_nobody_else_change_anything(
    world: World, mahtab: str, change: dict[str, Any]
) -> None:
    """Facts of others never; facts of a customer who is being erased only in what was said."""
    other = ended(world, "agent")
    let_run(world, mahtab)
    with Session(world.engine) as session:
        mine = session.scalar(
            select(Interaction.call_id).where(Interaction.customer_id == mahtab).limit(1)
        )
    for call in [other] if "payload" in change else [other, mine]:
        with pytest.raises(IntegrityError, match="append-only"), world.engine.begin() as connection:
            connection.execute(
                update(log.facts).where(log.facts.c.subject == call).values(**change)
            )
    eraser(world).round()
    with pytest.raises(IntegrityError, match="append-only"), world.engine.begin() as connection:
        connection.execute(update(log.facts).where(log.facts.c.subject == mine).values(payload={}))


def test_a_customer_who_comes_back_from_a_backup_is_erased_again(world: World, mahtab: str) -> None:
    """The database is as it was; the tombstone lies outside of it."""
    with Session(world.engine) as session:
        key = keys_of(session).signing
    stones = Tombstones(world.settings.heads_dir / FILE)
    stones.add(Tombstone(mac_of(key, mahtab), key.id, now().isoformat()))
    stones.add(Tombstone(mac_of(key, new_id()), key.id, now().isoformat()))  # after the backup
    assert eraser(world).obey() == 1
    assert found_in_tables(world) == []
    assert world.client("supervisor").get(f"/customers/{mahtab}").status_code == 410
    assert eraser(world).obey() == 0
    with Session(world.engine) as session:
        whats = session.scalars(select(AuditEntry.what)).all()
        assert [what for what in whats if what.startswith("erase")] == ["erase.again", "erase.done"]


def test_a_tombstone_that_cannot_be_read_stops_the_start(world: World, mahtab: str) -> None:
    stones = Tombstones(world.settings.heads_dir / FILE)
    stones.add(Tombstone("0" * 64, "another key", now().isoformat()))
    with pytest.raises(StartError, match="the key another key that says who is not here"):
        eraser(world).obey()
    stones.path.write_bytes(b"rubbish\n" + stones.path.read_bytes())
    with pytest.raises(StartError, match="line 1 is no tombstone"):
        eraser(world).obey()


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    stones = Tombstones(tmp_path / "heads" / FILE)
    first, second = (Tombstone(digit * 64, "k", "2026-11-26") for digit in "12")
    stones.add(first)
    stones.add(first)
    with stones.path.open("ab") as file:
        file.write(b'{"mac":"2222')
    assert list(stones.read()) == [first]
    stones.add(second)
    assert list(stones.read()) == [first, second]
    assert stones.path.stat().st_mode & 0o777 == 0o600
