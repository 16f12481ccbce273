"""Writes of many calls in rounds: once a second one hop to a thread for all, not one for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ROUND_SECONDS = 1.0
_GATHER_SECONDS = 0.01

_Work = tuple[Callable[[], None], asyncio.Future[None]]


class Rounds:
    """Belongs to the event loop's thread; the work is done one after the other in another one."""

    def __init__(self) -> None:
        self._waiting: list[_Work] = []

    async def next(self) -> None:
        """Until the next round: a whole second of the loop's clock, the same for all calls."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(ROUND_SECONDS - now % ROUND_SECONDS)

    def run(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Do it with what others bring at the same time; the future has its outcome.

        Once brought it is done, also where nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(_GATHER_SECONDS, self._begin, loop)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((work, future))
        return future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        done = loop.run_in_executor(None, _outcomes, [work for work, _ in waiting])
        done.add_done_callback(lambda done: _tell(waiting, done))


def _outcomes(works: list[Callable[[], None]]) -> list[BaseException | None]:
    """In the thread."""
    return [_outcome(work) for work in works]


def _outcome(work: Callable[[], None]) -> BaseException | None:
    try:
        work()
    except Exception as error:  # whoever brought it decides what it means
        return error
    return None


def _tell(waiting: list[_Work], done: asyncio.Future[list[BaseException | None]]) -> None:
    outcomes = [None] * len(waiting) if done.cancelled() else done.result()
    for (_, future), error in zip(waiting, outcomes, strict=True):
        if future.cancelled():
            continue
        if done.cancelled():
            future.cancel()
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(None)
