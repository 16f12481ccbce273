"""Packets of many legs at once: bit for bit what they are one by one."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from soundlink import Recorder, numbered, packet

from callcenter.telephony.media.batch import MADE, Arrivals, Batch
from callcenter.telephony.media.leg import FEED_FRAMES, Leg
from callcenter.telephony.media.rows import COLUMNS, Row, Rows
from callcenter.telephony.ports import Codec

START = 1000
PAIRS = 12
Arriving = tuple[int, bytes, float]
"""To which leg, what, and when (frames)."""


class Floor:
    """Bridged legs, every party tapped."""

    def __init__(self) -> None:
        self.legs = [Leg(f"leg {number}") for number in range(2 * PAIRS)]
        self.sinks = [Recorder() for _ in self.legs]
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        for number, (leg, sink) in enumerate(zip(self.legs, self.sinks, strict=True)):
            leg.use_codec(Codec.PCMA if number % 5 == 0 else Codec.PCMU)
            leg.telephone_event = 101
            writer = leg._writer
            writer.ssrc, writer._sequence, writer._base = number, 65_500 + number, 2**32 - 100
            leg.advance(START)
            leg.add_tap(sink, START)

    def bridge(self) -> None:
        for one, other in zip(self.legs[::2], self.legs[1::2], strict=True):
            one.listen_to(other)
            other.listen_to(one)
        self.legs[4].use_ptime(30)
        self.legs[6].sends = False
        self.legs[8].listen_to(self.legs[0])  # heard by two, by one of them in the other law

    def state(self) -> list[dict[str, object]]:
        """All that is known of each leg, but for the indices of rows."""
        return [
            {
                name: getattr(leg.row.rows, name)[leg.row.index].tolist()
                for name in (*COLUMNS, "ring", "filled")
                if name not in ("hears", "alive")
            }
            for leg in self.legs
        ]


class OneByOne(Floor):
    """The loop in its simplest form."""

    def frame(self, frame: int, came: list[Arriving]) -> None:
        for leg in self.legs:
            leg.advance(frame)
        for number, data, moment in came:
            self.legs[number].receive(memoryview(data), int(moment * 160), moment * 160 + 0.5)
        for leg in self.legs:
            leg._stepped = frame
            if frame % FEED_FRAMES == 0:
                leg.attend(frame)
        for number, leg in enumerate(self.legs):
            if leg.owed:
                self.sent[number].append(bytes(leg.next_packet()))
            made = leg.packet(frame)
            if made is not None:
                self.sent[number].append(bytes(made))


class Together(Floor):
    """The same with all legs in one table, which grows meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(4)
        for leg in self.legs:
            leg.row.move(self.rows)
        self.batch = Batch(self.rows, self.legs)
        self.arrivals = Arrivals(self.rows, lambda: 0.0)

    def frame(self, frame: int, came: list[Arriving]) -> None:
        self.batch.advance(frame)
        for number, data, moment in came:
            leg = self.legs[number]
            self.arrivals.put(leg, memoryview(data), int(moment * 160), moment * 160 + 0.5)
        self.arrivals.settle()
        self.batch.step(frame)
        for number, leg in enumerate(self.legs):
            if leg.owed:
                self.sent[number].append(bytes(leg.next_packet()))
        for number, said in enumerate(self.batch.departures(frame).tolist()):
            made = self.batch.packets[number] if said == MADE else self.legs[number].packet(frame)
            if made is not None:
                self.sent[number].append(bytes(made))


def calls(frames: int, trouble: float, order: random.Random) -> dict[int, list[Arriving]]:
    """What each party says, by the frame in which it comes; `trouble`: how much goes wrong."""
    coming: dict[int, list[Arriving]] = defaultdict(list)
    for number in range(2 * PAIRS):
        law = Codec.PCMA if number % 5 == 0 else Codec.PCMU
        first, at = order.randrange(2**16), order.randrange(2**32)
        skew = order.uniform(-2e-3, 2e-3) if order.random() < trouble else 0.0
        for n in range(frames):
            if order.random() < trouble / 4:
                continue
            kind, sound = law.value, numbered(n)
            if order.random() < trouble / 40:
                kind, sound = order.choice([(101, b"\x05\x0a\x00\xa0"), (13, b"\x28"), (8, sound)])
            data = packet(first + n, at + n * 160, sound, kind=kind, ssrc=number + 1)
            late = order.expovariate(1.0) if order.random() < trouble else 0.3
            for _ in range(2 if order.random() < trouble / 10 else 1):
                moment = START + n * (1 + skew) + late
                coming[int(moment)].append((number, data, moment))
    return coming


@pytest.mark.parametrize("trouble", [0.0, 0.05, 0.6])
def test_many_legs_at_once_end_where_they_end_one_by_one(trouble: float) -> None:
    alone, together = OneByOne(), Together()
    floors: list[OneByOne | Together] = [alone, together]
    for floor in floors:
        floor.bridge()
    coming = calls(500, trouble, random.Random(11))
    for frame in range(START, START + 560):
        came = sorted(coming[frame], key=lambda one: one[2])
        for floor in floors:
            floor.frame(frame, came)
    assert together.sent == alone.sent
    assert [sink.written for sink in together.sinks] == [sink.written for sink in alone.sinks]
    assert together.state() == alone.state()
    assert sum(map(len, alone.sent.values())) > 500 * PAIRS


def test_the_usual_packets_really_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = Together()
    floor.bridge()
    slow: list[str] = []
    receive = Leg.receive

    def noted(leg: Leg, *given: object) -> bool:
        slow.append(leg.name)
        return receive(leg, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Leg, "receive", noted)
    coming = calls(200, 0.0, random.Random(3))
    for frame in range(START, START + 200):
        floor.frame(frame, coming[frame])
    assert len(slow) == 2 * PAIRS  # the first of each party


def test_a_leg_that_leaves_the_table_keeps_its_figures() -> None:
    rows = Rows(1)
    legs = [Leg("one"), Leg("other")]
    for number, leg in enumerate(legs):
        leg.row.move(rows)
        leg.reception.received = 7 + number
    legs[0].row.move(Rows())
    newcomer = Row()
    newcomer.move(rows)
    assert newcomer.index == 0
    assert rows.received[0] == 0
    assert [leg.reception.received for leg in legs] == [7, 8]
