"""One contract for every `SipBackend`: our own stack and pyVoIP on real sockets, a scripted twin.

`CANNOT` is what a backend is documented not to do, with the answer that a peer gets instead; a test
marked `needs(…)` is not played for it, and the refusal is tested in its place.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from sip_bench import backend, pyvoip_backend, request

from callcenter.errors import SipFailure
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.adapters.sip_pyvoip import PyVoipSipBackend
from callcenter.telephony.fakes.sip import FakeCall, FakeSipBackend
from callcenter.telephony.ports import (
    Address,
    Codec,
    Direction,
    InboundCall,
    MediaDescription,
    SipBackend,
)
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse

pytestmark = pytest.mark.integration  # real sockets, in real time

BACKENDS = ("fake", "native", "pyvoip")

CANNOT: dict[str, dict[str, int]] = {  # backend → capability → the status that refuses it
    "fake": {},
    "native": {},
    "pyvoip": {
        **{"late offer": 488, "100rel": 420, "timer": 420, "replaces": 420},
        **{"UPDATE": 405, "PRACK": 405, "REFER": 405},
    },
}

HERE = Address("127.0.0.1", 30000)
PATIENCE = 10.0


def sdp(direction: str = "sendrecv", formats: str = "0 8 101") -> str:
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio 40000 RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a={direction}\r\n"
    )


class Phone(Protocol):
    """The caller's side, whatever the backend."""

    @property
    def backend(self) -> SipBackend: ...
    async def invite(self, *, late_offer: bool = False) -> InboundCall: ...
    async def cancel(self) -> None: ...
    async def acknowledge(self) -> None: ...
    async def bye(self) -> None: ...
    async def hold(self) -> None: ...
    async def press(self, key: str) -> None: ...
    async def heard(self) -> list[str]: ...


class FakePhone:
    def __init__(self, fake: FakeSipBackend, calls: list[InboundCall]) -> None:
        self.backend = fake
        self.call: FakeCall

    async def invite(self, *, late_offer: bool = False) -> InboundCall:
        self.call = self.backend.invite(late_offer=late_offer)
        return self.call

    async def cancel(self) -> None:
        self.call.cancel()

    async def acknowledge(self) -> None:
        self.call.acknowledge()

    async def bye(self) -> None:
        self.call.bye()

    async def hold(self) -> None:
        self.call.hold()

    async def press(self, key: str) -> None:
        self.call.press(key)

    async def heard(self) -> list[str]:
        return self.call.said


class UdpPhone:
    """A telephone on a real socket, every request written by hand."""

    def __init__(
        self, native: NativeSipBackend | PyVoipSipBackend, calls: list[InboundCall]
    ) -> None:
        self.backend = native
        self.calls = calls
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.tag = ""
        self.late = False

    def send(
        self,
        method: str,
        cseq: int,
        *,
        branch: str = "b1",
        body: str = "",
        kind: str = "",
        extra: str = "",
    ) -> None:
        peer = self.backend.addresses[0]
        host, port = self.socket.getsockname()
        to_tag = self.tag if method != "CANCEL" and branch != "b1" else None
        data = request(
            method,
            cseq=cseq,
            branch=branch,
            body=body,
            extra=extra,
            to_tag=to_tag,
            via=f"{host}:{port};rport",
            uri=f"sip:100@{peer.host}:{peer.port}",
            from_="<sip:+989121234567@127.0.0.1>;tag=caller",
        )
        data = data.replace(b"application/sdp", kind.encode()) if kind else data
        self.socket.sendto(data, (peer.host, peer.port))

    async def next(self) -> Request | Response:
        loop = asyncio.get_running_loop()
        data = await asyncio.wait_for(loop.sock_recv(self.socket, 65535), PATIENCE)
        message = parse(data)
        if isinstance(message, Response):
            self.tag = message.to.tag or self.tag
        return message

    async def until(self, wanted: Callable[[Request | Response], bool]) -> None:
        while not wanted(await self.next()):
            pass

    async def status(self, status: int, method: str) -> None:
        await self.until(
            lambda m: isinstance(m, Response) and (m.status, m.cseq.method) == (status, method)
        )

    async def invite(self, *, late_offer: bool = False) -> InboundCall:
        self.late = late_offer
        self.send("INVITE", 1, body="" if late_offer else sdp())
        await self.status(100, "INVITE")
        return self.calls[-1]

    async def cancel(self) -> None:
        self.send("CANCEL", 1)
        await self.status(200, "CANCEL")

    async def acknowledge(self) -> None:
        await self.status(200, "INVITE")
        self.send("ACK", 1, branch="ack", body=sdp() if self.late else "")

    async def press(self, key: str) -> None:
        body = f"Signal={key}\r\nDuration=160\r\n"
        self.send("INFO", 4, branch=f"info{key}", body=body, kind="application/dtmf-relay")
        await self.status(200, "INFO")

    async def bye(self) -> None:
        self.send("BYE", 5, branch="bye")
        await self.status(200, "BYE")

    async def hold(self) -> None:
        self.send("INVITE", 2, branch="hold", body=sdp("sendonly"))
        await self.status(200, "INVITE")
        self.send("ACK", 2, branch="ack2")

    async def heard(self) -> list[str]:
        """What came by now; the last thing under way may take a moment."""
        heard: list[str] = []
        while True:
            try:
                message = await asyncio.wait_for(self.next(), 0.3)
            except TimeoutError:
                return heard
            heard.append(str(message.status) if isinstance(message, Response) else message.method)


