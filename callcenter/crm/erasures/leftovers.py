"""What a database leaves behind of rows that were removed or changed.

SQLite: free places are overwritten as they become free (`secure_delete`), so what is left is the
log (WAL), the text index, which keeps words of removed rows until its parts are merged, and the
copies that upgrades put beside the file. PostgreSQL: dead rows, until VACUUM frees their place.
"""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Connection, Engine

PAGES = 500
"""Pages of the text index that are merged in one transaction: some milliseconds."""
PATIENCE_SECONDS = 10.0
_TABLES = (
    "facts", "utterances", "utterances_fts", "vocabulary", "vocabulary_forms",
    "utterance_corrections", "interactions", "customers", "customer_phones", "customer_words",
    "complaints", "complaint_transitions", "complaint_changes", "complaint_quotes", "messages",
    "agent_events", "review_comments", "evaluations", "evaluation_answers", "evaluation_notes",
)  # fmt: skip


def clear(engine: Engine) -> bool:
    """Remove it; False where readers kept a part of it in use: try again later."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM {', '.join(_TABLES)}")
        return True
    _merge_index(engine)
    path = engine.url.database
    if path and path != ":memory:":
        for copy in Path(path).parent.glob(f"{Path(path).name}.before-*"):
            copy.unlink(missing_ok=True)
    return _empty_log(engine)


def _merge_index(engine: Engine) -> None:
    """Into one part, little by little, so that writers get in between (SQLite FTS5, 6.7)."""
    pages = -PAGES
    while True:
        with engine.begin() as connection:
            before = _changes(connection)
            connection.exec_driver_sql(
                "INSERT INTO utterances_fts(utterances_fts, rank) VALUES('merge', ?)", (pages,)
            )
            if _changes(connection) - before < 2:
                return
        pages = PAGES


def _changes(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


def _empty_log(engine: Engine) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if _checkpoint(engine) == 0:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def _checkpoint(engine: Engine) -> int:
    """0: the log is empty. Not in a transaction, which our engine begins by itself."""
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert driver is not None
        return int(driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    finally:
        connection.close()
