"""What one party said, placed by RTP timestamp on the plane's clock.

A ring of two seconds of G.711 bytes around the present. The first packet of a stream is
anchored at the moment it came; the others follow from their timestamps, whatever order they
come in. Nothing is moved when the network jitters: who plays the sound reads some frames
behind the present (the playout delay), who records it reads once a frame is complete.

Units: `samples` count 1/8000 s from the plane's start, `frame` counts 20 ms from there.
"""

from __future__ import annotations

from callcenter.telephony.media.rtp import distance
from callcenter.telephony.ports import FRAME_SAMPLES

RING_FRAMES = 100
AHEAD_FRAMES = 40
"""Frames after the present that can be placed; the rest of the ring lies before it."""
BEHIND_FRAMES = RING_FRAMES - AHEAD_FRAMES - 2

_RING = RING_FRAMES * FRAME_SAMPLES
_AHEAD = AHEAD_FRAMES * FRAME_SAMPLES
_BEHIND = BEHIND_FRAMES * FRAME_SAMPLES
_WINDOW = 25  # packets after which the anchor is looked at again
_TOO_LATE = 240  # samples: so late came even the fastest packet of a window
_TOO_EARLY = -80
_REORDER = 64  # packets: the window in which a duplicate is known as one
_LONGEST = FRAME_SAMPLES * 10  # a packet of more than 200 ms is no telephone's


class Timeline:
    """The ring of one party. Gaps stay silence and are known as gaps."""

    def __init__(self, silence: int) -> None:
        self._silence = bytes([silence]) * FRAME_SAMPLES
        self._ring = bytearray(self._silence * RING_FRAMES)
        self._filled = [0] * RING_FRAMES
        self._cleared = 0  # frames below this index were made ready for writing
        self._earliest = 0
        self._packets = 0
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next packet is anchored at its arrival."""
        self._offset: int | None = None
        self._timestamp = 0  # the last one, unwrapped
        self._ssrc = 0
        self._highest = 0
        self._seen = 0
        self._jump = 0
        self._open_window()

    def advance(self, frame: int) -> None:
        """The present is `frame`: make room for what may come."""
        end = frame + AHEAD_FRAMES + 1
        start = max(self._cleared, end - RING_FRAMES)
        for index in range(start, end):
            slot = index % RING_FRAMES
            if self._filled[slot]:
                at = slot * FRAME_SAMPLES
                self._ring[at : at + FRAME_SAMPLES] = self._silence
                self._filled[slot] = 0
        self._cleared = max(self._cleared, end)

    def place(
        self, sequence: int, timestamp: int, ssrc: int, payload: memoryview | bytes, arrival: int
    ) -> int | None:
        """Write a packet's samples where they belong; `arrival` in samples.

        Returns the position of its first sample, None when it is a duplicate or cannot be
        placed.
        """
        if not 0 < len(payload) <= _LONGEST or self._is_duplicate(sequence, ssrc):
            return None
        self._timestamp += distance(timestamp, self._timestamp & 0xFFFFFFFF, 32)
        position = self._position(arrival)
        if position is not None:
            self._write(position, payload)
        return position

    def frame(self, index: int) -> bytes:
        """The 160 bytes of a frame in the ring; silence where nothing came."""
        at = index % RING_FRAMES * FRAME_SAMPLES
        return bytes(self._ring[at : at + FRAME_SAMPLES])

    def filled(self, index: int) -> int:
        """How many of the frame's 160 samples came."""
        return self._filled[index % RING_FRAMES]

    def recode(self, table: bytes, silence: int) -> None:
        """The party changed its law: what is in the ring is translated."""
        self._silence = bytes([silence]) * FRAME_SAMPLES
        self._ring = self._ring.translate(table)

    # --- order ---------------------------------------------------------------------------

    def _is_duplicate(self, sequence: int, ssrc: int) -> bool:
        if self._offset is None or ssrc != self._ssrc:
            self.reset()
            self._ssrc, self._highest, self._seen = ssrc, sequence, 1
            return False
        ahead = distance(sequence, self._highest, 16)
        if ahead > 0:
            self._highest = sequence
            self._seen = (self._seen << min(ahead, _REORDER) | 1) & ((1 << _REORDER) - 1)
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
        if not -_AHEAD < late < _BEHIND:
            return self._jumped(arrival)
        self._jump = 0
        self._watch(late)
        return position

    def _anchor(self, arrival: int) -> int:
        # Anchored on a frame's edge, so that the frames of a 20 ms sender stay whole.
        position = arrival - arrival % FRAME_SAMPLES
        self._offset = position - self._timestamp
        self._jump = 0
        self._open_window()
        return position

    def _jumped(self, arrival: int) -> int | None:
        """One packet far off is noise; a second in a row means that the sender's clock moved."""
        self._jump += 1
        return self._anchor(arrival) if self._jump > 1 else None

    def _watch(self, late: int) -> None:
        """Follow the drift of the sender's clock: the fastest packet of a window counts."""
        self._earliest = min(self._earliest, late)
        self._packets += 1
        if self._packets < _WINDOW:
            return
        if self._offset is not None and not _TOO_EARLY <= self._earliest < _TOO_LATE:
            self._offset += self._earliest // FRAME_SAMPLES * FRAME_SAMPLES
        self._open_window()

    def _open_window(self) -> None:
        self._earliest = _BEHIND
        self._packets = 0

    # --- ring ----------------------------------------------------------------------------

    def _write(self, position: int, payload: memoryview | bytes) -> None:
        size = len(payload)
        at = position % _RING
        room = min(size, _RING - at)
        self._ring[at : at + room] = payload[:room]
        if room < size:
            self._ring[: size - room] = payload[room:]
        self._count(position, size)

    def _count(self, position: int, size: int) -> None:
        index, inside = divmod(position, FRAME_SAMPLES)
        while size > 0:
            part = min(size, FRAME_SAMPLES - inside)
            slot = index % RING_FRAMES
            self._filled[slot] = min(self._filled[slot] + part, FRAME_SAMPLES)
            size -= part
            index, inside = index + 1, 0
