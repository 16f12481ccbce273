"""G.722 at the socket: what a telephone of that kind says and hears, packet by packet."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from callcenter.telephony.adapters.g722 import G722
from callcenter.telephony.media import g711, rtp
from callcenter.telephony.ports import Codec

RATE = 8000


def tone(hertz: float, seconds: float, level: float = 8000.0) -> NDArray[np.int16]:
    time = np.arange(int(RATE * seconds)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def packet(number: int, payload: bytes, kind: int = 0, *, marker: bool = False) -> bytearray:
    head = struct.pack("!BBHII", 0x80, kind | marker << 7, number, number * 160, 0xC0FFEE)
    return bytearray(head + payload)


def through(sound: NDArray[np.int16], size: int = 160) -> NDArray[np.int16]:
    """Said into one telephone, heard from the other: encoded, decoded."""
    ours, theirs = G722(), G722()
    heard = []
    for number, at in enumerate(range(0, len(sound) - size + 1, size)):
        wire = ours.sent(packet(number, g711.encode(sound[at : at + size])))
        back = theirs.received(memoryview(wire))
        assert back is not None
        assert len(back) == rtp.HEADER_BYTES + size
        heard.append(g711.decode(back[rtp.HEADER_BYTES :], Codec.PCMU))
    return np.concatenate(heard)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_a_tone_keeps_its_pitch_and_its_level(hertz: float) -> None:
    heard = through(tone(hertz, 2.0))[RATE // 2 : RATE // 2 + RATE].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard))
    assert int(spectrum.argmax()) == hertz
    level = 20 * np.log10(heard.std() * np.sqrt(2) / 8000)
    assert abs(level) < 1.0  # dB
    noise = np.sqrt((spectrum**2).sum() - spectrum.max() ** 2) / spectrum.max()
    assert noise < 0.03


def test_the_packet_around_the_sound_stays_as_it_is() -> None:
    phone = G722()
    wire = phone.sent(packet(7, bytes(160), marker=True))
    assert struct.unpack("!BBHII", wire[:12]) == (0x80, 0x89, 7, 1120, 0xC0FFEE)
    assert len(wire) == 12 + 160
    back = phone.received(memoryview(wire))
    assert back is not None
    assert struct.unpack("!BBHII", back[:12]) == (0x80, 0x80, 7, 1120, 0xC0FFEE)


@pytest.mark.parametrize("size", [80, 240, 480])
def test_packets_of_another_length_hold_as_much_sound(size: int) -> None:
    heard = through(tone(1000.0, 2.0), size)
    assert abs(int(np.abs(np.fft.rfft(heard[4000:12000] * 1.0)).argmax()) - 1000) <= 1


def test_keys_and_what_is_no_packet_pass_by_as_they_came() -> None:
    phone = G722()
    for data in (bytes(packet(1, b"\x01\x8a\x00\xa0", 101)), b"", b"\x80", bytes(40)):
        assert bytes(phone.received(memoryview(data)) or b"") == data


def test_any_octets_of_that_type_are_sound_of_that_length() -> None:
    phone, random = G722(), np.random.default_rng(4)
    for number, size in enumerate((160, 1, 0, 80, 1200)):
        data = packet(number, random.integers(0, 256, size, np.uint8).tobytes(), 9)
        back = phone.received(memoryview(data))
        assert back is None if size == 0 else back is not None and len(back) == 12 + size
