"""The usual packets of all legs at once: placed, and made, by a few operations of numpy.

Usual is what comes in turn, whole, in the leg's law, and what is heard as it came. Everything else
goes through `Leg.receive` and `Leg.packet` one by one; both ways work on the same `Rows` and
leave the same state behind (`tests/telephony/media/test_batch.py` compares them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.leg import FEED_FRAMES, REVIEW_FRAMES, TRAILING_FRAMES, Leg
from callcenter.telephony.media.quality import JUMP
from callcenter.telephony.media.rows import NOTHING, RING_FRAMES, Flags, Integers, Rows
from callcenter.telephony.media.timeline import (
    AHEAD,
    AHEAD_FRAMES,
    BEHIND,
    BEHIND_FRAMES,
    FORCED,
    QUIET,
    WINDOW,
)
from callcenter.telephony.ports import FRAME_SAMPLES, Codec

USUAL_BYTES = rtp.HEADER_BYTES + FRAME_SAMPLES
SLOT_BYTES = 2048
_MOST = 1024  # packets that wait at most
_FEWEST = 8  # for less the operations cost more than one by one
_PACKET = np.dtype(
    [
        ("kind", ">u2"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", "u1", FRAME_SAMPLES),
    ]
)
_FEED_BYTES = FEED_FRAMES * FRAME_SAMPLES
_WORD = 0xFFFFFFFF
_TABLES = {
    pair: np.frombuffer(table, np.uint8)
    for pair in product(Codec, repeat=2)
    if (table := g711.translation(*pair)) is not None
}
_LOUD = np.ones((max(codec.value for codec in Codec) + 1, 256), np.bool_)
for _codec, _quiet in QUIET.items():
    _LOUD[_codec.value, list(_quiet)] = False

Packets = NDArray[np.void]


class Arrivals:
    """Packets of `USUAL_BYTES` that wait to be placed, one a leg; arrival as in `Leg.receive`."""

    def __init__(self, rows: Rows, clock: Callable[[], float]) -> None:
        self._rows, self._clock = rows, clock
        raw = bytearray(_MOST * SLOT_BYTES)
        view = memoryview(raw)
        self._slots = [view[at : at + SLOT_BYTES] for at in range(0, len(raw), SLOT_BYTES)]
        self.slot = self._slots[0]
        """Where the next datagram is to be written."""
        self._packets: Packets = np.ndarray(_MOST, _PACKET, raw, strides=(SLOT_BYTES,))
        self._legs: dict[Leg, None] = {}
        self._moments: list[float] = []
        self._arrivals: list[int] = []

    def keep(self, leg: Leg, arrival: int, moment: float) -> None:
        """What is in `slot` is a packet of `leg`."""
        self._legs[leg] = None
        self._arrivals.append(arrival)
        self._moments.append(moment)
        if len(self._legs) == _MOST:
            self.settle()
        else:
            self.slot = self._slots[len(self._legs)]

    def put(self, leg: Leg, data: memoryview, arrival: int, moment: float) -> None:
        """A packet of any length, read elsewhere; passed over where the leg has left."""
        if leg.row.rows is not self._rows:
            return
        if leg in self._legs:
            self.settle()
        if len(data) == USUAL_BYTES:
            self.slot[:USUAL_BYTES] = data
            self.keep(leg, arrival, moment)
        elif leg.receive(data, arrival, moment):
            leg.alive_at = self._clock()

    def settle(self) -> None:
        """Place what waits."""
        legs, self._legs = list(self._legs), {}
        arrivals, self._arrivals = self._arrivals, []
        moments, self._moments = self._moments, []
        if not legs:
            return
        self.slot = self._slots[0]
        now, unusual = self._clock(), list(range(len(legs)))
        if len(legs) >= _FEWEST:
            usual = self._place(legs, np.array(arrivals), np.array(moments), now)
            unusual = np.flatnonzero(~usual).tolist()
        for at in unusual:
            if legs[at].receive(self._slots[at][:USUAL_BYTES], arrivals[at], moments[at]):
                legs[at].alive_at = now

    def _place(
        self, legs: list[Leg], arrivals: Integers, moments: NDArray[np.float64], now: float
    ) -> Flags:
        """Place the usual ones; which they are."""
        of, packets = self._rows, self._packets[: len(legs)]
        row = np.array([leg.row.index for leg in legs])
        usual, position = _usual(of, row, packets, arrivals)
        row, packets = row[usual], packets[usual]
        position, late = position[usual], (arrivals - position)[usual]
        of.alive[row] = now
        _write(of, row, packets, position, late)
        _count(of, row, packets["timestamp"].astype(np.int64), moments[usual].astype(np.int64))
        self._look_after(of, list(compress(legs, usual)), row, position)
        return usual

    @staticmethod
    def _look_after(of: Rows, legs: list[Leg], row: Integers, position: Integers) -> None:
        """What is due for some legs after a packet was placed."""
        frame = position // FRAME_SAMPLES
        of.late[row] += frame <= of.stepped[row] - of.delay[row]
        for at in np.flatnonzero(of.watched[row] >= WINDOW).tolist():
            legs[at].look_at_anchor()
        for at in np.flatnonzero(of.tapped[row] & (frame < of.cursor[row])).tolist():
            legs[at].deliver_late(int(frame[at]), int(frame[at]))


def _usual(of: Rows, row: Integers, packets: Packets, arrivals: Integers) -> tuple[Flags, Integers]:
    """Which packets need no second look, and at which sample each of them lies."""
    sequence, ssrc = packets["sequence"].astype(np.int64), packets["ssrc"]
    before, offset = of.timestamp[row], of.offset[row]
    anchored = offset != NOTHING
    position = before + FRAME_SAMPLES + np.where(anchored, offset, 0)
    late = arrivals - position
    usual = (
        anchored
        & (packets["kind"] == of.kind[row])
        & (sequence == (of.highest[row] + 1 & 0xFFFF))
        & (sequence == (of.extended[row] + 1 & 0xFFFF))
        & (ssrc == of.stream[row])
        & (ssrc == of.ssrc[row])
        & (packets["timestamp"] == (before + FRAME_SAMPLES & _WORD))
        & (position % FRAME_SAMPLES == 0)
        & (late > -AHEAD)
        & (late < BEHIND)
        & ~of.rested[row]
        & ~of.comforted[row]
    )
    waits = of.surplus[row] != 0
    if waits.any():
        usual[waits] &= ~_cuts(of, row[waits], packets["payload"][waits], position[waits])
    return usual, position


def _cuts(of: Rows, row: Integers, payloads: NDArray[np.uint8], position: Integers) -> Flags:
    """Whether the surplus of the leg's anchor is cut with this packet; see `Timeline`."""
    pause = position - of.surplus[row] >= of.end[row]
    loud = _LOUD[of.law[row, None], payloads].any(axis=1)
    return pause | ~loud | (of.since_cut[row] + 1 >= FORCED)


