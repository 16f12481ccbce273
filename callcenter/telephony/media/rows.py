"""The legs' state as a table: a leg sees its own row by name, the loop sees the table.

`Timeline`, `Playout`, `Reception`, `PacketWriter` and `Leg` keep here what nearly every packet
touches (`Cell`). So `batch` can move the packets of all legs in compiled code, and whatever is
unusual is done by the same objects one by one, on the same numbers.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.ports import FRAME_SAMPLES

RING_FRAMES = 100
NOTHING = int(np.iinfo(np.int64).min)
"""Stands for None in a column."""

Value = TypeVar("Value", int, float, bool)
Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Octets = NDArray[np.uint8]
Table = NDArray[np.void]
Arrays = tuple[Table, Octets, Octets]

_TYPES = {"Integers": np.int64, "Bits": np.uint64, "Floats": np.float64, "Flags": np.bool_}
_UNKNOWN_AT_FIRST = ("offset", "ssrc", "transit", "asked", "played", "hears")


class Rows:
    """A row a leg in one table, with a name for each column; it grows as legs come."""

    table: Table
    """All columns below; shape (capacity,)."""
    ring: Octets
    """What came, G.711; shape (capacity, RING_FRAMES, FRAME_SAMPLES)."""
    filled: Octets
    """How many samples of each frame came; shape (capacity, RING_FRAMES)."""

    # what came (Timeline)
    cleared: Integers
    offset: Integers
    timestamp: Integers
    stream: Integers
    highest: Integers
    in_turn: Flags
    jump: Integers
    seen: Bits
    end: Integers
    earliest: Integers
    watched: Integers
    surplus: Integers
    since_cut: Integers
    # how it came (Reception)
    ssrc: Integers
    extended: Integers
    received: Integers
    transit: Integers
    rested: Flags
    jitter: Floats
    jitter_most: Floats
    # when it is heard (Playout)
    delay: Integers
    late: Integers
    latest: Integers
    asked: Integers
    played: Integers
    straight: Flags
    repairing: Flags
    # the leg itself (Leg)
    kind: Integers
    law: Integers
    silence: Integers
    alive: Floats
    now: Integers
    stepped: Integers
    cursor: Integers
    tapped: Flags
    comforted: Flags
    hears: Integers
    sends: Flags
    packs: Flags
    marker: Flags
    trailing: Integers
    # what it is sent (PacketWriter)
    sent_ssrc: Integers
    sent_base: Integers
    sequence: Integers
    packets: Integers
    octets: Integers

    def __init__(self, capacity: int = 1) -> None:
        self.table = np.zeros(capacity, ROW)
        for name in _UNKNOWN_AT_FIRST:
            self.table[name] = NOTHING
        self.ring = np.zeros((capacity, RING_FRAMES, FRAME_SAMPLES), np.uint8)
        self.filled = np.zeros((capacity, RING_FRAMES), np.uint8)
        self._free = list(range(capacity - 1, -1, -1))
        self._name_columns()

    @property
    def arrays(self) -> Arrays:
        """`table`, `ring` and `filled`, as compiled code takes them; others once it has grown."""
        return self.table, self.ring, self.filled

    def _name_columns(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self.table[name])

    def take(self, origin: Row) -> int:
        """A free row with the values of another; its index."""
        if not self._free:
            self._grow()
        index = self._free.pop()
        before = origin.rows
        if before is not self:
            self.table[index] = before.table[origin.index]
            self.ring[index] = before.ring[origin.index]
            self.filled[index] = before.filled[origin.index]
        return index

    def free(self, index: int) -> None:
        """Nobody uses it any more."""
        self._free.append(index)

    def _grow(self) -> None:
        capacity = len(self.table)
        more = Rows(capacity)
        self.table = np.concatenate([self.table, more.table])
        self.ring = np.concatenate([self.ring, more.ring])
        self.filled = np.concatenate([self.filled, more.filled])
        self._free = list(range(2 * capacity - 1, capacity - 1, -1))
        self._name_columns()


COLUMNS = tuple(
    name
    for name, kind in Rows.__annotations__.items()
    if kind in _TYPES  # as written: annotations are not evaluated here
)
"""The names of the table's columns."""
ROW = np.dtype([(name, _TYPES[Rows.__annotations__[name]]) for name in COLUMNS], align=True)
"""A row of the table."""


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
