"""The media plane on real sockets of the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from soundlink import Recorder, numbered, numbers_of, packet

from callcenter.errors import NoFreePort
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane, SocketLeg
from callcenter.telephony.adapters.rtp_ports import COOL_SECONDS, PortPool
from callcenter.telephony.adapters.srtp import Srtp
from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.tones import Clip, ringback
from callcenter.telephony.ports import (
    FRAME_SECONDS,
    Address,
    Codec,
    Direction,
    MediaDescription,
    SrtpKeys,
    Suite,
)

pytestmark = pytest.mark.integration  # real sockets, models or processes, in real time

HOST = "127.0.0.1"
PORTS = (41000, 46999)


class Phone:
    """A telephone's media end: sends numbered frames on its own clock, keeps what it hears."""

    def __init__(self, codec: Codec = Codec.PCMU) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.setblocking(False)
        self.codec = codec
        self.heard: list[bytes] = []
        self._first = self.socket.getsockname()[1]

    def description(self, **more: Any) -> MediaDescription:
        address = Address(HOST, self.socket.getsockname()[1])
        return MediaDescription(address, self.codec, telephone_event=101, **more)

    def send(self, leg: SocketLeg, data: bytes) -> None:
        self.socket.sendto(data, (HOST, leg.local.port))

    def listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(2048))

    async def say(self, leg: SocketLeg, count: int, first: int = 0, lead: int = 0) -> None:
        """`count` numbered frames, 20 ms apart, then listen until the line is quiet."""
        start = asyncio.get_running_loop().time()
        for index in range(count):
            payload = g711.convert(numbered(first + index), Codec.PCMU, self.codec)
            data = packet(index + lead, (index + lead) * 160, payload, kind=self.codec.value)
            self.send(leg, data)
            self.listen()
            due = start + (index + 1) * 0.02
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        for _ in range(20):
            await asyncio.sleep(0.02)
            self.listen()

    def close(self) -> None:
        self.socket.close()

    @property
    def payloads(self) -> list[bytes]:
        return [g711.convert(data[12:], self.codec, Codec.PCMU) for data in self.heard]


@contextlib.asynccontextmanager
async def plane_with(*phones: Phone) -> AsyncIterator[tuple[BatchingMediaPlane, list[SocketLeg]]]:
    plane = BatchingMediaPlane(PORTS)
    legs = [plane.open_rtp(HOST) for _ in phones]
    for leg, phone in zip(legs, phones, strict=True):
        leg.connect(phone.description())
    try:
        yield plane, legs
    finally:
        plane.close()
        for phone in phones:
            phone.close()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_two_bridged_telephones_hear_each_other_in_order() -> None:
    """Every frame where the machine lets them: phones and plane share one loop here."""

    async def call() -> None:
        one, other = Phone(), Phone()
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            await asyncio.gather(one.say(left, 100), other.say(right, 100, first=1000))
            stalled = plane.skipped_frames > 0
        for heard, first in ((other, 0), (one, 1000)):
            numbers = numbers_of(heard.payloads)
            assert numbers == sorted(set(numbers))
            assert set(numbers) <= set(range(first, first + 100))
            assert len(numbers) >= (20 if stalled else 60)

    run(call())


def test_laws_are_converted_where_two_bridged_telephones_differ() -> None:
    async def call() -> None:
        one, other = Phone(Codec.PCMU), Phone(Codec.PCMA)
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            await one.say(left, 50)
            other.listen()
        said = [g711.convert(numbered(n), Codec.PCMU, Codec.PCMA) for n in range(50)]
        heard = [data[12:] for data in other.heard if data[12:] in said]
        assert heard == [one for one in said if one in heard]
        assert len(heard) >= 25  # a machine that stands still makes some come too late
        assert {data[1] & 0x7F for data in other.heard} == {8}

    run(call())


