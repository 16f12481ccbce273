"""Sounds that the system plays itself: ringback, hold music, announcements.

Everything here is a `Sound`: µ-law frames of 20 ms at 8 kHz, made once when the process
starts and shared by all calls.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from callcenter.errors import TelephonyError
from callcenter.telephony.media import g711
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Codec, Sound

Signal = NDArray[np.float64]

_RINGBACK_HZ = (440.0, 480.0)
_RINGBACK_ON, _RINGBACK_OFF = 2.0, 4.0  # seconds
_RINGBACK_LEVEL = 10 ** (-19 / 20)  # each tone, of full scale
_HOLD_LEVEL = 10 ** (-20 / 20)  # effective value of the music, of full scale

# Four bars of four seconds: chord tones in semitones from A3, and a melody, one note a second.
_CHORDS = ((0, 3, 7, 10), (-4, 0, 3, 8), (-9, 3, 7, 12), (-2, 2, 5, 10))
_MELODY = (15, 19, 22, 19, 15, 20, 24, 20, 12, 15, 19, 15, 14, 17, 22, 17)
_A3 = 220.0


class Clip:
    """G.711 µ-law sound of whole frames, played once or for ever."""

    def __init__(self, ulaw: bytes, *, loop: bool = False) -> None:
        missing = -len(ulaw) % FRAME_SAMPLES
        whole = ulaw + bytes([Codec.PCMU.silence]) * missing
        self._frames = [
            whole[at : at + FRAME_SAMPLES] for at in range(0, len(whole), FRAME_SAMPLES)
        ]
        self._loop = loop and bool(self._frames)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._frames)

    def frame(self, index: int) -> bytes | None:
        """The frame with that index, None past the end."""
        if self._loop:
            return self._frames[index % len(self._frames)]
        return self._frames[index] if index < len(self._frames) else None


@cache
def ringback() -> Clip:
    """What a caller hears while it rings: 440 + 480 Hz, 2 s on, 4 s off (ITU-T E.180)."""
    time = np.arange(int(_RINGBACK_ON * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum((np.sin(2 * np.pi * hz * time) for hz in _RINGBACK_HZ), np.zeros_like(time))
    tone *= _RINGBACK_LEVEL * _edges(len(time), 0.005)
    pause = np.zeros(int(_RINGBACK_OFF * SAMPLE_RATE))
    return Clip(_ulaw(np.concatenate([tone, pause])), loop=True)


@cache
def hold_music() -> Clip:
    """Sixteen seconds of soft music that loops without a seam; made here, owned by nobody."""
    length = 16 * SAMPLE_RATE
    music = np.zeros(length)
    for bar, chord in enumerate(_CHORDS):
        for semitones in chord:
            _add_note(music, bar * 4.0, 5.0, semitones, 0.35)
    for beat, semitones in enumerate(_MELODY):
        _add_note(music, float(beat), 2.2, semitones, 0.5)
    music *= _HOLD_LEVEL / np.sqrt(np.mean(music**2))
    return Clip(_ulaw(music), loop=True)


def announcement(content: bytes) -> Clip:
    """A recorded announcement: 8 kHz WAV (or another rate, or stereo), or raw µ-law bytes.

    Raises TelephonyError when it is a WAV that cannot be read.
    """
    if content[:4] != b"RIFF":
        return Clip(content)
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise TelephonyError(f"the announcement is no WAV that can be played: {error}") from error
    if width != 2:
        raise TelephonyError("the announcement needs 16-bit samples; convert it to 16-bit PCM")
    mono = np.frombuffer(raw, dtype="<i2").reshape(-1, channels).mean(axis=1) / 32768
    return Clip(_ulaw(mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)))


def pause(seconds: float) -> Clip:
    """Nothing, for so long."""
    return Clip(b"\xff" * int(seconds * SAMPLE_RATE))


def joined(sounds: Sequence[Sound]) -> Clip:
    """Sounds that have an end, one after the other."""
    frames: list[bytes] = []
    for sound in sounds:
        at = 0
        while (frame := sound.frame(at)) is not None:
            frames.append(frame)
            at += 1
    return Clip(b"".join(frames))


@cache
def attention() -> bytes:
    """The recorder's warning tone, 1400 Hz for half a second, then as long nothing: µ-law bytes."""
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    tone = _RINGBACK_LEVEL * np.sin(2 * np.pi * 1400 * time) * _edges(len(time), 0.005)
    return _ulaw(np.concatenate([tone, np.zeros(SAMPLE_RATE // 2)]))


def question(content: bytes) -> Clip:
    """The announcement that a call is recorded: the warning tone, then the words.

    Raises TelephonyError, see `announcement`.
    """
    words = announcement(content)
    return Clip(attention() + b"".join(words.frame(at) or b"" for at in range(len(words))))


def _ulaw(signal: Signal) -> bytes:
    return g711.encode((np.clip(signal, -0.98, 0.98) * 32767).astype(np.int16))


def _edges(length: int, seconds: float) -> Signal:
    """An envelope that rises and falls in `seconds`: no clicks."""
    time = np.arange(length) / SAMPLE_RATE
    return np.minimum(1.0, np.minimum(time, time[::-1]) / seconds)


def _add_note(music: Signal, start: float, seconds: float, semitones: int, level: float) -> None:
    """Mix one soft note in; what sounds past the end goes on at the beginning of the loop."""
    hz = _A3 * 2 ** (semitones / 12)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * hz * time) + 0.25 * np.sin(4 * np.pi * hz * time)
    envelope = np.exp(-1.6 * time / seconds) * _edges(len(time), 0.06)
    places = (int(start * SAMPLE_RATE) + np.arange(len(time))) % len(music)
    music[places] += level * tone * envelope
