"""Opus at a browser's connection: what such a browser says and hears, packet by packet."""

from __future__ import annotations

import struct
import time
import wave
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from callcenter.telephony.adapters.opus import Opus
from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.rtcp import Block, Report, Sender, compound, parse
from callcenter.telephony.media.rtp import distance
from callcenter.telephony.ports import Codec

RATE, WIDE, KIND = 8000, 48_000, 111
SPEECH = Path(__file__).parents[2] / "data" / "speech"
Sound = NDArray[np.int16]


def browser_end(*, error_correction: bool = True) -> Opus:
    return Opus(KIND, error_correction=error_correction)


def tone(hertz: float, seconds: float, rate: int = RATE, level: float = 8000.0) -> Sound:
    moment = np.arange(int(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * hertz * moment)).astype(np.int16)


def packet(number: int, payload: bytes, timestamp: int | None = None, kind: int = 0) -> memoryview:
    stamp = number * 160 if timestamp is None else timestamp
    head = struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, stamp & 0xFFFFFFFF, 0xC0FFEE)
    return memoryview(head + payload)


def stamp_of(data: bytes | memoryview) -> int:
    return int(struct.unpack_from("!I", data, 4)[0])


def encoded(sound: Sound, milliseconds: int = 20, rate: int = WIDE) -> list[bytes]:
    """As a browser encodes: wide band, packets of that length."""
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.bit_rate = rate, "mono", 32_000
    encoder.format = av.AudioFormat("s16")
    encoder.options = {"application": "voip", "frame_duration": str(milliseconds)}
    size, made = rate * milliseconds // 1000, []
    for at in range(0, len(sound) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + size], "s16", "mono")
        frame.sample_rate = rate
        made += [bytes(one) for one in encoder.encode(frame)]
    return made


def heard_here(payloads: list[bytes], step: int = 960) -> Sound:
    ours, heard = browser_end(), []
    for number, payload in enumerate(payloads):
        back = ours.received(packet(number, payload, number * step, KIND))
        assert back is not None
        heard.append(g711.decode(back[rtp.HEADER_BYTES :], Codec.PCMU))
    return np.concatenate(heard)


def heard_there(sound: Sound) -> Sound:
    """What a browser makes of what we send it, at 48 kHz."""
    ours, decoder = browser_end(), av.AudioCodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = WIDE, "mono"
    heard = []
    for number, at in enumerate(range(0, len(sound) - 159, 160)):
        wire = ours.sent(packet(number, g711.encode(sound[at : at + 160])))
        assert wire is not None
        heard += [one.to_ndarray()[0] for one in decoder.decode(av.Packet(wire[12:]))]
    return np.concatenate(heard)


def judge(heard: Sound, hertz: float, rate: int) -> tuple[int, float, float]:
    """Pitch in Hz, level in dB against 8000, noise as a share: of one second, half a second in."""
    part = heard[rate // 2 : rate // 2 + rate].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(part))
    loud = int(spectrum.argmax())
    power = (spectrum[loud - 2 : loud + 3] ** 2).sum()
    level = 20 * np.log10(np.sqrt(2 * 2 * power) / rate / 8000)
    return loud, float(level), float(np.sqrt(((spectrum**2).sum() - power) / power))


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 2000.0, 3000.0])
def test_a_tone_from_the_browser_keeps_its_pitch_and_its_level(hertz: float) -> None:
    loud, level, noise = judge(heard_here(encoded(tone(hertz, 2.0, WIDE))), hertz, RATE)
    assert loud == hertz
    assert abs(level) < 1.0  # dB
    assert noise < 0.05


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 2000.0, 3000.0])
def test_a_tone_to_the_browser_keeps_its_pitch_and_its_level(hertz: float) -> None:
    loud, level, noise = judge(heard_there(tone(hertz, 2.0)), hertz, WIDE)
    assert loud == hertz
    assert abs(level) < 1.0  # dB
    assert noise < 0.1


