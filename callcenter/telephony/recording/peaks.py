"""Peaks for a player: how loud each leg is, 50 times a second; `peaks_file` keeps them."""

from __future__ import annotations

import numpy as np

from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.recording.peaks_file import PER_SECOND, Peaks, read, write

__all__ = ["PER_SECOND", "Peaks", "measure", "read", "write"]

SAMPLES = SAMPLE_RATE // PER_SECOND


def measure(samples: Samples) -> bytes:
    """The magnitudes of whole fiftieths of a second; the last one may be shorter."""
    missing = -len(samples) % SAMPLES
    padded = np.concatenate([samples, np.zeros(missing, np.int16)]).astype(np.int32)
    highest = np.abs(padded).reshape(-1, SAMPLES).max(axis=1, initial=0)
    return bytes(np.minimum(255, highest >> 7).astype(np.uint8).tobytes())
