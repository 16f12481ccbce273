"""What is heard where a packet is missing: the last pitch period again, fading.

In the manner of ITU-T G.711 appendix I, simpler: the pitch is found by correlation in what was
heard last, its period is repeated without a seam, at full level for 10 ms, then less by a fifth
every 10 ms until silence at 60 ms; what comes afterwards is faded in over it. Works on what was
heard; what is recorded keeps the hole. Nothing is computed while no packet is missing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.media import g711
from callcenter.telephony.ports import FRAME_SAMPLES, Codec

HISTORY_SAMPLES = 3 * FRAME_SAMPLES
_SHORTEST, _LONGEST = 40, 120  # samples of a pitch period: 200 to 66 Hz
_WINDOW = FRAME_SAMPLES  # what is compared
_FULL = 80  # samples at full level
_FADED = 480  # samples after which it is silent
_SEAM = 32  # samples over which one sound goes over into the next

Wave = NDArray[np.float32]

_RISE = np.linspace(0, 1, _SEAM, endpoint=False, dtype=np.float32)
_FADE = np.clip(1 - (np.arange(_FADED + FRAME_SAMPLES) - _FULL) / (_FADED - _FULL), 0, 1).astype(
    np.float32
)


class Concealer:
    """The sound in place of what is missing; one a leg."""

    def __init__(self) -> None:
        self._period: Wave | None = None
        self._made = 0  # samples since the last that came

    @property
    def active(self) -> bool:
        """Whether the last frame was made here, so that the next one has to be joined to it."""
        return self._period is not None

    @property
    def exhausted(self) -> bool:
        """Whether it has faded away."""
        return self._made >= _FADED

    def begin(self, history: bytes, codec: Codec) -> None:
        """Packets are missing from now on; `history` is what was heard last (480 samples)."""
        heard = g711.decode(history, codec).astype(np.float32)
        self._period = _period(heard)
        self._made = 0

    def end(self) -> None:
        """What comes next stands alone."""
        self._period = None
        self._made = 0

    def frame(self, codec: Codec, count: int = FRAME_SAMPLES) -> bytes:
        """The next `count` samples."""
        made = self._next(count)
        self._made += count
        return g711.encode(made.astype(np.int16), codec)

    def join(self, came: bytes, codec: Codec) -> bytes:
        """The first sound after the hole, faded in over what would have been made."""
        over = min(_SEAM, len(came))
        made = self._next(over)
        self.end()
        rise = _RISE[:over]
        head = g711.decode(came[:over], codec) * rise + made * (1 - rise)
        return g711.encode(head.astype(np.int16), codec) + came[over:]

    def _next(self, count: int) -> Wave:
        assert self._period is not None
        places = (self._made + np.arange(count)) % len(self._period)
        wave: Wave = self._period[places]
        if self._made >= _FADED:
            return np.zeros(count, dtype=np.float32)
        fade = _FADE[self._made : self._made + count]
        return wave * fade


def _period(heard: Wave) -> Wave:
    """The last one or more pitch periods, whose end leads into their beginning."""
    lag = _pitch(heard)
    length = lag * max(1, FRAME_SAMPLES // lag)  # several: a single one buzzes
    period = heard[-length:].copy()
    before = heard[-length - _SEAM : -length]
    period[-_SEAM:] = period[-_SEAM:] * (1 - _RISE) + before * _RISE
    return period


def _pitch(heard: Wave) -> int:
    """The lag at which what was heard is most like itself (normalised correlation)."""
    now = heard[-_WINDOW:]
    past = heard[-_WINDOW - _LONGEST : -_SHORTEST]
    windows = np.lib.stride_tricks.sliding_window_view(past, _WINDOW)
    likeness = windows @ now
    energy = np.einsum("ij,ij->i", windows, windows) + 1.0
    best = int(np.argmax(likeness / np.sqrt(energy)))
    return _LONGEST - best


# --- comfort noise ---------------------------------------------------------------------------

_NOISE_SAMPLES = 8000
_FULL_SCALE = 32767.0  # 0 dBov is the power of a full-scale square wave (RFC 3389 3.1)
_INAUDIBLE = 78  # dB below full scale: less than the smallest step of G.711


@lru_cache(maxsize=32)
def _noise(level: int, codec: Codec) -> bytes:
    """A second of white noise at -`level` dBov."""
    random = np.random.default_rng(level)
    wave = random.standard_normal(_NOISE_SAMPLES) * _FULL_SCALE * 10 ** (-level / 20)
    return g711.encode(np.clip(wave, -32000, 32000).astype(np.int16), codec)


def comfort_noise(level: int, frame: int, codec: Codec) -> bytes | None:
    """20 ms of the noise that RFC 3389 describes by `level`; None where it cannot be heard.

    Its spectrum is taken as flat: the coefficients that may follow the level are not used.
    """
    if level >= _INAUDIBLE:
        return None
    start = frame * 37 * FRAME_SAMPLES % (_NOISE_SAMPLES - FRAME_SAMPLES)
    return _noise(level, codec)[start : start + FRAME_SAMPLES]
