"""The telephony service with real SIP, sound and recordings; telephones on real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from scripted import PATIENCE, ScriptedAudio, ScriptedSpeech, Stage
from sip_bench import request

from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.log import EventLog, metadata
from callcenter.telephony import dialogs, places
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.adapters.sip_native import NativeCall, NativeSipBackend
from callcenter.telephony.desk import Sounds
from callcenter.telephony.media import tones
from callcenter.telephony.places import PlaceStore
from callcenter.telephony.ports import Address, Codec, MediaDescription
from callcenter.telephony.service import Parts, TelephonyService
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse

RTP_PORTS = (24000, 25998)


class RealStage(Stage):
    """Agents are scripted; everything a caller's telephone meets is real."""

    def __init__(
        self, settings: Settings, node: str = "node-1", bus: MemoryBus | None = None
    ) -> None:
        """`bus`: of several nodes that share one floor."""
        engine = open_database(settings.database_url)
        metadata.create_all(engine)
        dialogs.metadata.create_all(engine)
        places.metadata.create_all(engine)
        self.log, self.bus = EventLog(engine), bus or MemoryBus()
        self.plane = BatchingMediaPlane(RTP_PORTS)
        store, shared = PlaceStore(engine, node), engine if bus else None
        self.native = NativeSipBackend(settings.sip, store, neighbours=bus is not None)
        self.audio = ScriptedAudio(self.plane)  # type: ignore[arg-type]
        self.journals: Path = settings.recordings_dir / ".journal"
        parts = Parts(
            sip=self.native,
            media=self.plane,
            audio=self.audio,
            recordings=DiskRecordings(settings.recordings_dir),
            speech=ScriptedSpeech(),
            sounds=Sounds(ringback=tones.ringback(), music=tones.hold_music()),
            dialler=self.native,
            phones=self.native.phones,
        )
        self.service = TelephonyService(
            settings, self.log, self.bus, parts, node=node, shared=shared
        )

    def telephone(self, name: str = "caller") -> Telephone:
        return Telephone(self.native.addresses[0], name)

    def voice(self, agent: str) -> Voice:
        """The agent's mouth and ears."""
        voice = Voice()
        leg = self.audio.legs[agent]
        leg.connect(MediaDescription(voice.address, Codec.PCMU))
        voice.speak_to(leg.local)
        return voice

    def consulted(self) -> str:
        """The Replaces that names the call which a desk phone placed."""
        calls = [one for one in self.native._calls.values() if isinstance(one, NativeCall)]
        (call_id, ours, theirs) = next(one.dialog_id for one in calls if not one.trunk)
        return f"{call_id};to-tag={ours};from-tag={theirs}"

    def recorded(self, leg: str) -> bytes:
        """The journal of the latest call's leg, as it is on the disk."""
        return (self.journals / self.call / f"{leg}.pcmu").read_bytes()


