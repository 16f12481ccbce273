"""The file of peaks. No numpy here: the web process reads it and starts without.

`<call-id>.peaks`: the 12 bytes `CCPK`, version (u16), values a second (u16), pairs (u32), all
little-endian; then for each fiftieth of a second one byte for the agent, one for the customer:
the highest magnitude, 0 to 255.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from callcenter.errors import RecordingError

PER_SECOND = 50
_HEADER = struct.Struct("<4sHHI")
_MAGIC = b"CCPK"


@dataclass(frozen=True, slots=True)
class Peaks:
    """Magnitudes from 0 to 255, `per_second` of them, of both legs."""

    agent: bytes
    customer: bytes
    per_second: int = PER_SECOND

    def thinned(self, columns: int) -> Peaks:
        """At most `columns` values a leg: the highest of each stretch."""
        step = max(1, -(-len(self.agent) // max(1, columns)))
        rate = max(1, self.per_second // step)
        return Peaks(_thin(self.agent, step), _thin(self.customer, step), rate)


def write(peaks: Peaks) -> bytes:
    """The bytes of the file."""
    pairs = bytearray(2 * len(peaks.agent))
    pairs[0::2], pairs[1::2] = peaks.agent, peaks.customer
    return _HEADER.pack(_MAGIC, 1, peaks.per_second, len(peaks.agent)) + bytes(pairs)


def read(data: bytes) -> Peaks:
    """The reverse of `write`. Raises RecordingError."""
    try:
        magic, version, per_second, pairs = _HEADER.unpack_from(data)
    except struct.error as error:
        raise RecordingError("these peaks are cut off") from error
    body = data[_HEADER.size :]
    if magic != _MAGIC or version != 1 or len(body) != 2 * pairs:
        raise RecordingError("this is no file of peaks")
    return Peaks(body[0::2], body[1::2], per_second)


def _thin(values: bytes, step: int) -> bytes:
    return bytes(max(values[at : at + step]) for at in range(0, len(values), step))
