"""The audit's retention: its beginning goes in two steps, and what is left can be proven whole."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crm_floor import Floor
from sealed_files import Files
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.crm.audit import cutting, queries
from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains import checkpoints
from callcenter.crm.chains.keys import Key, KeyRing
from callcenter.crm.chains.links import START
from callcenter.crm.chains.models import ChainCheckpoint, ChainEnd, ChainLink
from callcenter.crm.chains.operations import begin, keys_of, use_keys
from callcenter.crm.customers.operations import create
from callcenter.crm.holds.operations import put, release
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.retention import operations
from callcenter.crm.retention.kinds import Rules
from callcenter.crm.retention.operations import Counts, Retention
from callcenter.crm.trust import CHAINS, heads
from callcenter.crm.trust.heads import FILE, DailyHeads
from callcenter.crm.trust.verify import Report, verify
from callcenter.crm.users.operations import create as create_user
from callcenter.events import RecordingSealed
from callcenter.ids import new_id

NOW = datetime.now(UTC)
"""Of today: the database compares with its own clock, too."""


Age = Callable[[float], None]


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> Age:
    """`aged(800)`: what is written to the audit from now on is so many days old."""

    def set_back(days: float) -> None:
        monkeypatch.setattr(audit, "now", lambda: NOW - timedelta(days=days))

    return set_back


def note(engine: Engine, count: int = 1, what: str = "listen", **fields: str | None) -> None:
    for place in range(count):
        with Session(engine) as session, session.begin():
            kind, object = fields.get("kind") or "interaction", fields.get("object") or f"i{place}"
            audit.record(session, "u1", what, kind, object)


def keeper(engine: Engine, days: int | None = 730, after: int = 0, at: datetime = NOW) -> Retention:
    rules = Rules(audit=days, shred_after=after)
    return Retention(engine, rules, lambda path: None, clock=lambda: at)


def lines(engine: Engine) -> list[tuple[int, str]]:
    with Session(engine) as session:
        rows = session.execute(select(AuditEntry.number, AuditEntry.what))
        return sorted((number, what) for number, what in rows)


def first(report: Report) -> tuple[str, str, str]:
    assert report.findings, "nothing was found"
    found = report.findings[0]
    return found.kind, found.chain, found.place.split(" (")[0]


def whole(engine: Engine, files: Files | None = None, heads_file: Path | None = None) -> Report:
    report = verify(engine, files or Files(), heads_file)
    assert report.findings == []
    with Session(engine) as session:
        assert queries.first_broken(session) is None
    return report


@pytest.fixture
def cut(engine: Engine, aged: Age) -> Engine:
    """Ten lines of which the audit's retention took six; behind them its own two."""
    aged(800)
    note(engine, 6)
    aged(10)
    note(engine, 4)
    assert keeper(engine).run() == {"audit": Counts(6, 6)}
    aged(0)
    return engine


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody who owns the database: triggers hold nobody off."""
    on = "" if engine.dialect.name == "sqlite" else " ON {}"
    with engine.begin() as connection:
        for table in ("audit", "chain_links", "chain_checkpoints"):
            for deed in ("update", "delete"):
                place = on.format(table)
                connection.execute(text(f"DROP TRIGGER IF EXISTS no_{deed}_{table}{place}"))
        for statement in statements:
            connection.execute(text(statement))


# --- two steps ------------------------------------------------------------------------------------


def test_it_is_kept_for_ever_unless_the_settings_say_otherwise(engine: Engine, aged: Age) -> None:
    aged(5000)
    note(engine, 3)
    assert keeper(engine, None).dry_run() == keeper(engine, None).run() == {}
    assert len(lines(engine)) == 3


def test_what_a_dry_run_counts_is_what_the_run_does(engine: Engine, aged: Age) -> None:
    aged(800)
    note(engine, 5)
    aged(728)
    note(engine, 2)
    aged(0)
    for passed, expected in ((0, Counts(5, 0)), (6, Counts(2, 0)), (7, Counts(0, 5))):
        retention = keeper(engine, 730, 7, NOW + timedelta(days=passed))
        assert retention.dry_run() == {"audit": expected}
        before = len(lines(engine))
        assert retention.run() == {"audit": expected}
        told = 2 if expected.shredded else 1  # the round itself, and the cut
        assert len(lines(engine)) == before - expected.shredded + told
        assert retention.run() == {"audit": Counts(0, 0)}
    whole(engine)
    (number, _), *_ = lines(engine)
    assert number == 6, "the two that were marked later wait for their own time"


def test_a_longer_time_that_is_set_after_the_mark_is_obeyed(engine: Engine, aged: Age) -> None:
    aged(800)
    note(engine, 3)
    aged(0)
    assert keeper(engine, 730, 7).run() == {"audit": Counts(3, 0)}
    later = NOW + timedelta(days=8)
    assert keeper(engine, 900, 7, later).run() == {"audit": Counts(0, 0)}
    assert keeper(engine, 790, 7, later).dry_run() == {"audit": Counts(0, 3)}


def test_a_young_line_stops_the_cut_whatever_follows_it(engine: Engine, aged: Age) -> None:
    """Also one that was written while the clock was wrong: nothing is taken out of the middle."""
    for days in (800, 100, 800):
        aged(days)
        note(engine)
    assert keeper(engine).run() == {"audit": Counts(1, 1)}
    whole(engine)


def test_a_round_that_was_killed_is_finished_by_the_next(
    engine: Engine, aged: Age, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINES", 3)
    aged(800)
    note(engine, 10)
    aged(0)
    cuts, real = 0, checkpoints.cut

    def killed(*args: object, **more: object) -> object:
        """After everything of the third batch was done, before it was committed."""
        nonlocal cuts
        cuts += 1
        made = real(*args, **more)  # type: ignore[arg-type]
        if cuts == 3:
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(checkpoints, "cut", killed)
    retention = keeper(engine)
    with pytest.raises(KeyboardInterrupt):
        retention.run()
    assert [number for number, _ in lines(engine)][:4] == [7, 8, 9, 10]
    whole(engine)
    assert retention.dry_run() == {"audit": Counts(0, 4)}
    assert retention.run() == {"audit": Counts(0, 4)}
    assert whole(engine).counts["audit"] == len(lines(engine)) - 1  # verify's own line


def test_others_write_between_the_batches(
    engine: Engine, aged: Age, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "LINES", 3)
    aged(800)
    note(engine, 8)
    aged(0)
    pauses: list[float] = []

    def others(seconds: float) -> None:
        pauses.append(seconds)
        note(engine)

    monkeypatch.setattr("callcenter.crm.retention.operations.time.sleep", others)
    assert keeper(engine).run() == {"audit": Counts(8, 8)}
    assert pauses == [0.15, 0.15, 0], "SQLite's waiting writers look every 0.1 s"
    assert [what for _, what in lines(engine)] == ["cut", "listen"] * 3 + ["retention"]
    whole(engine)


def test_two_who_cut_at_once_do_it_once(engine: Engine, aged: Age) -> None:
    aged(800)
    note(engine, 30)
    aged(0)
    with ThreadPoolExecutor(3) as pool:
        rounds = [pool.submit(keeper(engine).run) for _ in range(2)]
        pool.submit(note, engine, 10).result()
        counts = [one.result()["audit"] for one in rounds]
    assert sum(one.marked for one in counts) == sum(one.shredded for one in counts) == 30
    assert len(lines(engine)) == 10 + 1 + 2  # others' lines, the cut, two rounds
    whole(engine)


def test_the_database_itself_lets_nothing_else_go(cut: Engine) -> None:
    """Neither behind the checkpoint, nor young lines while a cut is under way."""
    for statement in ("DELETE FROM audit", "DELETE FROM chain_links"):
        with pytest.raises(IntegrityError, match="append-only"), cut.begin() as connection:
            connection.execute(text(statement))
    with pytest.raises(IntegrityError, match="kept for ever"), cut.begin() as connection:
        connection.execute(text("DELETE FROM chain_checkpoints"))
    with pytest.raises(IntegrityError, match="never set back"), cut.begin() as connection:
        connection.execute(text("UPDATE chain_checkpoints SET number = 5"))
    with cut.begin() as connection:
        connection.execute(
            text("UPDATE chain_checkpoints SET cutting = (1 = 1), item = '10', number = 10")
        )
    with pytest.raises(IntegrityError, match="append-only"), cut.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE number = 8"))
    assert len(lines(cut)) == 6


# --- what stays -----------------------------------------------------------------------------------


def sealed(floor: Floor, files: Files, days: float) -> RecordingSealed:
    """A call whose recording was sealed so many days ago."""
    call = floor.talk("a1")
    fact = RecordingSealed(
        call=call, recording=new_id(), path=f"{call}.opus", format="opus", seconds=1.0, size=9,
        sha256="ab" * 32, legs={}, at=NOW - timedelta(days=days),
    )  # fmt: skip
    files.there.add(fact.path)
    floor.happened(fact)
    return fact


def as_stored(engine: Engine, numbers: list[int]) -> list[tuple[object, ...]]:
    columns = AuditEntry.__table__.c
    with Session(engine) as session:
        query = select(*columns).where(columns.number.in_(numbers)).order_by(columns.number)
        return [tuple(row) for row in session.execute(query)]


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("kind", ["customer", "interaction"])
def test_lines_of_what_is_held_stay_as_they_were(
    engine: Engine, floor: Floor, aged: Age, kind: str, released: bool
) -> None:
    files = Files()
    aged(1600)
    theirs, other = sealed(floor, files, 1600), sealed(floor, files, 1600)
    with Session(engine) as session, session.begin():
        by = create_user(session, username="audrey", name="A", role="auditor", password_hash="x").id
        customer = create(session, name="Sara", region="IR").id
        query = select(Interaction).where(Interaction.call_id.in_([theirs.call, other.call]))
        calls = {row.call_id: row.id for row in session.scalars(query)}
        session.get_one(Interaction, calls[theirs.call]).customer_id = customer
        held = customer if kind == "customer" else calls[theirs.call]
        hold = put(session, kind, held, reason="court", by=by, address=None).id  # type: ignore[arg-type]
    note(engine, kind="customer", object=customer, what="customer.read")  # 2
    note(engine, kind="interaction", object=calls[theirs.call])  # 3
    note(engine, kind="interaction", object=calls[other.call])  # 4
    note(engine, kind="recording", object=theirs.recording)  # 5
    note(engine, kind="recording", object=other.recording)  # 6
    note(engine, kind="user", object="u1", what="sign_in")  # 7
    stay = [1, 2, 3, 5] if kind == "customer" else [1, 3, 5]
    before = as_stored(engine, stay)

    aged(800)
    then = keeper(engine, at=NOW - timedelta(days=800))
    counts = Counts(7 - len(stay), 7 - len(stay), held=len(stay))
    assert then.dry_run() == {"audit": replace(counts, shredded=0)}
    assert then.run() == {"audit": counts}
    assert [number for number, _ in lines(engine) if number <= 7] == stay
    assert as_stored(engine, stay) == before
    whole(engine, files)
    if released:
        with Session(engine) as session, session.begin():
            release(session, hold, reason="over", by=by, address=None)

    aged(0)
    keeper(
        engine
    ).run()  # all of that is too old by now: also those lines where they are linked anew
    left = [number for number, _ in lines(engine)]
    assert left[: len(stay)] == stay if not released else left[0] > 7
    assert as_stored(engine, stay) == (before if not released else [])
    whole(engine, files)


def test_a_hold_that_comes_after_the_mark_is_obeyed(
    engine: Engine, floor: Floor, aged: Age
) -> None:
    aged(800)
    with Session(engine) as session, session.begin():
        by = create_user(session, username="audrey", name="A", role="auditor", password_hash="x").id
        customer = create(session, name="Sara", region="IR").id
    note(engine, kind="customer", object=customer, what="customer.read")
    note(engine, kind="customer", object="c2", what="customer.read")
    aged(0)
    assert keeper(engine, after=7).run() == {"audit": Counts(2, 0)}
    with Session(engine) as session, session.begin():
        put(session, "customer", customer, reason="court", by=by, address=None)
    later = keeper(engine, after=7, at=NOW + timedelta(days=7))
    assert later.dry_run() == later.run() == {"audit": Counts(0, 1, held=1)}
    assert lines(engine)[0] == (1, "customer.read")
    whole(engine)


def test_what_was_shredded_is_told_from_what_is_missing_for_ever(
    engine: Engine, floor: Floor, aged: Age
) -> None:
    """The line that says why a file is not there is taken along, cut after cut."""
    files = Files()
    aged(1600)
    facts = [sealed(floor, files, 1700) for _ in range(3)]
    rules = Rules(recordings=30, audit=730, shred_after=0)
    for days in (1600, 800, 0):
        aged(days)
        at = NOW - timedelta(days=days)
        Retention(engine, rules, files.remove, clock=lambda at=at: at).run()  # type: ignore[misc]
        assert whole(engine, files).shredded == 3
    assert [number for number, what in lines(engine) if what == "shred"] == [1, 2, 3]
    assert files.there == set()
    with Session(engine) as session:
        objects = session.scalars(select(AuditEntry.object).where(AuditEntry.what == "shred"))
        assert set(objects) == {fact.recording for fact in facts}
        (link,) = session.scalars(
            select(ChainLink.number).where(ChainLink.chain == "audit", ChainLink.item == "2")
        )
    tamper(
        engine,
        "DELETE FROM audit WHERE number = 2",
        f"DELETE FROM chain_links WHERE chain = 'audit' AND number = {link}",
    )
    found = {(one.kind, one.chain) for one in verify(engine, files).findings}
    assert found == {("missing", "recordings"), ("missing", "audit")}


# --- what is left can be proven -------------------------------------------------------------------


def test_a_chain_that_retention_has_cut_is_whole(cut: Engine, tmp_path: Path) -> None:
    assert lines(cut) == [
        (7, "listen"), (8, "listen"), (9, "listen"), (10, "listen"), (11, "cut"), (12, "retention"),
    ]  # fmt: skip
    with Session(cut) as session:
        told = session.get_one(AuditEntry, 11)
        begin = checkpoints.find(session, "audit")
        assert begin is not None
        assert (told.kind, told.object, told.reason) == ("audit", "6", begin.proof)
        assert (begin.number, begin.item) == (6, "6")
        assert session.get_one(ChainCheckpoint, "audit").cutting is False
    assert whole(cut).counts["audit"] == 6
    DailyHeads(cut, tmp_path, "UTC", lambda: NOW).round()
    note(cut, 3)
    assert whole(cut, heads_file=tmp_path / FILE).heads == 1


def test_heads_from_before_and_after_the_cut_agree_with_it(
    engine: Engine, aged: Age, tmp_path: Path
) -> None:
    for days in (800, 790, 10):
        aged(days)
        note(engine, 3)
        DailyHeads(engine, tmp_path, "UTC", lambda d=days: NOW - timedelta(days=d)).round()  # type: ignore[misc]
    aged(0)
    keeper(engine).run()
    assert whole(engine, heads_file=tmp_path / FILE).heads == 3
    DailyHeads(engine, tmp_path, "UTC", lambda: NOW).round()
    assert b'"checkpoints":{"audit":{"count":6,' in (tmp_path / FILE).read_bytes()
    assert whole(engine, heads_file=tmp_path / FILE).heads == 4


FORGED = (
    "UPDATE chain_checkpoints SET number = {0}, item = '{0}', mac = (SELECT mac FROM chain_links "
    "WHERE chain = 'audit' AND number = {0}), hash = (SELECT hash FROM audit WHERE number = {0})"
)
GONE = ("DELETE FROM audit WHERE {}", "DELETE FROM chain_links WHERE chain = 'audit' AND {}")


def gone(condition: str) -> list[str]:
    return [one.format(condition) for one in GONE]


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit SET who = 'u2' WHERE number = 8"], ("changed", "audit", "link 8")),
        (gone("number = 9"), ("missing", "audit", "link 9")),
        (gone("number > 10"), ("cut", "audit", "links 11 to 12")),
        (gone("number <= 7"), ("missing", "audit", "link 7")),
        ([FORGED.format(8), *gone("number <= 8")], ("checkpoint", "audit", "behind link 8")),
        (["UPDATE chain_checkpoints SET hash = mac"], ("checkpoint", "audit", "behind link 6")),
        (["UPDATE chain_checkpoints SET key = 'feedfeedfeedfeed'"],
         ("key", "audit", "checkpoint behind link 6")),
        (["DELETE FROM chain_checkpoints"], ("checkpoint", "audit", "links 1 to 6")),
        (
            [
                *gone("number > 10"),
                "UPDATE chain_ends SET count = 10, mac = (SELECT mac FROM chain_links "
                "WHERE chain = 'audit' AND number = 10) WHERE chain = 'audit'",
            ],
            ("checkpoint", "audit", "behind link 6"),
        ),
    ],
)  # fmt: skip
def test_damage_behind_the_cut_is_named_by_its_kind_and_place(
    cut: Engine, statements: list[str], found: tuple[str, str, str]
) -> None:
    tamper(cut, *statements)
    assert first(verify(cut, Files())) == found


def test_a_beginning_that_a_thief_cut_off_is_not_one_that_retention_did(
    engine: Engine, aged: Age
) -> None:
    aged(800)
    note(engine, 5)
    tamper(engine, *gone("number <= 3"))
    aged(0)
    report = verify(engine, Files())
    assert first(report) == ("checkpoint", "audit", "links 1 to 3")
    assert "no checkpoint says that it was their time" in report.findings[0].text
    counts = keeper(engine).run()["audit"]
    assert (counts.shredded, counts.problem.split(":")[0]) == (
        0,
        "nothing more is taken from the audit, run callcenter recordings verify",
    )


def test_who_puts_back_what_was_taken_is_found(engine: Engine, aged: Age) -> None:
    """All of it was ours, byte by byte; the audit says that it went."""
    aged(800)
    note(engine, 4)
    aged(0)
    tables = {"audit": "number <= 4", "chain_links": "chain = 'audit' AND number <= 4"}
    for table, which in tables.items():
        tamper(engine, f"CREATE TABLE saved_{table} AS SELECT * FROM {table} WHERE {which}")
    keeper(engine).run()
    tamper(engine, *(f"INSERT INTO {table} SELECT * FROM saved_{table}" for table in tables))
    assert first(verify(engine, Files())) == ("added", "audit", "link 1")
    tamper(engine, "DELETE FROM chain_checkpoints")
    report = verify(engine, Files())
    assert first(report) == ("checkpoint", "audit", "behind link 0")
    assert report.findings[0].text == "the audit speaks of another one, behind link 4"


def test_a_cut_tail_is_found_by_heads(cut: Engine, tmp_path: Path) -> None:
    DailyHeads(cut, tmp_path, "UTC", lambda: NOW).round()
    tamper(
        cut,
        *gone("number > 11"),
        "UPDATE chain_ends SET count = 11, mac = (SELECT mac FROM chain_links "
        "WHERE chain = 'audit' AND number = 11) WHERE chain = 'audit'",
    )
    assert verify(cut, Files()).wrong == 0  # without heads nobody can know
    assert first(verify(cut, Files(), tmp_path / FILE)) == ("cut", "audit", "link 12")


def test_a_database_from_before_the_cut_is_known_by_heads(
    engine: Engine, aged: Age, tmp_path: Path
) -> None:
    """A copy of before is whole in itself; heads know that retention went further."""
    aged(800)
    note(engine, 6)
    aged(0)
    note(engine, 4)
    with Session(engine) as session:
        link = session.scalars(
            select(ChainLink).where(ChainLink.chain == "audit", ChainLink.number == 6)
        ).one()
        key = keys_of(session).signing
    line = heads.Line(
        "2026-11-25", NOW.isoformat(), {}, key.id, checkpoints={"audit": heads.End(6, link.mac)}
    )
    signed = replace_mac(line, key)
    (tmp_path / FILE).write_bytes(signed)
    assert verify(engine, Files()).wrong == 0
    report = verify(engine, Files(), tmp_path / FILE)
    assert first(report) == ("checkpoint", "audit", "behind link 0")
    assert "the head of 2026-11-25 knows another one, behind link 6" in report.findings[0].text


def replace_mac(line: heads.Line, key: Key) -> bytes:
    import msgspec

    whole_line = msgspec.structs.replace(line, mac=key.mac(line.content()))
    return msgspec.json.encode(whole_line) + b"\n"


def test_who_stole_the_key_cannot_pass_off_a_young_cut_as_an_old_one(
    cut: Engine, tmp_path: Path
) -> None:
    """With the key everything can be made anew; heads out of reach know how young it was."""
    day = NOW - timedelta(days=10)
    DailyHeads(cut, tmp_path, "UTC", lambda: day).round()  # twelve links there
    note(cut, 5)
    tamper(cut)
    with Session(cut) as session, session.begin():
        cutting.cut(session, 15, AuditEntry.number == 0, 100)
    assert verify(cut, Files()).wrong == 0
    report = verify(cut, Files(), tmp_path / FILE)
    assert first(report) == ("checkpoint", "audit", "behind link 15")
    assert "was not 730 days old" in report.findings[0].text


def test_nothing_is_taken_where_the_beginning_is_not_as_it_was_written(
    engine: Engine, aged: Age
) -> None:
    """What proves that somebody was here is not thrown away; the alarm ends when it is whole."""
    aged(800)
    note(engine, 5)
    tamper(engine, "UPDATE audit SET who = 'u2' WHERE number = 3")
    aged(0)
    retention = keeper(engine)
    assert retention.overdue() is None
    counts = retention.run()["audit"]
    assert (counts.marked, counts.shredded) == (5, 0)
    assert "changed: audit link 3 (3): its row is not as it was written" in counts.problem
    assert len(lines(engine)) == 6
    with Session(engine) as session:
        told = session.scalars(select(AuditEntry).where(AuditEntry.what == "retention")).one()
        assert (told.kind, told.result) == ("audit", "changed")
    assert (
        retention.overdue() == "nothing is taken from the audit: run callcenter recordings verify"
    )
    tamper(engine, "UPDATE audit SET who = 'u1' WHERE number = 3")
    assert retention.run() == {"audit": Counts(0, 5)}
    assert retention.overdue() is None
    whole(engine)


def test_a_forged_checkpoint_stops_the_cut(cut: Engine, aged: Age) -> None:
    tamper(cut, FORGED.format(8))
    counts = Retention(cut, Rules(audit=0, shred_after=0), lambda path: None).run()["audit"]
    assert (counts.shredded, "the checkpoint is not as it was written" in counts.problem) == (
        0,
        True,
    )


def test_a_chain_that_was_cut_is_not_taken_for_a_new_one(cut: Engine) -> None:
    tamper(
        cut,
        "DELETE FROM chain_links WHERE chain = 'audit'",
        f"UPDATE chain_ends SET count = 0, mac = '{START}' WHERE chain = 'audit'",
    )
    begin(cut, *CHAINS)
    note(cut)
    with Session(cut) as session:
        assert session.get_one(ChainEnd, "audit").count == 7, "it goes on behind the checkpoint"
    assert first(verify(cut, Files()))[:2] == ("added", "audit")


def test_it_can_be_verified_while_it_is_being_cut(
    engine: Engine, aged: Age, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.crm.trust.verify.BATCH", 2)
    aged(800)
    note(engine, 6)
    aged(0)
    note(engine, 4)
    done: list[dict[str, Counts]] = []

    def meanwhile(what: str, count: int, total: int) -> None:
        if (what, count, done) == ("audit", 2, []):
            done.append(keeper(engine).run())

    report = verify(engine, Files(), progress=meanwhile)
    assert done == [{"audit": Counts(6, 6)}]
    assert (report.findings, report.counts["audit"]) == ([], 6)


def test_every_key_of_the_ring_may_have_made_the_beginning(
    engine: Engine, aged: Age, keyed: Callable[[str], Engine]
) -> None:
    aged(800)
    note(engine, 4)
    with Session(engine) as session:
        old = keys_of(session).signing
    new = Key(b"n" * 32)
    other = keyed(engine.url.render_as_string(False))
    aged(0)
    use_keys(other, KeyRing(lambda: new))
    assert "which is not here" in keeper(other).run()["audit"].problem
    use_keys(other, KeyRing(lambda: new, lambda: [old]))
    assert keeper(other).run() == {"audit": Counts(0, 4)}
    whole(other)
    other.dispose()
