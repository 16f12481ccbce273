"""`callcenter backup` and `restore`: whole, under way, damaged, cut off, foreign, unfinished."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from servers import Postgres
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from callcenter import bootstrap, config, migrations
from callcenter.backups import archive, restoring
from callcenter.backups.making import keys_beside
from callcenter.cli import app
from callcenter.config import Settings
from callcenter.crm import subscribers
from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.customers.models import Customer
from callcenter.crm.customers.operations import create
from callcenter.crm.erasures.models import Erasure
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.retention.kinds import Rules
from callcenter.crm.retention.operations import Counts, Retention
from callcenter.crm.trust.heads import DailyHeads
from callcenter.crm.vault import operations as vault
from callcenter.crm.vault.models import CustomerKey
from callcenter.errors import BackupError
from callcenter.events import CallRang, Fact, now
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import Codec
from callcenter.telephony.recording.cipher_file import is_encrypted, open_sealed

LOUD = bytes([0x10, 0x90] * 80)


@dataclass
class House:
    """An installation in a folder, and the words that name it on a command line."""

    folder: Path
    database_url: str | None

    @property
    def settings(self) -> Settings:
        file = self.folder / "config.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {"database_url": self.database_url} if self.database_url else {}
        file.write_text(json.dumps(wanted))
        return config.load(file, data_dir=self.folder / "data", environ={})

    def run(self, *words: str) -> Result:
        data = str(self.settings.data_dir)
        options = ["--config", str(self.folder / "config.json"), "--data-dir", data]
        return CliRunner().invoke(app, [*words, *options])

    def sounds(self) -> dict[str, bytes]:
        """The plain sound of every sealed recording, by its name."""
        engine = bootstrap.open_records(self.settings)
        keys = KeysOfCalls(engine)
        files = sorted(self.settings.recordings_dir.glob("*/**/*.wav"))
        found = {}
        for file in files:
            with open_sealed(file, keys) as stream:
                found[file.name] = stream.read()
        engine.dispose()
        return found

    def numbers(self) -> list[str]:
        """Who rang, as the event log says."""
        engine = bootstrap.open_records(self.settings)
        facts = [entry.fact for entry in EventLog(engine).read()]
        engine.dispose()
        return [
            str(fact.from_number)
            for fact in facts
            if isinstance(fact, CallRang) and fact.from_number
        ]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("pg", marks=pytest.mark.integration)]
)
def server(request: pytest.FixtureRequest) -> Iterator[Postgres | None]:
    """Where the databases are; None: in files."""
    started = Postgres() if request.param == "pg" else None
    yield started
    if started:
        started.remove()


@pytest.fixture(scope="module")
def filled(server: Postgres | None, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Two sealed calls, one whose journal is not sealed yet, the heads of a day; to be copied."""
    house = House(tmp_path_factory.mktemp("filled"), server.blank() if server else None)
    engine = bootstrap.open_records(house.settings)
    migrations.upgrade(engine)
    store = DiskRecordings(house.settings.recordings_dir, format="wav", keys=KeysOfCalls(engine))
    for number in range(3):
        call = new_id()
        journal = store.open_journal(call)
        for frame in range(50):
            journal.leg("customer").write(160 * frame, LOUD, Codec.PCMU)
        journal.close(8000)
        happens(engine, rang(call, f"0912123456{number}"))
        if number < 2:
            happens(engine, store.seal(call).fact())
            store.discard(call)
    DailyHeads(engine, house.settings.heads_dir, "UTC").round()
    engine.dispose()
    return house


@pytest.fixture
def here(filled: House, server: Postgres | None, tmp_path: Path) -> House:
    """An installation that is filled."""
    shutil.copytree(filled.folder, tmp_path / "here")
    return House(tmp_path / "here", server.copy(str(filled.database_url)) if server else None)


@pytest.fixture
def there(server: Postgres | None, tmp_path: Path) -> House:
    """An empty one of the same kind."""
    return House(tmp_path / "there", server.blank() if server else None)


def rang(call: str, number: str) -> CallRang:
    return CallRang(
        call=call, from_number=number, from_name=None, to_number="100", line="100",
        trunk="local", region="IR", language="en", policy="always", node="n1", sip_call_id="s",
    )  # fmt: skip


def happens(engine: Engine, fact: Fact) -> None:
    """A fact, and the records that come from it."""
    (entry,) = EventLog(engine).append(fact)
    with Session(engine) as session, session.begin():
        subscribers.apply(session, entry)


