"""The adapter on real loopback sockets: who may speak, how much, and that it lives on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
import uvloop
from sip_bench import OFFER, RingThenAnswer, backend, request

from callcenter.config import Sip, Trunk
from callcenter.errors import StartError
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.ports import Address, InboundCall
from callcenter.telephony.sip.message import Response
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.sources import Sources, normal_host

pytestmark = pytest.mark.integration  # real sockets, in real time

PATIENCE = 10.0
LOOPBACK_OFFER = OFFER.replace("192.0.2.20", "127.0.0.1")


class Client:
    """A UDP socket that speaks to the adapter."""

    def __init__(self, to: Address, host: str = "127.0.0.1") -> None:
        self.to = to
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, (self.to.host, self.to.port))

    async def response(self) -> Response:
        loop = asyncio.get_running_loop()
        data = await asyncio.wait_for(loop.sock_recv(self.socket, 65535), PATIENCE)
        message = parse(data)
        assert isinstance(message, Response)
        return message

    async def final(self) -> Response:
        while (response := await self.response()).status < 200:
            pass
        return response


@contextlib.asynccontextmanager
async def listening(
    on_call: Any = lambda call: None, **settings: Any
) -> AsyncIterator[tuple[NativeSipBackend, Client]]:
    native, address = await backend(on_call, **settings)
    client = Client(address)
    try:
        yield native, client
    finally:
        client.socket.close()
        await native.stop()


def test_a_source_of_no_trunk_gets_silence_is_counted_and_logged_once() -> None:
    async def scene() -> None:
        async with listening(trunks=[Trunk(name="far", hosts=["127.0.0.9/32"])]) as (
            native,
            client,
        ):
            with structlog.testing.capture_logs() as logs:
                for _ in range(5):
                    client.send(request("OPTIONS", via="127.0.0.1;rport"))
                await until(lambda: native.ignored == 5)
            assert [log["src"] for log in logs if "SECURITY" in log["event"]] == ["127.0.0.1"]
            with pytest.raises(BlockingIOError):
                client.socket.recv(1)

    asyncio.run(scene())


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_calls_over_the_limit_get_503_with_retry_after() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with listening(calls.append, max_calls=1) as (native, client):
            for number in (1, 2):
                client.send(
                    request(
                        body=LOOPBACK_OFFER,
                        via="127.0.0.1;rport",
                        call_id=f"c{number}",
                        branch=f"b{number}",
                    )
                )
            refusal = await client.final()
            assert refusal.status == 503
            assert refusal.call_id == "c2"
            assert int(refusal.headers.get("Retry-After") or 0) > 0
            assert len(calls) == 1
            assert native.active() == 1

    asyncio.run(scene())


def test_an_application_that_fails_costs_the_caller_500_and_nobody_else() -> None:
    async def scene() -> None:
        def broken(call: InboundCall) -> None:
            raise RuntimeError("+989121234567 must not be logged")

        async with listening(broken) as (native, client):
            with structlog.testing.capture_logs() as logs:
                client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
                assert (await client.final()).status == 500
            assert native.active() == 0
            assert "98912" not in repr(logs)
            assert [log["error"] for log in logs] == ["RuntimeError"]
            client.send(request("OPTIONS", via="127.0.0.1;rport", branch="o"))
            assert (await client.final()).status == 200

    asyncio.run(scene())


def test_a_fault_of_our_own_is_caught_at_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with listening() as (native, client):
            receive = native._core.receive
            monkeypatch.setattr(native._core, "receive", lambda *args: 1 / 0)
            with structlog.testing.capture_logs() as logs:
                client.send(b"secret")
                await until(lambda: logs)
            assert logs[0]["error"] == "ZeroDivisionError"
            assert "secret" not in repr(logs)
            monkeypatch.setattr(native._core, "receive", receive)
            client.send(request("OPTIONS", via="127.0.0.1;rport"))
            assert (await client.final()).status == 200

    asyncio.run(scene())


def test_a_fault_in_a_timer_stops_neither_that_timer_nor_the_listener(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        app = RingThenAnswer(0.0)
        async with listening(app) as (native, client):
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
            assert (await client.final()).status == 200
            poll = native._core.poll
            monkeypatch.setattr(native._core, "poll", lambda now: [poll(now), 1 / 0])
            with structlog.testing.capture_logs() as logs:
                await until(lambda: logs)
            monkeypatch.setattr(native._core, "poll", poll)
            assert (await client.final()).status == 200
            for task in app.tasks:
                task.cancel()

    asyncio.run(scene())


def test_an_unsendable_answer_is_lost_and_nothing_else() -> None:
    async def scene() -> None:
        async with listening() as (_, client):
            client.send(request("OPTIONS", via="127.0.0.1:0"))
            client.send(request("OPTIONS", via="127.0.0.1;rport", branch="b2"))
            assert (await client.final()).via.branch == "z9hG4bKb2"

    for loop_factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(scene())


def test_the_largest_datagram_is_told_that_it_is_too_large() -> None:
    async def scene() -> None:
        async with listening() as (_, client):
            client.send(request("OPTIONS", via="127.0.0.1;rport", extra=f"X: {'x' * 60000}\r\n"))
            assert (await client.final()).status == 513

    asyncio.run(scene())


def test_the_peer_is_told_the_address_it_reached_also_on_a_wildcard_socket() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        native = NativeSipBackend(Sip(listen=["udp://0.0.0.0:0"]))
        await native.start(calls.append)
        client = Client(Address("127.0.0.1", native.addresses[0].port))
        client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
        assert (await client.response()).status == 100
        calls[0].ring()
        ringing = await client.response()
        assert calls[0].local_host == "127.0.0.1"
        assert ringing.headers.get("Contact") == f"<sip:127.0.0.1:{client.to.port}>"
        client.socket.close()
        await native.stop()

    asyncio.run(scene())


def test_the_advertised_host_is_told_where_one_is_set() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with listening(calls.append, advertised_host="127.0.0.77") as (_, client):
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
            await client.response()
            assert calls[0].local_host == "127.0.0.77"

    asyncio.run(scene())


def test_ipv6_is_served() -> None:
    async def scene() -> None:
        native = NativeSipBackend(Sip(listen=["udp://[::1]:0"]))
        try:
            await native.start(lambda call: None)
        except StartError:
            pytest.skip("this machine has no IPv6")
        client = Client(native.addresses[0], "::1")
        client.send(request("OPTIONS", via="[::1];rport"))
        assert (await client.final()).status == 200
        client.socket.close()
        await native.stop()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"listen": ["udp://192.0.2.1:5060"]}, "cannot be bound"),
        ({"listen": ["tcp://192.0.2.1:5060"]}, "cannot be bound"),
        ({"listen": ["udp://127.0.0.1:0"], "advertised_host": "pbx.example"}, "no IP address"),
    ],
)
def test_what_cannot_be_listened_on_stops_the_start_with_a_sentence(
    settings: dict[str, Any], sentence: str
) -> None:
    async def scene() -> None:
        with pytest.raises(StartError, match=sentence):
            await NativeSipBackend(Sip(**settings)).start(lambda call: None)

    asyncio.run(scene())


def test_twenty_calls_at_once_are_all_answered() -> None:
    async def scene() -> None:
        app = RingThenAnswer(0.0)
        async with listening(app) as (native, client):
            for number in range(20):
                client.send(
                    request(
                        body=LOOPBACK_OFFER,
                        via="127.0.0.1;rport",
                        call_id=f"c{number}",
                        branch=f"b{number}",
                    )
                )
            answered: set[str] = set()
            async with asyncio.timeout(PATIENCE):
                while len(answered) < 20:
                    response = await client.final()
                    assert response.status == 200
                    answered.add(response.call_id)
            assert native.active() == 20
            for task in app.tasks:
                task.cancel()

    asyncio.run(scene())


def test_it_runs_on_uvloop_as_well() -> None:
    async def scene() -> None:
        app = RingThenAnswer(0.0)
        async with listening(app) as (_, client):
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
            assert (await client.final()).status == 200
            repeated = await client.final()  # nobody sends the ACK: the one timer works
            assert repeated.status == 200
            for task in app.tasks:
                task.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


@pytest.mark.parametrize(
    ("host", "trunk"),
    [
        ("192.0.2.9", "pbx"),
        ("::ffff:192.0.2.9", "pbx"),
        ("2001:db8::1", "six"),
        ("fe80::1%eth0", "link"),
        ("198.51.100.1", None),
    ],
)
def test_which_trunk_an_address_belongs_to(host: str, trunk: str | None) -> None:
    sources = Sources(
        [("pbx", ["192.0.2.0/24"]), ("six", ["2001:db8::/32"]), ("link", ["fe80::/10"])]
    )
    assert sources.trunk(normal_host(host)) == trunk


def test_strangers_are_worth_a_line_a_minute() -> None:
    sources = Sources([])
    assert sources.worth_a_line("192.0.2.1", 0.0)
    assert not sources.worth_a_line("192.0.2.1", 59.0)
    assert sources.worth_a_line("192.0.2.2", 59.0)
    assert sources.worth_a_line("192.0.2.1", 61.0)
