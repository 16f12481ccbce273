from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from crm_floor import Counter, Floor
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session


@pytest.fixture
def engine(migrated: str, databases: Any, keyed: Any) -> Iterator[Engine]:
    url = databases.copy(migrated)
    engine = keyed(url)
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@pytest.fixture
def statements(engine: Engine) -> Counter:
    """`with statements() as seen:` collects the SQL that runs inside."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "PRAGMA")):
                seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def floor(engine: Engine, session: Session) -> Floor:
    return Floor(engine, session)
