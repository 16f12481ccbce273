"""Chains in the database, daily heads, and what a verification finds of each kind of damage."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crm_floor import Floor, rang
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains.keys import Key, KeyRing
from callcenter.crm.chains.links import START
from callcenter.crm.chains.models import ChainLink
from callcenter.crm.chains.operations import begin, use_keys
from callcenter.crm.trust import CHAINS
from callcenter.crm.trust.heads import FILE, DailyHeads
from callcenter.crm.trust.verify import Report, verify
from callcenter.database import open_database
from callcenter.errors import Invalid, StartError
from callcenter.events import RecordingRedacted, RecordingSealed
from callcenter.ids import new_id

DAY = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Files:
    """Sealed files whose content is their name: path → sha256."""

    def __init__(self) -> None:
        self.sha256_of: dict[str, str] = {}

    def sha256(self, path: str) -> str | None:
        """See SoundFiles."""
        return self.sha256_of.get(path)


@pytest.fixture
def files() -> Files:
    return Files()


def seal(floor: Floor, files: Files) -> RecordingSealed:
    call = new_id()
    fact = RecordingSealed(
        call=call,
        recording=new_id(),
        path=f"2026/11/25/{call}.opus",
        format="opus",
        seconds=30,
        size=99_000,
        sha256=call.replace("-", "").ljust(64, "0"),
        legs={"agent": {"channel": 0, "offset": 0.25, "seconds": 30}},
    )
    files.sha256_of[fact.path] = fact.sha256
    floor.happened(rang(call), fact)
    return fact


def note(engine: Engine, count: int = 1, who: str = "u1") -> None:
    for place in range(count):
        with Session(engine) as session, session.begin():
            audit.record(session, who, "listen", "interaction", f"i{place}", address="10.0.0.1")


@pytest.fixture
def sealed(engine: Engine, floor: Floor, files: Files) -> list[RecordingSealed]:
    """Three sealed recordings, five lines of audit."""
    note(engine, 5)
    return [seal(floor, files) for _ in range(3)]


def first(report: Report) -> tuple[str, str, str]:
    assert report.findings, "nothing was found"
    found = report.findings[0]
    return found.kind, found.chain, found.place.split(" (")[0]


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody who owns the database: triggers hold nobody off."""
    on = "" if engine.dialect.name == "sqlite" else " ON {}"
    with engine.begin() as connection:
        for table in ("audit", "chain_links"):
            for deed in ("update", "delete"):
                place = on.format(table)
                connection.execute(text(f"DROP TRIGGER IF EXISTS no_{deed}_{table}{place}"))
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.usefixtures("sealed")
def test_what_is_whole_is_found_whole_and_the_audit_says_that_it_was_looked_at(
    engine: Engine, files: Files
) -> None:
    told: list[tuple[str, int, int]] = []
    report = verify(engine, files, progress=lambda *one: told.append(one))
    assert (report.findings, report.wrong) == ([], 0)
    assert report.counts == {"recordings": 3, "redactions": 0, "audit": 5}
    assert report.bytes == 3 * 99_000
    assert told == [("recordings", 3, 3), ("audit", 5, 5)]
    with Session(engine) as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc())).first()
        assert last is not None
        assert (last.what, last.kind, last.result) == ("verify", "recordings", "ok")
    assert verify(engine, files).counts["audit"] == 6


CUT = "DELETE FROM {} WHERE chain = '{}' AND number > {}"
BACK = (
    "UPDATE chain_ends SET count = {1}, mac = (SELECT mac FROM chain_links "
    "WHERE chain = '{0}' AND number = {1}) WHERE chain = '{0}'"
)


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit SET who = 'u2' WHERE number = 3"], ("changed", "audit", "link 3")),
        (["UPDATE audit SET reason = 'x' WHERE number = 5"], ("changed", "audit", "link 5")),
        (
            ["UPDATE chain_links SET digest = mac WHERE chain = 'audit' AND number = 2"],
            ("changed", "audit", "link 2"),
        ),
        (["DELETE FROM audit WHERE number = 3"], ("missing", "audit", "link 3")),
        (
            [
                "DELETE FROM audit WHERE number = 3",
                "DELETE FROM chain_links WHERE chain = 'audit' AND number = 3",
            ],
            ("missing", "audit", "link 3"),
        ),
        (
            [
                "INSERT INTO audit (at, who, what, kind, reason, result, hash) SELECT at, who, "
                "'forged', kind, reason, result, hash FROM audit WHERE number = 5"
            ],
            ("added", "audit", "row 6"),
        ),
        (
            [
                "DELETE FROM recordings WHERE id = (SELECT item FROM chain_links "
                "WHERE chain = 'recordings' AND number = 2)",
                "DELETE FROM chain_links WHERE chain = 'recordings' AND number = 2",
            ],
            ("missing", "recordings", "link 2"),
        ),
        (
            [
                "UPDATE recordings SET seconds = 31 WHERE id = (SELECT item FROM chain_links "
                "WHERE chain = 'recordings' AND number = 1)"
            ],
            ("changed", "recordings", "link 1"),
        ),
        (
            [
                "DELETE FROM audit WHERE number > 3",
                CUT.format("chain_links", "audit", 3),
            ],
            ("cut", "audit", "links 4 to 5"),
        ),
        (
            ["UPDATE chain_ends SET count = 3 WHERE chain = 'audit'"],
            ("changed", "audit", "link 3"),
        ),
    ],
)
def test_damage_is_named_by_its_kind_and_place(
    engine: Engine, files: Files, statements: list[str], found: tuple[str, str, str]
) -> None:
    tamper(engine, *statements)
    assert first(verify(engine, files)) == found


