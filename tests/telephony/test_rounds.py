"""The journals of many calls synced together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from callcenter.errors import RecordingError
from callcenter.telephony.fakes.recording import MemoryJournal, MemoryRecordings
from callcenter.telephony.ports import Journal
from callcenter.telephony.rounds import ROUND_SECONDS, Rounds


class Store(MemoryRecordings):
    """Remembers who came together, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[list[Journal]] = []
        self.threads: list[int] = []
        self.broken: Exception | None = None

    def sync_all(self, due: Sequence[tuple[Journal, int]]) -> list[RecordingError | None]:
        self.came.append([journal for journal, _ in due])
        self.threads.append(threading.get_ident())
        if self.broken:
            raise self.broken
        return super().sync_all(due)


def test_what_comes_at_the_same_time_is_synced_in_one_thread_and_each_hears_its_own_outcome() -> (
    None
):
    store = Store()
    journals = [MemoryJournal() for _ in range(4)]
    journals[1].fail = "no room"

    async def scene() -> None:
        rounds = Rounds(store)
        first, second, third = (rounds.sync(journal, 160) for journal in journals[:3])
        await first
        with pytest.raises(RecordingError, match="no room"):
            await second
        await third
        await rounds.sync(journals[3], 320)

    asyncio.run(scene())
    assert store.came == [journals[:3], journals[3:]]
    assert threading.get_ident() not in store.threads
    assert [len(journal.sound["agent"]) for journal in journals] == [160, 0, 160, 320]


def test_it_is_synced_although_nobody_waits_for_it_any_more() -> None:
    store, journals = Store(), [MemoryJournal(), MemoryJournal()]

    async def scene() -> None:
        rounds = Rounds(store)
        rounds.sync(journals[0], 160).cancel()
        await rounds.sync(journals[1], 160)

    asyncio.run(scene())
    assert store.came == [journals]
    assert [len(journal.sound["customer"]) for journal in journals] == [160, 160]


def test_a_store_that_breaks_fails_all_who_came_together() -> None:
    store = Store()
    store.broken = OSError("gone")

    async def scene() -> None:
        rounds = Rounds(store)
        waiting = [rounds.sync(MemoryJournal(), 160) for _ in range(2)]
        for one in waiting:
            with pytest.raises(OSError, match="gone"):
                await one

    asyncio.run(scene())


def test_all_calls_wait_for_the_same_moment() -> None:
    async def scene() -> tuple[float, float, float]:
        rounds, loop = Rounds(MemoryRecordings()), asyncio.get_running_loop()

        async def one(after: float) -> float:
            await asyncio.sleep(after)
            await rounds.next()
            return loop.time()

        await rounds.next()
        return await asyncio.gather(one(0.0), one(0.1), one(0.3))

    moments = asyncio.run(scene())
    assert max(moments) - min(moments) < ROUND_SECONDS / 2
