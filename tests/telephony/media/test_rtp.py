"""RTP header, source latch, digits: bytes in, facts out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from soundlink import packet

from callcenter.telephony.media import rtp
from callcenter.telephony.media.dtmf import DigitDetector


def test_a_plain_packet_is_read() -> None:
    read = rtp.parse(memoryview(packet(7, 320, b"abc", ssrc=99, marker=True)))
    assert read is not None
    assert bytes(read.payload) == b"abc"
    assert read[:5] == (0, True, 7, 320, 99)


def test_contributors_extension_and_padding_are_cut_away() -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 8, 1, 2, 3)
    data = head + b"CSR1CSR2" + b"\xbe\xde\x00\x01EXTN" + b"sound" + b"\x00\x00\x03"
    read = rtp.parse(memoryview(data))
    assert read is not None
    assert bytes(read.payload) == b"sound"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(20),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\0\0\xff\xff",
        b"\xa0" + bytes(11) + b"\xff",
        b"\x8f" + bytes(20),
    ],
)
def test_what_is_no_rtp_is_none(data: bytes) -> None:
    assert rtp.parse(memoryview(data)) is None


@given(st.binary(max_size=400))
def test_no_datagram_can_hurt(data: bytes) -> None:
    read = rtp.parse(memoryview(data))
    assert read is None or len(read.payload) <= len(data)


def test_outgoing_packets_count_without_holes_and_follow_the_clock() -> None:
    writer = rtp.PacketWriter()
    frames = [5, 6, 7, 20, 21]
    read = [
        rtp.parse(memoryview(bytes(writer.packet(frame, bytes(160), 0, frame == 5))))
        for frame in frames
    ]
    heads = [head for head in read if head is not None]
    assert [head.marker for head in heads] == [True, False, False, False, False]
    assert [rtp.distance(head.sequence, heads[0].sequence, 16) for head in heads] == [0, 1, 2, 3, 4]
    steps = [rtp.distance(head.timestamp, heads[0].timestamp, 32) // 160 for head in heads]
    assert steps == [frame - 5 for frame in frames]
    assert len({head.ssrc for head in heads}) == 1


# --- digits ------------------------------------------------------------------------------------


def event(key: int, duration: int, end: bool = False) -> bytes:
    return struct.pack("!BBH", key, 0x8A if end else 0x0A, duration)


def keys_of(packets: list[tuple[int, bytes]]) -> str:
    detector = DigitDetector()
    return "".join(filter(None, (detector.feed(*packet) for packet in packets)))


def press(key: int, timestamp: int) -> list[tuple[int, bytes]]:
    grows = [(timestamp, event(key, 160 * n)) for n in range(1, 6)]
    return grows + [(timestamp, event(key, 960, end=True))] * 3


def test_each_key_is_told_once_though_it_comes_in_many_packets() -> None:
    packets = press(1, 1000) + press(1, 3000) + press(11, 5000) + press(10, 7000)
    assert keys_of(packets) == "11#*"


def test_a_key_of_which_only_one_packet_arrived_counts() -> None:
    assert keys_of([(1000, event(5, 960, end=True))]) == "5"


def test_late_packets_of_the_key_before_do_not_count_again() -> None:
    packets = press(1, 1000)
    late = packets.pop()
    assert keys_of([*packets, *press(2, 3000)[:2], late, *press(2, 3000)[2:]]) == "12"


def test_a_key_held_for_long_is_one_key() -> None:
    first = [(1000, event(7, n)) for n in range(160, 0xFFFF, 8000)] + [(1000, event(7, 0xFFFF))]
    then = [(1000 + 0xFFFF, event(7, 800)), (1000 + 0xFFFF, event(7, 1600, end=True))]
    assert keys_of(first + then) == "7"


def test_timestamps_may_wrap_between_keys() -> None:
    assert keys_of(press(3, 2**32 - 100) + press(4, 2000)) == "34"


def test_other_events_are_no_keys() -> None:
    assert keys_of([(1000, event(16, 800)), (2000, b""), (3000, b"\x01\x02")]) == ""