def _write(of: Rows, row: Integers, packets: Packets, position: Integers, late: Integers) -> None:
    """What `Timeline.place` does with the next packet in turn."""
    of.highest[row] = packets["sequence"]
    of.seen[row] = of.seen[row] << np.uint64(1) | np.uint64(1)
    of.in_turn[row] = True
    of.timestamp[row] += FRAME_SAMPLES
    of.jump[row] = 0
    of.since_cut[row] += of.surplus[row] != 0
    of.earliest[row] = np.minimum(of.earliest[row], late)
    of.watched[row] += 1
    slot = position // FRAME_SAMPLES % RING_FRAMES
    of.ring[row, slot] = packets["payload"]
    of.filled[row, slot] = FRAME_SAMPLES
    of.end[row] = np.maximum(of.end[row], position + FRAME_SAMPLES)
    of.latest[row] = np.maximum(of.latest[row], late)


def _count(of: Rows, row: Integers, timestamp: Integers, moment: Integers) -> None:
    """What `Reception.take` and `timed` do with it."""
    of.extended[row] += 1
    of.received[row] += 1
    before, transit = of.transit[row], moment - timestamp
    of.transit[row] = transit
    turned = (transit - np.where(before == NOTHING, 0, before) + (1 << 31) & _WORD) - (1 << 31)
    change = np.abs(turned)
    jitter = of.jitter[row]
    counts = (before != NOTHING) & (change < JUMP)
    jitter += np.where(counts, (change - jitter) / 16, 0.0)
    of.jitter[row] = jitter
    of.jitter_most[row] = np.maximum(of.jitter_most[row], jitter)


