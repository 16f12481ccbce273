"""RTP packets (RFC 3550 section 5.1) as the media loop needs them: no object per packet."""

from __future__ import annotations

import secrets
import struct
from typing import NamedTuple

from callcenter.telephony.media.rows import Cell, Row
from callcenter.telephony.ports import FRAME_SAMPLES

HEADER = struct.Struct("!BBHII")
HEADER_BYTES = HEADER.size
COMFORT_NOISE = 13
PLAIN = _VERSION = 0x80
"""The first octet of a packet without padding, extension and contributing sources."""


class Packet(NamedTuple):
    """One received packet; `payload` is a view into the receiver's buffer."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: memoryview


def parse(data: memoryview) -> Packet | None:
    """The packet in `data`, None when it is no RTP version 2."""
    size = len(data)
    if size < HEADER_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first & 0xC0 != _VERSION:
        return None
    start, end = HEADER_BYTES, size
    if first != _VERSION:
        start += 4 * (first & 0x0F)
        if first & 0x10:
            if start + 4 > size:
                return None
            start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
        if first & 0x20:
            end -= data[size - 1]
    if start > end:
        return None
    return Packet(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[start:end])


def distance(later: int, earlier: int, bits: int) -> int:
    """How far `later` lies after `earlier` on a counter that wraps; negative when before."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


class PacketWriter:
    """Makes the packets of one outgoing stream: one SSRC, sequence without holes.

    The timestamp follows the frame number of the plane's clock, so a pause in sending, or
    a tick that was skipped, leaves a gap of the right length and not a shift.
    """

    ssrc = Cell[int]("sent_ssrc")
    packets = Cell[int]("packets")
    octets = Cell[int]("octets")
    """Of payload, as in a sender report (RFC 3550 6.4.1)."""
    _sequence = Cell[int]("sequence")
    _base = Cell[int]("sent_base")

    def __init__(self, row: Row | None = None) -> None:
        self.row = row or Row()
        self.ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._base = secrets.randbits(32)
        self._buffer = bytearray(HEADER_BYTES + FRAME_SAMPLES)

    def timestamp(self, position: int) -> int:
        """The RTP timestamp of sample `position` on the plane's clock."""
        return (self._base + position) & 0xFFFFFFFF

    def packet(self, frame: int, payload: bytes, payload_type: int, marker: bool) -> bytearray:
        """The next packet, 20 ms of G.711; the buffer is used again by the next call."""
        return self.packet_at(frame * FRAME_SAMPLES, payload, payload_type, marker)

    def packet_at(
        self, position: int, payload: bytes, payload_type: int, marker: bool
    ) -> bytearray:
        """The next packet, of any length, whose sound begins at sample `position`."""
        timestamp = (self._base + position) & 0xFFFFFFFF
        kind = payload_type | 0x80 if marker else payload_type
        HEADER.pack_into(self._buffer, 0, _VERSION, kind, self._sequence, timestamp, self.ssrc)
        self._buffer[HEADER_BYTES:] = payload
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return self._buffer