@asynccontextmanager
async def phone_of(kind: str) -> AsyncIterator[Phone]:
    calls: list[InboundCall] = []
    if kind == "fake":
        fake = FakeSipBackend()
        await fake.start(calls.append)
        yield FakePhone(fake, calls)
        await fake.stop()
        return
    real, _ = await (backend if kind == "native" else pyvoip_backend)(calls.append)
    phone = UdpPhone(real, calls)
    yield phone
    await real.stop()
    phone.socket.close()


Scenario = Callable[[Phone], Coroutine[Any, Any, None]]


def needs(capability: str) -> pytest.MarkDecorator:
    """Play the test with the backends that can do that; the others have it in `CANNOT`."""
    able = [kind for kind in BACKENDS if capability not in CANNOT[kind]]
    return pytest.mark.parametrize("play", able, indirect=True)


@pytest.fixture(params=BACKENDS)
def play(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    def run(scenario: Scenario) -> None:
        async def scene() -> None:
            async with phone_of(request.param) as phone:
                await scenario(phone)

        asyncio.run(scene())

    return run


Play = Callable[[Scenario], None]


def test_a_new_call_tells_who_calls_and_what_was_dialled(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        assert call.request_user == "100"
        assert call.caller.number == "+989121234567"
        assert call.trunk == "local"
        assert call.local_host == "127.0.0.1"
        assert call.sip_call_id
        assert phone.backend.active() == 1

    play(scenario)


def test_ring_answer_talk_and_the_caller_hangs_up(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        call.ring()
        media = await call.answer(HERE)
        assert media.signalling in (None, "127.0.0.1")
        assert replace(media, signalling=None) == MediaDescription(
            Address("127.0.0.1", 40000), Codec.PCMU, Direction.SENDRECV, 20, 101
        )
        await phone.acknowledge()
        await phone.bye()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "bye"
        assert phone.backend.active() == 0

    play(scenario)


def test_a_cancelled_call_ends_and_cannot_be_answered(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        call.ring()
        await phone.cancel()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "cancelled"
        with pytest.raises(SipFailure):
            await call.answer(HERE)
        call.ring()
        call.reject(486)
        call.hang_up()
        assert phone.backend.active() == 0
        assert "486" not in await phone.heard()

    play(scenario)


def test_a_refused_call_ends_once(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        call.reject(486)
        call.reject(503, retry_after=5)
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "refused"
        assert set(await phone.heard()) == {"486"}

    play(scenario)


def test_hanging_up_before_the_answer_declines(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "hung_up"
        assert set(await phone.heard()) == {"603"}

    play(scenario)


def test_hanging_up_after_the_answer_says_bye(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite()
        await call.answer(HERE)
        await phone.acknowledge()
        await asyncio.sleep(0.05)
        call.hang_up()
        call.hang_up()
        assert await asyncio.wait_for(call.ended, PATIENCE) == "hung_up"
        assert "BYE" in await phone.heard()
        assert phone.backend.active() == 0

    play(scenario)


@needs("late offer")
def test_a_late_offer_is_agreed_with_the_ack(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite(late_offer=True)
        answering = asyncio.ensure_future(call.answer(HERE))
        await asyncio.sleep(0.05)
        assert not answering.done()
        await phone.acknowledge()
        media = await asyncio.wait_for(answering, PATIENCE)
        assert media.codec is Codec.PCMU
        assert media.address == Address("127.0.0.1", 40000)

    play(scenario)


@needs("late offer")
def test_a_caller_who_goes_before_the_late_answer_is_a_failure(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        call = await phone.invite(late_offer=True)
        answering = asyncio.ensure_future(call.answer(HERE))
        await asyncio.sleep(0.05)
        await phone.heard()
        await phone.bye()
        with pytest.raises(SipFailure):
            await asyncio.wait_for(answering, PATIENCE)
        assert await asyncio.wait_for(call.ended, PATIENCE) == "bye"

    play(scenario)


def test_hold_is_told_to_the_handler(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        told: list[MediaDescription] = []
        call = await phone.invite()
        call.on_media(told.append)
        await call.answer(HERE)
        await phone.acknowledge()
        await phone.hold()
        assert [media.direction for media in told] == [Direction.SENDONLY]

    play(scenario)


def test_keys_that_come_by_info_are_told_to_the_handler(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        told: list[str] = []
        call = await phone.invite()
        call.on_digit(told.append)
        await call.answer(HERE)
        await phone.acknowledge()
        await phone.press("5")
        await phone.press("#")
        assert told == ["5", "#"]

    play(scenario)


def test_nobody_is_told_of_calls_after_stop_and_stop_is_safe_with_a_call_open(play: Play) -> None:
    async def scenario(phone: Phone) -> None:
        await phone.invite()
        await phone.backend.stop()

    play(scenario)


REFUSED = [(kind, what, status) for kind in BACKENDS for what, status in CANNOT[kind].items()]


@pytest.mark.parametrize(("kind", "what", "status"), REFUSED)
def test_what_a_backend_cannot_do_it_refuses_by_status(kind: str, what: str, status: int) -> None:
    async def scene() -> None:
        async with phone_of(kind) as phone:
            assert isinstance(phone, UdpPhone)
            method = what if what.isupper() else "INVITE"
            extension = what in ("100rel", "timer", "replaces")
            extra = f"Require: {what}\r\n" if extension else ""
            phone.send(method, 1, body=sdp() if extension else "", extra=extra)
            await phone.status(status, method)
            assert phone.backend.active() == 0
            assert phone.calls == []

    asyncio.run(scene())


@pytest.mark.parametrize("kind", [kind for kind in BACKENDS if CANNOT[kind]])
def test_what_a_backend_cannot_do_is_named_in_its_page(kind: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations" / f"{kind}.md").read_text()
    for what, status in CANNOT[kind].items():
        assert any(
            line.startswith(f"| {what} |") and str(status) in line for line in page.split("\n")
        )
