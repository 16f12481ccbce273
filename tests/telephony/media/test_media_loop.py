"""The media plane on real sockets of the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from soundlink import numbered, numbers_of, packet

from callcenter.telephony.adapters.media_loop import BatchingMediaPlane, SocketLeg
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Address, Codec, MediaDescription

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


def test_two_bridged_telephones_hear_every_frame_of_each_other_in_order() -> None:
    async def call() -> None:
        one, other = Phone(), Phone()
        async with plane_with(one, other) as (plane, (left, right)):
            plane.bridge(left, right)
            await asyncio.gather(one.say(left, 100), other.say(right, 100, first=1000))
        assert numbers_of(other.payloads) == list(range(100))
        assert numbers_of(one.payloads) == list(range(1000, 1100))

    run(call())


if __name__ == "__main__":
    test_two_bridged_telephones_hear_every_frame_of_each_other_in_order()
