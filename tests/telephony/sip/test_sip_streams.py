"""TCP and TLS on real loopback sockets: the same calls, and connections that ask too much."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from sip_bench import OFFER, RingThenAnswer, request
from tls_bench import Authority

from callcenter.config import Sip, SipTls, Trunk
from callcenter.errors import StartError
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.adapters.sip_stream import StreamListener
from callcenter.telephony.ports import Address, InboundCall
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import MAX_SIZE, parse
from callcenter.telephony.sip.stream import PING, PONG, Signal, StreamFramer

pytestmark = pytest.mark.integration  # real sockets, in real time

PATIENCE = 10.0
LOOPBACK_OFFER = OFFER.replace("192.0.2.20", "127.0.0.1")
LOCAL = [Trunk(name="local", hosts=["127.0.0.0/8", "::1/128"])]


def over(transport: str, method: str = "INVITE", **kw: Any) -> bytes:
    data = request(method, **({"via": "127.0.0.1;rport"} | kw))
    return data.replace(b"SIP/2.0/UDP", f"SIP/2.0/{transport}".encode())


@dataclass
class StreamClient:
    """A connection that speaks to the adapter."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        self._framer = StreamFramer()
        self._items: list[bytes | Signal] = []

    @classmethod
    async def to(cls, at: Address, context: ssl.SSLContext | None = None) -> StreamClient:
        name = "localhost" if context else None
        return cls(
            *await asyncio.open_connection(at.host, at.port, ssl=context, server_hostname=name)
        )

    async def message(self) -> Request | Response:
        while not self._items:
            data = await asyncio.wait_for(self.reader.read(65536), PATIENCE)
            assert data, "the connection is closed"
            self._items += self._framer.feed(data)
        item = self._items.pop(0)
        assert isinstance(item, bytes)
        return parse(item, streamed=True)

    async def final(self) -> Response:
        while not isinstance(message := await self.message(), Response) or message.status < 200:
            pass
        return message

    async def closed(self) -> None:
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), PATIENCE):
                pass

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def listening(
    on_call: Any = lambda call: None, url: str = "tcp://127.0.0.1:0", **settings: Any
) -> AsyncIterator[NativeSipBackend]:
    native = NativeSipBackend(Sip(**({"listen": [url], "trunks": LOCAL} | settings)))
    await native.start(on_call)
    try:
        yield native
    finally:
        await native.stop()


def listener_of(native: NativeSipBackend) -> StreamListener:
    (listener,) = native._listeners.values()
    assert isinstance(listener, StreamListener)
    return listener


async def call_and_hang_up(client: StreamClient, app: RingThenAnswer, transport: str) -> Response:
    six = ":" in client.writer.get_extra_info("peername")[0]
    offer = OFFER.replace("IP4 192.0.2.20", "IP6 ::1") if six else LOOPBACK_OFFER
    client.writer.write(over(transport, body=offer))
    answer = await client.final()
    assert answer.status == 200
    tag = answer.to.tag
    client.writer.write(over(transport, "ACK", to_tag=tag, branch="a"))
    client.writer.write(over(transport, "BYE", to_tag=tag, cseq=2, branch="bye"))
    assert (await client.final()).cseq.method == "BYE"
    async with asyncio.timeout(PATIENCE):
        while app.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert app.ends == ["bye"]
    return answer


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_call_over_tcp_is_answered_and_ended(factory: Any, host: str) -> None:
    async def scene() -> None:
        app = RingThenAnswer(0.0)
        async with listening(app, f"tcp://{host}:0") as native:
            client = await StreamClient.to(native.addresses[0])
            answer = await call_and_hang_up(client, app, "TCP")
            port = native.addresses[0].port
            assert answer.headers.get("Contact") == f"<sip:{host}:{port};transport=tcp>"
            await client.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_call_over_tls_is_answered_and_ended(factory: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        ca = Authority(tmp_path, "ca")
        app = RingThenAnswer(0.0)
        async with listening(app, "tls://127.0.0.1:0", tls=ca.settings()) as native:
            client = await StreamClient.to(native.addresses[0], ca.client())
            answer = await call_and_hang_up(client, app, "TLS")
            port = native.addresses[0].port
            assert answer.headers.get("Contact") == f"<sip:127.0.0.1:{port};transport=tls>"
            await client.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene())


def test_with_a_client_authority_only_its_certificates_get_in(tmp_path: Path) -> None:
    async def scene() -> None:
        ca, other = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
        tls = replace_settings(ca.settings(), client_ca=ca.certificate)
        async with listening(url="tls://127.0.0.1:0", tls=tls) as native:
            for context in (ca.client(), ca.client(shows=other.issue("stranger"))):
                assert not await served(native, context)
            assert await served(native, ca.client(shows=ca.issue("trunk")))

    asyncio.run(scene())


async def served(native: NativeSipBackend, context: ssl.SSLContext) -> bool:
    """TLS 1.3 tells the client of its rejection with the first octets that it reads."""
    client = None
    try:
        client = await StreamClient.to(native.addresses[0], context)
        client.writer.write(over("TLS", "OPTIONS"))
        return (await client.final()).status == 200
    except (ssl.SSLError, ConnectionError, AssertionError):
        return False
    finally:
        if client:
            await client.close()


def replace_settings(tls: SipTls, **more: Any) -> SipTls:
    return SipTls(**(tls.model_dump() | more))


