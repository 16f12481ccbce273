"""What every media plane promises, shown on the real one and on its twin."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import pytest
from soundlink import Recorder, numbered, packet

from callcenter.errors import NoFreePort
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.fakes.media import FakeLeg, FakeMediaPlane, silence, tone
from callcenter.telephony.media.tones import Clip, ringback
from callcenter.telephony.ports import (
    Address,
    Codec,
    MediaDescription,
    MediaPlane,
    QualityMeter,
    RtpLeg,
)


class Stage(Protocol):
    """A plane and the way to speak into one of its legs."""

    plane: MediaPlane

    async def say(self, leg: RtpLeg, frames: int) -> None: ...
    async def press(self, leg: RtpLeg, key: str) -> None: ...
    def close(self) -> None: ...


class RealStage:
    def __init__(self) -> None:
        self._plane = BatchingMediaPlane((41000, 46999))
        self.plane: MediaPlane = self._plane
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    def _open(self, leg: RtpLeg) -> None:
        address = Address("127.0.0.1", self._socket.getsockname()[1])
        leg.connect(MediaDescription(address, Codec.PCMU, telephone_event=101))

    async def say(self, leg: RtpLeg, frames: int) -> None:
        self._open(leg)
        start = asyncio.get_running_loop().time()
        for n in range(frames):
            data = packet(n, n * 160, numbered(n))
            self._socket.sendto(data, (leg.local.host, leg.local.port))
            due = start + (n + 1) * 0.02
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        await asyncio.sleep(0.3)

    async def press(self, leg: RtpLeg, key: str) -> None:
        self._open(leg)
        event = bytes(["0123456789*#".index(key), 0x8A, 3, 192])
        for n in range(3):
            data = packet(n, 800, event, kind=101)
            self._socket.sendto(data, (leg.local.host, leg.local.port))

    def close(self) -> None:
        self._plane.close()
        self._socket.close()


class FakeStage:
    def __init__(self) -> None:
        self._fake = FakeMediaPlane()
        self.plane: MediaPlane = self._fake

    async def say(self, leg: RtpLeg, frames: int) -> None:
        assert isinstance(leg, FakeLeg)
        now = asyncio.get_running_loop().time()
        leg.speak(b"".join(numbered(n) for n in range(frames)), now)

    async def press(self, leg: RtpLeg, key: str) -> None:
        assert isinstance(leg, FakeLeg)
        leg.press(key)

    def close(self) -> None:
        pass


Script = Callable[[Stage], Coroutine[Any, Any, None]]


def perform(make: Callable[[], Stage], script: Script) -> None:
    async def call() -> None:
        stage = make()
        try:
            await script(stage)
        finally:
            stage.close()

    asyncio.run(call())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


both = pytest.mark.parametrize("make", [RealStage, FakeStage])


@both
def test_every_leg_has_an_even_port_of_its_own(make: Callable[[], Stage]) -> None:
    async def script(stage: Stage) -> None:
        legs = [stage.plane.open_rtp("127.0.0.1") for _ in range(3)]
        ports = [leg.local.port for leg in legs]
        assert len(set(ports)) == 3
        assert all(port % 2 == 0 for port in ports)
        assert {leg.local.host for leg in legs} == {"127.0.0.1"}
        for leg in legs:
            leg.close()
            leg.close()

    perform(make, script)


@both
def test_a_tap_gets_whole_frames_on_multiples_of_160_in_order(make: Callable[[], Stage]) -> None:
    async def script(stage: Stage) -> None:
        leg, sink = stage.plane.open_rtp("127.0.0.1"), Recorder()
        tap = stage.plane.tap(leg, sink, start=asyncio.get_running_loop().time())
        await stage.say(leg, 20)
        tap.close()
        tap.close()
        positions = [position for position, _, _ in sink.written]
        assert sink.numbers == list(range(20))
        assert positions == [positions[0] + n * 160 for n in range(20)]
        assert positions[0] % 160 == 0
        assert positions[0] >= 0
        await stage.say(leg, 3)
        assert len(sink.written) == 20

    perform(make, script)


@both
def test_a_replaced_sound_is_done(make: Callable[[], Stage]) -> None:
    async def script(stage: Stage) -> None:
        one, other = (stage.plane.open_rtp("127.0.0.1") for _ in range(2))
        for replace in (
            lambda: stage.plane.bridge(one, other),
            lambda: stage.plane.unbridge(one, other),
            lambda: stage.plane.silence(one),
            lambda: stage.plane.play(one, Clip(b"")),
            one.close,
        ):
            playing = stage.plane.play(one, ringback())
            replace()
            await asyncio.wait_for(playing, 5)

    perform(make, script)


@both
def test_a_key_is_told_once(make: Callable[[], Stage]) -> None:
    async def script(stage: Stage) -> None:
        leg, keys = stage.plane.open_rtp("127.0.0.1"), list[str]()
        stage.plane.on_digit(leg, keys.append)
        await stage.press(leg, "#")
        await until(lambda: bool(keys))
        assert keys == ["#"]

    perform(make, script)


@both
def test_a_measurement_counts_what_came(make: Callable[[], Stage]) -> None:
    async def script(stage: Stage) -> None:
        leg = stage.plane.open_rtp("127.0.0.1")
        meter = leg.measure()
        await stage.say(leg, 50)
        quality = meter.read()
        assert (quality.received, quality.lost, quality.codec) == (50, 0, "PCMU")
        assert quality.jitter_max_ms >= quality.jitter_ms >= 0

    perform(make, script)


@both
def test_a_leg_of_another_plane_is_refused(make: Callable[[], Stage]) -> None:
    class Stranger:
        name, codec, alive_at = "stranger", Codec.PCMU, 0.0

        def measure(self) -> QualityMeter:
            raise AssertionError

        def close(self) -> None:
            raise AssertionError

    async def script(stage: Stage) -> None:
        with pytest.raises(TypeError, match="no leg"):
            stage.plane.silence(Stranger())

    perform(make, script)


def test_the_twin_keeps_who_hears_whom_and_runs_out_of_ports() -> None:
    async def script() -> None:
        plane = FakeMediaPlane(ports=2)
        caller, agent = plane.open_rtp("127.0.0.1"), plane.leg()
        plane.bridge(caller, agent)
        assert (caller.hears, agent.hears) == (agent, caller)
        music = plane.play(caller, ringback())
        assert agent.hears is caller
        plane.finish_playing(caller)
        await asyncio.wait_for(music, 5)
        plane.open_rtp("127.0.0.1")
        with pytest.raises(NoFreePort):
            plane.open_rtp("127.0.0.1")
        caller.close()
        assert agent.hears is None
        plane.open_rtp("127.0.0.1")

    asyncio.run(script())


def test_the_twins_sounds_are_whole_frames() -> None:
    assert silence(0.1) == b"\xff" * 800
    assert len(tone(0.1, Codec.PCMA)) == 800
