"""`callcenter recordings verify` on damaged copies of a data directory."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from callcenter import bootstrap, migrations
from callcenter.cli import app
from callcenter.config import Settings
from callcenter.crm import subscribers
from callcenter.crm.audit import operations as audit
from callcenter.crm.trust.heads import FILE, DailyHeads
from callcenter.events import CallRang, RecordingRedacted, RecordingSealed
from callcenter.ids import new_id
from callcenter.log import Entry
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import Codec

LOUD = bytes([0x10, 0x90] * 80)


def _seal(store: DiskRecordings) -> RecordingSealed:
    call = new_id()
    journal = store.open_journal(call)
    for frame in range(10):
        journal.leg("customer").write(160 * frame, LOUD, Codec.PCMU)
    journal.close(1600)
    return store.seal(call).fact()


def _rang(call: str) -> CallRang:
    return CallRang(
        call=call, from_number="09121234567", from_name=None, to_number="100", line="100",
        trunk="local", region="IR", language="en", policy="always", node="n1", sip_call_id="s",
    )  # fmt: skip


@pytest.fixture
def whole(settings: Settings) -> Settings:
    """Three recordings, four lines of audit, the heads of a day."""
    engine = bootstrap.open_records(settings)
    migrations.upgrade(engine)
    store = DiskRecordings(settings.recordings_dir, format="wav")
    for fact in [_seal(store) for _ in range(3)]:
        with Session(engine) as session, session.begin():
            subscribers.apply(session, Entry(1, new_id(), _rang(fact.call)))
            subscribers.apply(session, Entry(2, new_id(), fact))
            audit.record(session, "u1", "listen", "recording", fact.recording)
    with Session(engine) as session, session.begin():
        audit.record(session, "u1", "search", "transcript")
    DailyHeads(engine, settings.heads_dir, "UTC").round()
    engine.dispose()
    return settings


@pytest.fixture
def look(whole: Settings, tmp_path: Path) -> Callable[..., Result]:
    """`look(damage)`: what the command says of a copy that `damage` was done to."""

    def on_a_copy(damage: Callable[[Path, sqlite3.Connection], None], *more: str) -> Result:
        copy = Path(shutil.copytree(whole.data_dir, tmp_path / "copy"))
        with closing(sqlite3.connect(copy / "callcenter.db")) as database, database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in names.fetchall():
                database.execute(f"DROP TRIGGER {name}")
            damage(copy, database)
        config = tmp_path / "config.json"
        words = ["recordings", "verify", "--config", str(config), "--data-dir", str(copy)]
        return CliRunner().invoke(app, [*words, *more])

    return on_a_copy


def _nothing(_copy: Path, _database: sqlite3.Connection) -> None:
    pass


def _flip_in_a_file(copy: Path, database: sqlite3.Connection) -> None:
    path = database.execute("SELECT path FROM recordings ORDER BY id LIMIT 1 OFFSET 1").fetchone()
    file = copy / "recordings" / path[0]
    sound = bytearray(file.read_bytes())
    sound[-100] ^= 1
    file.write_bytes(sound)


def _drop_a_middle_row(_copy: Path, database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit WHERE number = 2")
    database.execute("DELETE FROM chain_links WHERE chain = 'audit' AND number = 2")


def _cut_the_tail(_copy: Path, database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM recordings WHERE id = (SELECT max(id) FROM recordings)")
    database.execute("DELETE FROM chain_links WHERE chain = 'recordings' AND number = 3")
    database.execute(
        "UPDATE chain_ends SET count = 2, mac = (SELECT mac FROM chain_links "
        "WHERE chain = 'recordings' AND number = 2) WHERE chain = 'recordings'"
    )


@pytest.mark.parametrize(
    ("damage", "status", "said"),
    [
        (_nothing, 0, "Everything is as it was written."),
        (_flip_in_a_file, 1, "First bad item: changed: recordings link 2 ("),
        (_drop_a_middle_row, 1, "First bad item: missing: audit link 2: 1 taken out between 1 and"),
        (_cut_the_tail, 1, "First bad item: cut: recordings link 3: 1 cut off the end after "),
    ],
)
def test_three_kinds_of_damage_are_three_findings(
    whole: Settings,
    look: Callable[..., Result],
    damage: Callable[[Path, sqlite3.Connection], None],
    status: int,
    said: str,
) -> None:
    shown = look(damage, "--heads", str(whole.heads_dir / FILE))
    assert said in shown.output
    assert shown.exit_code == status


def test_a_copy_from_before_the_audit_could_be_cut_is_looked_at_as_before(
    whole: Settings, look: Callable[..., Result]
) -> None:
    def of_before(_copy: Path, database: sqlite3.Connection) -> None:
        database.execute("DROP TABLE chain_checkpoints")

    shown = look(of_before, "--heads", str(whole.heads_dir / FILE))
    assert (shown.exit_code, "Everything is as it was written." in shown.output) == (0, True)


def test_without_heads_it_says_what_it_cannot_see(look: Callable[..., Result]) -> None:
    shown = look(_cut_the_tail)
    assert shown.exit_code == 0
    assert "no daily heads" in shown.output
    assert "nobody can see what was cut off the end" in shown.output


def test_heads_that_cannot_be_read_are_a_sentence(look: Callable[..., Result]) -> None:
    shown = look(_nothing, "--heads", "nowhere.jsonl")
    assert shown.exit_code == 1
    assert "nowhere.jsonl cannot be read" in str(shown.exception)


def test_a_redacted_recording_is_as_it_was_written(
    whole: Settings, look: Callable[..., Result]
) -> None:
    store = DiskRecordings(whole.recordings_dir, format="wav")
    path = next(whole.recordings_dir.glob("2*/*/*/*.wav")).relative_to(whole.recordings_dir)
    engine = bootstrap.open_records(whole)
    sealed = store.silence(str(path), [("customer", 0.0, 0.1)])
    unknown = look(_nothing)
    assert "changed: recordings" in unknown.output, "the file is another one, and nobody said so"
    fact = RecordingRedacted(
        call=sealed.call, recording=sealed.recording, redaction=new_id(),
        sha256=sealed.sha256, size=sealed.size, silences=sealed.silences,
    )  # fmt: skip
    with Session(engine) as session, session.begin():
        subscribers.apply(session, Entry(9, new_id(), fact))
    engine.dispose()
    shutil.rmtree(whole.data_dir.parent / "copy")
    assert look(_nothing).exit_code == 0
