"""The usual packets of all legs, in compiled code: placed, made, handed to the taps.

Usual is what comes in turn, whole, in the leg's law, and what is heard as it came. Everything else
goes through `Leg.receive` and `Leg.packet` one by one; both ways work on the same `Rows` and
leave the same state behind (`tests/telephony/media/test_batch.py` compares them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.compiled import compiled
from callcenter.telephony.media.leg import FEED_FRAMES, REVIEW_FRAMES, TRAILING_FRAMES, Leg
from callcenter.telephony.media.quality import JUMP
from callcenter.telephony.media.rows import (
    NOTHING,
    RING_FRAMES,
    Floats,
    Integers,
    Octets,
    Rows,
    Table,
)
from callcenter.telephony.media.timeline import (
    AHEAD,
    AHEAD_FRAMES,
    BEHIND,
    BEHIND_FRAMES,
    FORCED,
    QUIET,
    TOO_EARLY,
    TOO_LATE,
    WINDOW,
)
from callcenter.telephony.ports import FRAME_SAMPLES, Codec

USUAL_BYTES = rtp.HEADER_BYTES + FRAME_SAMPLES
UNUSUAL, DONE = NOTHING, NOTHING + 1
"""What `place` says; anything else is the frame that came too late for the taps."""
NOBODY, LEFT, MADE = -1, 0, 1
"""What is said of a leg: nothing to do, to be asked one by one, made."""

_HEADER_BYTES = rtp.HEADER_BYTES
_WAITING = 256  # packets that wait at most
_FEED_BYTES = FEED_FRAMES * FRAME_SAMPLES
_WORD = 0xFFFFFFFF
_LAWS = max(codec.value for codec in Codec) + 1
_LOUD = np.ones((_LAWS, 256), np.bool_)
_TRANSLATED = np.tile(np.arange(256, dtype=np.uint8), (_LAWS, 1))  # to the one other law
for _codec, _quiet in QUIET.items():
    _LOUD[_codec.value, list(_quiet)] = False
    _other = next(other for other in Codec if other is not _codec)
    _TRANSLATED[_codec.value] = list(g711.convert(bytes(range(256)), _codec, _other))


# --- what comes ----------------------------------------------------------------------------------


@compiled
def place(
    table: Table,
    ring: Octets,
    filled: Octets,
    at: int,
    packet: Octets,
    arrival: int,
    moment: float,
    now: float,
) -> int:
    """Place a packet of USUAL_BYTES of the leg in row `at`: what `Leg.receive` does with it.

    `arrival` and `moment` as there, `now` in seconds of the loop's clock. UNUSUAL: nothing
    was done, it is for `Leg.receive`.
    """
    row = table[at]
    sequence: Any = np.int64(packet[2]) << 8 | np.int64(packet[3])
    timestamp: Any = (
        np.int64(packet[4]) << 24
        | np.int64(packet[5]) << 16
        | np.int64(packet[6]) << 8
        | np.int64(packet[7])
    )
    ssrc: Any = (
        np.int64(packet[8]) << 24
        | np.int64(packet[9]) << 16
        | np.int64(packet[10]) << 8
        | np.int64(packet[11])
    )
    before = row["timestamp"]
    offset = row["offset"]
    if (
        offset == NOTHING
        or (np.int64(packet[0]) << 8 | np.int64(packet[1])) != row["kind"]
        or sequence != (row["highest"] + 1) & 0xFFFF
        or sequence != (row["extended"] + 1) & 0xFFFF
        or timestamp != (before + FRAME_SAMPLES) & _WORD
        or ssrc != row["stream"]
        or ssrc != row["ssrc"]
        or row["rested"]
        or row["comforted"]
    ):
        return UNUSUAL
    position: int = before + FRAME_SAMPLES + offset
    late = arrival - position
    if position % FRAME_SAMPLES != 0 or late <= -AHEAD or late >= BEHIND:
        return UNUSUAL
    if row["surplus"] != 0:
        if _cuts(row, packet, position):
            return UNUSUAL
        row["since_cut"] += 1
    _lay(row, ring[at], filled[at], packet, position, late)
    _count(row, timestamp, int(moment))
    row["alive"] = now
    frame = position // FRAME_SAMPLES
    if frame <= row["stepped"] - row["delay"]:
        row["late"] += 1
    if row["tapped"] and frame < row["cursor"]:
        return frame
    return DONE


@compiled
def _cuts(row: Table, packet: Octets, position: int) -> bool:
    """Whether the surplus of the leg's anchor is cut with this packet; see `Timeline`."""
    if position - row["surplus"] >= row["end"] or row["since_cut"] + 1 >= FORCED:
        return True
    for at in range(_HEADER_BYTES, USUAL_BYTES):  # noqa: SIM110 - no generators in compiled code
        if _LOUD[row["law"], packet[at]]:
            return False
    return True


