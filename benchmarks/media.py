"""What a bridged call costs the media loop, and what it loses. Run by hand:

    python benchmarks/media.py [--calls 50] [--seconds 10]

The plane runs in a process of its own; its CPU time (user + system) is measured there. Each
call is two parties with 50 packets a second each way, both sides tapped. "telephone" calls are
RTP to RTP, "browser" calls RTP to WebRTC (SRTP), "opus" calls the same with Opus in the browser.
The parties run in a second process. The last row is what Opus alone costs, a packet.
Figures of a loopback without a network card; the machine must be idle otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing as mp
import resource
import socket
import struct
import sys
import time
from multiprocessing.connection import Connection
from typing import Any, cast

import av
import numpy as np
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.opus import Opus
from callcenter.telephony.adapters.webrtc import BrowserLegs
from callcenter.telephony.media import g711
from callcenter.telephony.ports import FRAME_SAMPLES, Address, Codec, MediaDescription, MediaLeg

_SOUND = bytes(range(160))
_HEAD = struct.Struct("!BBHII")
_OPUS_TYPE = 96  # aiortc's first


def _noisy_tone(rate: int, seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    moment = np.arange(int(rate * seconds)) / rate
    swelling = 6000 * np.sin(2 * np.pi * 3 * moment) * np.sin(2 * np.pi * 440 * moment)
    noise = np.random.default_rng(1).standard_normal(len(moment)) * 300
    return (swelling + noise).astype(np.int16)


def _opus_payloads() -> list[bytes]:
    """A second of Opus as browsers send it: 20 ms a packet."""
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.bit_rate = 48_000, "mono", 24_000
    encoder.format, encoder.options = av.AudioFormat("s16"), {"application": "voip"}
    sound, made = _noisy_tone(48_000, 1.0), []
    for at in range(0, len(sound), 960):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + 960], "s16", "mono")
        frame.sample_rate = 48_000
        made += [bytes(one) for one in encoder.encode(frame)]
    return made


class Counter:
    """A tap's sink that counts."""

    def __init__(self) -> None:
        self.frames = 0

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """Some more."""
        self.frames += len(payload) // FRAME_SAMPLES


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _ask(pipe: Connection) -> object:
    return await asyncio.get_running_loop().run_in_executor(None, pipe.recv)


async def _all_connected(legs: BrowserLegs, calls: int) -> None:
    deadline = time.monotonic() + 60
    while not all(legs.connected(str(number)) for number in range(calls)):
        if time.monotonic() > deadline:
            raise TimeoutError("the browsers did not connect")
        await asyncio.sleep(0.05)


async def _plane(pipe: Connection, calls: int, kind: str, seconds: float) -> None:
    plane = BatchingMediaPlane((41000, 48999))
    legs = BrowserLegs(plane, ("opus",) if kind == "opus" else ("pcmu",))
    ports = await _ask(pipe)
    assert isinstance(ports, list)
    phones = [plane.open_rtp("127.0.0.1") for _ in ports]
    for phone, port in zip(phones, ports, strict=True):
        phone.connect(MediaDescription(Address("127.0.0.1", port), Codec.PCMU))
    pipe.send([phone.local.port for phone in phones])
    pairs: list[tuple[MediaLeg, MediaLeg]] = list(zip(phones[::2], phones[1::2], strict=False))
    if kind != "telephone":
        for number in range(calls):
            offer = await _ask(pipe)
            assert isinstance(offer, str)
            pipe.send(await legs.negotiate(str(number), offer, "offer"))
        await _all_connected(legs, calls)
        browsers = [legs.leg(str(number)) for number in range(calls)]
        pairs = [(one, other) for one, other in zip(phones, browsers, strict=True) if other]
    counters = []
    for one, other in pairs:
        plane.bridge(one, other)
    pipe.send("ready")
    await asyncio.sleep(2)
    start = asyncio.get_running_loop().time()
    for pair in pairs:
        for leg in pair:
            counters.append(Counter())
            plane.tap(leg, counters[-1], start=start)
    before, began = _cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    used, passed = _cpu() - before, time.monotonic() - began
    got = sum(counter.frames for counter in counters)
    pipe.send((used / passed, got / (len(counters) * passed * 50), plane.skipped_frames))
    await legs.stop()
    plane.close()


async def _browser(pipe: Connection, kind: str) -> RTCPeerConnection:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    line = peer.addTransceiver("audio", direction="sendrecv")
    codecs = RTCRtpSender.getCapabilities("audio").codecs
    name = "audio/opus" if kind == "opus" else "audio/PCMU"
    line.setCodecPreferences([codec for codec in codecs if codec.mimeType == name])
    await peer.setLocalDescription(await peer.createOffer())
    pipe.send(peer.localDescription.sdp)
    sdp = await _ask(pipe)
    await peer.setRemoteDescription(RTCSessionDescription(sdp=str(sdp), type="answer"))
    return peer