def test_what_is_above_the_telephone_band_does_not_fold_into_it() -> None:
    heard = heard_here(encoded(tone(5200.0, 2.0, WIDE)))[RATE // 2 :].astype(np.float64)
    assert 20 * np.log10(heard.std() * np.sqrt(2) / 8000 + 1e-9) < -40  # dB


def test_noise_comes_through_as_loud_as_it_was() -> None:
    random = np.random.default_rng(5)
    noise = (random.standard_normal(2 * RATE) * 1500).astype(np.int16)
    there = heard_there(noise)[WIDE // 2 :].astype(np.float64)
    assert abs(20 * np.log10(there.std() / 1500)) < 3.0  # dB


def test_speech_is_still_that_speech() -> None:
    with wave.open(str(SPEECH / "goforward.wav")) as file:
        assert file.getframerate() == RATE
        said = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    there = heard_there(said).astype(np.float32)[::6]
    size = min(len(there), len(said)) - 400
    lags = [
        float(np.corrcoef(said[:size], there[lag : lag + size])[0, 1]) for lag in range(0, 200, 2)
    ]
    assert max(lags) > 0.9


@pytest.mark.parametrize("milliseconds", [5, 10, 20, 40, 60, 120])
def test_packets_of_any_length_hold_as_much_sound(milliseconds: int) -> None:
    payloads = encoded(tone(1000.0, 2.0, WIDE), milliseconds)
    ours = browser_end()
    step = WIDE * milliseconds // 1000
    for number, payload in enumerate(payloads):
        back = ours.received(packet(number, payload, number * step, KIND))
        assert back is not None
        assert len(back) == 12 + 8 * milliseconds
        assert stamp_of(back) == number * 8 * milliseconds
    assert judge(heard_here(payloads, step), 1000.0, RATE)[0] == 1000


def test_the_packet_around_the_sound() -> None:
    ours = browser_end()
    first = ours.sent(bytes(packet(7, g711.encode(tone(500, 0.02)), kind=0x80)))
    assert first is not None
    assert first[:12] == struct.pack("!BBHII", 0x80, 0x80 | KIND, 7, 7 * 960, 0xC0FFEE)
    assert first[12] >> 3 in (1, 3)  # SILK, narrow band, 20 ms (RFC 6716 3.1)
    assert not first[12] & 0b111  # mono, one frame
    back = ours.received(memoryview(first))
    assert back is not None
    assert bytes(back[:12]) == struct.pack("!BBHII", 0x80, 0x80, 7, 7 * 160, 0xC0FFEE)
    assert len(back) == 12 + 160


def test_time_stamps_go_on_evenly_over_their_wrap_from_the_browser() -> None:
    ours, payloads = browser_end(), encoded(tone(400.0, 1.0, WIDE))
    first = 2**32 - 20 * 960 - 7  # wraps in the middle, at no multiple of six
    stamps = []
    for number, payload in enumerate(payloads):
        back = ours.received(packet(number, payload, first + number * 960, KIND))
        assert back is not None
        stamps.append(stamp_of(back))
    assert {distance(b, a, 32) for a, b in pairwise(stamps)} == {160}


def test_time_stamps_go_on_evenly_over_their_wraps_to_the_browser() -> None:
    ours, sound = browser_end(), g711.encode(tone(400.0, 0.02))
    first = 2**32 - 20 * 160  # ours wraps; the browser's does so six times as often
    stamps = []
    for number in range(50):
        wire = ours.sent(packet(number, sound, first + number * 160))
        assert wire is not None
        stamps.append(stamp_of(wire))
    assert {distance(b, a, 32) for a, b in pairwise(stamps)} == {960}
    for begin in (2**32 // 6 - 5 * 160, 2**31 - 5 * 160):
        other = browser_end()
        wires = [other.sent(packet(n, sound, begin + n * 160)) for n in range(10)]
        stamps = [stamp_of(wire) for wire in wires if wire]
        assert {distance(b, a, 32) for a, b in pairwise(stamps)} == {960}


def test_a_day_of_the_browsers_clock_stays_in_step_with_ours() -> None:
    """48 kHz wraps every 24.8 hours: sample by sample the same distance on both sides."""
    ours, payload = browser_end(), encoded(tone(400.0, 0.1, WIDE))[2]
    hour, start = 3600 * WIDE, 12_345
    back = [ours.received(packet(n, payload, start + n * hour, KIND)) for n in range(60)]
    stamps = [stamp_of(one) for one in back if one is not None]
    assert {distance(b, a, 32) for a, b in pairwise(stamps)} == {3600 * RATE}


def test_a_lost_packet_is_a_gap_of_its_length_and_the_sound_goes_on() -> None:
    leg, ours = Leg("browser"), browser_end()
    payloads = encoded(tone(1000.0, 1.0, WIDE))
    leg.advance(0)
    for number, payload in enumerate(payloads[:30]):
        leg.advance(number)
        if number != 20:
            plain = ours.received(packet(number, payload, number * 960, KIND))
            assert plain is not None
            assert leg.receive(plain, number * 160 + 8)
    assert [leg._timeline.filled(n) for n in range(30)] == [160] * 20 + [0] + [160] * 9
    assert (leg.reception.expected, leg.reception.received) == (30, 29)
    after = b"".join(leg._timeline.frame(n) for n in range(22, 29))
    spectrum = np.abs(np.fft.rfft(g711.decode(after, Codec.PCMU) * 1.0))
    assert abs(int(spectrum.argmax()) * RATE / len(after) - 1000) < 10


def test_packets_in_the_wrong_order_keep_their_places() -> None:
    ours, payloads = browser_end(), encoded(tone(700.0, 1.0, WIDE))
    for number in (0, 1, 3, 2, 4):
        back = ours.received(packet(number, payloads[number], number * 960, KIND))
        assert back is not None
        assert stamp_of(back) == number * 160


def test_a_browser_that_falls_silent_leaves_comfort_noise_of_its_level() -> None:
    """Discontinuous transmission: a packet of an octet or two, then none until it goes on."""
    leg, ours = Leg("browser"), browser_end()
    random = np.random.default_rng(6)
    noise = (random.standard_normal(WIDE) * 200).astype(np.int16)
    payloads = encoded(noise)
    for number, payload in enumerate(payloads[:20]):
        leg.advance(number)
        plain = ours.received(packet(number, payload, number * 960, KIND))
        assert plain is not None
        assert leg.receive(plain, number * 160 + 8)
    silent = ours.received(packet(20, payloads[0][:1], 20 * 960, KIND))
    assert silent is not None
    assert (silent[1], len(silent), stamp_of(silent)) == (rtp.COMFORT_NOISE, 13, 20 * 160)
    assert 30 < silent[12] < 80  # -dBov
    assert leg.receive(silent, 20 * 160 + 8)
    for number in range(21, 40):
        leg.advance(number)
    heard = leg.spoken(35, Codec.PCMU)
    assert heard is not None
    assert len(set(heard)) > 1
    assert leg._timeline.filled(30) == 0  # nothing made up in the recording
    again = ours.received(packet(21, payloads[21], 45 * 960, KIND))
    assert again is not None
    assert stamp_of(again) == 45 * 160


def test_whatever_comes_is_sound_or_nothing_and_what_comes_after_is_heard() -> None:
    ours, random = browser_end(), np.random.default_rng(7)
    for number in range(2000):
        size = int(random.integers(0, 300)) if number % 50 else 1200
        payload = random.integers(0, 256, size, np.uint8).tobytes()
        back = ours.received(packet(number, payload, number * 960, KIND))
        assert back is None or back[1] == rtp.COMFORT_NOISE or 20 <= len(back) - 12 <= 960
    for data in (b"", b"\x80", bytes(40), bytes(packet(1, b"", 0, KIND))):
        assert ours.received(memoryview(data)) is None
    sound = tone(1000.0, 2.0, WIDE)
    heard = []
    for number, payload in enumerate(encoded(sound)):
        back = ours.received(packet(number, payload, number * 960, KIND))
        assert back is not None
        heard.append(g711.decode(back[12:], Codec.PCMU))
    loud, level, _ = judge(np.concatenate(heard), 1000.0, RATE)
    assert loud == 1000
    assert abs(level) < 1.0


def test_what_was_not_agreed_on_is_passed_over() -> None:
    ours = browser_end()
    for kind in (0, 8, 13, 101, 126):
        assert ours.received(packet(1, bytes(160), 0, kind)) is None


def test_a_packet_that_cannot_be_encoded_is_none_and_the_next_goes_out() -> None:
    ours = browser_end()
    for size in (0, 1, 80, 159, 161, 480):
        assert ours.sent(packet(1, bytes(size))) is None
    assert ours.sent(packet(2, bytes(160))) is not None


def test_a_codec_that_fails_costs_a_packet_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def encode(self, frame: object) -> None:
            raise av.error.UnknownError(1, "no")

    ours = browser_end()
    monkeypatch.setattr(ours, "_encoder", Failing())
    assert ours.sent(packet(1, bytes(160))) is None


def test_error_correction_is_sent_where_the_browser_can_use_it() -> None:
    with wave.open(str(SPEECH / "goforward.wav")) as file:
        said = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    shares = []
    for wanted in (True, False):
        ours, having, spoken = browser_end(error_correction=wanted), 0, 0
        for number, at in enumerate(range(0, len(said) - 159, 160)):
            wire = ours.sent(packet(number, g711.encode(said[at : at + 160])))
            assert wire is not None
            spoken += bool(wire[13] & 0x80)  # voice is active (RFC 6716 4.2.3)
            having += bool(wire[13] & 0x40)  # LBRR: the packet before, once more
        shares.append(having / spoken)
    assert shares[0] > 0.3
    assert shares[1] == 0.0


def test_rtcp_tells_the_browser_of_its_own_clock_and_of_what_it_was_sent() -> None:
    leg, ours = Leg("browser"), browser_end()
    leg.reports.wire = ours
    wires = []
    for frame in range(100, 150):
        made = leg._writer.packet(frame, g711.encode(tone(400.0, 0.02)), 0, False)
        wire = ours.sent(made)
        assert wire is not None
        wires.append(wire)
    leg.reception.take(1, 77)
    leg.reception.timed(0, 0.0)
    leg.reception.take(2, 77)
    leg.reception.timed(160, 320.0)  # 160 samples late
    parts = parse(leg.reports.write(3.0, 1_700_000_000.0, 150 * 160))
    assert parts is not None
    report = parts[0]
    assert isinstance(report, Report)
    assert report.sender is not None
    # a frame after the last packet, on the browser's clock
    assert distance(report.sender.timestamp, stamp_of(wires[-1]), 32) == 960
    assert report.sender.packets == 50
    assert report.sender.octets == sum(len(wire) - 12 for wire in wires)
    assert leg.reception.jitter == 10.0
    assert report.blocks[0].jitter == 60

    block = Block(leg.ssrc, 0, 0, 50, 480, 0, 0)
    sender = Sender(0, 0, 0, 0)
    assert leg.reports.take(compound(Report(77, sender, (block,)), "x"), 4.0, 1_700_000_001.0)
    assert leg.reports.remote_jitter == 80  # samples: 10 ms


def test_it_needs_microseconds_a_packet() -> None:
    """Ten times what it takes on a machine that is busy otherwise."""
    ours, sound = browser_end(), g711.encode(tone(400.0, 0.02))
    began = time.process_time()
    wires = [ours.sent(packet(number, sound)) for number in range(500)]
    middle = time.process_time()
    for wire in wires:
        assert wire is not None
        assert ours.received(memoryview(wire)) is not None
    out, back = middle - began, time.process_time() - middle
    assert out / 500 < 2e-3
    assert back / 500 < 1e-3
