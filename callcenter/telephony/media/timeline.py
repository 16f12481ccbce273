"""What one party said, placed by RTP timestamp on the plane's clock.

A ring of two seconds of G.711 bytes around the present. The first packet of a stream is
anchored at the moment it came; the others follow from their timestamps, whatever order they
come in. Nothing is moved when the network jitters: who plays the sound reads some frames
behind the present (the playout delay), who records it reads once a frame is complete.

When the sender's clock drifts, or the first packet came late, the anchor is moved in whole
frames: later at once (a gap), earlier when the sender pauses or is quiet, so that no speech
is lost; only where it never does, one packet in five seconds is given up.

Units: `samples` count 1/8000 s from the plane's start, `frame` counts 20 ms from there.
"""

from __future__ import annotations

import numpy as np

from callcenter.telephony.media import g711
from callcenter.telephony.media.rows import RING_FRAMES, Cell, Maybe, Row
from callcenter.telephony.media.rtp import distance
from callcenter.telephony.ports import FRAME_SAMPLES, Codec

AHEAD_FRAMES = 40
"""Frames after the present that can be placed; the rest of the ring lies before it."""
BEHIND_FRAMES = RING_FRAMES - AHEAD_FRAMES - 2

_RING = RING_FRAMES * FRAME_SAMPLES
AHEAD = AHEAD_FRAMES * FRAME_SAMPLES
BEHIND = BEHIND_FRAMES * FRAME_SAMPLES
WINDOW = 25
"""Packets after which the anchor is looked at again."""
TOO_LATE = 240  # samples: so late came even the fastest packet of a window
TOO_EARLY = -80
FORCED = 250
"""Packets after which a surplus is cut also from loud sound."""
_REORDER = 64  # packets: the window in which a duplicate is known as one
_SEEN = (1 << _REORDER) - 1
_LONGEST = FRAME_SAMPLES * 10  # a packet of more than 200 ms is no telephone's
_EVERY_CODE = bytes(range(256))
QUIET = {
    codec: _EVERY_CODE.translate(
        None, bytes(np.flatnonzero(np.abs(g711.decode(_EVERY_CODE, codec)) > 160).tolist())
    )
    for codec in Codec
}
"""Per law the bytes below -46 dB of full scale."""


