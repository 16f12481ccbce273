"""Registrations on real sockets: a small registrar, then its calls."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from sip_bench import request, tokens
from test_sip_native import LOOPBACK_OFFER, Client, listening, until

from callcenter.config import Registration, Trunk
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.ports import InboundCall
from callcenter.telephony.sip.digest import SHA256, Authenticator, Demand, Login, Proof
from callcenter.telephony.sip.message import Request, respond
from callcenter.telephony.sip.parser import parse

FAR = [Trunk(name="far", hosts=["192.0.2.0/24"])]


class Registrar(asyncio.DatagramProtocol):
    """Takes one account's REGISTER with the right digest; `bindings` holds what it granted."""

    def __init__(self, login: Login) -> None:
        self.judge = Authenticator(Demand(login, "pbx", (SHA256,)), tokens())
        self.bindings: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        message = parse(data)
        assert isinstance(message, Request)
        right = self.judge.judge(message, addr[0], 0.0) is Proof.RIGHT
        response = respond(message, 200 if right else 401, tag="pbx")
        if right:
            self.bindings.append(message.headers.get("Expires") or "")
        else:
            for name, value in self.judge.challenges(addr[0], 0.0):
                response.headers.add(name, value)
        response.set_body(b"")
        self.transport.sendto(bytes(response), addr)


def account(port: int, password: str = "open sesame") -> Registration:
    values = {"name": "pbx", "registrar": f"127.0.0.1:{port}", "user": "201"}
    return Registration.model_validate(values | {"password": password})


def report(native: NativeSipBackend) -> dict[str, str]:
    found: dict[str, str] = native.describe()["registrations"]["pbx"]
    return found


async def registrar() -> Registrar:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(
        lambda: Registrar(Login("201", "open sesame")), local_addr=("127.0.0.1", 0)
    )
    return protocol


def test_it_registers_takes_the_registrars_calls_and_says_goodbye() -> None:
    async def scene() -> None:
        pbx, calls = await registrar(), list[InboundCall]()
        more: dict[str, Any] = {"trunks": FAR, "registrations": [account(pbx.port)]}
        async with listening(calls.append, **more) as (native, client):
            await until(lambda: report(native)["state"] == "registered")
            assert pbx.bindings == ["300"]
            uri = f"sip:201@127.0.0.1:{client.to.port}"
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport", uri=uri))
            assert (await client.response()).status == 100
            assert [(call.trunk, call.request_user) for call in calls] == [("pbx", "201")]
            stranger = Client(client.to, "127.0.0.5")
            stranger.send(request("OPTIONS", via="127.0.0.5;rport", branch="s"))
            await until(lambda: native.ignored == 1)
            stranger.socket.close()
        assert pbx.bindings == ["300", "0"]
        pbx.transport.close()

    asyncio.run(scene())


def test_a_wrong_password_stands_in_the_health_report_and_not_in_the_log() -> None:
    async def scene() -> None:
        pbx = await registrar()
        with structlog.testing.capture_logs() as said:
            more = {"trunks": FAR, "registrations": [account(pbx.port, "guess")]}
            async with listening(**more) as (native, _):
                await until(lambda: report(native)["state"] == "refused")
                assert "password" in report(native)["detail"]
        assert "guess" not in repr(said)
        pbx.transport.close()

    asyncio.run(scene())


def test_a_registrar_that_is_not_found_is_told_and_stops_nothing() -> None:
    async def scene() -> None:
        nowhere = Registration(name="pbx", registrar="nowhere.invalid", user="201")
        async with listening(registrations=[nowhere]) as (native, client):
            await until(lambda: report(native)["state"] == "unreachable")
            assert "not found" in report(native)["detail"]
            client.send(request("OPTIONS", via="127.0.0.1;rport"))
            assert (await client.final()).status == 200

    asyncio.run(scene())
