"""Reads a WAV file of any common shape as what pyVoIP sends: 8 kHz, mono, 8 bits unsigned."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from callcenter.errors import Invalid
from callcenter.telephony.media import g711
from callcenter.telephony.ports import SAMPLE_RATE, Codec

_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE


def read(path: Path) -> bytes:
    """The samples as bytes around 128. Raises Invalid."""
    try:
        linear, rate = _decode(path.read_bytes())
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, KeyError, ValueError) as error:
        raise Invalid(f"{path} is no WAV file of PCM, A-law or µ-law") from error
    if rate != SAMPLE_RATE:
        linear = np.asarray(soxr.resample(linear, rate, SAMPLE_RATE))
    return unsigned(linear)


def unsigned(linear: NDArray[np.float64]) -> bytes:
    """Samples of 16 bits' range as bytes around 128."""
    return bytes(np.clip(np.round(linear / 256) + 128, 0, 255).astype(np.uint8).tobytes())


def _decode(data: bytes) -> tuple[NDArray[np.float64], int]:
    """Mono samples in 16 bits' range, and their rate."""
    chunks = _chunks(data)
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if form == _EXTENSIBLE:
        (form,) = struct.unpack_from("<H", chunks[b"fmt "], 24)
    body = chunks[b"data"]
    samples: NDArray[np.float64]
    if form in (_ULAW, _ALAW):
        law = Codec.PCMU if form == _ULAW else Codec.PCMA
        samples = g711.decode(body, law).astype(np.float64)
    elif form == _PCM and bits == 8:
        samples = (np.frombuffer(body, np.uint8).astype(np.float64) - 128) * 256
    elif form == _PCM and bits == 16:
        samples = np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float64)
    else:
        raise ValueError("unknown form of samples")
    whole = len(samples) // channels * channels
    return samples[:whole].reshape(-1, channels).mean(axis=1), rate


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """RIFF chunks by their name."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("no RIFF")
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found
