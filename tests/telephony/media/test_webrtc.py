"""The browser's leg against a stock aiortc peer: the seam to aiortc's private names."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from fractions import Fraction
from typing import Any

import aiortc
import numpy as np
import pytest
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame
from soundlink import Recorder, numbered, numbers_of

from callcenter.errors import Invalid
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.webrtc import BrowserLegs
from callcenter.telephony.media import g711
from callcenter.telephony.media.tones import Clip
from callcenter.telephony.ports import Codec

AGENT = "0199aaaa-0000-7000-8000-000000000001"


class Numbers(MediaStreamTrack):
    """A microphone that says numbered frames."""

    kind = "audio"

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first
        self._index = 0
        self._start = 0.0

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._index * 0.02 - now))
        samples = g711.decode(numbered((self._first + self._index) % 4000), Codec.PCMU)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate = self._index * 160, 8000
        frame.time_base = Fraction(1, 8000)
        self._index += 1
        return frame


class Browser:
    """A stock aiortc peer in the browser's place."""

    def __init__(self, first: int = 0) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard: list[bytes] = []
        transceiver = self.peer.addTransceiver(Numbers(first), direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType == "audio/PCMU"])
        self.peer.on("track", self._on_track)
        self._listening: asyncio.Task[None] | None = None

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(aiortc.mediastreams.MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                mono = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.heard.append(g711.encode(mono))

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def connect(self, legs: BrowserLegs, agent: str = AGENT) -> str:
        sdp, kind = await legs.negotiate(agent, await self.offer(), "offer")
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        return sdp

    async def close(self) -> None:
        await self.peer.close()
        if self._listening:
            await self._listening


class Floor:
    """A plane and its browser legs; `changes` is what `on_change` told."""

    def __init__(self) -> None:
        self.plane = BatchingMediaPlane((41000, 46999))
        self.changes: list[tuple[str, bool]] = []
        self.legs = BrowserLegs(self.plane, on_change=lambda *change: self.changes.append(change))

    async def close(self) -> None:
        await self.legs.close()
        self.plane.close()


@contextlib.asynccontextmanager
async def floor() -> AsyncIterator[Floor]:
    there = Floor()
    try:
        yield there
    finally:
        await there.close()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    uvloop.run(work)


def test_the_seam_was_written_for_this_aiortc() -> None:
    assert aiortc.__version__ == "1.16.0"


def test_numbered_sound_goes_both_ways_without_being_decoded() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            assert there.changes == [(AGENT, True)]
            leg, sink = there.legs.leg_of(AGENT), Recorder()
            tap = there.plane.tap(leg, sink, start=asyncio.get_running_loop().time())
            there.plane.play(leg, Clip(b"".join(numbered(2000 + n) for n in range(50))))
            await until(lambda: len(sink.numbers) >= 50)
            await until(lambda: len(numbers_of(browser.heard)) >= 45)
            tap.close()
            await browser.close()
            said = sink.numbers
            assert said == list(range(said[0], said[0] + len(said)))
            heard = numbers_of(browser.heard)
            assert heard == sorted(set(heard))
            assert set(heard) <= set(range(2000, 2050))

    run(call())