class Timeline:
    """The ring of one party. Gaps stay silence and are known as gaps."""

    _cleared = Cell[int]("cleared")  # frames below this index were made ready for writing
    _offset = Maybe("offset")
    _timestamp = Cell[int]("timestamp")  # the last one, unwrapped
    _ssrc = Cell[int]("stream")
    _highest = Cell[int]("highest")
    _seen = Cell[int]("seen")
    _in_turn = Cell[bool]("in_turn")  # the packet follows the one before it
    _jump = Cell[int]("jump")
    _end = Cell[int]("end")  # position after the latest sample
    _earliest = Cell[int]("earliest")
    _packets = Cell[int]("watched")
    _surplus = Cell[int]("surplus")  # samples that the anchor has to move to earlier
    _since_cut = Cell[int]("since_cut")

    def __init__(self, codec: Codec, row: Row | None = None) -> None:
        self.row = row or Row()
        self._codec = codec
        self._silence = bytes([codec.silence]) * FRAME_SAMPLES
        self._ring[:] = self._silence * RING_FRAMES
        self.duplicates = 0
        """Packets that came again, in all."""
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next packet is anchored at its arrival."""
        self._offset = None
        self._timestamp = self._ssrc = self._highest = self._seen = 0
        self._in_turn = False
        self._jump = self._end = self._surplus = 0
        self._open_window()
        self._since_cut = 0

    def advance(self, frame: int) -> None:
        """The present is `frame`: make room for what may come."""
        end = frame + AHEAD_FRAMES + 1
        ring, filled = self._ring, self._filled
        for index in range(max(self._cleared, end - RING_FRAMES), end):
            slot = index % RING_FRAMES
            if filled[slot]:
                at = slot * FRAME_SAMPLES
                ring[at : at + FRAME_SAMPLES] = self._silence
                filled[slot] = 0
        self._cleared = max(self._cleared, end)

    def place(
        self, sequence: int, timestamp: int, ssrc: int, payload: memoryview | bytes, arrival: int
    ) -> int | None:
        """Write a packet's samples where they belong; `arrival` in samples.

        Returns the position of its first sample, None when it is a duplicate or cannot be
        placed.
        """
        if not 0 < len(payload) <= _LONGEST:
            return None
        if self._is_duplicate(sequence, ssrc):
            self.duplicates += 1
            return None
        self._timestamp += distance(timestamp, self._timestamp & 0xFFFFFFFF, 32)
        surplus = self._surplus  # one that this packet shows is cut from the next on
        position = self._position(arrival)
        if position is not None and surplus and self._in_turn:
            position = self._cut(position, payload)
        if position is not None:
            self._write(position, payload)
            self._end = max(self._end, position + len(payload))
        return position

    def put(self, index: int, payload: bytes) -> None:
        """Lay a whole frame at its place: sound that is made here has no stream to follow."""
        self._write(index * FRAME_SAMPLES, payload)

    def whole(self, start: int, end: int) -> int:
        """How many frames from `start` on, before `end`, came whole and in a row."""
        filled = self._filled
        index = start
        while index < end and filled[index % RING_FRAMES] == FRAME_SAMPLES:
            index += 1
        return index - start

    def run(self, index: int, count: int) -> bytes:
        """The bytes of `count` frames from `index` on."""
        at = index % RING_FRAMES * FRAME_SAMPLES
        size = count * FRAME_SAMPLES
        ring = self._ring
        found = bytes(ring[at : at + size])
        return found if len(found) == size else found + bytes(ring[: size - len(found)])

    def frame(self, index: int) -> bytes:
        """The 160 bytes of a frame in the ring; silence where nothing came."""
        at = index % RING_FRAMES * FRAME_SAMPLES
        return bytes(self._ring[at : at + FRAME_SAMPLES])

    def filled(self, index: int) -> int:
        """How many of the frame's 160 samples came."""
        return self._filled[index % RING_FRAMES]

    def recode(self, codec: Codec) -> None:
        """The party changed its law: what is in the ring is translated."""
        table = g711.translation(self._codec, codec)
        if table is not None:
            self._codec = codec
            self._silence = bytes([codec.silence]) * FRAME_SAMPLES
            self._ring[:] = bytes(self._ring).translate(table)

    # --- order ---------------------------------------------------------------------------

    def _is_duplicate(self, sequence: int, ssrc: int) -> bool:
        if self._offset is None or ssrc != self._ssrc:
            self.reset()
            self._ssrc, self._highest, self._seen = ssrc, sequence, 1
            return False
        ahead = distance(sequence, self._highest, 16)
        self._in_turn = ahead == 1
        if ahead > 0:
            self._highest = sequence
            self._seen = (self._seen << min(ahead, _REORDER) | 1) & _SEEN
            return False
        if ahead <= -_REORDER:
            # Too old to be known: a sender that began its count again, or a very late one.
            if ahead < -1000:
                self._highest, self._seen = sequence, 1
            return False
        bit = 1 << -ahead
        known = bool(self._seen & bit)
        self._seen |= bit
        return known

    # --- anchor --------------------------------------------------------------------------

    def _position(self, arrival: int) -> int | None:
        if self._offset is None:
            return self._anchor(arrival)
        position = self._timestamp + self._offset
        late = arrival - position
        if not -AHEAD < late < BEHIND:
            return self._jumped(arrival)
        self._jump = 0
        self._watch(late)
        return position

    def _anchor(self, arrival: int) -> int:
        # Anchored on a frame's edge, so that the frames of a 20 ms sender stay whole.
        position = arrival - arrival % FRAME_SAMPLES
        self._offset = position - self._timestamp
        self._jump = self._surplus = 0
        self._open_window()
        return position

    def _jumped(self, arrival: int) -> int | None:
        """One packet far off is noise; a second in a row means that the sender's clock moved."""
        self._jump += 1
        return self._anchor(arrival) if self._jump > 1 else None

    def _watch(self, late: int) -> None:
        """Follow the drift of the sender's clock: the fastest packet of a window counts."""
        self._earliest = min(late, self._earliest)
        self._packets += 1
        if self._packets >= WINDOW:
            self.look_at_anchor()

    def look_at_anchor(self) -> None:
        """A window of packets is over."""
        if self._earliest >= TOO_LATE and self._offset is not None:
            self._offset += self._earliest // FRAME_SAMPLES * FRAME_SAMPLES
        early = self._earliest < TOO_EARLY
        self._surplus = -(self._earliest // FRAME_SAMPLES) * FRAME_SAMPLES if early else 0
        self._open_window()

    def _cut(self, position: int, payload: memoryview | bytes) -> int | None:
        """Move the anchor to earlier where that costs nothing, or costs this packet."""
        assert self._offset is not None
        self._since_cut += 1
        if position - self._surplus >= self._end:
            moved = self._surplus  # a pause: make it shorter
        elif self._since_cut >= FORCED or not bytes(payload).translate(None, QUIET[self._codec]):
            moved = len(payload)
        else:
            return position
        self._offset -= moved
        self._surplus = max(self._surplus - moved, 0)
        self._since_cut = 0
        return position - moved if position - moved >= self._end else None

    def _open_window(self) -> None:
        self._earliest = BEHIND
        self._packets = 0

    # --- ring ----------------------------------------------------------------------------

    @property
    def _ring(self) -> memoryview:
        return memoryview(self.row.rows.ring[self.row.index]).cast("B")

    @property
    def _filled(self) -> memoryview:
        return memoryview(self.row.rows.filled[self.row.index])

    def _write(self, position: int, payload: memoryview | bytes) -> None:
        size = len(payload)
        at = position % _RING
        room = min(size, _RING - at)
        ring = self._ring
        ring[at : at + room] = payload[:room]
        if room < size:
            ring[: size - room] = payload[room:]
        self._count(position, size)

    def _count(self, position: int, size: int) -> None:
        index, inside = divmod(position, FRAME_SAMPLES)
        filled = self._filled
        while size > 0:
            part = min(size, FRAME_SAMPLES - inside)
            slot = index % RING_FRAMES
            filled[slot] = min(filled[slot] + part, FRAME_SAMPLES)
            size -= part
            index, inside = index + 1, 0