def _send_srtp(peer: RTCPeerConnection, data: bytes) -> None:
    """Past aiortc's tracks, as cheap as the plane does it: the load must not be the limit."""
    dtls = peer.getTransceivers()[0].receiver.transport
    pair = dtls.transport._connection._nominated.get(1)
    if dtls._tx_srtp is not None and pair is not None:
        pair.protocol.transport.sendto(dtls._tx_srtp.protect(data), pair.remote_addr)


def _be_deaf(peer: RTCPeerConnection) -> None:
    """Drop what the browser hears before aiortc decodes it: that is not the plane's work."""
    connection: Any = peer.getTransceivers()[0].receiver.transport.transport._connection
    take = connection.data_received
    connection.data_received = lambda data, component: data[0] < 64 and take(data, component)


async def _parties(pipe: Connection, calls: int, kind: str, seconds: float) -> None:
    phones = []
    for _ in range(calls * 2 if kind == "telephone" else calls):
        phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        phones.append(phone)
    pipe.send([phone.getsockname()[1] for phone in phones])
    ports = await _ask(pipe)
    assert isinstance(ports, list)
    peers = []
    opus = _opus_payloads() if kind == "opus" else None
    if kind != "telephone":
        peers = [await _browser(pipe, kind) for _ in range(calls)]
        for peer in peers:
            _be_deaf(peer)
    asked = asyncio.ensure_future(_ask(pipe))
    heard, number, began = 0, 0, time.monotonic()
    measured: tuple[int, int] | None = None
    while True:
        data = _HEAD.pack(0x80, 0, number & 0xFFFF, number * 160, 7) + _SOUND
        for phone, port in zip(phones, ports, strict=True):
            phone.sendto(data, ("127.0.0.1", port))
            with contextlib.suppress(BlockingIOError):
                while True:
                    phone.recv(2048)
                    heard += 1
        if opus:
            head = _HEAD.pack(0x80, _OPUS_TYPE, number & 0xFFFF, number * 960, 7)
            data = head + opus[number % len(opus)]
        for peer in peers:
            _send_srtp(peer, data)
        number += 1
        if asked.done():
            if asked.result() != "ready":
                break
            measured = (heard, number)
            asked = asyncio.ensure_future(_ask(pipe))
        await asyncio.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
    assert measured is not None
    load, kept, skipped = cast(tuple[float, float, int], asked.result())
    relayed = (heard - measured[0]) / ((number - measured[1]) * len(phones))
    sys.stdout.write(
        f"{kind:>9} {calls:4d} calls  core {load:6.1%}  per call {load / calls:7.3%}  "
        f"tapped {kept:7.2%}  heard by telephones {relayed:7.2%}  frames skipped {skipped}\n"
    )


def _run_plane(pipe: Connection, calls: int, kind: str, seconds: float) -> None:
    uvloop.run(_plane(pipe, calls, kind, seconds))


def measure(calls: int, kind: str, seconds: float) -> None:
    """One row."""
    ours, theirs = mp.Pipe()
    process = mp.get_context("spawn").Process(
        target=_run_plane, args=(theirs, calls, kind, seconds)
    )
    process.start()
    uvloop.run(_parties(ours, calls, kind, seconds))
    process.join()


def measure_translation(packets: int = 5000) -> None:
    """Microseconds of processor that Opus needs for a packet each way, on one core."""
    here, sound = Opus(_OPUS_TYPE, error_correction=True), _noisy_tone(8000, 1.0)
    payloads = [g711.encode(sound[at : at + 160]) for at in range(0, 8000, 160)]
    theirs = _opus_payloads()
    began = time.process_time()
    for number in range(packets):
        here.sent(_HEAD.pack(0x80, 0, number & 0xFFFF, number * 160, 7) + payloads[number % 50])
    middle = time.process_time()
    for number in range(packets):
        head = _HEAD.pack(0x80, _OPUS_TYPE, number & 0xFFFF, number * 960, 7)
        here.received(memoryview(head + theirs[number % len(theirs)]))
    there, back = middle - began, time.process_time() - middle
    sys.stdout.write(
        f"Opus to the browser {there / packets * 1e6:.0f} us a packet, "
        f"from it {back / packets * 1e6:.0f} us\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    for what in ("telephone", "browser", "opus"):
        measure(given.calls, what, given.seconds)
    measure_translation()
