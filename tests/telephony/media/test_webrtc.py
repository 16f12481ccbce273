"""The browser's leg against a stock aiortc peer: the seam to aiortc's private names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
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
from numpy.typing import NDArray
from soundlink import Recorder, numbered, numbers_of, packet

from callcenter.config import Settings
from callcenter.errors import Conflict, Invalid
from callcenter.telephony.adapters.browser_sdp import Offer
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane, Packet
from callcenter.telephony.adapters.webrtc import BrowserLeg, BrowserLegs, _Link
from callcenter.telephony.media import g711, rtcp
from callcenter.telephony.media.rtp import distance
from callcenter.telephony.media.tones import Clip
from callcenter.telephony.ports import Address, BrowserCodec, Codec, MediaDescription

pytestmark = pytest.mark.integration  # real sockets, models or processes, in real time

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


class Tone(MediaStreamTrack):
    """A microphone in which a tone sounds: 48 kHz, stereo (aiortc makes mono 3 dB quieter)."""

    kind = "audio"

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz = hertz
        self._index = 0
        self._start = 0.0

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._index * 0.02 - now))
        moment = (np.arange(960) + self._index * 960) / 48_000
        samples = (8000 * np.sin(2 * np.pi * self._hertz * moment)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.repeat(2)[None, :], "s16", "stereo")
        frame.pts, frame.sample_rate = self._index * 960, 48_000
        frame.time_base = Fraction(1, 48_000)
        self._index += 1
        return frame


class Sounds:
    """A tap's sink that keeps the sound, each piece at its place."""

    def __init__(self) -> None:
        self.sound = bytearray()

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        assert codec is Codec.PCMU
        self.sound += b"\xff" * (position + len(payload) - len(self.sound))
        self.sound[position : position + len(payload)] = payload


class Browser:
    """A stock aiortc peer in the browser's place, which offers these codecs in this order."""

    def __init__(
        self,
        first: int = 0,
        *,
        says: MediaStreamTrack | None = None,
        codecs: tuple[str, ...] = ("audio/PCMU",),
    ) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard: list[bytes] = []
        self.linear: list[NDArray[np.int16]] = []
        transceiver = self.peer.addTransceiver(says or Numbers(first), direction="sendrecv")
        known = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([c for name in codecs for c in known if c.mimeType == name])
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
                self.linear.append(mono.astype(np.int16))
                self.heard.append(g711.encode(self.linear[-1]))

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def connect(self, legs: BrowserLegs, agent: str = AGENT) -> str:
        sdp = await legs.negotiate(agent, await self.offer(), "offer")
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
        return sdp

    async def close(self) -> None:
        await self.peer.close()
        if self._listening:
            await self._listening


class PhoneEnd:
    """A telephone at the other end of the bridge: says numbered frames, keeps what it hears."""

    def __init__(self, plane: BatchingMediaPlane, codec: Codec = Codec.PCMU) -> None:
        self.leg = plane.open_rtp("127.0.0.1")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._codec = codec
        self._index = 0
        self.heard: list[bytes] = []
        port = self._socket.getsockname()[1]
        self.leg.connect(MediaDescription(Address("127.0.0.1", port), codec))
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        start = asyncio.get_running_loop().time()
        while True:
            payload = g711.convert(numbered(self._index % 1000 + 3000), Codec.PCMU, self._codec)
            data = packet(self._index, self._index * 160, payload, kind=self._codec.value)
            self._socket.sendto(data, ("127.0.0.1", self.leg.local.port))
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.heard.append(self._socket.recv(2048)[12:])
            self._index += 1
            due = start + self._index * 0.02
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    @property
    def numbers(self) -> list[int]:
        return numbers_of(self.heard)

    def close(self) -> None:
        self._task.cancel()
        self._socket.close()
        self.leg.close()


class Floor:
    """A plane and its browser legs; `changes` is what `on_change` told."""

    def __init__(self, codecs: tuple[BrowserCodec, ...]) -> None:
        self.plane = BatchingMediaPlane((41000, 46999))
        self.changes: list[tuple[str, bool]] = []
        self.legs = BrowserLegs(self.plane, codecs)
        self.legs.on_change(lambda *change: self.changes.append(change))

    def leg(self) -> BrowserLeg:
        leg = self.legs.leg(AGENT)
        assert leg is not None
        return leg

    async def close(self) -> None:
        await self.legs.stop()
        self.plane.close()


@contextlib.asynccontextmanager
async def floor(*codecs: BrowserCodec) -> AsyncIterator[Floor]:
    there = Floor(codecs or tuple(Settings().browser.codecs))
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
            leg, sink = there.leg(), Recorder()
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