def test_a_file_that_was_changed_or_taken_away_is_named(
    engine: Engine, files: Files, sealed: list[RecordingSealed]
) -> None:
    files.sha256_of[sealed[1].path] = "f" * 64
    report = verify(engine, files)
    assert first(report) == ("changed", "recordings", "link 2")
    assert sealed[1].recording in report.findings[0].place
    assert sealed[1].path in report.findings[0].text
    del files.sha256_of[sealed[0].path]
    report = verify(engine, files)
    assert first(report) == ("missing", "recordings", "link 1")
    assert report.wrong == 2
    with Session(engine) as session:
        results = session.scalars(select(AuditEntry.result).where(AuditEntry.what == "verify"))
        assert list(results) == ["changed", "missing"]


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("regrown", [False, True])
def test_a_tail_that_was_cut_without_a_trace_is_found_by_the_daily_heads(
    engine: Engine, files: Files, tmp_path: Path, regrown: bool
) -> None:
    DailyHeads(engine, tmp_path, "Asia/Tehran", lambda: DAY).round()
    tamper(
        engine,
        "DELETE FROM audit WHERE number > 3",
        CUT.format("chain_links", "audit", 3),
        BACK.format("audit", 3),
    )
    if regrown:
        note(engine, 4, who="u9")
    assert verify(engine, files).wrong == 0  # without heads nobody can know
    report = verify(engine, files, tmp_path / FILE)
    kind, chain, _ = first(report)
    assert (kind, chain, report.heads) == ("cut", "audit", 1)
    assert "2026-11-25" in report.findings[0].text


def test_the_database_itself_refuses_to_change_links(engine: Engine) -> None:
    note(engine)
    for statement in ("DELETE FROM chain_links", "UPDATE chain_links SET number = 9"):
        with pytest.raises(IntegrityError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))


def test_a_row_and_its_link_are_written_together_or_not_at_all(
    engine: Engine, session: Session, floor: Floor, files: Files
) -> None:
    audit.record(session, "u1", "listen", "interaction", "i1")
    session.rollback()
    fact = seal(floor, files)
    floor.happened(fact)  # told twice
    assert verify(engine, files).counts == {"recordings": 1, "redactions": 0, "audit": 0}


def test_without_keys_nothing_is_kept(engine: Engine) -> None:
    with Session(open_database(engine.url.render_as_string(False))) as session:
        with pytest.raises(StartError, match="without the keys"):
            audit.record(session, "u1", "listen", "interaction")
        session.rollback()
        session.get_bind().dispose()  # type: ignore[union-attr]


@pytest.mark.usefixtures("sealed")
def test_rows_from_before_there_were_chains_are_linked_once(engine: Engine, files: Files) -> None:
    tamper(
        engine,
        "DELETE FROM chain_links",
        f"UPDATE chain_ends SET count = 0, mac = '{START}'",
    )
    assert first(verify(engine, files))[0] == "added"  # and its own row begins the audit's chain
    begin(engine, *CHAINS)
    report = verify(engine, files)
    assert (report.wrong, report.counts) == (
        0,
        {"recordings": 3, "redactions": 0, "audit": 6},
    )
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit (at, what, kind, reason, result, hash) "
                "SELECT at, 'forged', kind, reason, result, hash FROM audit WHERE number = 1"
            )
        )
    begin(engine, *CHAINS)
    assert first(verify(engine, files))[0] == "added"


def test_writers_at_once_make_one_chain(engine: Engine, files: Files) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda who: note(engine, 6, who=f"u{who}"), range(4)))
    report = verify(engine, files)
    assert (report.wrong, report.counts["audit"]) == (0, 24)
    with Session(engine) as session:
        links = session.execute(
            select(ChainLink.number, ChainLink.item).order_by(ChainLink.number)
        ).all()
        in_order = sorted(links, key=lambda link: int(link.item))
        assert in_order == links  # in the order of insertion


# --- daily heads ---------------------------------------------------------------------------------


