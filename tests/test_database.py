from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import IntegrityError

from callcenter import log, migrations
from callcenter.database import open_database, reading
from callcenter.errors import StartError
from callcenter.migrations.tables import targets


def database(folder: Path) -> Engine:
    return open_database(f"sqlite:///{folder / 'deep' / 'callcenter.db'}")


def test_a_committed_row_survives_power_loss_and_keys_are_held(tmp_path: Path) -> None:
    with database(tmp_path).connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(tmp_path: Path) -> None:
    engine = database(tmp_path)
    with engine.begin() as writer:
        writer.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    with engine.begin() as writer:
        writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        with reading(engine).connect() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    with reading(engine).connect() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 1


@pytest.mark.integration
def test_eight_writers_of_a_thousand_commits_and_a_long_reader_lose_nothing(tmp_path: Path) -> None:
    """A18: nobody hears of a lock, nothing is lost, the file is whole."""
    engine = database(tmp_path)
    with engine.begin() as writer:
        writer.exec_driver_sql("CREATE TABLE t (who INTEGER, n INTEGER)")
    stop = threading.Event()

    def write(who: int) -> None:
        for number in range(1000):
            with engine.begin() as connection:
                seen = connection.exec_driver_sql("SELECT count(*) FROM t").scalar()
                assert seen is not None
                connection.execute(text("INSERT INTO t VALUES (:w, :n)"), {"w": who, "n": number})

    def read() -> None:
        while not stop.is_set():
            with reading(engine).connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM t").scalar()
                stop.wait(2.0)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    stop.set()
    reader.join()
    with reading(engine).connect() as connection:
        counts = connection.exec_driver_sql("SELECT count(*) FROM t GROUP BY who").scalars().all()
        assert counts == [1000] * 8
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


KILLED = """
import sys
from callcenter.database import open_database
engine = open_database(sys.argv[1])
n = 0
while True:
    n += 1
    with engine.begin() as c:
        c.exec_driver_sql(f"INSERT INTO t VALUES ({n})")
    print(n, flush=True)
"""


def test_what_was_committed_before_a_kill_is_there_and_the_file_is_whole(tmp_path: Path) -> None:
    engine = database(tmp_path)
    with engine.begin() as writer:
        writer.exec_driver_sql("CREATE TABLE t (n INTEGER)")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(engine.url)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        told = [int(child.stdout.readline()) for _ in range(20)]
        child.kill()
        told += [int(line) for line in child.stdout]
    with reading(engine).connect() as connection:
        kept = connection.exec_driver_sql("SELECT n FROM t ORDER BY n").scalars().all()
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert list(kept[: len(told)]) == told
    assert len(kept) - len(told) in (0, 1)


def test_the_migrations_make_exactly_what_the_program_expects(tmp_path: Path) -> None:
    engine = database(tmp_path)
    migrations.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _o, name, kind, *_: (
                    not (kind == "table" and name.startswith("utterances_fts"))
                ),
            },
        )
        wanted = MetaData()
        for source in targets():
            for table in source.tables.values():
                table.to_metadata(wanted)
        assert compare_metadata(context, wanted) == []
        assert inspect(connection).has_table("utterances_fts")
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_upgrading_again_changes_nothing(tmp_path: Path) -> None:
    engine = database(tmp_path)
    assert migrations.current(engine) is None
    for _ in range(2):
        migrations.upgrade(engine)
        assert migrations.current(engine) == migrations.head()
    assert [file.name for file in (tmp_path / "deep").iterdir() if "before" in file.name] == []


def test_two_starts_at_once_upgrade_once(tmp_path: Path) -> None:
    engines = [database(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrations.upgrade, engines))
    with engines[0].connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()
    assert count == 1


def at_first_revision(folder: Path) -> Engine:
    engine = database(folder)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0001")
        connection.exec_driver_sql("INSERT INTO cursors VALUES ('old', 7)")
    return engine


def test_a_database_with_data_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    engine = at_first_revision(tmp_path)
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.head() != "0001"
    copy = tmp_path / "deep" / f"callcenter.db.before-{migrations.head()}"
    with closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("SELECT * FROM cursors").fetchall() == [("old", 7)]
        assert copied.execute("SELECT * FROM alembic_version").fetchall() == [("0001",)]
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT consumer, position FROM cursors").all()
    assert [tuple(row) for row in rows] == [("old", 7)]
    assert copy.stat().st_mode & 0o077 == 0


def test_without_its_copy_a_database_is_not_changed(tmp_path: Path) -> None:
    engine = at_first_revision(tmp_path)
    (tmp_path / "deep" / f"callcenter.db.before-{migrations.head()}.part").mkdir()
    with pytest.raises(StartError, match="no copy"):
        migrations.upgrade(engine)
    assert migrations.current(engine) == "0001"


def test_a_step_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database(tmp_path)
    monkeypatch.setattr(migrations, "_check", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        migrations.upgrade(engine)
    monkeypatch.undo()
    assert inspect(engine).get_table_names() == []
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.head()


def test_facts_cannot_be_rewritten(tmp_path: Path) -> None:
    from callcenter.events import CallHeld

    engine = database(tmp_path)
    migrations.upgrade(engine)
    log.EventLog(engine).append(CallHeld(call="c", by="agent"))
    with pytest.raises(IntegrityError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE facts SET kind = 'CallResumed'")


def test_an_error_of_the_database_does_not_quote_what_people_are_called(tmp_path: Path) -> None:
    engine = database(tmp_path)
    called = text("INSERT INTO t VALUES (:name)").bindparams(name="Shirin Ebadi")
    with engine.begin() as writer:
        writer.exec_driver_sql("CREATE TABLE t (name TEXT UNIQUE)")
        writer.execute(called)
    with engine.begin() as writer, pytest.raises(IntegrityError) as failure:
        writer.execute(called)
    assert "Shirin" not in str(failure.value)
