"""The journals of many calls in rounds: once a second one hop to a thread for all of them."""

from __future__ import annotations

import asyncio

from callcenter.errors import RecordingError
from callcenter.telephony.ports import Journal, RecordingStore

ROUND_SECONDS = 1.0
_GATHER_SECONDS = 0.01

_Waiting = tuple[Journal, int, asyncio.Future[None]]


class Rounds:
    """Belongs to the event loop's thread; the work is done in another one."""

    def __init__(self, recordings: RecordingStore) -> None:
        self._recordings = recordings
        self._waiting: list[_Waiting] = []

    async def next(self) -> None:
        """Until the next round: a whole second of the loop's clock, the same for all calls."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(ROUND_SECONDS - now % ROUND_SECONDS)

    def sync(self, journal: Journal, position: int) -> asyncio.Future[None]:
        """Sync it with those that others bring at the same time; the future has its outcome.

        Once brought it is done, also where nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(_GATHER_SECONDS, self._begin, loop)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((journal, position, future))
        return future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        due = [(journal, position) for journal, position, _ in waiting]
        done = loop.run_in_executor(None, self._recordings.sync_all, due)
        done.add_done_callback(lambda done: _tell([one[2] for one in waiting], done))


def _tell(
    waiting: list[asyncio.Future[None]], done: asyncio.Future[list[RecordingError | None]]
) -> None:
    error = None if done.cancelled() else done.exception()
    outcomes: list[BaseException | None]
    outcomes = [error] * len(waiting) if done.cancelled() or error else [*done.result()]
    for future, outcome in zip(waiting, outcomes, strict=True):
        if future.cancelled():
            continue
        if done.cancelled():
            future.cancel()
        elif outcome is not None:
            future.set_exception(outcome)
        else:
            future.set_result(None)