@compiled
def _lay(
    row: Table, ring: Octets, filled: Octets, packet: Octets, position: int, late: int
) -> None:
    """What `Timeline.place` does with the next packet in turn."""
    row["highest"] = (row["highest"] + 1) & 0xFFFF
    row["seen"] = row["seen"] << np.uint64(1) | np.uint64(1)
    row["in_turn"] = True
    row["timestamp"] += FRAME_SAMPLES
    row["jump"] = 0
    row["earliest"] = min(row["earliest"], late)
    row["latest"] = max(row["latest"], late)
    row["watched"] += 1
    if row["watched"] >= WINDOW:
        _look_at_anchor(row)
    slot = position // FRAME_SAMPLES % RING_FRAMES
    ring[slot, :] = packet[_HEADER_BYTES:USUAL_BYTES]
    filled[slot] = FRAME_SAMPLES
    row["end"] = max(row["end"], position + FRAME_SAMPLES)


@compiled
def _look_at_anchor(row: Table) -> None:
    """What `Timeline.look_at_anchor` does."""
    earliest = row["earliest"]
    whole = earliest // FRAME_SAMPLES * FRAME_SAMPLES
    if earliest >= TOO_LATE:
        row["offset"] += whole
    row["surplus"] = -whole if earliest < TOO_EARLY else 0
    row["earliest"] = BEHIND
    row["watched"] = 0


@compiled
def _count(row: Table, timestamp: int, moment: int) -> None:
    """What `Reception.take` and `timed` do with it."""
    row["extended"] += 1
    row["received"] += 1
    before = row["transit"]
    transit = moment - timestamp
    row["transit"] = transit
    if before == NOTHING:
        return
    change = abs(((transit - before + (1 << 31)) & _WORD) - (1 << 31))
    if change < JUMP:
        jitter = row["jitter"]
        jitter += (change - jitter) / 16
        row["jitter"] = jitter
        row["jitter_most"] = max(row["jitter_most"], jitter)


@compiled
def _place_all(
    table: Table,
    ring: Octets,
    filled: Octets,
    rows: Integers,
    packets: Octets,
    arrivals: Integers,
    moments: Floats,
    now: float,
    said: Integers,
) -> None:
    """`place` for as many packets as there are rows; what it says goes into `said`."""
    for at in range(len(rows)):
        said[at] = place(table, ring, filled, rows[at], packets[at], arrivals[at], moments[at], now)


