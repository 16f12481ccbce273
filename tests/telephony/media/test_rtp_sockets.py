"""Sockets read and written in compiled code do what the standard library does."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from soundlink import Recorder, numbered, packet

from callcenter.telephony.adapters import rtp_sockets
from callcenter.telephony.adapters.rtp_sockets import (
    CompiledSockets,
    Datagram,
    PlainSockets,
    RtpSockets,
    packed,
    unpacked,
)
from callcenter.telephony.media.batch import LEFT, MADE, NOBODY, Arrivals, Batch
from callcenter.telephony.media.latch import Source
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.rows import COLUMNS, Rows

START = 1000
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
needs_linux = pytest.mark.skipif(not rtp_sockets.LINUX, reason="epoll and recvmsg(2) are Linux's")


def udp(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


@dataclass
class Line:
    """A leg on a socket, its telephone, and what was handed on as unusual."""

    leg: Leg
    ours: socket.socket
    phone: socket.socket
    sink: Recorder = field(default_factory=Recorder)
    number: int = NOBODY
    unusual: list[tuple[bytes, Source, int]] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    def take(self, datagram: Datagram) -> None:
        self.unusual.append((bytes(datagram.data), datagram.source, datagram.arrival))
        self.moments.append(datagram.moment)
        self.leg.receive(datagram.data, datagram.arrival)

    def say(self, data: bytes) -> None:
        self.phone.sendto(data, self.ours.getsockname())


class World:
    """Legs in one table, read by one of the two."""

    def __init__(self, make: Callable[[Rows, Arrivals], RtpSockets], host: str, count: int) -> None:
        self.rows = Rows(2)
        self.now = time.monotonic()
        self.epoch = self.now - START * 0.02
        self.arrivals = Arrivals(self.rows, lambda: self.now)
        self.sockets = make(self.rows, self.arrivals)
        self.lines = [self._line(host, number) for number in range(count)]
        for line in self.lines:
            line.number = self.sockets.add(line.ours, line.take, line.leg)
            self.sockets.aim(line.number, line.phone.getsockname(), trusted=True)
        self.batch = Batch(self.rows, [line.leg for line in self.lines])

    def _line(self, host: str, number: int) -> Line:
        line = Line(Leg(f"leg {number}"), udp(host), udp(host))
        line.leg._writer.ssrc = line.leg._writer._sequence = line.leg._writer._base = number
        line.leg.row.move(self.rows)
        line.leg.advance(START)
        line.leg.add_tap(line.sink, START)
        return line

    def look(self, frame: int) -> int:
        """Read until nothing comes; how many looks had something."""
        looks = 0
        self.now = self.epoch + frame * 0.02
        arrival = frame * 160 + 8
        while self.sockets.receive(self.now, self.epoch, arrival):
            self.arrivals.settle()
            looks += 1
        return looks

    def state(self) -> list[dict[str, object]]:
        """Of each leg; but for how precisely the moment of its packets was known."""
        return [
            {
                name: getattr(line.leg.row.rows, name)[line.leg.row.index].tolist()
                for name in (*COLUMNS, "ring", "filled")
                if name not in ("hears", "alive", "transit", "jitter", "jitter_most")
            }
            for line in self.lines
        ]

    def close(self) -> None:
        for line in self.lines:
            if line.number != NOBODY:
                self.sockets.remove(line.number)
            line.ours.close()
            line.phone.close()
        self.sockets.close()


def plain(rows: Rows, arrivals: Arrivals) -> RtpSockets:
    return PlainSockets(rows, arrivals)


def compiled(rows: Rows, arrivals: Arrivals) -> RtpSockets:
    return CompiledSockets(rows)


BOTH = pytest.mark.parametrize(
    "make", [plain, pytest.param(compiled, marks=needs_linux)], ids=["plain", "compiled"]
)


@pytest.fixture
def new_world(request: pytest.FixtureRequest) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def build(make: Callable[[Rows, Arrivals], RtpSockets], host: str, count: int = 3) -> World:
        made.append(World(make, host, count))
        return made[-1]

    yield build
    for one in made:
        one.close()


@BOTH
@HOSTS
def test_what_is_usual_is_placed_and_what_is_not_is_handed_on_with_its_source(
    new_world: Callable[..., World], make: Callable[[Rows, Arrivals], RtpSockets], host: str
) -> None:
    here = new_world(make, host)
    first, second, third = here.lines
    stranger = udp(host)
    for n in range(4):
        first.say(packet(n, n * 160, numbered(n)))
        if n == 2:
            stranger.sendto(packet(n, n * 160, numbered(9)), second.ours.getsockname())
        second.say(packet(n, n * 160, numbered(n)[:80]))
        assert here.look(START + n) == (2 if n == 2 else 1)
    third.say(b"\x80")
    third.say(b"")
    here.look(START + 4)
    stranger_at = stranger.getsockname()
    stranger.close()
    at = [(START + n) * 160 + 8 for n in range(5)]
    assert first.unusual[1:] == []  # the first has no anchor yet: its leg sees to it
    assert [len(data) for data, _, _ in second.unusual] == [92, 92, 172, 92, 92]
    assert [source for _, source, _ in second.unusual].count(stranger_at) == 1
    assert {source for _, source, _ in third.unusual} == {third.phone.getsockname()}
    assert [(data, arrival) for data, _, arrival in third.unusual] == [
        (b"\x80", at[4]),
        (b"", at[4]),
    ]
    here.batch.step(START + 4)
    here.batch.advance(START + 9)
    here.batch.step(START + 10)
    assert first.sink.numbers == [0, 1, 2, 3]
    assert first.leg.reception.received == 4


@needs_linux
@HOSTS
def test_both_leave_the_same_behind(new_world: Callable[..., World], host: str) -> None:
    both = [new_world(make, host, 70) for make in (plain, compiled)]
    for one in both:
        for line, other in zip(one.lines[::2], one.lines[1::2], strict=True):
            line.leg.listen_to(other.leg)
            other.leg.listen_to(line.leg)
    for frame in range(START, START + 30):
        for one in both:
            one.batch.advance(frame)
            for number, line in enumerate(one.lines):
                n = frame - START
                if (number + n) % 11 == 3:
                    continue  # lost
                line.say(packet(n, n * 160, numbered(n), ssrc=number + 1))
                if (number + n) % 13 == 5:
                    line.say(packet(n, n * 160, numbered(n), ssrc=number + 1))  # again
            one.look(frame)
            one.batch.step(frame)
            said = one.batch.departures(frame)
            for at in np.flatnonzero(said == LEFT).tolist():
                one.batch.legs[at].packet(frame)
    assert both[0].state() == both[1].state()
    for line, other in zip(both[0].lines, both[1].lines, strict=True):
        assert line.sink.written == other.sink.written
        assert len(other.unusual) < 30
    assert sum(len(line.sink.numbers) for line in both[1].lines) > 70 * 15


@needs_linux
@HOSTS
def test_what_was_made_is_sent_from_the_leg_s_own_socket_to_where_it_is_aimed(
    new_world: Callable[..., World], host: str
) -> None:
    here = new_world(compiled, host, 4)
    one, other, silent, unaimed = here.lines
    one.leg.listen_to(other.leg)
    silent.leg.listen_to(one.leg)
    unaimed.leg.listen_to(other.leg)
    here.sockets.aim(unaimed.number, None, trusted=False)
    for n in range(6):
        other.say(packet(n, n * 160, numbered(n)))
        here.batch.advance(START + n)
        here.look(START + n)
    numbers = np.array([line.number for line in here.lines])
    said = here.batch.departures(START + 3)
    assert said.tolist() == [MADE, LEFT, LEFT, MADE]
    here.sockets.send(numbers, said, here.batch.packets)
    assert said.tolist() == [NOBODY, LEFT, LEFT, MADE]  # nobody knows where the last one is
    data, source = one.phone.recvfrom(2048)
    assert data == packet(0, START * 160 + 3 * 160, numbered(0), ssrc=0, marker=True)
    assert source == one.ours.getsockname()
    assert bytes(here.batch.views[3])[12:] == numbered(0)
    with pytest.raises(BlockingIOError):
        unaimed.phone.recvfrom(2048)
    here.sockets.aim(one.number, silent.phone.getsockname(), trusted=True)  # it moved
    said = here.batch.departures(START + 4)
    here.sockets.send(numbers, said, here.batch.packets)
    assert silent.phone.recvfrom(2048)[0][12:] == numbered(1)


@needs_linux
def test_the_kernel_s_stamp_says_when_a_datagram_came(new_world: Callable[..., World]) -> None:
    here = new_world(compiled, "127.0.0.1", 1)
    line = here.lines[0]
    here.sockets.receive(time.monotonic(), here.epoch, 0)
    before = time.monotonic()
    line.say(b"one")
    after = time.monotonic()
    select.select([line.ours], [], [], 10)
    time.sleep(0.2)
    assert here.sockets.receive(time.monotonic(), here.epoch, 0)
    assert before - 0.05 < line.moments[0] < after + 0.05
    line.say(b"two")
    select.select([line.ours], [], [], 10)
    # the time of day was set: nothing is known, so it came now
    assert here.sockets.receive(5.0, here.epoch, 0)
    assert line.moments[1] == pytest.approx(5.0, abs=1.0)


@BOTH
def test_rtcp_on_the_port_of_the_sound_is_handed_on_whatever_its_length(
    new_world: Callable[..., World], make: Callable[[Rows, Arrivals], RtpSockets]
) -> None:
    """RFC 5761: also a compound as long as a packet of sound."""
    here = new_world(make, "127.0.0.1", 1)
    line = here.lines[0]
    for n in range(2):
        line.say(packet(n, n * 160, numbered(n)))
        here.look(START + n)
    compound = b"\x80\xc9\x00\x2a" + bytes(168)
    line.say(compound)
    here.look(START + 2)
    assert line.unusual[-1][0] == compound
    assert line.leg.reception.received == 2


@BOTH
def test_what_breaks_one_leg_costs_the_others_nothing(
    new_world: Callable[..., World], make: Callable[[Rows, Arrivals], RtpSockets]
) -> None:
    here = new_world(make, "127.0.0.1", 3)

    def fail(datagram: Datagram) -> None:
        raise RuntimeError("what was that?")

    broken = here.lines[1]
    here.sockets.remove(broken.number)
    broken.number = here.sockets.add(broken.ours, fail, broken.leg)
    for n in range(3):
        for line in here.lines:
            line.say(packet(n, n * 160, numbered(n)))
        assert here.look(START + n) == 1
    assert [line.leg.reception.received for line in here.lines] == [3, 0, 3]


@BOTH
def test_a_socket_may_be_removed_by_what_came_in_the_same_look(
    new_world: Callable[..., World], make: Callable[[Rows, Arrivals], RtpSockets]
) -> None:
    here = new_world(make, "127.0.0.1", 2)
    one, other = here.lines

    def hang_up(datagram: Datagram) -> None:
        for line in here.lines:
            here.sockets.remove(line.number)
            line.number = NOBODY

    rtcp = udp("127.0.0.1")
    here.sockets.remove(one.number)
    one.number = here.sockets.add(one.ours, hang_up)
    one.say(b"bye")
    here.look(START)
    other.say(b"to nobody")
    assert here.look(START + 1) == 0
    assert not other.unusual
    number = here.sockets.add(rtcp, one.take)  # the number may be used again
    one.phone.sendto(b"report", rtcp.getsockname())
    assert here.look(START + 2) == 1
    assert [data for data, _, _ in one.unusual] == [b"report"]
    here.sockets.remove(number)
    rtcp.close()


@needs_linux
def test_a_port_that_nobody_has_breaks_nothing(new_world: Callable[..., World]) -> None:
    here = new_world(compiled, "127.0.0.1", 2)
    one, other = here.lines
    gone = udp("127.0.0.1")
    here.sockets.aim(one.number, gone.getsockname(), trusted=True)
    gone.close()
    one.leg.listen_to(other.leg)
    numbers = np.array([line.number for line in here.lines])
    for n in range(8):
        other.say(packet(n, n * 160, numbered(n)))
        here.batch.advance(START + n)
        here.look(START + n)
        said = here.batch.departures(START + n)
        here.sockets.send(numbers, said, here.batch.packets)
    assert one.leg._writer.packets >= 5
    assert not one.unusual


@needs_linux
def test_more_sockets_than_there_was_room_for(new_world: Callable[..., World]) -> None:
    here = new_world(compiled, "127.0.0.1", 150)
    for line in here.lines:
        line.say(b"hello")
    assert here.look(START) == 1
    assert [data for line in here.lines for data, _, _ in line.unusual] == [b"hello"] * 150


@pytest.mark.parametrize(
    "source", [("192.0.2.7", 40_000), ("2001:db8::7", 40_000, 0, 0), ("fe80::1", 9, 5, 3)]
)
def test_addresses_there_and_back(source: Source) -> None:
    assert unpacked(packed(source)) == source


def test_an_address_of_an_sdp_has_two_parts_also_in_ipv6() -> None:
    assert unpacked(packed(("::1", 4000))) == ("::1", 4000, 0, 0)


@needs_linux
def test_a_name_is_left_to_the_carrier(new_world: Callable[..., World]) -> None:
    here = new_world(compiled, "127.0.0.1", 1)
    line = here.lines[0]
    here.sockets.aim(line.number, ("media.example", 4000), trusted=True)
    line.say(packet(0, 0, numbered(0)))
    here.look(START)
    assert len(line.unusual) == 1
    said = np.array([MADE])
    here.sockets.send(np.array([line.number]), said, here.batch.packets)
    assert said.tolist() == [MADE]
