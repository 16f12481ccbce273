"""An agent without a browser: the same API and socket, sound by stock aiortc.

Independent of our media code on the other end of the wire: aiortc's own tracks, jitter buffer
and codecs are used here. For many agents at once; the browser itself is tested in test_browser.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from fractions import Fraction
from typing import Any

import av
import numpy as np
import socketio
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from world import Api, World, wait_for

RATE = 8000
FRAME = 160


class Tone(MediaStreamTrack):
    """A microphone that hums one frequency (Hz), paced by the clock."""

    kind = "audio"

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._step = 2 * np.pi * frequency / RATE
        self._count = 0
        self._start: float | None = None

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self._start = self._start or loop.time()
        await asyncio.sleep(max(0.0, self._start + self._count * 0.02 - loop.time()))
        phase = (np.arange(FRAME) + self._count * FRAME) * self._step
        samples = (8000 * np.sin(phase)).astype("<i2")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._count * FRAME
        frame.time_base = Fraction(1, RATE)
        self._count += 1
        return frame


class SoftAgent:
    """One signed-in agent. Events are kept in `events` as (name, payload), in order."""

    def __init__(self, world: World, username: str, *, frequency: float = 1000.0) -> None:
        self.api: Api = world.api(username)
        self.id: str = self.api.user["id"]
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.heard: list[np.ndarray[Any, Any]] = []
        self._base, self._frequency = world.base, frequency
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._peer: RTCPeerConnection | None = None
        self.node: str | None = None
        self.socket = socketio.Client(reconnection=True, reconnection_delay=0.2)
        self.socket.on("*", self._take)
        self.connect()

    # --- Socket ---

    def connect(self) -> None:
        """Open the socket with the session's cookie."""
        headers = {"Cookie": self.api.cookies}  # websocket-client sends Origin itself
        self.socket.connect(self._base, headers=headers, transports=["websocket"], wait_timeout=20)

    def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        """Send and return the acknowledgement, whatever it says."""
        answer: dict[str, Any] = self.socket.call(event, payload, timeout=30)
        return answer

    def order(self, event: str, **payload: Any) -> dict[str, Any]:
        """Send; the acknowledgement must be ok."""
        answer = self.ask(event, **payload)
        assert answer["ok"], answer
        return answer

    def available(self) -> SoftAgent:
        """Ready for calls."""
        self.order("agent.state", state="available")
        return self

    def saw(self, event: str, **wanted: Any) -> list[dict[str, Any]]:
        """Payloads of that event with these values; `call` matches object or id."""

        def fits(payload: dict[str, Any]) -> bool:
            for key, value in wanted.items():
                found = payload.get(key)
                if key == "call" and isinstance(found, dict):
                    found = found["id"]
                if found != value:
                    return False
            return True

        return [payload for name, payload in list(self.events) if name == event and fits(payload)]

    def wait(self, event: str, *, count: int = 1, **wanted: Any) -> dict[str, Any]:
        """The newest such event, once there are `count`."""
        wait_for(lambda: len(self.saw(event, **wanted)) >= count, f"{event} {wanted}")
        return self.saw(event, **wanted)[-1]

    def answer_next(self) -> str:
        """Wait for a pop that was not answered yet, answer it, return the call's id."""
        done = {payload["call"]["id"] for payload in self.saw("call.updated")}
        ringing = wait_for(
            lambda: [p for p in self.saw("call.ringing") if p["call"]["id"] not in done],
            "a call rings",
        )[-1]
        self.order("pop.seen", seq=ringing["seq"])
        self.bring_audio(ringing["call"].get("node"))
        self.order("call.answer", call=ringing["call"]["id"])
        return str(ringing["call"]["id"])

    # --- Sound ---

    def connect_audio(self, node: str | None = None) -> SoftAgent:
        """Offer the audio leg and wait until it is up."""
        self._run(self._connect_audio(node))
        return self

    def bring_audio(self, node: str | None) -> None:
        """To the telephony node whose call rings, as the page does."""
        if node is not None and node != self.node:
            self.connect_audio(node)

    async def _connect_audio(self, node: str | None) -> None:
        if self._peer:
            await self._peer.close()
        self._peer = peer = RTCPeerConnection()
        peer.on("track", lambda track: asyncio.ensure_future(self._listen(track)))
        peer.addTrack(Tone(self._frequency))
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        pcmu = [codec for codec in codecs if codec.mimeType == "audio/PCMU"]
        peer.getTransceivers()[0].setCodecPreferences(pcmu)
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
        if node is not None:
            offer["node"] = node
        answer = await asyncio.to_thread(lambda: self.order("rtc.offer", **offer))
        self.node = answer.get("node")
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        deadline = self._loop.time() + 30
        while peer.connectionState != "connected":
            assert self._loop.time() < deadline, f"audio leg is {peer.connectionState}"
            await asyncio.sleep(0.02)

    async def _listen(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except Exception:
                return
            self.heard.append(frame.to_ndarray().reshape(-1))

    def loudness(self) -> float:
        """Root mean square of what was heard in the last second."""
        recent = list(self.heard)[-50:]
        if not recent:
            return 0.0
        return float(np.sqrt(np.mean(np.concatenate(recent).astype(float) ** 2)))

    def close(self) -> None:
        """Leave."""
        self.socket.disconnect()
        if self._peer:
            self._run(self._peer.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _take(self, event: str, payload: Any = None) -> None:
        self.events.append((event, payload))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