def test_a_bridge_goes_on_when_the_page_is_loaded_again() -> None:
    async def call() -> None:
        async with floor() as there:
            first = Browser()
            await first.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            leg, phone = there.leg(), PhoneEnd(there.plane)
            there.plane.bridge(leg, phone.leg)
            await until(lambda: len(phone.numbers) > 20)
            second = Browser(first=2000)
            begun = asyncio.get_running_loop().time()
            await second.connect(there.legs)
            await until(lambda: any(number >= 2000 for number in phone.numbers))
            assert asyncio.get_running_loop().time() - begun < 3
            await until(lambda: len(numbers_of(second.heard)) > 20)
            assert there.leg() is leg
            assert there.changes == [(AGENT, True)]
            heard_before = len(numbers_of(first.heard))
            await until(lambda: len(numbers_of(second.heard)) > 50)
            assert len(numbers_of(first.heard)) <= heard_before + 5
            await first.close()
            await second.close()
            phone.close()

    run(call())


def test_an_a_law_telephone_and_a_browser_hear_each_other() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            phone = PhoneEnd(there.plane, Codec.PCMA)
            there.plane.bridge(there.leg(), phone.leg)
            await until(lambda: len(phone.heard) > 30 and len(browser.heard) > 30)
            loud = g711.decode(phone.heard[-1], Codec.PCMA)
            assert np.abs(loud.astype(int)).max() > 20000
            await until(lambda: np.abs(g711.decode(browser.heard[-1], Codec.PCMU)).max() > 20000)
            await browser.close()
            phone.close()

    run(call())


def test_a_browser_that_closes_its_connection_is_known_to_be_gone() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            await browser.close()
            await until(lambda: not there.legs.connected(AGENT))
            assert there.changes == [(AGENT, True), (AGENT, False)]

    run(call())


def test_a_browser_that_vanishes_without_a_word_is_missed_within_seconds() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            await until(lambda: there.leg().alive_at > 0)
            ice = browser.peer.getTransceivers()[0].receiver.transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.abort()
            await until(lambda: not there.legs.connected(AGENT), seconds=30)
            assert there.changes == [(AGENT, True), (AGENT, False)]
            await browser.close()

    run(call())


def test_a_second_leg_takes_the_place_of_one_that_was_lost() -> None:
    async def call() -> None:
        async with floor() as there:
            for _ in range(2):
                browser = Browser()
                await browser.connect(there.legs)
                await until(lambda: there.legs.connected(AGENT))
                await browser.close()
                await until(lambda: not there.legs.connected(AGENT))
            assert there.changes == [(AGENT, True), (AGENT, False)] * 2
            await there.legs.close(AGENT)
            assert there.legs.leg(AGENT) is None

    run(call())


def test_a_loss_while_the_browser_connects_anew_is_none_to_tell_of() -> None:
    async def call() -> None:
        async with floor() as there:
            first, second = Browser(), Browser()
            await first.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            answer = await there.legs.negotiate(AGENT, await second.offer(), "offer")
            await first.close()
            await until(lambda: not there.legs.connected(AGENT))
            ready = asyncio.create_task(there.legs.ready(AGENT, 20))
            await second.peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
            assert await ready
            assert there.changes == [(AGENT, True)]
            await second.close()

    run(call())


def test_nobody_waits_for_a_browser_that_never_offered_sound() -> None:
    async def call() -> None:
        async with floor() as there:
            assert await there.legs.ready(AGENT, 1_000) is False
            there.legs._seat(AGENT)
            assert await there.legs.ready(AGENT, 0.01) is False

    run(call())


def test_sound_that_is_coming_from_another_node_is_waited_for() -> None:
    async def call() -> None:
        async with floor() as there:
            assert await there.legs.ready(AGENT, 0.01, coming=True) is False
            ready = asyncio.create_task(there.legs.ready(AGENT, 20, coming=True))
            browser = Browser()
            await browser.connect(there.legs)
            assert await ready
            await browser.close()

    run(call())


def test_sound_that_nobody_listens_to_is_not_decrypted() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            leg, taken = there.leg(), []
            arrivals = there.plane.arrivals
            put = arrivals.put
            arrivals.put = lambda *packet: taken.append(packet) or put(*packet)  # type: ignore
            before = leg.alive_at
            await until(lambda: leg.alive_at > before + 1)
            assert len(taken) <= 2
            sink = Recorder()
            there.plane.tap(leg, sink, start=asyncio.get_running_loop().time())
            await until(lambda: len(sink.numbers) > 20)
            await browser.close()

    run(call())


