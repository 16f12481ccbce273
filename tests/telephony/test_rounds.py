"""Writes of many calls done together."""

from __future__ import annotations

import asyncio
import threading

import pytest

from callcenter.errors import RecordingError
from callcenter.telephony.rounds import ROUND_SECONDS, Rounds


def test_what_comes_at_the_same_time_is_done_in_one_thread_and_each_hears_its_own_outcome() -> None:
    threads: list[int] = []

    def well() -> None:
        threads.append(threading.get_ident())

    def badly() -> None:
        threads.append(threading.get_ident())
        raise RecordingError("no room")

    async def scene() -> None:
        rounds = Rounds()
        first, second, third = (rounds.run(work) for work in (well, badly, well))
        await first
        with pytest.raises(RecordingError, match="no room"):
            await second
        await third
        await rounds.run(well)

    asyncio.run(scene())
    assert len(threads) == 4
    assert len(set(threads[:3])) == 1
    assert threading.get_ident() not in threads


def test_work_is_done_although_nobody_waits_for_it_any_more() -> None:
    done: list[str] = []

    async def scene() -> None:
        rounds = Rounds()
        rounds.run(lambda: done.append("first")).cancel()
        await rounds.run(lambda: done.append("second"))

    asyncio.run(scene())
    assert done == ["first", "second"]


def test_all_calls_wait_for_the_same_moment() -> None:
    async def scene() -> tuple[float, float, float]:
        rounds, loop = Rounds(), asyncio.get_running_loop()

        async def one(after: float) -> float:
            await asyncio.sleep(after)
            await rounds.next()
            return loop.time()

        await rounds.next()
        return await asyncio.gather(one(0.0), one(0.1), one(0.3))

    moments = asyncio.run(scene())
    assert max(moments) - min(moments) < ROUND_SECONDS / 2
