"""Threads that recognise: each line is served by one lane, in order; a lane by one thread.

A line that waits for more than `limit` seconds of sound loses what waits, so that captions
never lag further behind than that; whoever owns the line is told and transcribes later.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.speech import wire

Work = Callable[[], None]
_LOGGER = structlog.get_logger()


class LaneLine:
    """The queue of one line; `put` is called by one thread, the work done by the lane's."""

    def __init__(
        self,
        lane: Lane,
        hear: Callable[[wire.Sound], None],
        shed: Callable[[], None],
        limit: float,
    ) -> None:
        self._lane = lane
        self._hear = hear
        self._shed = shed
        self._limit = round(limit * SAMPLE_RATE)
        self._waiting = 0
        self._lock = threading.Lock()
        self._generation = 0

    def put(self, sound: wire.Sound) -> None:
        """Queue sound; drops everything that waits when it is too much."""
        size = len(sound.payload)
        with self._lock:
            full = self._waiting + size > self._limit
            if full:
                self._generation += 1
                self._waiting = 0
            else:
                self._waiting += size
            generation = self._generation
        if full:
            self._shed()
        else:
            self._lane.put(lambda: self._work(sound, generation))

    def _work(self, sound: wire.Sound, generation: int) -> None:
        with self._lock:
            if generation != self._generation:
                return
            self._waiting -= len(sound.payload)
        self._hear(sound)


class Lane:
    """One thread and its queue."""

    def __init__(self, name: str) -> None:
        self.lines = 0
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits: there is time for partials and for the second pass."""
        return self._waiting.empty()

    def put(self, work: Work) -> None:
        """Do this after what waits."""
        self._waiting.put(work)

    def stop(self, seconds: float) -> None:
        """End after what waits, or after so long."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            try:
                work()
            except Exception:
                _LOGGER.exception("recogniser failed")