def test_both_sides_are_recorded_aligned_with_one_start() -> None:
    async def call() -> None:
        one, other = Phone(), Phone()
        left_said, right_said = Recorder(), Recorder()
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            # `start` counts to the nearest 20 ms: the first packet may lie before it.
            start = asyncio.get_running_loop().time() - FRAME_SECONDS
            taps = [
                plane.tap(left, left_said, start=start),
                plane.tap(right, right_said, start=start),
            ]
            await asyncio.gather(one.say(left, 80), other.say(right, 80))
            for tap in taps:
                tap.close()
                tap.close()
        assert left_said.numbers == right_said.numbers == list(range(80))
        first = {sink: sink.written[0][0] for sink in (left_said, right_said)}
        assert abs(first[left_said] - first[right_said]) <= 2 * 160

    run(call())


def test_the_stream_a_telephone_gets_has_no_seam_over_every_change_of_source() -> None:
    async def call() -> None:
        one, other = Phone(), Phone()
        async with plane_with(one, other) as (plane, (left, right)):
            plane.play(left, ringback())
            await one.say(left, 10)
            plane.bridge(left, right)
            await one.say(left, 10, lead=10)
            plane.silence(left)
            await one.say(left, 10, lead=20)
            skipped = plane.skipped_frames
        heads = [rtp.parse(memoryview(data)) for data in one.heard]
        rows = [head for head in heads if head is not None]
        assert len(rows) > 80
        assert rows[0].marker
        assert {head.ssrc for head in rows} == {rows[0].ssrc}
        steps = [
            (rtp.distance(b.sequence, a.sequence, 16), rtp.distance(b.timestamp, a.timestamp, 32))
            for a, b in itertools.pairwise(rows)
        ]
        assert {sequence for sequence, _ in steps} == {1}
        assert {timestamp for _, timestamp in steps} == {160} or skipped

    run(call())


def test_a_sound_is_played_once_from_its_beginning_and_its_end_is_told() -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (plane, (leg,)):
            done = plane.play(leg, Clip(b"".join(numbered(n) for n in range(30))))
            await asyncio.wait_for(done, 20)
            for _ in range(10):
                await asyncio.sleep(0.02)
                one.listen()
        assert numbers_of(one.payloads) == list(range(30))

    run(call())


def test_a_sound_that_is_replaced_is_done() -> None:
    async def call() -> None:
        one, other = Phone(), Phone()
        async with plane_with(one, other) as (plane, (left, right)):
            first = plane.play(left, ringback())
            second = plane.play(left, ringback())
            await asyncio.wait_for(first, 10)
            plane.bridge(left, right)
            await asyncio.wait_for(second, 10)
            third = plane.play(right, ringback())
            right.close()
            await asyncio.wait_for(third, 10)
            await asyncio.wait_for(plane.play(right, ringback()), 10)

    run(call())


def test_a_third_party_hears_silence_when_its_partner_is_bridged_away() -> None:
    async def call() -> None:
        phones = [Phone(), Phone(), Phone()]
        async with plane_with(*phones) as (plane, (customer, first, second)):
            plane.bridge(customer, first)
            plane.bridge(customer, second)
            await phones[0].say(customer, 30)
            phones[1].listen()
            phones[2].listen()
        assert numbers_of(phones[1].payloads) == []
        assert numbers_of(phones[2].payloads) == list(range(30))

    run(call())


def test_a_telephone_on_hold_gets_no_packets_and_its_stream_goes_on_afterwards() -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (_, (leg,)):
            await one.say(leg, 5)
            leg.connect(one.description(direction=Direction.SENDONLY))
            await asyncio.sleep(0.06)
            one.listen()
            before = len(one.heard)
            await asyncio.sleep(0.3)
            one.listen()
            assert len(one.heard) == before
            leg.connect(one.description())

            def more() -> bool:
                one.listen()
                return len(one.heard) > before + 3

            await until(more)
        first, last = (rtp.parse(memoryview(one.heard[at])) for at in (before - 1, before))
        assert first is not None
        assert last is not None
        assert rtp.distance(last.sequence, first.sequence, 16) == 1
        assert rtp.distance(last.timestamp, first.timestamp, 32) >= 160 * 15
        assert last.marker

    run(call())