def advance(of: Rows, legs: Sequence[Leg], row: Integers, frame: int) -> None:
    """The present is `frame` for all legs; see `Leg.advance`."""
    end = frame + AHEAD_FRAMES + 1
    behind = of.cleared[row] != end - 1
    for at in np.flatnonzero(behind).tolist():
        legs[at].advance(frame)
    row, slot = row[~behind], (end - 1) % RING_FRAMES
    of.ring[row, slot] = of.silence[row, None]
    of.filled[row, slot] = 0
    of.cleared[row] = end
    of.now[row] = frame


def attend(of: Rows, legs: Sequence[Leg], row: Integers, frame: int) -> None:
    """See `Leg.attend`, due every `FEED_FRAMES`; most legs have just so many whole ones."""
    start = of.cursor[row]
    slots = (start[:, None] + np.arange(FEED_FRAMES + 1)) % RING_FRAMES
    whole = of.filled[row[:, None], slots] == FRAME_SAMPLES
    last = start + FEED_FRAMES > frame
    ready = of.tapped[row] & whole[:, :-1].all(axis=1) & (last | ~whole[:, -1])
    ready &= (start + FEED_FRAMES <= frame + 1) & (start >= of.now[row] - BEHIND_FRAMES)
    of.cursor[row[ready]] += FEED_FRAMES
    raw = of.ring[row[ready, None], slots[ready, :-1]].tobytes()
    for number, at in enumerate(np.flatnonzero(ready).tolist()):
        legs[at].deliver(int(start[at]), raw[number * _FEED_BYTES : (number + 1) * _FEED_BYTES])
    for at in np.flatnonzero(of.tapped[row] & ~ready).tolist():
        legs[at].feed_taps(frame)
    if frame % REVIEW_FRAMES == 0:
        for leg in legs:
            leg.review()


def departures(
    of: Rows, legs: Sequence[Leg], row: Integers, frame: int
) -> Iterator[tuple[int, Any]]:
    """The packets of `frame`: which leg's, and its bytes, good until the next is asked for."""
    straight, heard = _straight(of, row, frame)
    for at in np.flatnonzero(~straight).tolist():
        packet = legs[at].packet(frame)
        if packet is not None:
            yield at, packet
    places = np.flatnonzero(straight)
    if len(places):
        raw = memoryview(_made(of, row[straight], heard[straight], frame).tobytes())
        for number, at in enumerate(places.tolist()):
            yield at, raw[number * USUAL_BYTES : (number + 1) * USUAL_BYTES]


def _straight(of: Rows, row: Integers, frame: int) -> tuple[Flags, Integers]:
    """Which legs hear another one's frame as it came, and whose."""
    hears = of.hears[row]
    heard = np.where(hears == NOTHING, 0, hears)
    index = frame - of.delay[heard]
    whole = of.filled[heard, index % RING_FRAMES] == FRAME_SAMPLES
    fresh = (index > of.played[heard]) & (frame != of.asked[heard])
    usual = (hears != NOTHING) & of.sends[row] & ~of.packs[row] & ~of.repairing[heard]
    return usual & whole & fresh, heard


def _made(of: Rows, row: Integers, heard: Integers, frame: int) -> Packets:
    """What `Playout.at` and `PacketWriter.packet` do for them."""
    index = frame - of.delay[heard]
    of.asked[heard], of.played[heard], of.straight[heard] = frame, index, True
    packets: Packets = np.empty(len(row), _PACKET)
    packets["kind"] = of.kind[row] | np.where(of.marker[row], 0x80, 0)
    packets["sequence"] = of.sequence[row]
    packets["timestamp"] = of.sent_base[row] + frame * FRAME_SAMPLES & _WORD
    packets["ssrc"] = of.sent_ssrc[row]
    packets["payload"] = of.ring[heard, index % RING_FRAMES]
    for (source, target), table in _TABLES.items():
        other = (of.law[heard] == source.value) & (of.law[row] == target.value)
        packets["payload"][other] = table[packets["payload"][other]]
    of.sequence[row] = of.sequence[row] + 1 & 0xFFFF
    of.packets[row] += 1
    of.octets[row] += FRAME_SAMPLES
    of.marker[row] = False
    of.trailing[row] = TRAILING_FRAMES
    return packets
