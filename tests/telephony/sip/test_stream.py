"""Framing: however the network cuts a stream, the same messages come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sip_bench import OFFER, request

from callcenter.telephony.sip.parser import MAX_SIZE
from callcenter.telephony.sip.stream import PING, Signal, StreamFramer

INVITE = request(body=OFFER)
OPTIONS = request("OPTIONS", branch="o")


def fed(*pieces: bytes) -> list[bytes | Signal]:
    framer = StreamFramer()
    return [item for piece in pieces for item in framer.feed(piece)]


def test_two_messages_in_one_piece_come_out_apart() -> None:
    assert fed(INVITE + OPTIONS) == [INVITE, OPTIONS]


@given(st.lists(st.integers(0, len(INVITE + PING + OPTIONS)), max_size=8))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    stream = INVITE + PING + OPTIONS
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert fed(*pieces) == [INVITE, Signal.PING, OPTIONS]


def test_a_single_empty_line_before_a_message_is_no_ping() -> None:
    assert fed(b"\r\n" + OPTIONS) == [OPTIONS]
    assert fed(b"\r\n", OPTIONS, b"\r\n", OPTIONS) == [OPTIONS, OPTIONS]


def test_every_double_empty_line_is_a_ping() -> None:
    assert fed(PING) == [Signal.PING]
    assert fed(b"\r\n", b"\r\n", PING) == [Signal.PING, Signal.PING]


def test_the_compact_and_the_long_name_of_the_length_are_known() -> None:
    compact = OPTIONS.replace(b"Content-Length:", b"l :")
    shouted = OPTIONS.replace(b"Content-Length:", b"CONTENT-LENGTH\t:")
    assert fed(compact + shouted) == [compact, shouted]


@pytest.mark.parametrize("length", [b"", b"Content-Length: x\r\n", b"Content-Length: -1\r\n"])
def test_without_a_usable_length_the_stream_ends(length: bytes) -> None:
    bad = OPTIONS.replace(b"Content-Length: 0\r\n", length)
    assert fed(bad + OPTIONS) == [bad, Signal.BROKEN]


def test_two_lengths_end_the_stream() -> None:
    bad = OPTIONS.replace(b"Content-Length: 0\r\n", b"Content-Length: 0\r\nl: 5\r\n")
    assert fed(bad + b"abcde" + OPTIONS) == [bad, Signal.BROKEN]


def test_a_header_without_end_is_cut_off_at_the_limit_and_nothing_is_kept() -> None:
    framer = StreamFramer()
    out = [item for _ in range(20) for item in framer.feed(b"A" * 1000)]
    assert [len(item) if isinstance(item, bytes) else item for item in out] == [9000, Signal.BROKEN]
    assert list(framer.feed(OPTIONS)) == []


def test_a_body_over_the_limit_is_handed_out_large_enough_for_a_513() -> None:
    large = request(body="x" * MAX_SIZE)
    first, last = fed(large[:3000], large[3000:6000], large[6000:])
    assert isinstance(first, bytes)
    assert len(first) > MAX_SIZE
    assert last is Signal.BROKEN


def test_whether_a_message_is_half_there_can_be_asked() -> None:
    framer = StreamFramer()
    assert list(framer.feed(INVITE[:-1])) == []
    assert framer.waiting
    assert list(framer.feed(INVITE[-1:])) == [INVITE]
    assert not framer.waiting
    assert list(framer.feed(PING)) == [Signal.PING]
    assert not framer.waiting