def test_a_stranger_is_not_heard_once_the_telephone_was() -> None:
    async def call() -> None:
        one, other, stranger = Phone(), Phone(), Phone()
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            sink = Recorder()
            plane.tap(left, sink, start=asyncio.get_running_loop().time())
            await asyncio.gather(one.say(left, 60), _intrude(stranger, left))
            other.listen()
        assert sink.numbers == list(range(60))
        assert not [number for number in numbers_of(other.payloads) if number >= 2000]
        assert stranger.heard == []
        stranger.close()

    async def _intrude(stranger: Phone, leg: SocketLeg) -> None:
        await asyncio.sleep(0.2)
        await stranger.say(leg, 50, first=2000)

    run(call())


def test_sound_goes_to_where_it_comes_from_when_that_is_not_the_sdps_address() -> None:
    async def call() -> None:
        one, behind_nat = Phone(), Phone()
        async with plane_with(one) as (plane, (leg,)):
            plane.play(leg, Clip(b"".join(numbered(n) for n in range(100))))
            await behind_nat.say(leg, 20)
        assert numbers_of(behind_nat.payloads)
        behind_nat.close()

    run(call())


@pytest.mark.parametrize("suite", list(Suite))
def test_protected_sound_goes_both_ways_and_forged_sound_nowhere(suite: Suite) -> None:
    async def call() -> None:
        one, other, stranger = Phone(), Phone(), Phone()
        ours, theirs = (secrets.token_bytes(suite.key_bytes) for _ in range(2))
        phone = Srtp(SrtpKeys(suite, theirs, ours))
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            left.connect(one.description(srtp=SrtpKeys(suite, ours, theirs)))
            start = asyncio.get_running_loop().time()
            for index in range(50):
                plain = packet(index, index * 160, numbered(index))
                protected = phone.protect(plain)
                assert protected is not None
                for sender, data in ((stranger, plain), (one, protected), (one, plain)):
                    sender.send(left, data)
                other.send(right, packet(index, index * 160, numbered(1000 + index)))
                await asyncio.sleep(max(0.0, start + index * 0.02 - time.monotonic()))
                one.listen()
                other.listen()
            for _ in range(20):
                await asyncio.sleep(0.02)
                one.listen()
                other.listen()
        assert len(numbers_of(other.payloads)) > 10
        assert set(numbers_of(other.payloads)) <= set(range(50))
        read = [phone.unprotect(memoryview(data)) for data in one.heard]
        heard = numbers_of(bytes(data[12:]) for data in read if data is not None)
        assert len(heard) > 10
        assert set(heard) <= set(range(1000, 1050))
        assert stranger.heard == []
        stranger.close()

    run(call())


@pytest.mark.parametrize("ptime", [10, 30, 60])
def test_a_telephone_gets_packets_of_the_length_it_wishes(ptime: int) -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (plane, (leg,)):
            leg.connect(one.description(ptime=ptime))
            done = plane.play(leg, Clip(b"".join(numbered(n) for n in range(60))))
            await asyncio.wait_for(done, 20)

            def all_there() -> bool:
                one.listen()
                return sum(map(len, one.payloads)) >= 60 * 160

            await until(all_there)
        assert {len(payload) for payload in one.payloads} == {ptime * 8}

    run(call())


def test_digits_reach_their_handler_once_each() -> None:
    async def call() -> None:
        one = Phone()
        digits: list[str] = []
        async with plane_with(one) as (plane, (leg,)):
            plane.on_digit(leg, digits.append)
            for at, key in enumerate((1, 2, 11)):
                for n in range(4):
                    event = bytes([key, 0x8A if n == 3 else 0x0A, 0, 160 * (n + 1) % 256])
                    one.send(leg, packet(at * 4 + n, 8000 * at, event, kind=101))
            await until(lambda: len(digits) >= 3)
            assert digits == ["1", "2", "#"]

    run(call())


