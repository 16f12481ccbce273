"""What callers and agents of a measurement say, and whether something is sound at all."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.media import g711
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Codec

_LOUD = 200.0
"""Mean amplitude (of 32767) above which a frame is sound: far above the noise of a codec."""


def warble(rate: int, seconds: float = 1.0) -> NDArray[np.int16]:
    """Sweeps through the voice band, eight a second, at `rate`: never silent, never steady.

    A steady tone would be taken for noise, and suppressed, by a browser.
    """
    time = np.arange(int(rate * seconds)) / rate
    within = (time * 8) % 1.0
    phase = 2 * np.pi * np.cumsum(400 + 1800 * within) / rate
    return (9000 * np.sin(phase)).astype(np.int16)


def frames(linear: NDArray[np.int16] | None = None) -> list[bytes]:
    """µ-law frames of 20 ms of `linear` (8 kHz; the warble without), the last one filled up."""
    ulaw = g711.encode(warble(SAMPLE_RATE) if linear is None else linear)
    ulaw += b"\xff" * (-len(ulaw) % FRAME_SAMPLES)
    return [ulaw[at : at + FRAME_SAMPLES] for at in range(0, len(ulaw), FRAME_SAMPLES)]


def speech(path: Path) -> list[bytes]:
    """µ-law frames of a WAV file with somebody speaking. Raises Invalid."""
    from callcenter.demo import wav

    eight_bits = np.frombuffer(wav.read(path), np.uint8).astype(np.int16)
    return frames((eight_bits - 128) * 256)


def is_sound(payload: bytes | memoryview) -> bool:
    """Whether a µ-law payload is more than silence."""
    if not len(payload):
        return False
    linear = g711.decode(payload, Codec.PCMU).astype(np.float64)
    return float(np.mean(np.abs(linear))) > _LOUD


def write_wav(path: Path, rate: int = 48_000) -> None:
    """The warble as a WAV file, for a browser's false microphone."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(warble(rate, 4.0).astype("<i2").tobytes())
