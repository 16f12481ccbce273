"""Keys on their way out: as events (RFC 4733), as tones, through the batching loop."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from soundlink import numbered, packet
from test_media_loop import Phone, plane_with

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.dtmf import DigitDetector
from callcenter.telephony.media.keys import GAP_FRAMES, KEY_FRAMES, KEYS, KeyPad
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.ports import Codec

ALL = "0123456789*#"


def packets(leg: Leg, frames: int, first: int = 100) -> list[rtp.Packet]:
    made = []
    for frame in range(first, first + frames):
        leg.advance(frame)
        if data := leg.packet(frame):
            parsed = rtp.parse(memoryview(bytes(data)))
            assert parsed is not None
            made.append(parsed)
    return made


def told(found: list[rtp.Packet], kind: int) -> str:
    detector = DigitDetector()
    keys = (detector.feed(one.timestamp, one.payload) for one in found if one.payload_type == kind)
    return "".join(key for key in keys if key)


def heard_key(sound: np.ndarray) -> str | None:
    """The key whose two tones a stretch of 8 kHz sound holds (Goertzel, ITU-T Q.23)."""

    def strength(hertz: float) -> float:
        turn = np.exp(-2j * np.pi * hertz * np.arange(len(sound)) / 8000)
        return float(abs((sound * turn).mean()))

    low = [strength(hertz) for hertz in (697, 770, 852, 941)]
    high = [strength(hertz) for hertz in (1209, 1336, 1477)]
    if min(max(low), max(high)) < 500:
        return None
    return ("123", "456", "789", "*0#")[int(np.argmax(low))][int(np.argmax(high))]


def test_one_key_byte_by_byte() -> None:
    """RFC 4733 2.5: one timestamp, a marker at first, the duration grows, the end comes thrice."""
    leg = Leg("customer")
    leg.telephone_event = 101
    leg.press("#")
    found = packets(leg, KEY_FRAMES + GAP_FRAMES)
    events = [one for one in found if one.payload_type == 101]
    assert len({one.timestamp for one in events}) == 1
    assert [one.marker for one in events] == [True] + [False] * 9
    assert [one.sequence - events[0].sequence & 0xFFFF for one in events] == list(range(10))
    durations = [160, 320, 480, 640, 800, 960, 1120, 1280, 1280, 1280]
    ends = [0] * 7 + [0x80] * 3
    assert [bytes(one.payload) for one in events] == [
        bytes((11, end | 10)) + duration.to_bytes(2)
        for duration, end in zip(durations, ends, strict=True)
    ]


def test_a_key_stays_one_key_where_frames_were_skipped() -> None:
    """After a stall the loop skips frames; what is left of the key belongs to the same event."""
    leg = Leg("customer")
    leg.telephone_event = 101
    leg.press("7")
    found = packets(leg, 4) + packets(leg, KEY_FRAMES, first=150)
    assert told(found, 101) == "7"
    assert {one.timestamp for one in found if one.payload_type == 101} == {found[0].timestamp}


def test_keys_come_in_their_order_and_sound_goes_on_between_and_after() -> None:
    leg = Leg("customer")
    leg.telephone_event = 96
    leg.press(ALL)
    leg.press("00")
    found = packets(leg, (len(ALL) + 2) * (KEY_FRAMES + GAP_FRAMES) + 5)
    assert told(found, 96) == ALL + "00"
    sound = [one for one in found if one.payload_type == 0]
    assert len(sound) == (len(ALL) + 2) + 5  # one frame between two keys, then the rest
    assert not leg._packs  # back on the quick way


@pytest.mark.parametrize("codec", list(Codec))
def test_who_takes_no_events_hears_the_two_tones(codec: Codec) -> None:
    leg = Leg("customer")
    leg.use_codec(codec)
    leg.press(ALL)
    found = packets(leg, len(ALL) * (KEY_FRAMES + GAP_FRAMES))
    sound = np.concatenate([g711.decode(one.payload, codec) for one in found]).astype(float)
    strokes = sound.reshape(len(ALL), -1)
    assert "".join(heard_key(one[: KEY_FRAMES * 160]) or "?" for one in strokes) == ALL
    assert all(heard_key(one[KEY_FRAMES * 160 :]) is None for one in strokes)
    assert 8000 < np.abs(strokes[:, : KEY_FRAMES * 160]).max() < 12_000  # -10 dBm0, not louder


def test_packets_of_another_length_come_back_after_the_keys() -> None:
    leg = Leg("customer")
    leg.telephone_event = 101
    leg.use_ptime(40)
    leg.press("5")
    found = packets(leg, 30)
    assert told(found, 101) == "5"
    assert {len(one.payload) for one in found if one.payload_type == 0} == {320}
    assert leg._packs


def test_what_is_no_key_is_refused() -> None:
    pad = KeyPad()
    with pytest.raises(ValueError, match="no keys"):
        pad.press("12A")
    assert not pad
    assert set(ALL) == set(KEYS)


@pytest.mark.integration
def test_a_telephone_gets_keys_while_others_talk_and_nobody_else_does() -> None:
    async def script() -> None:
        phones = [Phone() for _ in range(12)]  # enough for the batches
        async with plane_with(*phones) as (plane, legs):
            for one, other in zip(legs[::2], legs[1::2], strict=True):
                plane.bridge(one, other)
            asyncio.get_running_loop().call_later(0.5, plane.press, legs[0], "42#")
            talks = [phone.say(leg, 100) for phone, leg in zip(phones, legs, strict=True)]
            await asyncio.gather(*talks)
            heard = [rtp.parse(memoryview(data)) for data in phones[0].heard]
            assert told([one for one in heard if one], 101) == "42#"
            sequences = [one.sequence for one in heard if one]
            assert sequences == [(sequences[0] + n) & 0xFFFF for n in range(len(sequences))]
            for phone in phones[1:]:
                others = [rtp.parse(memoryview(data)) for data in phone.heard]
                assert {one.payload_type for one in others if one} == {0}

    asyncio.run(script())


def test_nothing_is_kept_of_the_keys() -> None:
    """Events and tones go out; what others hear and taps get is what came in."""
    leg = Leg("customer")
    leg.telephone_event = 101
    leg.advance(100)
    leg.receive(memoryview(packet(1, 0, numbered(7))), 100 * 160)
    leg.press("1")
    assert leg.spoken(103, Codec.PCMU) == numbered(7)
