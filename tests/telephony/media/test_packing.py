"""Packets of 10 to 60 ms towards a telephone, driven step by step: no socket, no clock."""

from __future__ import annotations

import itertools

import pytest
from soundlink import numbered, numbers_of

from callcenter.telephony.media import rtp
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.packing import Packing
from callcenter.telephony.ports import Codec

START = 500


class Speaker(Leg):
    """Says the frame's number at every frame."""

    def spoken(self, frame: int, codec: Codec) -> bytes | None:
        return numbered(frame - START)


def sent(ptime: int, frames: list[int]) -> list[rtp.Packet]:
    """What a leg sends that hears numbered frames; `frames` are the steps that were made."""
    speaker, listener = Speaker("speaker"), Leg("listener")
    listener.use_ptime(ptime)
    listener.listen_to(speaker)
    packets: list[bytes] = []
    for frame in frames:
        if listener.owed:
            packets.append(bytes(listener.next_packet()))
        data = listener.step(frame)
        if data is not None:
            packets.append(bytes(data))
    while listener.owed:
        packets.append(bytes(listener.next_packet()))
    rows = [rtp.parse(memoryview(data)) for data in packets]
    return [row for row in rows if row is not None]


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 50, 60])
def test_packets_of_the_wished_length_hold_the_same_sound(ptime: int) -> None:
    rows = sent(ptime, list(range(START, START + 60)))
    assert {len(row.payload) for row in rows} == {ptime * 8}
    assert len(rows) == 60 * 20 // ptime
    sound = b"".join(bytes(row.payload) for row in rows)
    assert numbers_of(sound[at : at + 160] for at in range(0, len(sound), 160)) == list(range(60))
    for one, next_ in itertools.pairwise(rows):
        assert rtp.distance(next_.sequence, one.sequence, 16) == 1
        assert rtp.distance(next_.timestamp, one.timestamp, 32) == ptime * 8
    assert [row.marker for row in rows] == [True] + [False] * (len(rows) - 1)


@pytest.mark.parametrize("ptime", [10, 30, 60])
def test_after_frames_that_were_skipped_the_timestamp_tells_the_truth(ptime: int) -> None:
    steps = [*range(START, START + 30), *range(START + 40, START + 70)]
    rows = sent(ptime, steps)
    first = rows[0].timestamp
    for row in rows:
        at = rtp.distance(row.timestamp, first, 32) // 160
        sound = bytes(row.payload)
        whole = sound[-rtp.distance(row.timestamp, first, 32) % 160 :]
        numbers = numbers_of(whole[n : n + 160] for n in range(0, len(whole) - 159, 160))
        shift = 1 if rtp.distance(row.timestamp, first, 32) % 160 else 0
        assert numbers == list(range(at + shift, at + shift + len(numbers)))


def test_what_is_left_over_from_before_a_hole_is_given_up() -> None:
    packing = Packing(30)
    packing.add(7, bytes(160))
    assert not packing.full
    packing.add(9, b"\x01" * 160)
    packing.add(10, b"\x01" * 160)
    assert packing.take() == (9 * 160, b"\x01" * 240)
