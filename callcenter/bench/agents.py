"""Agents without a browser: the same API, socket and WebRTC sound, many in one process.

Runs as a process of its own (`python -m callcenter.bench.agents BASE [WAV]`). aiortc does ICE,
DTLS and SRTP; its tracks and codecs are left out, so that twenty agents cost half a core and
not more than one. Times are wall-clock seconds.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import socketio
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from pylibsrtp import Error as SrtpError

from callcenter.bench import helper, sound
from callcenter.errors import CallcenterError
from callcenter.telephony.media import rtp

_FRAME_SECONDS, _CONNECT_SECONDS = 0.02, 60.0


class Agent:
    """One signed-in agent who answers every call at once."""

    def __init__(self, base: str, username: str, password: str) -> None:
        self.calls: dict[str, dict[str, Any]] = {}
        self.captions: list[dict[str, Any]] = []
        self.line = AudioLine()
        self._base, self._lock = base, threading.Lock()
        self._socket = socketio.Client(reconnection=False)
        self._socket.on("call.ringing", self._on_ringing)
        self._socket.on("call.updated", self._on_updated)
        self._socket.on("caption", self._on_caption)
        cookies = _sign_in(base, username, password)
        self._socket.connect(
            base, headers={"Cookie": cookies}, transports=["websocket"], wait_timeout=30
        )

    def order(self, event: str, **body: Any) -> dict[str, Any]:
        """Send and return the acknowledgement. Raises CallcenterError when it is not ok."""
        answer: dict[str, Any] = self._socket.call(event, body, timeout=30)
        if not answer.get("ok"):
            raise CallcenterError(f"{event} was refused: {answer.get('problem', {}).get('type')}")
        return answer

    async def begin(self, frames: list[bytes]) -> None:
        """Connect the sound and be available."""
        await self.line.connect(self, frames)
        await asyncio.to_thread(self.order, "agent.state", state="available")

    def leave(self) -> None:
        """Close the socket."""
        self._socket.disconnect()

    def report(self) -> list[dict[str, Any]]:
        """One record a call: caller, times of ringing, order, acknowledged and sound."""
        with self._lock:
            return [dict(call) for call in self.calls.values()]

    def _on_ringing(self, payload: dict[str, Any]) -> None:
        ringing = time.time()
        call = payload["call"]["id"]
        known: dict[str, Any] = {"caller": payload["caller"]["number"], "ringing": ringing}
        with self._lock:
            self.calls[call] = known
        self.order("pop.seen", seq=payload["seq"])
        self.line.listen(lambda: self._note(known, "sound"))
        self._note(known, "order")
        self.order("call.answer", call=call)
        self._note(known, "acknowledged")

    def _on_updated(self, payload: dict[str, Any]) -> None:
        call = payload["call"]
        with self._lock:
            known = self.calls.get(call["id"])
        if known is not None and call.get("answered_at"):
            known["answered_at"] = call["answered_at"]

    def _on_caption(self, payload: dict[str, Any]) -> None:
        kept = {key: payload.get(key) for key in ("call", "leg", "kind", "id", "t0", "t1")}
        self.captions.append({**kept, "at": time.time()})

    def _note(self, known: dict[str, Any], name: str) -> None:
        with self._lock:
            known.setdefault(name, time.time())


class AudioLine:
    """An agent's connection for sound: speaks all the time, listens for the first sound."""

    def __init__(self) -> None:
        self._peer: RTCPeerConnection | None = None
        self._dtls: Any = None
        self._on_sound: Any = None
        self._sent, self._writer = 0, rtp.PacketWriter()
        self._frames: list[bytes] = []

    def listen(self, on_sound: Any) -> None:
        """Call `on_sound()` once, at the next packet that is no silence."""
        self._on_sound = on_sound

    async def connect(self, agent: Agent, frames: list[bytes]) -> None:
        """Offer, wait until it stands, speak."""
        self._peer = peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        line = peer.addTransceiver("audio", direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        line.setCodecPreferences([one for one in codecs if one.mimeType == "audio/PCMU"])
        await peer.setLocalDescription(await peer.createOffer())
        self._dtls = line.receiver.transport
        for protocol in self._connection._protocols:
            self._take_over(protocol)
        offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
        answer = await asyncio.to_thread(lambda: agent.order("rtc.offer", **offer))
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CONNECT_SECONDS
        while peer.connectionState != "connected":
            if loop.time() > deadline:
                raise CallcenterError(f"an agent's sound is {peer.connectionState}")
            await asyncio.sleep(0.02)
        self._frames = frames
        self._speak(loop.time())

    async def close(self) -> None:
        """Be silent and end the connection."""
        self._frames = []
        if self._peer is not None:
            await self._peer.close()

    @property
    def _connection(self) -> Any:
        return self._dtls.transport._connection

    def _take_over(self, protocol: Any) -> None:
        """Sound comes here and not to aiortc's decoder; STUN and DTLS go on to it (RFC 7983)."""
        take = protocol.datagram_received

        def datagram_received(data: bytes, addr: Any) -> None:
            if len(data) < rtp.HEADER_BYTES or not 127 < data[0] < 192:
                take(data, addr)
            elif self._on_sound is not None and not 191 < data[1] < 224:
                self._hear(data)

        protocol.datagram_received = datagram_received

    def _hear(self, data: bytes) -> None:
        srtp = self._dtls._rx_srtp
        with suppress(SrtpError):
            packet = rtp.parse(memoryview(srtp.unprotect(data))) if srtp else None
            if packet is not None and sound.is_sound(packet.payload):
                heard, self._on_sound = self._on_sound, None
                heard()

    def _speak(self, due: float) -> None:
        if not self._frames:
            return
        srtp, pair = self._dtls._tx_srtp, self._connection._nominated.get(1)
        frame = self._frames[self._sent % len(self._frames)]
        packet = self._writer.packet(self._sent, frame, 0, self._sent == 0)
        if srtp is not None and pair is not None:
            with suppress(SrtpError, OSError):
                pair.protocol.transport.sendto(srtp.protect(bytes(packet)), pair.remote_addr)
        self._sent += 1
        due += _FRAME_SECONDS
        asyncio.get_running_loop().call_at(due, self._speak, due)


class Agents:
    """All agents of this process."""

    def __init__(self, base: str, frames: list[bytes]) -> None:
        self._base, self._frames = base, frames
        self._agents: list[Agent] = []

    async def answer(self, asked: helper.Message) -> Any:
        """sign_in {names, password} → None; report → a record a call; captions; leave."""
        match asked["do"]:
            case "sign_in":
                for name in asked["names"]:
                    agent = await asyncio.to_thread(Agent, self._base, name, asked["password"])
                    self._agents.append(agent)
                    await agent.begin(self._frames)
                return None
            case "report":
                return [record for agent in self._agents for record in agent.report()]
            case "captions":
                return [
                    {**one, "answered_at": agent.calls.get(one["call"], {}).get("answered_at")}
                    for agent in self._agents
                    for one in agent.captions
                ]
            case "leave":
                for agent in self._agents:
                    await agent.line.close()
                    await asyncio.to_thread(agent.leave)
                return None
        raise CallcenterError(f"agents cannot {asked['do']}")


def _sign_in(base: str, username: str, password: str) -> str:
    """The session's cookies. Raises CallcenterError."""
    with httpx.Client(base_url=base + "/api/v1", timeout=60, trust_env=False) as http:
        http.headers["Origin"] = base
        answer = http.post("/session", json={"username": username, "password": password})
        if answer.status_code != 201:
            raise CallcenterError(f"an agent cannot sign in: {answer.status_code}")
        return "; ".join(f"{name}={value}" for name, value in http.cookies.items())


async def _main(base: str, wav: str | None) -> None:
    agents = Agents(base, sound.speech(Path(wav)) if wav else sound.frames())
    await helper.serve(agents.answer)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
