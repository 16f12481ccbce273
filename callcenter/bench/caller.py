"""Callers: a small SIP user agent client over UDP with 50 packets of sound a second.

Runs as a process of its own (`python -m callcenter.bench.caller HOST PORT [WAV]`). It knows
what a measurement needs and no more: INVITE, ACK, CANCEL, BYE (RFC 3261), PCMU (RFC 3551).
Times are wall-clock seconds, to be compared with those of other processes here.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from callcenter.bench import helper, sound
from callcenter.errors import CallcenterError
from callcenter.telephony.media import rtp
from callcenter.telephony.sip.message import Request, Response, respond
from callcenter.telephony.sip.parser import parse

_FRAME_SECONDS = 0.02


class Call(asyncio.DatagramProtocol):
    """One call; it is also the receiver of its own sound."""

    def __init__(self, callers: Callers, to: str, number: str) -> None:
        self.stamps: dict[str, float] = {}
        self.status = 0
        self.id = secrets.token_hex(12)
        self._callers, self._to = callers, to
        self._uri = f"sip:{to}@{callers.server[0]}:{callers.server[1]}"
        self._from = f"<sip:{number}@127.0.0.1>;tag={secrets.token_hex(6)}"
        self._contact = f"<sip:{number}@{callers.here[0]}:{callers.here[1]}>"
        self._branch, self._tagged_to, self._target = _branch(), f"<{self._uri}>", self._uri
        self._writer, self._sent = rtp.PacketWriter(), 0
        self._media: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sequences: list[int] = []

    async def invite(self) -> None:
        """Open the sound's socket and send the INVITE."""
        loop = asyncio.get_running_loop()
        self._media, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        port = self._media.get_extra_info("sockname")[1]
        body = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        data = self._request("INVITE", 1, self._branch, body)
        self._stamp("invite")
        self._callers.send(data)

    def hang_up(self) -> None:
        """BYE, or CANCEL where nobody has answered."""
        if "ended" in self.stamps:
            return
        if "answered" in self.stamps:
            self._callers.send(self._request("BYE", 2, _branch()))
            self._end()
        else:
            self._callers.send(self._request("CANCEL", 1, self._branch))

    def on_response(self, response: Response) -> None:
        """180, 200 and refusals of the INVITE; the rest needs no answer."""
        if response.cseq.method != "INVITE":
            return
        status = response.status
        if 100 < status < 200:
            self._stamp("ringing")
        elif 200 <= status < 300:
            self._answered(response)
        elif status >= 300:
            self.status = status
            self._tagged_to = response.headers.get("To") or self._tagged_to
            self._callers.send(self._request("ACK", 1, self._branch))
            self._end()

    def on_bye(self) -> None:
        """The other side hung up."""
        self._end()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Sound comes."""
        packet = rtp.parse(memoryview(data))
        if packet is None:
            return
        self._stamp("packet")
        self._sequences.append(packet.sequence)
        if "sound" not in self.stamps and sound.is_sound(packet.payload):
            self._stamp("sound")

    def report(self) -> dict[str, Any]:
        """What happened so far: times, the refusal's status (else 0), packets got and lost."""
        got, lost = count_lost(self._sequences)
        return {**self.stamps, "status": self.status, "got": got, "lost": lost}

    def _answered(self, response: Response) -> None:
        first = "answered" not in self.stamps
        self._stamp("answered")
        self._tagged_to = response.headers.get("To") or self._tagged_to
        contact = re.search(r"<([^>]+)>", response.headers.get("Contact") or "")
        self._target = contact[1] if contact else self._uri
        self._callers.send(self._request("ACK", 1, _branch()))
        port = re.search(rb"^m=audio (\d+)", response.body, re.MULTILINE)
        if first and port is not None:
            self._remote = (self._callers.server[0], int(port[1]))
            self._speak(asyncio.get_running_loop().time())

    def _speak(self, due: float) -> None:
        """One frame now, the next on the absolute clock; ticks missed by a stall are made up."""
        if self._media is None or "ended" in self.stamps:
            return
        payload = self._callers.frames[self._sent % len(self._callers.frames)]
        packet = self._writer.packet(self._sent, payload, 0, self._sent == 0)
        self._media.sendto(bytes(packet), self._remote)
        self._sent += 1
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(due + _FRAME_SECONDS, self._speak, due + _FRAME_SECONDS)

    def _end(self) -> None:
        self._stamp("ended")
        if self._timer is not None:
            self._timer.cancel()
        if self._media is not None:
            self._media.close()

    def _stamp(self, name: str) -> None:
        self.stamps.setdefault(name, time.time())

    def _request(self, method: str, cseq: int, branch: str, body: str = "") -> bytes:
        host, port = self._callers.here
        target = self._uri if method in ("INVITE", "CANCEL") else self._target
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {self._from}",
            f"To: {self._tagged_to if method not in ('INVITE', 'CANCEL') else f'<{self._uri}>'}",
            f"Call-ID: {self.id}",
            f"CSeq: {cseq} {method}",
            f"Contact: {self._contact}",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines).encode()


class Callers(asyncio.DatagramProtocol):
    """All calls of this process behind one SIP socket."""

    def __init__(self, server: tuple[str, int], frames: list[bytes]) -> None:
        self.server, self.frames = server, frames
        self.here = ("127.0.0.1", 0)
        self._calls: list[Call] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind the socket."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.here)
        self.here = self._transport.get_extra_info("sockname")[:2]

    async def answer(self, asked: helper.Message) -> Any:
        """call {to, caller} → its index; report → one each; hang_up {index | null}."""
        match asked["do"]:
            case "call":
                self._calls.append(Call(self, asked["to"], asked["caller"]))
                await self._calls[-1].invite()
                return len(self._calls) - 1
            case "report":
                return [call.report() for call in self._calls]
            case "hang_up":
                index = asked.get("index")
                for call in self._calls if index is None else [self._calls[index]]:
                    call.hang_up()
                return None
        raise CallcenterError(f"callers cannot {asked['do']}")

    def send(self, data: bytes) -> None:
        """To the SIP server."""
        assert self._transport is not None
        self._transport.sendto(data, self.server)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A response, or a request within a call."""
        message = parse(data)
        call = next((one for one in self._calls if one.id == message.call_id), None)
        if isinstance(message, Response):
            if call is not None:
                call.on_response(message)
        elif isinstance(message, Request) and message.method != "ACK":
            self.send(bytes(_agree(message)))
            if call is not None and message.method == "BYE":
                call.on_bye()


def count_lost(sequences: list[int]) -> tuple[int, int]:
    """Packets got and lost of one stream, by their 16-bit numbers in the order of arrival.

    The order may differ a little and the numbers may wrap; what came twice counts once.
    """
    if not sequences:
        return 0, 0
    place = last = 0
    places = {0}
    for before, number in itertools.pairwise(sequences):
        place += rtp.distance(number, before, 16)
        last = max(last, place)
        places.add(place)
    return len(places), last - min(places) + 1 - len(places)


def _agree(request: Request) -> Response:
    response = respond(request, 200, tag=secrets.token_hex(6))
    response.set_body(b"")
    return response


def _branch() -> str:
    return "z9hG4bK" + secrets.token_hex(10)


async def _main(host: str, port: str, wav: str | None) -> None:
    frames = sound.speech(Path(wav)) if wav else sound.frames()
    callers = Callers((host, int(port)), frames)
    await callers.open()
    await helper.serve(callers.answer)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