def test_a_head_is_written_once_a_day_of_the_site(
    engine: Engine, files: Files, tmp_path: Path
) -> None:
    moment = [DAY]
    folder = tmp_path / "elsewhere"
    jobs = [DailyHeads(engine, folder, "Asia/Tehran", lambda: moment[0]) for _ in range(2)]

    def rounds() -> int:
        for one in jobs:
            one.round()
        return len((folder / FILE).read_text().splitlines())

    note(engine, 2)
    assert rounds() == rounds() == 1
    note(engine)
    moment[0] += timedelta(hours=8)  # 23:30 in Tehran
    assert rounds() == 1
    moment[0] += timedelta(hours=1)
    assert rounds() == 2
    assert (folder / FILE).stat().st_mode & 0o077 == 0
    report = verify(engine, files, folder / FILE)
    assert (report.wrong, report.heads) == (0, 2)


def test_a_changed_line_of_heads_is_found(engine: Engine, files: Files, tmp_path: Path) -> None:
    note(engine, 3)
    DailyHeads(engine, tmp_path, "Asia/Tehran", lambda: DAY).round()
    file = tmp_path / FILE
    whole = file.read_bytes()
    for damaged in (whole.replace(b'"count":3', b'"count":2'), b"no line\n"):
        file.write_bytes(damaged)
        report = verify(engine, files, file)
        assert first(report) == ("changed", "heads", f"{FILE} line 1")
    file.unlink()
    with pytest.raises(Invalid, match="cannot be read"):
        verify(engine, files, file)


def test_a_head_of_another_key_proves_nothing(
    engine: Engine, files: Files, tmp_path: Path, keyed: Callable[[str], Engine]
) -> None:
    other = keyed(engine.url.render_as_string(False))
    use_keys(other, KeyRing(lambda: Key(b"x" * 32)))
    DailyHeads(other, tmp_path, "Asia/Tehran", lambda: DAY).round()
    other.dispose()
    assert first(verify(engine, files, tmp_path / FILE))[:2] == ("key", "heads")


def test_a_folder_that_cannot_be_written_is_tried_again_later(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.write_text("a file stands there")
    seconds = [1000.0]
    monkeypatch.setattr("callcenter.crm.trust.heads.time.monotonic", lambda: seconds[0])
    job = DailyHeads(engine, folder, "Asia/Tehran", lambda: DAY)
    job.round()
    folder.unlink()
    job.round()
    assert not folder.exists()
    seconds[0] += 601
    job.round()
    assert (folder / FILE).exists()


@pytest.mark.parametrize("back", ["UPDATE chain_ends SET count = 1", "DELETE FROM chain_ends"])
def test_an_end_that_was_set_back_stops_nobody_and_is_found(
    engine: Engine, files: Files, back: str
) -> None:
    note(engine, 3)
    tamper(engine, f"{back} WHERE chain = 'audit'")
    assert first(verify(engine, files))[:2] == ("changed", "audit")
    note(engine)
    report = verify(engine, files)
    assert (report.wrong, report.counts["audit"]) == (0, 5)


# --- Redaction --------------------------------------------------------------------------------


def redact(floor: Floor, files: Files, fact: RecordingSealed) -> RecordingRedacted:
    """The file is replaced, as the jobs process does it."""
    redacted = RecordingRedacted(
        call=fact.call,
        recording=fact.recording,
        redaction=new_id(),
        sha256=new_id().replace("-", "").ljust(64, "1"),
        size=90_000,
        silences=[("customer", 1.0, 2.5)],
    )
    files.sha256_of[fact.path] = redacted.sha256
    floor.happened(redacted, redacted)  # told twice
    return redacted


def test_a_redacted_recording_is_whole_with_its_new_file_only(
    engine: Engine, floor: Floor, files: Files, sealed: list[RecordingSealed]
) -> None:
    redact(floor, files, sealed[1])
    last = redact(floor, files, sealed[1])
    report = verify(engine, files)
    assert (report.wrong, report.counts["redactions"]) == (0, 2)
    assert report.bytes == 2 * 99_000 + last.size
    files.sha256_of[sealed[1].path] = sealed[1].sha256  # somebody brings the sound back
    assert first(verify(engine, files)) == ("changed", "recordings", "link 2")


def test_a_redaction_cannot_be_made_up_or_taken_back(
    engine: Engine, floor: Floor, files: Files, sealed: list[RecordingSealed]
) -> None:
    redact(floor, files, sealed[1])
    tamper(engine, f"UPDATE recording_redactions SET sha256 = '{'2' * 64}'")
    found = {(one.kind, one.chain) for one in verify(engine, files).findings}
    assert ("changed", "redactions") in found
    tamper(engine, "DELETE FROM recording_redactions")
    found = {(one.kind, one.chain) for one in verify(engine, files).findings}
    assert {("missing", "redactions"), ("changed", "recordings")} <= found