class Voice:
    """An RTP socket that sends a byte over and over, frame by frame, and keeps what it hears."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address = Address(*self.socket.getsockname())
        self.kind, self.byte = 0, 0x20
        self.heard: list[tuple[int, bytes]] = []  # payload type, payload
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._hear)
        self._speaking: asyncio.Task[None] | None = None

    def speak_to(self, there: Address) -> None:
        if self._speaking is None:
            self._speaking = asyncio.create_task(self._speak(there))

    def fall_silent(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = None

    async def says(self, byte: int, frames: int = 20) -> None:
        """Speak another byte for that many frames."""
        self.byte = byte
        until = self._sent + frames
        async with asyncio.timeout(PATIENCE):
            while self._sent < until:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def close(self) -> None:
        self.fall_silent()
        self._loop.remove_reader(self.socket)
        self.socket.close()

    async def _speak(self, there: Address) -> None:
        start, first = self._loop.time(), self._sent
        while True:
            head = struct.pack("!BBHII", 0x80, self.kind, self._sent % 65536, self._sent * 160, 7)
            self.socket.sendto(head + bytes([self.byte]) * 160, (there.host, there.port))
            self._sent += 1
            due = start + (self._sent - first) * 0.02
            await asyncio.sleep(max(0.0, due - self._loop.time()))

    def _hear(self) -> None:
        data = self.socket.recv(2048)
        self.heard.append((data[1] & 0x7F, data[12:]))


class Telephone:
    """A telephone on UDP: every request written by hand, every message it gets kept."""

    def __init__(self, peer: Address, name: str) -> None:
        self.peer, self.name = peer, name
        self.voice = Voice()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.got: list[tuple[bytes, Request | Response]] = []
        self.tag = ""
        self.sdp_version = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._receive)

    def offer(
        self, direction: str = "sendrecv", *, formats: str = "0 8", host: str = "127.0.0.1"
    ) -> str:
        self.sdp_version += 1
        return (
            f"v=0\r\no=- 1 {self.sdp_version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {host}\r\n"
            f"t=0 0\r\nm=audio {self.voice.address.port} RTP/AVP {formats}\r\na={direction}\r\n"
        )

    def send(
        self, method: str, cseq: int = 1, body: str = "", *, extra: str = "", branch: str = ""
    ) -> None:
        host, port = self.socket.getsockname()
        within = self.tag if (method, cseq) not in (("INVITE", 1), ("CANCEL", 1)) else None
        data = request(
            method,
            cseq=cseq,
            body=body,
            extra=extra,
            branch=f"{self.name}{branch or cseq}",
            to_tag=within,
            call_id=self.name,
            via=f"{host}:{port};rport",
            from_=f"<sip:+989121234567@127.0.0.1>;tag={self.name}",
        )
        self.socket.sendto(data, (self.peer.host, self.peer.port))

    def responses(self, status: int, method: str) -> list[bytes]:
        return [
            data
            for data, message in self.got
            if isinstance(message, Response)
            and (message.status, message.cseq.method) == (status, method)
        ]

    def requests(self, method: str) -> list[Request]:
        return [m for _, m in self.got if isinstance(m, Request) and m.method == method]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            lines = [message.start_line for _, message in self.got]
            raise AssertionError(f"{what} did not happen; {self.name} got {lines}") from None

    async def answer(self, status: int, method: str, cseq: int) -> Response:
        """The response with that status to that request."""
        found: list[Response] = []

        def there() -> bool:
            found[:] = [
                message
                for _, message in self.got
                if isinstance(message, Response)
                and (message.status, message.cseq.number, message.cseq.method)
                == (status, cseq, method)
            ]
            return bool(found)

        await self.until(there, f"{status} to {method} {cseq}")
        return found[0]

    async def reinvite(self, cseq: int, body: str, answer: str = "") -> Response:
        """A re-INVITE and its ACK."""
        self.send("INVITE", cseq, body)
        ok = await self.answer(200, "INVITE", cseq)
        self.send("ACK", cseq, answer, branch=f"a{cseq}")
        return ok

    def connect(self, ok: Response) -> None:
        """Speak to where that response says."""
        (line,) = [part for part in ok.body.decode().split("\r\n") if part.startswith("m=audio")]
        self.voice.speak_to(Address("127.0.0.1", int(line.split()[1])))

    def reply(self, to: Request) -> None:
        """200."""
        fields = "".join(
            f"{name}: {value}\r\n"
            for name in ("Via", "From", "To", "Call-ID", "CSeq")
            for value in to.headers.all(name)
        )
        data = f"SIP/2.0 200 OK\r\n{fields}Content-Length: 0\r\n\r\n".encode()
        self.socket.sendto(data, (self.peer.host, self.peer.port))

    def close(self) -> None:
        self.voice.close()
        self._loop.remove_reader(self.socket)
        self.socket.close()

    def _receive(self) -> None:
        data = self.socket.recv(65535)
        message = parse(data)
        self.got.append((data, message))
        if isinstance(message, Response):
            self.tag = message.to.tag or self.tag
        elif message.method != "ACK":
            self.reply(message)