def damaged(source: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write the archive anew with other content; what becomes None is left out."""
    with tarfile.open(source) as tar:
        members = [(one.name, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]
    source.unlink()
    with tarfile.open(source, "w") as tar:
        for name, content in members:
            new = change(name, content)
            if new is not None:
                member = tarfile.TarInfo(name)
                member.size = len(new)
                tar.addfile(member, io.BytesIO(new))


def test_what_was_backed_up_is_there_again(here: House, there: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    made = here.run("backup", str(file))
    assert made.exit_code == 0, made.output
    assert f"Keep it at another place than {file.name}" in made.stdout
    for one in (file, keys_beside(file)):
        assert one.stat().st_mode & 0o777 == 0o600

    done = there.run("restore", str(file))
    assert done.exit_code == 0, done.output
    assert "MISSING" not in done.stdout
    assert len(here.sounds()) == 2
    assert there.sounds() == here.sounds()
    assert all(is_encrypted(path) for path in there.settings.recordings_dir.glob("*/**/*.wav"))
    assert there.numbers() == here.numbers() == [f"0912123456{number}" for number in range(3)]
    assert (there.settings.heads_dir / "heads.jsonl").read_bytes() == (
        here.settings.heads_dir / "heads.jsonl"
    ).read_bytes()
    verified = there.run("recordings", "verify")
    assert verified.exit_code == 0, verified.output


def test_a_call_that_is_not_sealed_yet_can_be_sealed_there(
    here: House, there: House, tmp_path: Path
) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    there.run("restore", str(file))
    store = DiskRecordings(there.settings.recordings_dir, format="wav")
    (call,) = store.journals()
    assert store.seal(call).fact().seconds == pytest.approx(1.0)


def test_tar_and_sha256sum_read_it(here: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    subprocess.run(["tar", "xf", str(file)], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", archive.SUMS], cwd=tmp_path, check=True)


def test_both_leave_a_line_in_the_audit(here: House, there: House, tmp_path: Path) -> None:
    here.run("backup", str(tmp_path / "callcenter.tar"))
    there.run("restore", str(tmp_path / "callcenter.tar"))
    engine = bootstrap.open_records(there.settings)
    with Session(engine) as session:
        said = session.scalars(select(AuditEntry.what).order_by(AuditEntry.number)).all()
    engine.dispose()
    assert said[-2:] == ["backup", "restore"]


def test_an_audit_that_retention_has_cut_is_whole_where_it_is_brought_back(
    here: House, there: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(house: House, days: int) -> Counts:
        engine = bootstrap.open_records(house.settings)
        rules = Rules(audit=days, shred_after=0)
        done = Retention(engine, rules, lambda path: None).run()["audit"]
        engine.dispose()
        return done

    (here.settings.heads_dir / "heads.jsonl").unlink()  # that head knows that nothing is so old
    engine = bootstrap.open_records(here.settings)
    for days in (800, 800, 800, 735, 0):
        at = now() - timedelta(days=days)
        with Session(engine) as session, session.begin(), monkeypatch.context() as patch:
            patch.setattr(audit, "now", lambda at=at: at)
            audit.record(session, "u1", "listen", "interaction", "i1")
    before = tmp_path / "before.tar"
    assert here.run("backup", str(before)).exit_code == 0
    assert cut(here, 790) == Counts(3, 3)
    tomorrow = now() + timedelta(days=1)
    DailyHeads(engine, here.settings.heads_dir, "UTC", lambda: tomorrow).round()
    engine.dispose()

    assert here.run("backup", str(tmp_path / "callcenter.tar")).exit_code == 0
    done = there.run("restore", str(tmp_path / "callcenter.tar"))
    assert done.exit_code == 0, done.output
    verified = there.run("recordings", "verify")
    assert verified.exit_code == 0, verified.output
    assert "daily heads 1" in verified.stdout
    engine = bootstrap.open_records(there.settings)
    with Session(engine) as session:
        assert session.scalar(select(func.min(AuditEntry.number))) == 4
    for table in ("audit", "chain_links", "chain_checkpoints"):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()
    assert cut(there, 730) == Counts(1, 1), "it goes on there"
    verified = there.run("recordings", "verify")
    assert verified.exit_code == 0, verified.output

    older = House(tmp_path / "older", None)
    if here.database_url is None:
        assert older.run("restore", str(before)).exit_code == 0
        assert older.run("recordings", "verify").exit_code == 0, "with the heads of its own day"
        heads = str(here.settings.heads_dir / "heads.jsonl")
        verified = older.run("recordings", "verify", "--heads", heads)
        assert verified.exit_code == 1
        assert "checkpoint: audit behind link 0: the head of" in verified.stdout


def test_the_keys_are_in_a_file_of_their_own(here: House, there: House, tmp_path: Path) -> None:
    """Whoever finds the backup alone hears nothing; `--without-keys` says what is closed."""
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file), "--without-keys")
    assert not keys_beside(file).exists()
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if name.startswith(("keys", "tls"))]
    refused = there.run("restore", str(file))
    assert refused.exit_code == 1
    assert "--without-keys to bring back what can be read without them" in str(refused.exception)
    done = there.run("restore", str(file), "--without-keys")
    assert done.exit_code == 0, done.output
    assert "MISSING: master key" in done.stdout
    assert "2 keys hang at it, their recordings stay closed." in done.stdout


def test_other_keys_are_not_written_over(here: House, there: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    bootstrap.master_keys(there.settings).load()  # there is a key of its own
    before = (there.settings.keys_dir / "master.keys").read_bytes()
    refused = there.run("restore", str(file))
    assert "is there already and is another one" in str(refused.exception)
    assert (there.settings.keys_dir / "master.keys").read_bytes() == before
    assert not there.settings.recordings_dir.exists()


def test_records_that_are_there_are_not_written_over(here: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    sounds = here.sounds()
    assert "there are records already" in str(here.run("restore", str(file)).exception)
    assert here.sounds() == sounds
    assert "is there already" in str(here.run("backup", str(file)).exception)


def test_recordings_without_a_database_are_not_mixed_with_others(
    here: House, there: House, tmp_path: Path
) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    there.settings.recordings_dir.mkdir(parents=True)
    (there.settings.recordings_dir / "mine.wav").touch()
    refused = there.run("restore", str(file))
    assert "there are recordings already" in str(refused.exception)


@pytest.mark.parametrize("member", ["recordings/", "database."])
def test_a_flipped_byte_is_named_and_nothing_is_used(
    here: House, there: House, tmp_path: Path, member: str
) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    good = tmp_path / "good.tar"
    shutil.copy(file, good)
    damaged(
        file,
        lambda name, content: (
            content[:-1] + bytes([content[-1] ^ 1]) if name.startswith(member) else content
        ),
    )
    refused = there.run("restore", str(file))
    assert isinstance(refused.exception, BackupError)
    assert f"is damaged: {member}" in str(refused.exception)
    assert (there.settings.recordings_dir / restoring.MARK).exists()
    again = there.run("restore", str(good), "--keys", str(keys_beside(file)))
    assert again.exit_code == 0, again.output
    assert there.sounds() == here.sounds()
    assert not (there.settings.recordings_dir / restoring.MARK).exists()


def test_a_backup_that_was_cut_off_is_told(here: House, there: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    whole = file.read_bytes()
    for length in (0, 100, 4096, len(whole) // 2, len(whole) * 9 // 10):
        file.write_bytes(whole[:length])
        refused = there.run("restore", str(file))
        assert isinstance(refused.exception, BackupError), length
    file.write_bytes(whole)
    damaged(file, lambda name, content: None if name == archive.SUMS else content)
    refused = there.run("restore", str(file))
    assert "is cut off: its list of sums is missing" in str(refused.exception)


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", "elsewhere/x", "recordings/../../x"]
)
def test_no_file_leaves_its_folder(here: House, there: House, tmp_path: Path, name: str) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    with tarfile.open(file, "a") as tar:  # behind the sums it is not even looked at
        tar.addfile(tarfile.TarInfo(name))
    with tarfile.open(file) as tar:
        members = tar.getmembers()
        contents = {one.name: tar.extractfile(one).read() for one in members}  # type: ignore[union-attr]
    file.unlink()
    with tarfile.open(file, "w") as tar:
        for one in [members[0], members[-1], *members[1:-1]]:
            tar.addfile(one, io.BytesIO(contents[one.name]))
    refused = there.run("restore", str(file))
    assert "has no business in a backup" in str(refused.exception)


def test_links_and_devices_are_refused(here: House, there: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    with tarfile.open(file) as tar:
        first = tar.extractfile(archive.DESCRIPTION)
        assert first is not None
        text = first.read()
    with tarfile.open(file, "w") as tar:
        about = tarfile.TarInfo(archive.DESCRIPTION)
        about.size = len(text)
        tar.addfile(about, io.BytesIO(text))
        link = tarfile.TarInfo("recordings/link.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "has no business" in str(there.run("restore", str(file)).exception)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("shape", "9999_later", "which this one does not know"),
        ("format", 2, "was made by a newer callcenter"),
        ("holds", "keys", "give the backup itself"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(
    here: House, there: House, tmp_path: Path, field: str, value: object, said: str
) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))

    def change(name: str, content: bytes) -> bytes:
        if name != archive.DESCRIPTION:
            return content
        return json.dumps(json.loads(content) | {field: value}).encode()

    damaged(file, change)
    refused = there.run("restore", str(file))
    assert said in str(refused.exception)
    assert not there.settings.recordings_dir.exists()


def test_another_kind_of_database_is_named(here: House, tmp_path: Path) -> None:
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    kinds = {"sqlite": "postgresql", "postgresql": "sqlite"}
    other = kinds[archive.describe(file).database]
    damaged(
        file,
        lambda name, content: (
            json.dumps(json.loads(content) | {"database": other}).encode()
            if name == archive.DESCRIPTION
            else content
        ),
    )
    refused = here.run("restore", str(file))
    assert f"holds a {other} database" in str(refused.exception)


def test_a_backup_that_fails_leaves_nothing(
    here: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    refused = here.run("backup", str(tmp_path / "callcenter.tar"))
    assert "give a FILE on another disk" in str(refused.exception)
    monkeypatch.undo()
    refused = here.run("backup", str(tmp_path / "missing" / "callcenter.tar"))
    assert isinstance(refused.exception, BackupError)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_writers_go_on_while_it_is_made_and_one_moment_is_kept(
    here: House, there: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that rings after the database was copied is not in it; one before it is."""
    engine = bootstrap.open_records(here.settings)

    def ring(number: str) -> None:
        EventLog(engine).append(rang(new_id(), number))

    def told(what: str, _done: int, _total: int) -> None:
        ring("091100000" if what == "database" else "092200000")

    bootstrap.make_backup(here.settings, tmp_path / "b.tar", keys_beside(tmp_path / "b.tar"), told)
    engine.dispose()
    there.run("restore", str(tmp_path / "b.tar"))
    assert there.numbers().count("091100000") == 1
    assert "092200000" not in there.numbers()
    assert "092200000" in here.numbers()


def test_an_older_shape_is_brought_to_the_newest(here: House, there: House, tmp_path: Path) -> None:
    """The restored database is upgraded as at every start."""
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    done = there.run("restore", str(file))
    assert done.exit_code == 0, done.output
    engine = bootstrap.open_records(there.settings)
    assert migrations.current(engine) == migrations.head()
    with Session(engine) as session:
        assert sum(vault.counts(session).values()) == 2
    engine.dispose()


def test_who_was_erased_since_is_erased_again(here: House, there: House, tmp_path: Path) -> None:
    """A35: the tombstone lies outside of the database, in a folder that outlives it."""
    engine = bootstrap.open_records(here.settings)
    with Session(engine) as session, session.begin():
        customer = create(session, name="Mahtab Zandieh", region="IR")
        gone = customer.id
        for call in session.scalars(select(Interaction)):
            call.customer_id = gone
            vault.relink(session, call.call_id, gone)
    file = tmp_path / "callcenter.tar"
    here.run("backup", str(file))
    with Session(engine) as session, session.begin():
        session.add(Erasure(customer_id=gone, reason="GDPR", state="running"))
        session.execute(update(Interaction).values(ended_at=now(), recording_state="sealed"))
    bootstrap.eraser_of(here.settings, engine).round()
    engine.dispose()

    shutil.copytree(here.settings.heads_dir, there.settings.heads_dir)
    done = there.run("restore", str(file))
    assert done.exit_code == 0, done.output
    engine = bootstrap.open_records(there.settings)
    with Session(engine) as session:
        row = session.get_one(Customer, gone)
        assert row.erased_at is not None
        assert not session.scalar(select(func.count()).select_from(CustomerKey))
        # its calls are still open in that database: the jobs process does the rest
        assert session.scalar(select(Erasure.waits_for)) == "call"
    with Session(engine) as session, session.begin():
        session.execute(update(Interaction).values(ended_at=now(), recording_state="sealed"))
        session.execute(update(Erasure).values(claimed_until=None))
    bootstrap.eraser_of(there.settings, engine).round()
    with Session(engine) as session:
        assert session.get_one(Customer, gone).name == "—"
        assert session.scalars(select(Erasure.state)).all() == ["done"]
    engine.dispose()
    assert not list(there.settings.recordings_dir.glob("*/**/*.wav"))
    assert there.numbers() == []
