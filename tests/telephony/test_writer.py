"""Facts of several calls in one transaction: their order, and who is told what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from callcenter import migrations
from callcenter.bus import MemoryBus
from callcenter.database import open_database
from callcenter.events import CallHeld, CallResumed, Fact, LogAdvanced
from callcenter.log import Entry, EventLog
from callcenter.telephony import dialogs
from callcenter.telephony.writer import FactWriter

BROKEN = CallHeld(call="broken", by=object())  # type: ignore[arg-type]
"""Nothing that could be written."""


class CountingLog(EventLog):
    """Knows how many facts each transaction brought."""

    def __init__(self, database: Engine) -> None:
        super().__init__(database)
        self.sizes: list[int] = []

    def append(self, *new: Fact, **more: object) -> list[Entry]:
        entries = super().append(*new, **more)  # type: ignore[arg-type]
        self.sizes.append(len(entries))
        return entries


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    migrations.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def log(database: Engine) -> CountingLog:
    return CountingLog(database)


@pytest.fixture
def heard() -> list[int]:
    return []


@pytest.fixture
def writer(log: CountingLog, heard: list[int]) -> Iterator[FactWriter]:
    bus = MemoryBus()
    bus.subscribe(LogAdvanced, lambda signal: heard.append(signal.position))
    made = FactWriter(log, bus, "here", None, None)
    yield made
    made.close()


def held(call: str) -> Fact:
    return CallHeld(call=call, by="agent")


def while_busy(writer: FactWriter, *facts: Fact) -> list[BaseException | None]:
    """Commit each by itself, all while the thread is held up; what each caller was told."""

    async def go() -> list[BaseException | None]:
        free = threading.Event()
        busy = writer.run(free.wait, 5.0)
        told = [asyncio.ensure_future(writer.commit([fact])) for fact in facts]
        await asyncio.sleep(0)  # each of them waits now
        free.set()
        await busy
        return await asyncio.gather(*told, return_exceptions=True)

    return asyncio.run(go())


def test_what_waits_for_the_thread_goes_in_one_transaction_in_its_order(
    writer: FactWriter, log: CountingLog, heard: list[int]
) -> None:
    facts = [held("a"), held("b"), CallResumed(call="a", by="agent"), held("c")]
    assert while_busy(writer, *facts) == [None] * 4
    entries = log.read()
    assert [entry.fact for entry in entries] == facts
    assert log.sizes == [4]
    assert heard == [entries[-1].position]


def test_one_that_the_database_refuses_takes_nobody_with_it(
    writer: FactWriter, log: CountingLog
) -> None:
    before, bad, after = while_busy(writer, held("a"), BROKEN, held("b"))
    assert (before, after) == (None, None)
    assert isinstance(bad, TypeError)
    assert [entry.fact.subject for entry in log.read()] == ["a", "b"]
    assert log.sizes == [1, 1]


def test_memos_of_several_calls_go_with_their_facts(
    writer: FactWriter, log: CountingLog, database: Engine
) -> None:
    writer.keep_dialog("a", {"way": 1})
    writer.keep_dialog("b", {"way": 2})
    while_busy(writer, held("a"))
    writer.keep_dialog("a", None)
    writer.keep_dialog("b", {"way": 3})
    while_busy(writer, held("b"))
    assert dialogs.left_open(database, "here") == {"b": {"way": 3}}
