"""One contract for every `Dialler`: our own stack on real sockets, and its scripted twin."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

import pytest
from sip_bench import backend

from callcenter.config import Trunk
from callcenter.errors import SipFailure
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.fakes.outgoing import FakeDialler, FakeOutboundCall
from callcenter.telephony.ports import (
    Address,
    Codec,
    Dialler,
    Direction,
    MediaDescription,
    OutboundCall,
)
from callcenter.telephony.sip.message import Request, Response, respond
from callcenter.telephony.sip.parser import parse

pytestmark = pytest.mark.integration  # real sockets, in real time

HERE = Address("127.0.0.1", 30000)
PATIENCE = 30.0
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Phone(Protocol):
    """The called side, whatever the dialler."""

    @property
    def dialler(self) -> Dialler: ...
    async def rings(self, status: int = 180, *, early: bool = False) -> None: ...
    async def answers(self) -> None: ...
    async def refuses(self, status: int) -> None: ...
    async def hangs_up(self) -> None: ...
    async def holds(self) -> None: ...
    async def presses(self, key: str) -> None: ...
    async def heard(self, what: str) -> None: ...


class FakePhone:
    def __init__(self) -> None:
        self.dialler = FakeDialler()

    @property
    def call(self) -> FakeOutboundCall:
        return self.dialler.calls[-1]

    async def rings(self, status: int = 180, *, early: bool = False) -> None:
        await asyncio.sleep(0)
        self.call.progress(status, early=early)

    async def answers(self) -> None:
        await asyncio.sleep(0)
        self.call.answer()

    async def refuses(self, status: int) -> None:
        await asyncio.sleep(0)
        self.call.refuse(status)

    async def hangs_up(self) -> None:
        self.call.bye()

    async def holds(self) -> None:
        self.call.hold()

    async def presses(self, key: str) -> None:
        self.call.press(key)

    async def heard(self, what: str) -> None:
        assert what in self.call.heard


class UdpPhone:
    """A telephone on a real socket, every message written by hand."""

    def __init__(self) -> None:
        self.dialler: NativeSipBackend
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.invited: Request | None = None
        self.requests: list[str] = []
        self.peer: tuple[str, int] = ("", 0)

    async def next(self) -> Request | Response:
        loop = asyncio.get_running_loop()
        data, self.peer = await asyncio.wait_for(loop.sock_recvfrom(self.socket, 65535), PATIENCE)
        message = parse(data)
        if isinstance(message, Request):
            self.requests.append(message.method)
            if message.method == "INVITE":
                self.invited = message
            elif message.method in ("BYE", "CANCEL"):
                self.reply(message, 200)
        return message

    async def the_invite(self) -> Request:
        while self.invited is None:
            await self.next()
        return self.invited

    def reply(self, to: Request, status: int, body: str = "") -> None:
        response = respond(to, status, tag="phone")
        response.headers.add("Contact", f"<sip:phone@{self.host}:{self.port}>")
        response.set_body(body.encode(), "application/sdp" if body else None)
        self.socket.sendto(bytes(response), self.peer)

    async def rings(self, status: int = 180, *, early: bool = False) -> None:
        self.reply(await self.the_invite(), status, SDP if early else "")

    async def answers(self) -> None:
        self.reply(await self.the_invite(), 200, SDP)
        await self.heard("ACK")

    async def refuses(self, status: int) -> None:
        self.reply(await self.the_invite(), status)
        await self.heard("ACK")

    async def asks(self, method: str, cseq: int, body: str = "", kind: str = "") -> None:
        invite = await self.the_invite()
        kind = f"Content-Type: {kind}\r\n" if body else ""
        text = (
            f"{method} sip:127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{method}{cseq};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: {invite.headers.get('To')};tag=phone\r\n"
            f"To: {invite.headers.get('From')}\r\nCall-ID: {invite.call_id}\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <sip:phone@{self.host}:{self.port}>\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.socket.sendto(text.encode(), self.peer)
        while True:
            message = await self.next()
            if isinstance(message, Response) and message.cseq.method == method:
                assert message.status == 200
                return

    async def hangs_up(self) -> None:
        await self.asks("BYE", 5)

    async def holds(self) -> None:
        await self.asks("INVITE", 2, SDP + "a=sendonly\r\n", "application/sdp")

    async def presses(self, key: str) -> None:
        await self.asks("INFO", 3, f"Signal={key}\r\nDuration=160\r\n", "application/dtmf-relay")

    async def heard(self, what: str) -> None:
        while what not in self.requests:
            await self.next()


@asynccontextmanager
async def phone_of(kind: str) -> AsyncIterator[Phone]:
    if kind == "fake":
        yield FakePhone()
        return
    phone = UdpPhone()
    trunk = Trunk.model_validate(
        {
            "name": "provider",
            "hosts": ["127.0.0.0/8"],
            "server": f"127.0.0.1:{phone.port}",
            "plan": {"caller_id": "+982112345"},
        }
    )
    phone.dialler, _ = await backend(lambda call: call.reject(404), trunks=[trunk])
    yield phone
    await phone.dialler.stop()
    phone.socket.close()


Scenario = Callable[[Phone], Coroutine[Any, Any, None]]
Play = Callable[[Scenario], None]


@pytest.fixture(params=["fake", "native"])
def play(request: pytest.FixtureRequest) -> Play:
    def run(scenario: Scenario) -> None:
        async def scene() -> None:
            async with phone_of(request.param) as phone:
                await scenario(phone)

        asyncio.run(scene())

    return run


async def placed(phone: Phone) -> tuple[OutboundCall, asyncio.Task[MediaDescription]]:
    call = await phone.dialler.to_number("+989121234567", "provider")
    return call, asyncio.create_task(call.invite(HERE))


async def talking(phone: Phone) -> OutboundCall:
    call, answering = await placed(phone)
    await phone.answers()
    await asyncio.wait_for(answering, PATIENCE)
    return call


def test_a_call_rings_and_is_answered(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        told: list[tuple[int, MediaDescription | None]] = []
        call = await phone.dialler.to_number("+989121234567", "provider")
        assert re.fullmatch(r"[\w-]+", call.sip_call_id)
        assert (call.local_host, call.shown, call.status) == ("127.0.0.1", "+982112345", 0)
        call.on_progress(lambda status, media: told.append((status, media)))
        answering = asyncio.create_task(call.invite(HERE))
        await phone.rings(180)
        await phone.rings(183, early=True)
        await phone.answers()
        media = await asyncio.wait_for(answering, PATIENCE)
        assert media.signalling in (None, "127.0.0.1")
        assert replace(media, signalling=None) == MediaDescription(
            Address("127.0.0.1", 40000), Codec.PCMU, Direction.SENDRECV, 20, 101
        )
        assert [status for status, _ in told] == [180, 183]
        assert [early is not None for _, early in told] == [False, True]
        assert call.status == 200

    play(scenario)


def test_the_called_side_hangs_up(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await talking(phone)
        await phone.hangs_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "bye"
        call.hang_up()

    play(scenario)


def test_hanging_up_says_bye(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await talking(phone)
        call.hang_up()
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "hung_up"
        await phone.heard("BYE")

    play(scenario)


def test_giving_up_while_it_rings_says_cancel(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call, answering = await placed(phone)
        rang = asyncio.get_running_loop().create_future()
        call.on_progress(lambda status, media: rang.set_result(status))
        await phone.rings()
        assert await asyncio.wait_for(rang, PATIENCE) == 180
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "hung_up"
        with pytest.raises(SipFailure):
            await asyncio.wait_for(answering, PATIENCE)
        await phone.heard("CANCEL")

    play(scenario)


@pytest.mark.parametrize("status", [486, 404, 603])
def test_a_refusal_is_told_with_its_status(play: Play, status: int) -> None:
    async def scenario(phone: Phone) -> None:
        call, answering = await placed(phone)
        await phone.refuses(status)
        with pytest.raises(SipFailure):
            await asyncio.wait_for(answering, PATIENCE)
        assert await asyncio.wait_for(call.ended, PATIENCE) == "refused"
        assert call.status == status

    play(scenario)


def test_a_call_that_was_given_up_before_it_began_is_never_sent(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.dialler.to_number("+989121234567", "provider")
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "hung_up"
        with pytest.raises(SipFailure):
            await call.invite(HERE)

    play(scenario)


def test_hold_and_keys_are_told_to_the_handlers(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        media: list[Direction] = []
        keys: list[str] = []
        call = await talking(phone)
        call.on_media(lambda wish: media.append(wish.direction))
        call.on_digit(keys.append)
        await phone.holds()
        await phone.presses("7")
        assert media == [Direction.SENDONLY]
        assert keys == ["7"]

    play(scenario)


def test_where_no_way_leads_nothing_is_sent(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        if isinstance(phone.dialler, FakeDialler):
            phone.dialler.unreachable = True
        with pytest.raises(SipFailure):
            await phone.dialler.to_number("+989121234567", "nowhere")

    play(scenario)
