"""The database: one engine per process, safe defaults for SQLite and PostgreSQL.

SQLite: WAL, `synchronous=FULL` (a committed fact survives power loss), foreign keys, a
busy timeout, and `BEGIN IMMEDIATE` for writers, so that two of them wait for each other
instead of failing half-way. Readers that never write use `reading(engine)`.

PostgreSQL: a connection that was lost is noticed before it is used, a server that does not answer
is given up after seconds; whoever was cut off in the middle gets one of `AWAY` and tries again.

Values stay out of error messages (`hide_parameters`): they are names, numbers and speech.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError

BUSY_MILLISECONDS = 30_000
AWAY = (OperationalError, InterfaceError)
"""The database could not do it now (away, locked, full): what was asked may be asked again."""

_SERVER = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms: a server that vanished is noticed while it is being talked to
}


def open_database(url: str) -> Engine:
    """The engine for `url`; a SQLite file's folder is made where it is missing."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            hide_parameters=True,
            connect_args=_SERVER,
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"check_same_thread": False}, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def reading(engine: Engine) -> Engine:
    """The same database for transactions that only read: they never wait for a writer."""
    return engine.execution_options(read_only=True)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite would begin on its own, and too late
    _use_wal(connection)
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is erased is overwritten, not only forgotten
        f"busy_timeout={BUSY_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: Any) -> None:
    """Switching a new file to WAL fails at once, busy timeout or not, while another process
    does the same; then it is done a moment later."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            time.sleep(pause)
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
