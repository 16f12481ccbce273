"""What is heard where packets are missing, by ear as far as a program has one: level, spectrum,
seams. The recording is checked beside it: it keeps the hole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from soundlink import Recorder, packet

from callcenter.telephony.media import g711
from callcenter.telephony.media.concealment import comfort_noise
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.ports import Codec

START = 1000
Wave = NDArray[np.float64]


def voice(count: int, hz: float = 125.0) -> Wave:
    """A voice-like wave: pitch with five harmonics."""
    time = np.arange(count * 160) / 8000
    parts = (np.sin(2 * np.pi * hz * k * time + k) / k for k in range(1, 6))
    wave: Wave = 6000 * np.sum(list(parts), axis=0)
    return wave


def heard_of(
    wave: Wave,
    lost: set[int],
    *,
    codec: Codec = Codec.PCMU,
    size: int = 160,
    late: dict[int, float] | None = None,
) -> tuple[Wave, Recorder]:
    """What a listener hears of `wave` when these packets (of `size` samples) are missing."""
    leg, listener, sink = Leg("speaker"), Leg("listener"), Recorder()
    leg.use_codec(codec)
    listener.use_codec(codec)
    listener.listen_to(leg)
    leg.advance(START)
    tap = leg.add_tap(sink, START)
    sound = g711.encode(wave.astype(np.int16), codec)
    arriving = sorted(
        (at / 160 + (late or {}).get(n, 0.3), n, at)
        for n, at in enumerate(range(0, len(sound), size))
        if n not in lost
    )
    heard = b""
    for frame in range(START, START + len(wave) // 160):
        leg.advance(frame)
        while arriving and arriving[0][0] < frame + 1 - START:
            moment, n, at = arriving.pop(0)
            data = packet(n, at, sound[at : at + size], kind=codec.value)
            leg.receive(memoryview(data), int((START + moment) * 160))
        leg.step(frame)
        out = listener.step(frame)
        assert out is not None
        heard += bytes(out[12:])
    tap.close()
    return g711.decode(heard, codec).astype(np.float64), sink


def level(wave: Wave) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def part(wave: Wave, frame: float, frames: float = 1) -> Wave:
    """The wave at a frame of the speaker, as heard three frames later."""
    return wave[int((frame + 3) * 160) : int((frame + 3 + frames) * 160)]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("hz", [80.0, 125.0, 190.0])
def test_one_lost_packet_of_a_voice_is_hardly_missed(codec: Codec, hz: float) -> None:
    wave = voice(40, hz)
    heard, sink = heard_of(wave, {20}, codec=codec)
    said, made = wave[20 * 160 : 21 * 160], part(heard, 20)
    assert 0.6 < level(made) / level(said) < 1.1
    assert float(np.corrcoef(said, made)[0, 1]) > 0.9
    assert 20 * 160 not in [position for position, _, _ in sink.written]
    assert len(sink.written) >= 36


def test_there_is_no_click_where_it_begins_and_where_it_ends() -> None:
    wave = voice(40)
    steps = np.abs(np.diff(wave))
    for lost in ({20}, {20, 21}):
        heard, _ = heard_of(wave, lost)
        assert np.abs(np.diff(part(heard, 18, 6))).max() < 1.5 * steps.max()


def test_a_longer_hole_fades_to_silence_at_60_ms_and_stays_silent() -> None:
    heard, sink = heard_of(voice(60), set(range(20, 40)))
    levels = [level(part(heard, 20 + n)) for n in range(20)]
    assert levels[0] > 1.3 * levels[1] > 1.3 * levels[2] > 0
    assert max(levels[3:]) < 10
    assert level(part(heard, 40)) > 2000
    assert not {n * 160 for n in range(20, 40)} & {position for position, _, _ in sink.written}


def test_before_the_first_packet_and_after_silence_there_is_nothing_to_repeat() -> None:
    heard, _ = heard_of(voice(20), {0, 1, 2, 3, 4})
    assert level(heard[: 7 * 160]) < 10
    silent, _ = heard_of(np.zeros(40 * 160), {20})
    assert level(silent) < 10


@pytest.mark.parametrize("size", [80, 240, 320, 480])
def test_lost_packets_of_other_lengths_are_concealed_too(size: int) -> None:
    wave = voice(60)
    number = 30 * 160 // size
    heard, sink = heard_of(wave, {number}, size=size)
    made = part(heard, number * size / 160, size / 160)
    assert level(made) > 0.4 * level(wave)
    assert np.abs(np.diff(part(heard, 28, 8))).max() < 1.5 * np.abs(np.diff(wave)).max()
    recorded = g711.decode(sink.laid_out(), Codec.PCMU).astype(np.float64)
    hole = recorded[number * size : (number + 1) * size]
    assert level(hole) < 10
    assert level(recorded) > 0.9 * level(wave)


def test_the_playout_grows_with_jitter_and_shrinks_again_in_calm() -> None:
    leg, listener = Leg("speaker"), Leg("listener")
    listener.listen_to(leg)
    depths: dict[int, int] = {}
    waiting: list[tuple[float, int]] = []
    quiet = bytes([Codec.PCMU.silence]) * 160
    for n in range(3000):
        shaken = 500 <= n < 1000 and n % 3 == 0
        waiting.append((n + 0.3 + (5.5 if shaken else 0), n))
    waiting.sort()
    for frame in range(START, START + 3000):
        leg.advance(frame)
        while waiting and waiting[0][0] < frame + 1 - START:
            moment, n = waiting.pop(0)
            data = packet(n, n * 160, quiet)
            leg.receive(memoryview(data), int((START + moment) * 160))
        leg.step(frame)
        listener.step(frame)
        depths[frame - START] = leg.playout_milliseconds
    assert depths[499] == 60
    assert 80 < depths[999] <= 160
    assert depths[2999] == 60


def test_comfort_noise_is_heard_at_the_level_that_was_told_and_is_not_recorded() -> None:
    leg, listener, sink = Leg("speaker"), Leg("listener"), Recorder()
    listener.listen_to(leg)
    leg.advance(START)
    tap = leg.add_tap(sink, START)
    loud = g711.encode(voice(1).astype(np.int16), Codec.PCMU)
    heard = b""
    for n in range(120):
        leg.advance(START + n)
        if n < 20 or n >= 80:
            data = packet(min(n, n - 58), n * 160, loud)
        elif n == 20:
            data = packet(20, n * 160, b"\x28\x01\x02", kind=13)  # -40 dBov
        else:
            data = b""
        if data:
            leg.receive(memoryview(data), (START + n) * 160 + 40)
        leg.step(START + n)
        out = listener.step(START + n)
        assert out is not None
        heard += bytes(out[12:])
    tap.close()
    wave = g711.decode(heard, Codec.PCMU).astype(np.float64)
    noise = [level(part(wave, n)) for n in range(22, 79)]
    assert all(150 < one < 650 for one in noise), noise
    assert level(part(wave, 85)) > 2000
    assert {position // 160 for position, _, _ in sink.written} == {*range(20), *range(80, 120)}


def test_noise_below_what_can_be_heard_is_silence() -> None:
    assert comfort_noise(127, 0, Codec.PCMU) is None
    loud = comfort_noise(10, 5, Codec.PCMA)
    assert loud is not None
    assert len(loud) == 160
