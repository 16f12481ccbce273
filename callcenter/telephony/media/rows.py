"""The legs' state as a table: a leg sees its own row by name, the loop sees whole columns.

`Timeline`, `Playout`, `Reception`, `PacketWriter` and `Leg` keep here what nearly every packet
touches (`Cell`). So `batch` can move the packets of all legs with a few operations of numpy, and
whatever is unusual is done by the same objects one by one, on the same numbers.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.ports import FRAME_SAMPLES

RING_FRAMES = 100
NOTHING = np.iinfo(np.int64).min
"""Stands for None in a column."""

Value = TypeVar("Value", int, float, bool)
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Rows:
    """Columns of one value a leg; they grow as legs come."""

    def __init__(self, capacity: int = 1) -> None:
        def whole(value: int = 0) -> Integers:
            return np.full(capacity, value, np.int64)

        def flags() -> Flags:
            return np.zeros(capacity, np.bool_)

        # what came (Timeline)
        self.ring = np.zeros((capacity, RING_FRAMES, FRAME_SAMPLES), np.uint8)
        self.filled = np.zeros((capacity, RING_FRAMES), np.uint8)
        self.cleared = whole()
        self.offset = whole(NOTHING)
        self.timestamp, self.stream = whole(), whole()
        self.highest, self.in_turn, self.jump = whole(), flags(), whole()
        self.seen = np.zeros(capacity, np.uint64)
        self.end, self.earliest, self.watched = whole(), whole(), whole()
        self.surplus, self.since_cut = whole(), whole()
        # how it came (Reception)
        self.ssrc, self.extended, self.received = whole(NOTHING), whole(), whole()
        self.transit, self.rested = whole(NOTHING), flags()
        self.jitter = np.zeros(capacity, np.float64)
        self.jitter_most = np.zeros(capacity, np.float64)
        # when it is heard (Playout)
        self.delay, self.late, self.latest = whole(), whole(), whole()
        self.asked, self.played = whole(NOTHING), whole(NOTHING)
        self.straight, self.repairing = flags(), flags()
        # the leg itself (Leg)
        self.kind, self.law, self.silence = whole(), whole(), whole()
        self.alive = np.zeros(capacity, np.float64)
        self.now, self.stepped, self.cursor = whole(), whole(), whole()
        self.tapped, self.comforted = flags(), flags()
        self.hears, self.sends, self.packs = whole(NOTHING), flags(), flags()
        self.marker, self.trailing = flags(), whole()
        # what it is sent (PacketWriter)
        self.sent_ssrc, self.sent_base, self.sequence = whole(), whole(), whole()
        self.packets, self.octets = whole(), whole()
        self._free = list(range(capacity - 1, -1, -1))

    def take(self, origin: Row) -> int:
        """A free row with the values of another; its index."""
        if not self._free:
            self._grow()
        index = self._free.pop()
        _copy(origin, self, index)
        return index

    def free(self, index: int) -> None:
        """Nobody uses it any more."""
        self._free.append(index)

    def _grow(self) -> None:
        capacity = len(self.hears)
        more = Rows(capacity)
        for name, column in _columns(self):
            setattr(self, name, np.concatenate([column, getattr(more, name)]))
        self._free = list(range(2 * capacity - 1, capacity - 1, -1))


class Row:
    """Where one leg's values are: in a table of its own until it is moved into a common one."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.index = self.rows.take(self)

    def move(self, rows: Rows) -> None:
        """From now on in `rows`."""
        former = Row.__new__(Row)
        former.rows, former.index = self.rows, self.index
        self.index = rows.take(former)
        self.rows = rows
        former.rows.free(former.index)


def _columns(rows: Rows) -> list[tuple[str, NDArray[np.generic]]]:
    return [(name, value) for name, value in vars(rows).items() if isinstance(value, np.ndarray)]


def _copy(origin: Row, rows: Rows, index: int) -> None:
    if origin.rows is rows:
        return
    for name, column in _columns(origin.rows):
        getattr(rows, name)[index] = column[origin.index]


class _Held(Protocol):
    """Anything that keeps values in a row."""

    @property
    def row(self) -> Row:
        """Which one."""


class Cell(Generic[Value]):
    """One value of an object that lies in its row: `delay = Cell[int]("delay")`."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __get__(self, holder: _Held, kind: type | None = None) -> Value:
        row = holder.row
        value: Value = getattr(row.rows, self._column).item(row.index)
        return value

    def __set__(self, holder: _Held, value: Value) -> None:
        row = holder.row
        getattr(row.rows, self._column)[row.index] = value


class Maybe:
    """The same for a whole number or None."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __get__(self, holder: _Held, kind: type | None = None) -> int | None:
        row = holder.row
        value: int = getattr(row.rows, self._column).item(row.index)
        return None if value == NOTHING else value

    def __set__(self, holder: _Held, value: int | None) -> None:
        row = holder.row
        getattr(row.rows, self._column)[row.index] = NOTHING if value is None else value
