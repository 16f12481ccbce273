"""Packets of another length than the loop's 20 ms (`a=ptime`, RFC 8866 6.4)."""

from __future__ import annotations

from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE


class Packing:
    """Collects the frames that a party hears and gives them out `ptime` milliseconds at a time."""

    def __init__(self, ptime: int) -> None:
        self._size = ptime * SAMPLE_RATE // 1000
        self._kept = bytearray()
        self._position = 0  # of the first sample that is kept

    @property
    def full(self) -> bool:
        """Whether `take` has a packet."""
        return len(self._kept) >= self._size

    def add(self, frame: int, payload: bytes) -> None:
        """The next 20 ms. What is left over from before a hole is given up."""
        position = frame * FRAME_SAMPLES
        if position != self._position + len(self._kept):
            self._kept.clear()
            self._position = position
        self._kept += payload

    def take(self) -> tuple[int, bytes]:
        """Position (samples) and payload of the next packet."""
        position, payload = self._position, bytes(self._kept[: self._size])
        del self._kept[: self._size]
        self._position += len(payload)
        return position, payload