def test_the_answer_has_one_pcmu_line_with_candidates_and_refuses_the_rest() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:7\r\na=rtpmap:96 VP8/90000\r\n"
            answer = await there.legs.negotiate(AGENT, await browser.offer() + video, "offer")
            audio, video = answer.split("m=")[1:]
            assert audio.startswith("audio 9 UDP/TLS/RTP/SAVPF 0\r\n")
            assert "a=sendrecv\r\n" in audio
            assert "a=candidate:" in audio
            assert "a=end-of-candidates" in audio
            assert video.startswith("video 0 ")
            assert "a=mid:7\r\n" in video
            await browser.close()

    run(call())


BOTH = ("audio/opus", "audio/PCMU")


def pitch(sound: NDArray[np.int16], rate: int) -> float:
    """Of the loudest tone, in Hz."""
    return float(np.abs(np.fft.rfft(sound * 1.0)).argmax() * rate / len(sound))


def level(sound: NDArray[np.int16]) -> float:
    """Of a tone, in dB against an amplitude of 8000."""
    return float(20 * np.log10(sound.astype(float).std() * np.sqrt(2) / 8000 + 1e-9))


def test_who_offers_both_speaks_g711_unless_opus_is_preferred() -> None:
    async def call() -> None:
        for codecs, line, name in (
            ((), "audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "PCMU/8000"),
            (("pcmu", "opus"), "audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "PCMU/8000"),
            (("opus", "pcmu"), "audio 9 UDP/TLS/RTP/SAVPF 96\r\n", "opus/48000/2"),
        ):
            async with floor(*codecs) as there:
                browser = Browser(codecs=BOTH)
                answer = await there.legs.negotiate(AGENT, await browser.offer(), "offer")
                (audio,) = answer.split("m=")[1:]
                assert audio.startswith(line)
                assert [row for row in audio.split("\r\n") if "rtpmap" in row] == [
                    f"a=rtpmap:{line.split()[-1]} {name}"
                ]
                assert ("a=fmtp:96 " in audio) == ("opus" in name)
                await browser.close()

    run(call())


@pytest.mark.parametrize("codecs", [("opus", "pcmu"), ("opus",)])
def test_opus_goes_both_ways_where_it_is_preferred(codecs: tuple[BrowserCodec, ...]) -> None:
    async def call() -> None:
        async with floor(*codecs) as there:
            browser = Browser(says=Tone(1000.0), codecs=BOTH)
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            leg, sink = there.leg(), Sounds()
            meter = leg.measure()
            there.plane.tap(leg, sink, start=asyncio.get_running_loop().time())
            moment = np.arange(8000 * 6) / 8000
            sound = (8000 * np.sin(2 * np.pi * 700.0 * moment)).astype(np.int16)
            there.plane.play(leg, Clip(g711.encode(sound)))
            await until(lambda: len(sink.sound) > 8000 * 3)
            await until(lambda: sum(map(len, browser.linear)) > 48_000 * 4)
            await until(lambda: leg.sound.reports.remote_jitter is not None)
            quality = meter.read()
            await browser.close()
            said = g711.decode(bytes(sink.sound), Codec.PCMU)[8000:16_000]
            assert abs(pitch(said, 8000) - 1000) < 3
            assert abs(level(said)) < 1.0
            heard = np.concatenate(browser.linear)
            loud = np.flatnonzero(np.abs(heard) > 4000)
            heard = heard[loud[0] + 24_000 : loud[0] + 72_000]
            assert abs(pitch(heard, 48_000) - 700) < 3
            assert abs(level(heard)) < 1.0
            assert (quality.codec, quality.lost) == ("opus", 0)
            assert quality.received > 100
            assert quality.remote_lost == 0

    run(call())


def test_the_browser_is_told_of_its_stream_in_its_own_clock() -> None:
    async def call() -> None:
        async with floor("opus") as there:
            browser = Browser(says=Tone(500.0), codecs=BOTH)
            await browser.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            leg, packets, told = there.leg(), [], []
            link = leg.link
            assert link is not None
            assert link.opus is not None
            sent, send_rtcp = link.opus.sent, link.send_rtcp

            def sent_too(packet: Packet) -> bytes | None:
                packets.append(sent(packet))
                return packets[-1]

            def told_too(packet: bytes) -> None:
                told.append((len(packets), rtcp.parse(packet)))
                send_rtcp(packet)

            link.opus.sent, link.send_rtcp = sent_too, told_too  # type: ignore[method-assign]
            there.plane.tap(leg, Sounds(), start=asyncio.get_running_loop().time())
            there.plane.play(leg, Clip(bytes(8000 * 15)))
            await until(lambda: bool(told) and len(packets) > told[0][0] + 10)
            until_then, parts = told[0]
            assert parts is not None
            report = parts[0]
            assert isinstance(report, rtcp.Report)
            assert report.sender is not None
            before = [packet for packet in packets[:until_then] if packet]
            latest = int.from_bytes(before[-1][4:8], "big")
            assert 0 <= distance(report.sender.timestamp, latest, 32) < 48_000 / 10
            assert report.sender.octets == sum(len(packet) - 12 for packet in before)
            # The stock peer reads it so, too: what it reports of its delay gives a round trip.
            await until(lambda: leg.sound.reports.round_trip is not None)
            assert leg.sound.reports.round_trip is not None
            assert leg.sound.reports.round_trip < 1
            assert leg.sound.reports.remote_jitter is not None
            assert leg.sound.reports.remote_jitter < 800  # samples: 0.1 s
            await browser.close()

    run(call())


def test_a_page_that_comes_back_with_another_codec_is_heard_all_the_same() -> None:
    async def call() -> None:
        async with floor("opus", "pcmu") as there:
            first = Browser(says=Tone(1000.0), codecs=BOTH)
            await first.connect(there.legs)
            await until(lambda: there.legs.connected(AGENT))
            leg, sink = there.leg(), Sounds()
            there.plane.tap(leg, sink, start=asyncio.get_running_loop().time())
            await until(lambda: len(sink.sound) > 8000)
            assert leg.sound.carried_as == "opus"
            for codecs, name in ((("audio/PCMU",), None), (BOTH, "opus")):
                hertz = 600.0 if name is None else 1400.0
                other = Browser(says=Tone(hertz), codecs=codecs)
                await other.connect(there.legs)
                await until(lambda: leg.sound.carried_as == name)  # noqa: B023 - waited for here
                assert (leg.sound.reports.wire is None) == (name is None)
                begun = len(sink.sound)
                await until(lambda: len(sink.sound) > begun + 12_000)  # noqa: B023
                part = g711.decode(bytes(sink.sound[begun + 4000 : begun + 12_000]), Codec.PCMU)
                assert abs(pitch(part, 8000) - hertz) < 10
                await first.close()
                first = other
            await first.close()

    run(call())


def test_payload_types_that_look_like_rtcp_are_not_taken() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser(codecs=("audio/opus",))
            sdp = (await browser.offer()).replace(" 96\r\n", " 72\r\n").replace(":96 ", ":72 ")
            with pytest.raises(Invalid, match="PCMU/8000 or opus/48000/2"):
                await there.legs.negotiate(AGENT, sdp, "offer")
            await browser.close()

    run(call())


def test_an_agent_who_leaves_while_the_answer_is_made_leaves_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def call() -> None:
        async with floor() as there:
            closed, describe, close = [], _Link.describe, _Link.close

            async def leave_meanwhile(self: _Link, offer: Offer) -> str:
                answer = await describe(self, offer)
                await there.legs.close(AGENT)
                return answer

            async def note(self: _Link) -> None:
                closed.append(self)
                await close(self)

            monkeypatch.setattr(_Link, "describe", leave_meanwhile)
            monkeypatch.setattr(_Link, "close", note)
            browser = Browser()
            with pytest.raises(Conflict):
                await there.legs.negotiate(AGENT, await browser.offer(), "offer")
            assert len(closed) == 1
            assert there.legs._trying == {}
            await browser.close()

    run(call())


@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\n", "v=0\r\nm=audio x y z\r\n", "\0" * 50])
def test_an_offer_that_is_no_sdp_is_refused(sdp: str) -> None:
    async def call() -> None:
        async with floor() as there:
            with pytest.raises(Invalid):
                await there.legs.negotiate(AGENT, sdp, "offer")
            assert there.legs.leg(AGENT) is None

    run(call())


def test_an_offer_without_pcmu_is_refused() -> None:
    async def call() -> None:
        async with floor() as there:
            browser = Browser()
            sdp = (await browser.offer()).replace("PCMU/8000", "PCMX/8000")
            with pytest.raises(Invalid):
                await there.legs.negotiate(AGENT, sdp, "offer")
            with pytest.raises(Invalid):
                await there.legs.negotiate(AGENT, await browser.offer(), "answer")
            await browser.close()

    run(call())
