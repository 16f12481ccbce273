"""The sounds that the system plays: levels, lengths, seams."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from callcenter.errors import TelephonyError
from callcenter.telephony.media import g711
from callcenter.telephony.media.tones import Clip, announcement, hold_music, ringback
from callcenter.telephony.ports import Codec, Sound


def samples(sound: Sound, frames: int) -> NDArray[np.float64]:
    played = [sound.frame(index) for index in range(frames)]
    return g711.decode(b"".join(frame for frame in played if frame), Codec.PCMU) / 32768


def level(signal: NDArray[np.float64]) -> float:
    """Effective value in dB of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean(signal**2)) + 1e-9))


def wav(seconds: float, *, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    time = np.arange(int(seconds * rate)) / rate
    tone = (np.sin(2 * np.pi * 500 * time) * 12000).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        raw = np.repeat(tone, channels).tobytes()
        out.writeframes(raw if width == 2 else raw[::2])
    return file.getvalue()


def strongest(signal: NDArray[np.float64]) -> float:
    """Frequency of the loudest component in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(signal))) * 8000 / len(signal))


def test_ringback_sounds_two_seconds_and_is_silent_for_four() -> None:
    ring = samples(ringback(), 600)
    for start in (0, 6):
        assert level(ring[start * 8000 : (start + 2) * 8000]) == pytest.approx(-19, abs=1)
        assert level(ring[(start + 2) * 8000 : (start + 6) * 8000]) < -70
    spectrum = np.abs(np.fft.rfft(ring[:16000]))
    assert set(np.argsort(spectrum)[-2:] / 2) == {440.0, 480.0}


def test_hold_music_is_soft_long_and_loops_without_a_click() -> None:
    music = hold_music()
    assert len(music) >= 16 * 50
    loop = samples(music, len(music))
    assert level(loop) == pytest.approx(-20, abs=1)
    assert np.abs(loop).max() < 0.9
    quarters = [level(part) for part in np.array_split(loop, 16)]
    assert max(quarters) - min(quarters) < 12
    around = samples(music, len(music) + 10)[len(loop) - 400 : len(loop) + 400]
    assert np.abs(np.diff(around)).max() <= np.abs(np.diff(loop)).max()
    assert music.frame(3) == music.frame(len(music) + 3)


def test_a_clip_ends_and_its_last_frame_is_whole() -> None:
    clip = Clip(b"\x80" * 200)
    assert len(clip) == 2
    assert clip.frame(1) == b"\x80" * 40 + b"\xff" * 120
    assert clip.frame(2) is None
    assert Clip(b"", loop=True).frame(0) is None


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (8000, 2), (16000, 1), (44100, 2)])
def test_an_announcement_keeps_its_pitch_and_length(rate: int, channels: int) -> None:
    clip = announcement(wav(1.0, rate=rate, channels=channels))
    assert len(clip) in (50, 51)
    assert strongest(samples(clip, 50)) == pytest.approx(500, abs=2)


def test_raw_ulaw_is_taken_as_it_is() -> None:
    raw = bytes(range(160)) * 2
    assert announcement(raw).frame(1) == bytes(range(160))


@pytest.mark.parametrize("content", [b"RIFF", b"RIFF\0\0\0\0WAVEjunk", wav(0.1, width=1)])
def test_a_wav_that_cannot_be_played_says_so(content: bytes) -> None:
    with pytest.raises(TelephonyError, match="announcement"):
        announcement(content)