def test_a_leg_says_when_its_party_was_last_heard() -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (_, (leg,)):
            opened = leg.alive_at
            await asyncio.sleep(0.1)
            assert leg.alive_at == opened
            one.send(leg, b"not RTP at all")
            one.send(leg, packet(1, 160, numbered(1)))
            await until(lambda: leg.alive_at > opened)

    run(call())


def test_ports_are_even_and_come_back_and_run_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        middle = probe.getsockname()[1] & ~1
    now = [0.0]
    pool = PortPool(middle - 5, middle + 5, clock=lambda: now[0])
    taken: list[tuple[socket.socket, socket.socket]] = []

    def take_all() -> None:
        while True:
            taken.append(pool.bind(HOST))

    with pytest.raises(NoFreePort, match="rtp_ports"):
        take_all()
    ports = [sock.getsockname()[1] for sock, _ in taken]
    assert [rtcp.getsockname()[1] for _, rtcp in taken] == [port + 1 for port in ports]
    assert ports
    assert all(port % 2 == 0 and middle - 5 <= port <= middle + 5 for port in ports)
    assert len(ports) == len(set(ports))
    assert pool.used() == pool.size
    for sock in taken[0]:
        sock.close()
    pool.give_back(ports[0])
    with pytest.raises(NoFreePort):
        pool.bind(HOST)  # late packets of its call may still come
    now[0] += COOL_SECONDS
    again, rtcp = pool.bind(HOST)
    assert again.getsockname()[1] == ports[0]
    for sock in (again, rtcp, *itertools.chain(*taken[1:])):
        sock.close()


def test_a_port_that_somebody_else_has_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        port = other.getsockname()[1] & ~1
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as even:
            even.bind((HOST, port))
            with pytest.raises(NoFreePort):
                PortPool(port, port).bind(HOST)


def test_a_process_that_stood_still_catches_up_without_a_burst() -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (plane, (leg,)):
            plane.play(leg, ringback())
            await one.say(leg, 5)
            before = len(one.heard)
            time.sleep(0.5)  # noqa: ASYNC251 - the process stands still, that is the test
            await asyncio.sleep(0.015)
            one.listen()
            assert len(one.heard) - before <= 10
            assert plane.skipped_frames >= 15
            after = rtp.parse(memoryview(one.heard[-1]))
            then = rtp.parse(memoryview(one.heard[before - 1]))
            assert after is not None
            assert then is not None
            assert rtp.distance(after.timestamp, then.timestamp, 32) >= 160 * 20

    run(call())


def test_the_loop_sleeps_without_legs_and_wakes_with_the_next() -> None:
    async def call() -> None:
        one = Phone()
        async with plane_with(one) as (plane, (leg,)):
            leg.close()
            leg.close()
            await asyncio.sleep(0.1)
            again = plane.open_rtp(HOST)
            again.connect(one.description())
            plane.play(again, Clip(numbered(7)))

            def heard() -> bool:
                one.listen()
                return 7 in numbers_of(one.payloads)

            await until(heard)

    run(call())


def test_twenty_calls_at_once_are_whole() -> None:
    async def call() -> None:
        phones = [Phone() for _ in range(40)]
        async with plane_with(*phones) as (plane, legs):
            recorders = [Recorder() for _ in legs]
            start = asyncio.get_running_loop().time() - FRAME_SECONDS
            for leg, recorder in zip(legs, recorders, strict=True):
                plane.tap(leg, recorder, start=start)
            for one, other in zip(legs[::2], legs[1::2], strict=True):
                plane.bridge(one, other)
            await asyncio.gather(
                *(phone.say(leg, 60) for phone, leg in zip(phones, legs, strict=True))
            )
            await until(lambda: all(len(set(one.numbers)) == 60 for one in recorders))
        # What is recorded is whole whatever the machine does meanwhile; what is heard may be
        # skipped while the process stands still (plane.skipped_frames), but never for long.
        heard = [len(set(numbers_of(phone.payloads))) for phone in phones]
        assert min(heard) >= 15

    uvloop.run(call())
