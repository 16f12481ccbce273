from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from callcenter import migrations
from callcenter.crm import subscribers
from callcenter.database import open_database
from callcenter.events import CallAnswered, CallEnded, CallRang, Fact
from callcenter.ids import new_id
from callcenter.log import Consumer, EventLog


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "callcenter.db"
    engine = open_database(f"sqlite:///{path}")
    migrations.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def engine(template: Path, tmp_path: Path) -> Iterator[Engine]:
    shutil.copy(template, tmp_path / "callcenter.db")
    engine = open_database(f"sqlite:///{tmp_path / 'callcenter.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


Counter = Callable[[], Any]


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


def rang(call: str | None = None, number: str | None = "09121234567", **fields: Any) -> CallRang:
    return CallRang(
        call=call or new_id(),
        from_number=number,
        **{
            "from_name": None,
            "to_number": "100",
            "line": "100",
            "trunk": "local",
            "region": "IR",
            "language": "fa",
            "policy": "always",
            "node": "n1",
            "sip_call_id": new_id(),
        }
        | fields,
    )


@dataclass
class Floor:
    """Appends facts and lets the CRM's consumer write their records."""

    engine: Engine
    consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        self.consumer = Consumer(self.engine, "crm", subscribers.apply)

    def happened(self, *facts: Fact) -> None:
        EventLog(self.engine).append(*facts)
        for _ in self.consumer.catch_up():
            pass

    def talk(self, agent: str, number: str | None = "09121234567", **fields: Any) -> str:
        """A whole call that this agent answered; returns its id."""
        call = new_id()
        self.happened(
            rang(call, number, **fields),
            CallAnswered(call=call, agent=agent, queue="support", wait_seconds=2.0),
            CallEnded(
                call=call, reason="completed", by="customer", agent=agent, seconds=32, talk_seconds=30
            ),
        )
        return call


@pytest.fixture
def floor(engine: Engine) -> Floor:
    return Floor(engine)
