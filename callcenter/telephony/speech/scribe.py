"""Writes what was heard: facts into the log, then signals on the bus, in their order.

Its own thread, so that a database that is busy never stops a recogniser. A fact that cannot be
written is tried again until it can.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from callcenter.bus import Bus
from callcenter.events import Fact, LogAdvanced, Signal
from callcenter.log import EventLog

_LOGGER = structlog.get_logger()
_RETRY_SECONDS = 0.5


class Scribe:
    """Takes facts and signals from any thread; never blocks the one that hands them over."""

    def __init__(self, log: EventLog, bus: Bus) -> None:
        self._log = log
        self._bus = bus
        self._waiting: queue.SimpleQueue[Fact | Signal | Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def write(self, items: Iterable[Fact | Signal]) -> None:
        """Take these, in this order."""
        for item in items:
            self._waiting.put(item)

    def stop(self, seconds: float = 5.0) -> None:
        """Write what waits, for at most so long, and end."""
        self._waiting.put(self._stopping.set)
        self._thread.join(seconds)
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            facts: list[Fact] = []
            item = self._waiting.get()
            while True:
                if isinstance(item, Fact):
                    facts.append(item)
                else:
                    self._append(facts)
                    facts = []
                    if isinstance(item, Signal):
                        self._bus.publish(item)
                    else:
                        item()
                try:
                    item = self._waiting.get_nowait()
                except queue.Empty:
                    break
            self._append(facts)

    def _append(self, facts: list[Fact]) -> None:
        while facts:
            try:
                entries = self._log.append(*facts)
            except SQLAlchemyError as error:
                _LOGGER.warning("captions not written yet", error=type(error).__name__)
                if self._stopping.wait(_RETRY_SECONDS):
                    return
            else:
                self._bus.publish(LogAdvanced(position=entries[-1].position))
                return
