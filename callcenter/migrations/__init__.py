"""The database's shape, step by step (Alembic). `upgrade()` runs at every start."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from callcenter.errors import StartError

HERE = Path(__file__).parent
_LOCK = 0x73686170  # of all who upgrade this PostgreSQL database now


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest shape; nothing happens where it is there already.

    One transaction: a step that fails leaves everything as it was. A SQLite file with data is
    copied beside itself first (`<file>.before-<revision>`). Several processes may call this
    at once.
    """
    if current(engine) == head():
        return
    with engine.connect() as connection:
        _foreign_keys(connection, "OFF")  # a batch step drops and makes tables anew
        with connection.begin():
            _wait_for_others(connection)
            _copy(connection)
            command.upgrade(_config(connection), "head")
            _check(connection)
        _foreign_keys(connection, "ON")


def current(engine: Engine) -> str | None:
    """The revision of the database; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The revision this program needs."""
    return _steps().get_current_head()


def knows(revision: str) -> bool:
    """Whether a database of that shape can be brought to the newest one."""
    return any(step.revision == revision for step in _steps().walk_revisions())


def _steps() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _wait_for_others(connection: Connection) -> None:
    """SQLite does it by itself: its transaction begins with the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _foreign_keys(connection: Connection, state: str) -> None:
    """Outside of a transaction: inside one SQLite does not listen."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA foreign_keys={state}")


def _check(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StartError("the upgrade would leave records without their owner; nothing was changed")


def _copy(connection: Connection) -> None:
    """Copy a SQLite file that has a revision already; its transaction holds off writers."""
    revision = MigrationContext.configure(connection).get_current_revision()
    path = connection.engine.url.database
    if connection.dialect.name != "sqlite" or not path or path == ":memory:":
        return
    if revision in (None, head()):
        return
    target = Path(f"{path}.before-{head()}")
    if target.exists():
        return
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(0o600)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        part.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"no copy of the database could be made at {target}: {error}") from error
