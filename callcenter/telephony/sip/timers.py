"""Timers without a clock: whoever owns the core asks when to come back, and comes back."""

from __future__ import annotations

import heapq
from itertools import count

T1 = 0.5  # seconds: estimate of the round-trip time (RFC 3261 17.1.1.1)
T2 = 4.0  # seconds: longest interval between retransmissions of a non-INVITE or a 2xx
T4 = 5.0  # seconds: how long a message stays in the network


class Agenda:
    """Every running timer of the core, earliest first.

    A stopped timer stays in the heap until its time has come and is passed over then: stopping
    costs nothing, and the heap is bounded by the timers started within the last 64*T1.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed, str]] = []
        self._order = count()

    def add(self, owner: Timed, timer: str, deadline: float) -> None:
        """Note that `timer` of `owner` fires at `deadline`."""
        heapq.heappush(self._heap, (deadline, next(self._order), owner, timer))

    def next_deadline(self) -> float | None:
        """When the next running timer fires, None when none runs."""
        while self._heap and not self._runs(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self, now: float) -> None:
        """Let every timer fire whose time has come."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, _, owner, timer = heapq.heappop(self._heap)
            owner.stop(timer)
            owner.expire(timer, now)

    @staticmethod
    def _runs(entry: tuple[float, int, Timed, str]) -> bool:
        deadline, _, owner, timer = entry
        return owner.running.get(timer) == deadline


class Timed:
    """A state machine with named timers."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.running: dict[str, float] = {}

    def start(self, timer: str, deadline: float) -> None:
        """Let `timer` fire at `deadline`; an earlier setting of it is forgotten."""
        self.running[timer] = deadline
        self._agenda.add(self, timer, deadline)

    def stop(self, *timers: str) -> None:
        """Those timers do not fire any more."""
        for timer in timers:
            self.running.pop(timer, None)

    def expire(self, timer: str, now: float) -> None:
        """`timer` has fired."""
        raise NotImplementedError