def test_plain_text_at_a_tls_port_is_cut_off_and_the_next_caller_is_served(tmp_path: Path) -> None:
    async def scene() -> None:
        ca = Authority(tmp_path, "ca")
        async with listening(url="tls://127.0.0.1:0", tls=ca.settings()) as native:
            plain = await StreamClient.to(native.addresses[0])
            plain.writer.write(over("TCP", "OPTIONS"))
            await plain.closed()
            await plain.close()
            client = await StreamClient.to(native.addresses[0], ca.client())
            client.writer.write(over("TLS", "OPTIONS"))
            assert (await client.final()).status == 200
            await client.close()

    asyncio.run(scene())


def test_several_requests_in_one_piece_are_answered_in_their_order_and_pings_too() -> None:
    async def scene() -> None:
        async with listening() as native:
            client = await StreamClient.to(native.addresses[0])
            client.writer.write(PING)
            assert await asyncio.wait_for(client.reader.readexactly(2), PATIENCE) == PONG
            requests = [over("TCP", "OPTIONS", branch=f"b{n}", call_id=f"c{n}") for n in range(3)]
            client.writer.write(b"".join(requests))
            answers = [await client.final() for _ in requests]
            assert [answer.call_id for answer in answers] == ["c0", "c1", "c2"]
            await client.close()

    asyncio.run(scene())


def test_a_bye_of_ours_takes_the_connection_the_call_came_on() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with listening(calls.append) as native:
            client = await StreamClient.to(native.addresses[0])
            other = await StreamClient.to(native.addresses[0])
            client.writer.write(over("TCP", body=LOOPBACK_OFFER))
            assert isinstance(trying := await client.message(), Response)
            assert trying.status == 100
            await calls[0].answer(Address("127.0.0.1", 30000))
            tag = (await client.final()).to.tag
            client.writer.write(over("TCP", "ACK", to_tag=tag, branch="a"))
            other.writer.write(over("TCP", "OPTIONS", call_id="o", branch="o"))
            await other.final()
            calls[0].hang_up()
            while isinstance(bye := await client.message(), Response):
                pass  # the 200 may have been repeated
            assert bye.method == "BYE"
            assert bye.via.transport == "TCP"
            await client.close()
            await other.close()

    asyncio.run(scene())


def test_a_source_of_no_trunk_is_closed_without_a_word_and_counted() -> None:
    async def scene() -> None:
        far = [Trunk(name="far", hosts=["127.0.0.9/32"])]
        async with listening(trunks=far) as native:
            with structlog.testing.capture_logs() as logs:
                for _ in range(3):
                    client = await StreamClient.to(native.addresses[0])
                    await client.closed()
                    await client.close()
            assert native.ignored == 3
            assert [log["src"] for log in logs if "SECURITY" in log["event"]] == ["127.0.0.1"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (over("TCP", "OPTIONS").replace(b"Content-Length: 0\r\n", b""), 400),
        (over("TCP", "OPTIONS", extra=f"X: {'x' * MAX_SIZE}\r\n"), 513),
        (over("TCP", "INVITE", body="x" * 3 * MAX_SIZE), 513),
    ],
)
def test_what_cannot_be_framed_is_answered_and_the_connection_closed(
    data: bytes, status: int
) -> None:
    async def scene() -> None:
        async with listening() as native:
            client = await StreamClient.to(native.addresses[0])
            client.writer.write(data)
            assert (await client.final()).status == status
            await client.closed()
            await client.close()

    asyncio.run(scene())


def test_half_a_message_and_a_silent_peer_are_cut_off_in_time() -> None:
    async def scene() -> None:
        async with listening() as native:
            listener = listener_of(native)
            listener.limits = replace(listener.limits, message=0.2, idle=0.4)
            half = await StreamClient.to(native.addresses[0])
            half.writer.write(over("TCP", "OPTIONS")[:40])
            await half.closed()
            silent = await StreamClient.to(native.addresses[0])
            await silent.closed()
            assert not listener.connections
            await half.close()
            await silent.close()

    asyncio.run(scene())


def test_the_connection_of_a_call_may_be_silent_for_as_long_as_the_call_is_up() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with listening(calls.append) as native:
            listener = listener_of(native)
            listener.limits = replace(listener.limits, idle=0.2)
            client = await StreamClient.to(native.addresses[0])
            client.writer.write(over("TCP", body=LOOPBACK_OFFER))
            await client.message()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.read(1), 1.0)
            calls[0].reject(486)
            assert (await client.final()).status == 486
            client.writer.write(over("TCP", "ACK"))
            await client.closed()
            await client.close()

    asyncio.run(scene())


def test_one_source_may_have_so_many_connections_and_gets_them_back() -> None:
    async def scene() -> None:
        async with listening() as native:
            listener = listener_of(native)
            listener.limits = replace(listener.limits, per_source=2)
            kept = [await StreamClient.to(native.addresses[0]) for _ in range(2)]
            for client in kept:
                client.writer.write(over("TCP", "OPTIONS", branch=str(id(client))))
                await client.final()
            third = await StreamClient.to(native.addresses[0])
            await third.closed()
            await kept[0].close()
            async with asyncio.timeout(PATIENCE):
                while len(listener.connections) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            again = await StreamClient.to(native.addresses[0])
            again.writer.write(over("TCP", "OPTIONS", branch="again"))
            assert (await again.final()).status == 200
            for client in (kept[1], third, again):
                await client.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("tls", "sentence"),
    [
        (SipTls(), "needs sip.tls.certificate"),
        (SipTls(certificate=Path("/none.pem"), key=Path("/none.key")), "cannot be used"),
    ],
)
def test_tls_without_a_certificate_stops_the_start_with_a_sentence(
    tls: SipTls, sentence: str
) -> None:
    async def scene() -> None:
        with pytest.raises(StartError, match=sentence):
            await NativeSipBackend(Sip(listen=["tls://127.0.0.1:0"], tls=tls)).start(print)

    asyncio.run(scene())
