"""G.711 (ITU-T G.711, 1988): its two laws as tables of 256 entries.

Sound stays in G.711 bytes wherever it can; the tables here serve the places that need
linear samples (tones, announcements, recognisers) or the other law.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.ports import Codec

Samples = NDArray[np.int16]

_BIAS = 0x84
_CLIP = 32635


def _ulaw_value(code: int) -> int:
    """The 16-bit sample that µ-law `code` stands for."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS) << ((code & 0x70) >> 4)
    return _BIAS - magnitude if code & 0x80 else magnitude - _BIAS


def _alaw_value(code: int) -> int:
    """The 16-bit sample that A-law `code` stands for."""
    code ^= 0x55
    magnitude = (code & 0x0F) << 4
    segment = (code & 0x70) >> 4
    magnitude += 8 if segment == 0 else 0x108
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if code & 0x80 else -magnitude


def _ulaw_code(sample: int) -> int:
    """The µ-law code of a 16-bit sample."""
    # The law is defined on 14 bits: the two lowest are dropped, negative ones downwards.
    sample >>= 2
    sign = 0x00
    if sample < 0:
        sample, sign = -sample, 0x80
    magnitude = min(sample, _CLIP >> 2) + (_BIAS >> 2)
    segment = max(magnitude.bit_length() - 6, 0)
    return ~(sign | segment << 4 | (magnitude >> (segment + 1)) & 0x0F) & 0xFF


def _alaw_code(sample: int) -> int:
    """The A-law code of a 16-bit sample."""
    # The law is defined on 13 bits: the three lowest are dropped, negative ones downwards.
    sample >>= 3
    mask = 0xD5
    if sample < 0:
        sample, mask = -sample - 1, 0x55
    segment = max(sample.bit_length() - 5, 0)
    low = sample >> 1 if segment < 2 else sample >> segment
    return (segment << 4 | low & 0x0F) ^ mask


_VALUES = {
    Codec.PCMU: np.array([_ulaw_value(code) for code in range(256)], dtype=np.int16),
    Codec.PCMA: np.array([_alaw_value(code) for code in range(256)], dtype=np.int16),
}
_CODES = {
    Codec.PCMU: np.array([_ulaw_code(s) for s in range(-32768, 32768)], dtype=np.uint8),
    Codec.PCMA: np.array([_alaw_code(s) for s in range(-32768, 32768)], dtype=np.uint8),
}
_OTHER = {
    Codec.PCMU: bytes(_alaw_code(_ulaw_value(code)) for code in range(256)),
    Codec.PCMA: bytes(_ulaw_code(_alaw_value(code)) for code in range(256)),
}


def decode(payload: bytes | bytearray | memoryview, codec: Codec) -> Samples:
    """Linear 16-bit samples of G.711 bytes, one a byte."""
    return _VALUES[codec][np.frombuffer(payload, dtype=np.uint8)]


def encode(samples: Samples, codec: Codec = Codec.PCMU) -> bytes:
    """G.711 bytes of linear 16-bit samples."""
    return _CODES[codec][samples.astype(np.int32) + 32768].tobytes()


def translation(source: Codec, target: Codec) -> bytes | None:
    """The table for `bytes.translate` from one law to the other; None when they are one."""
    return None if source is target else _OTHER[source]


def convert(payload: bytes, source: Codec, target: Codec) -> bytes:
    """The same sound in `target`'s law."""
    return payload if source is target else payload.translate(_OTHER[source])
