"""What the SIP tests share: a caller who writes datagrams by hand, and an app that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from callcenter.config import Sip, Trunk
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.adapters.sip_pyvoip import PyVoipSipBackend
from callcenter.telephony.ports import Address, InboundCall
from callcenter.telephony.sip.actions import (
    Action,
    Event,
    Flow,
    IncomingInvite,
    PhoneMoved,
    PhoneMoves,
    RegistrationChanged,
    Send,
    Suspicious,
)
from callcenter.telephony.sip.incoming import InviteUsage
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import Malformed, parse
from callcenter.telephony.sip.useragent import UserAgent

US = Address("192.0.2.10", 5060)
PEER = Address("192.0.2.20", 5060)
FLOW = Flow("udp://test", US, PEER)
SOUND = Address("192.0.2.10", 20000)

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def tokens(start: int = 1) -> Callable[[], str]:
    numbers = count(start)
    return lambda: f"{next(numbers):08x}"


def request(
    method: str = "INVITE",
    *,
    body: str = "",
    cseq: int = 1,
    branch: str = "b1",
    to_tag: str | None = None,
    call_id: str = "call-1",
    extra: str = "",
    uri: str = "sip:100@192.0.2.10",
    via: str = "192.0.2.20;rport",
    from_: str = '"Ali" <sip:+989121234567@192.0.2.20>;tag=caller',
) -> bytes:
    tag = f";tag={to_tag}" if to_tag else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{branch}\r\n"
        f"Max-Forwards: 70\r\n"
        f"From: {from_}\r\n"
        f"To: <sip:100@192.0.2.10>{tag}\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"Contact: <sip:caller@192.0.2.20:5060>\r\n"
        f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def messages(actions: list[Action]) -> list[Request | Response]:
    return [_read(action.data) for action in actions if isinstance(action, Send)]


def _read(data: bytes) -> Request | Response:
    """An answer to bad SIP repeats what was bad in it."""
    try:
        return parse(data)
    except Malformed as error:
        if isinstance(error.salvaged, Response):
            return error.salvaged
        raise


def statuses(actions: list[Action]) -> list[int | str]:
    found = messages(actions)
    return [each.status if isinstance(each, Response) else each.method for each in found]


def events(actions: list[Action]) -> list[Event]:
    return [
        action
        for action in actions
        if not isinstance(action, Send | Suspicious | RegistrationChanged | PhoneMoves | PhoneMoved)
    ]


class Scene:
    """A user agent, a clock and a caller."""

    def __init__(self) -> None:
        self.ua = UserAgent(tokens())
        self.now = 100.0

    def send(self, data: bytes, flow: Flow = FLOW) -> list[Action]:
        return self.ua.receive(data, flow, self.now)

    def invite(self, body: str = OFFER, **kw: Any) -> InviteUsage:
        (incoming,) = events(self.send(request(body=body, **kw)))
        assert isinstance(incoming, IncomingInvite)
        self.call = incoming.call
        return self.call

    def tag(self) -> str:
        return self.call.dialog.local_tag

    def answer(self) -> list[Action]:
        return self.ua.answer(self.call, SOUND, self.now)

    def ack(self, cseq: int = 1, body: str = "") -> list[Action]:
        return self.within("ACK", cseq, body=body)

    def talking(self, **kw: Any) -> InviteUsage:
        """An answered and acknowledged call."""
        self.invite(**kw)
        self.answer()
        self.ack(kw.get("cseq", 1))
        return self.call

    def within(self, method: str, cseq: int, **kw: Any) -> list[Action]:
        """A request of the caller's within the dialog of the latest call."""
        kw = {"call_id": self.call.invite.call_id, "branch": f"w{cseq}{method}"} | kw
        return self.send(request(method, cseq=cseq, to_tag=self.tag(), **kw))

    def run_until(self, end: float) -> list[tuple[float, Action]]:
        """Let time pass; every action with the seconds since now."""
        start, done = self.now, []
        while (deadline := self.ua.next_deadline()) is not None and deadline <= start + end:
            self.now = deadline
            done += [(self.now - start, action) for action in self.ua.poll(self.now)]
        self.now = start + end
        return done


async def backend(
    on_call: Callable[[InboundCall], None], **settings: Any
) -> tuple[NativeSipBackend, Address]:
    """The real adapter on a free loopback port."""
    settings.setdefault("trunks", [Trunk(name="local", hosts=["127.0.0.0/8"])])
    native = NativeSipBackend(Sip(**({"listen": ["udp://127.0.0.1:0"]} | settings)))
    await native.start(on_call)
    return native, native.addresses[0]


async def pyvoip_backend(
    on_call: Callable[[InboundCall], None], **settings: Any
) -> tuple[PyVoipSipBackend, Address]:
    """The same with pyVoIP."""
    settings.setdefault("trunks", [Trunk(name="local", hosts=["127.0.0.0/8"])])
    listen = {"backend": "pyvoip", "listen": ["udp://127.0.0.1:0"]}
    pyvoip = PyVoipSipBackend(Sip(**(listen | settings)))
    await pyvoip.start(on_call)
    return pyvoip, pyvoip.addresses[0]


class RingThenAnswer:
    """The smallest application: rings, answers after a while, knows a few numbers only.

    It follows every REFER in words, and lets other dialogs take the place of its calls.
    """

    def __init__(
        self, seconds: float = 1.0, users: frozenset[str] | None = None, *, early: bool = False
    ) -> None:
        self.seconds = seconds
        self.users = users
        self.early = early
        self.ends: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def __call__(self, call: InboundCall) -> None:
        if self.users is not None and call.request_user not in self.users:
            call.reject(404)
            return
        call.on_refer(lambda referral: referral.report(200))
        call.on_replace(lambda other: self._keep(self._replace(call, other)))
        self._keep(self._life(call))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _replace(self, call: InboundCall, other: InboundCall) -> None:
        await other.answer(Address(other.local_host, 30002))
        call.hang_up()
        self.ends.append(await other.ended)

    async def _life(self, call: InboundCall) -> None:
        if self.early:
            await call.early(Address(call.local_host, 30000))
        else:
            call.ring()
        end = asyncio.ensure_future(call.ended)
        done, _ = await asyncio.wait({end}, timeout=self.seconds)
        if not done:
            try:
                await call.answer(Address(call.local_host, 30000))
            except Exception:  # the caller may be gone by now
                self.ends.append("gone")
        self.ends.append(await end)
