"""The database: one engine per process, safe defaults for SQLite.

SQLite: WAL, `synchronous=FULL` (a committed fact survives power loss), foreign keys, a
busy timeout, and `BEGIN IMMEDIATE` for writers, so that two of them wait for each other
instead of failing half-way. Readers that never write use `reading(engine)`.

Values stay out of error messages (`hide_parameters`): they are names, numbers and speech.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

BUSY_MILLISECONDS = 30_000


def open_database(url: str) -> Engine:
    """The engine for `url`; a SQLite file's folder is made where it is missing."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
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
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