class Arrivals:
    """Packets that wait to be placed together, one a leg; arrival as in `Leg.receive`."""

    def __init__(self, rows: Rows, clock: Callable[[], float]) -> None:
        self._rows, self._clock = rows, clock
        self._packets = np.zeros((_WAITING, USUAL_BYTES), np.uint8)
        self._slots = [packet.data for packet in self._packets]
        self._legs: dict[Leg, None] = {}
        self._moments: list[float] = []
        self._arrivals: list[int] = []

    def put(self, leg: Leg, data: memoryview, arrival: int, moment: float) -> None:
        """The next packet, of any length; passed over where the leg has left."""
        if leg.row.rows is not self._rows:
            return
        if leg in self._legs or len(self._legs) == _WAITING:
            self.settle()
        if len(data) != USUAL_BYTES:
            if leg.receive(data, arrival, moment):
                leg.alive_at = self._clock()
            return
        self._slots[len(self._legs)][:] = data
        self._legs[leg] = None
        self._arrivals.append(arrival)
        self._moments.append(moment)

    def settle(self) -> None:
        """Place what waits."""
        if not self._legs:
            return
        legs, self._legs = list(self._legs), {}
        arrivals, self._arrivals = self._arrivals, []
        moments, self._moments = self._moments, []
        now, of, said = self._clock(), self._rows, np.empty(len(legs), np.int64)
        where = np.array([leg.row.index for leg in legs], np.int64)
        _place_all(
            *of.arrays,
            where,
            self._packets,
            np.array(arrivals, np.int64),
            np.array(moments, np.float64),
            now,
            said,
        )
        for at in np.flatnonzero(said != DONE).tolist():
            leg, frame = legs[at], int(said[at])
            if frame != UNUSUAL:
                leg.deliver_late(frame, frame)
            elif leg.receive(self._slots[at], arrivals[at], moments[at]):
                leg.alive_at = now


# --- what goes -----------------------------------------------------------------------------------


@compiled
def _make_all(
    table: Table,
    ring: Octets,
    filled: Octets,
    order: Integers,
    frame: int,
    packets: Octets,
    said: Integers,
) -> None:
    """What `Leg.packet` makes of what another leg said, where that is heard as it came."""
    for number in range(len(order)):
        said[number] = LEFT
        row = table[order[number]]
        heard = row["hears"]
        if heard == NOTHING or not row["sends"] or row["packs"]:
            continue
        other = table[heard]
        if other["asked"] == frame:  # somebody else hears it, too
            if not other["straight"]:
                continue
        else:
            index = frame - other["delay"]
            whole = filled[heard, index % RING_FRAMES] == FRAME_SAMPLES
            if not whole or index <= other["played"] or other["repairing"]:
                continue
            other["asked"] = frame
            other["played"] = index
            other["straight"] = True
        packet = packets[number]
        sound = ring[heard, other["played"] % RING_FRAMES]
        if other["law"] == row["law"]:
            packet[_HEADER_BYTES:USUAL_BYTES] = sound
        else:
            for at in range(FRAME_SAMPLES):
                packet[_HEADER_BYTES + at] = _TRANSLATED[other["law"], sound[at]]
        _head(row, frame, packet)
        said[number] = MADE


@compiled
def _head(row: Table, frame: int, packet: Octets) -> None:
    """What `PacketWriter.packet` writes and counts."""
    timestamp = row["sent_base"] + frame * FRAME_SAMPLES
    sequence, ssrc, kind = row["sequence"], row["sent_ssrc"], row["kind"]
    packet[0] = kind >> 8
    packet[1] = (kind & 0xFF) | (0x80 if row["marker"] else 0)
    packet[2] = sequence >> 8
    packet[3] = sequence & 0xFF
    for at in range(4):
        packet[4 + at] = timestamp >> (24 - 8 * at) & 0xFF
        packet[8 + at] = ssrc >> (24 - 8 * at) & 0xFF
    row["sequence"] = (sequence + 1) & 0xFFFF
    row["packets"] += 1
    row["octets"] += FRAME_SAMPLES
    row["marker"] = False
    row["trailing"] = TRAILING_FRAMES


@compiled
def _make_room(
    table: Table, ring: Octets, filled: Octets, order: Integers, frame: int, said: Integers
) -> int:
    """What `Leg.advance` does after the frame before; how many legs (in `said`) were not there."""
    end, behind = frame + AHEAD_FRAMES + 1, 0
    slot = (end - 1) % RING_FRAMES
    for number in range(len(order)):
        at = order[number]
        row = table[at]
        if row["cleared"] != end - 1:
            said[behind] = number
            behind += 1
            continue
        if filled[at, slot] != 0:
            filled[at, slot] = 0
            ring[at, slot, :] = row["silence"]
        row["cleared"] = end
        row["now"] = frame
    return behind


@compiled
def _feed_all(
    table: Table,
    ring: Octets,
    filled: Octets,
    order: Integers,
    frame: int,
    said: Integers,
    starts: Integers,
    feeds: Octets,
) -> None:
    """The next FEED_FRAMES of each tapped leg that came whole and are all that did: into `feeds`,
    their first frame into `starts`.

    `said` is MADE there, LEFT where `Leg.feed_taps` has to look, NOBODY where nobody listens.
    """
    for number in range(len(order)):
        at = order[number]
        row = table[at]
        if not row["tapped"]:
            said[number] = NOBODY
            continue
        said[number] = LEFT
        start = row["cursor"]
        if start + FEED_FRAMES > frame + 1 or start < row["now"] - BEHIND_FRAMES:
            continue
        whole = 0
        while whole <= FEED_FRAMES and filled[at, (start + whole) % RING_FRAMES] == FRAME_SAMPLES:
            whole += 1
        if whole < FEED_FRAMES or (whole > FEED_FRAMES and start + FEED_FRAMES <= frame):
            continue
        for step in range(FEED_FRAMES):
            first = step * FRAME_SAMPLES
            sound = ring[at, (start + step) % RING_FRAMES]
            feeds[number, first : first + FRAME_SAMPLES] = sound
        row["cursor"] = start + FEED_FRAMES
        starts[number] = start
        said[number] = MADE


class Batch:
    """All legs of a table, in the order of their carriers: what is due for them every frame."""

    def __init__(self, rows: Rows, legs: Sequence[Leg] = ()) -> None:
        self._rows, self.legs = rows, legs
        count = len(legs)
        self._order = np.array([leg.row.index for leg in legs], np.int64)
        self._said, self._starts = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._feeds = np.zeros((count, _FEED_BYTES), np.uint8)
        self.packets = np.zeros((count, USUAL_BYTES), np.uint8)
        """The packets of `departures`; shape (legs, USUAL_BYTES)."""
        self.views = [packet.data for packet in self.packets]
        """The same as bytes."""

    def advance(self, frame: int) -> None:
        """The present is `frame` for all legs; see `Leg.advance`."""
        of = self._rows
        behind = _make_room(*of.arrays, self._order, frame, self._said)
        for at in self._said[:behind].tolist():
            self.legs[at].advance(frame)

    def step(self, frame: int) -> None:
        """`frame` is stepped; every FEED_FRAMES see `Leg.attend`."""
        self._rows.stepped[self._order] = frame
        if frame % FEED_FRAMES == 0:
            self._attend(frame)

    def _attend(self, frame: int) -> None:
        of, said, starts, feeds = self._rows, self._said, self._starts, self._feeds
        _feed_all(*of.arrays, self._order, frame, said, starts, feeds)
        raw, begins = feeds.tobytes(), starts.tolist()
        for at, what in enumerate(said.tolist()):
            if what == MADE:
                self.legs[at].deliver(begins[at], raw[at * _FEED_BYTES : (at + 1) * _FEED_BYTES])
            elif what == LEFT:
                self.legs[at].feed_taps(frame)
        if frame % REVIEW_FRAMES == 0:
            for leg in self.legs:
                leg.review()

    def owes(self) -> bool:
        """Whether some leg gets packets of another length than the usual."""
        return bool(self._rows.packs[self._order].any())

    def departures(self, frame: int) -> Integers:
        """Make the usual packets of `frame` into `packets`; LEFT or MADE for each leg."""
        of = self._rows
        _make_all(*of.arrays, self._order, frame, self.packets, self._said)
        return self._said


def prepare() -> None:
    """Compile what is not yet compiled, so that no packet waits for it; seconds at most."""
    rows = Rows()
    nothing, arrivals = Batch(rows), Arrivals(rows, lambda: 0.0)
    leg = Leg("none")
    leg.row.move(rows)
    arrivals.put(leg, memoryview(bytes(USUAL_BYTES)), 0, 0.0)
    arrivals.settle()
    nothing.advance(0)
    nothing.step(0)
    nothing.departures(0)
