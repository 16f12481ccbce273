"""Desk phones on real sockets and a real database: kept over a restart, called, banned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sip_bench import tokens
from sqlalchemy import Engine
from test_registrar import parsed, register
from test_sip_native import Client, until
from test_sip_streams import StreamClient

from callcenter.config import Phone, Sip, SipLimits, Trunk
from callcenter.database import open_database
from callcenter.errors import SipFailure, StartError
from callcenter.telephony import places
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.places import PlaceStore
from callcenter.telephony.ports import Address, Caller
from callcenter.telephony.sip.digest import SHA256, Answerer, Login
from callcenter.telephony.sip.headers import parse_name_addr
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.uri import Uri

pytestmark = pytest.mark.integration  # real sockets, in real time

HOST = "127.0.0.5"
MINE = f"<sip:201@{HOST}:5060>"
SOUND = Address("127.0.0.1", 20000)
SARA = Caller("+989121234567", "Sara")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_database(f"sqlite:///{tmp_path}/places.db")
    places.metadata.create_all(engine)
    return engine


def play(scene: Callable[..., Awaitable[None]], engine: Engine, **more: Any) -> None:
    """Run a scene with a function that starts a backend; all of them are stopped at the end."""

    async def whole() -> None:
        begun: list[NativeSipBackend] = []

        async def start(
            listen: str = "udp://127.0.0.1:0", node: str = "node-1", neighbours: bool = False
        ) -> NativeSipBackend:
            store = PlaceStore(engine, node)
            native = NativeSipBackend(settings(listen, **more), store, neighbours=neighbours)
            await native.start(lambda call: None)
            begun.append(native)
            return native

        try:
            await scene(start)
        finally:
            for native in begun:
                await native.stop()

    asyncio.run(whole())


def settings(listen: str, **more: Any) -> Sip:
    phone = {"extension": "201", "user": "sara", "password": "open sesame"}
    phones = [Phone.model_validate({**phone, "hosts": [f"{HOST}/32"]})]
    far = [Trunk(name="far", hosts=["192.0.2.0/24"])]
    return Sip.model_validate({"listen": [listen], "trunks": far, "phones": phones} | more)


def signed(asked: Response, cseq: int, contact: str, password: str = "open sesame") -> bytes:
    answerer = Answerer(Login("201", password), (SHA256,), tokens(900))
    found = answerer.credentials(asked, parsed(register(contact, cseq=cseq)))
    assert found
    extra = f"Expires: 600\r\n{found[0]}: {found[1]}\r\n"
    return register(contact, cseq=cseq, via=f"{HOST};rport", extra=extra)


async def registered(native: NativeSipBackend, contact: str = MINE) -> Client:
    """A phone that signed in over UDP."""
    phone = Client(native.addresses[0], HOST)
    phone.send(register(contact, via=f"{HOST};rport"))
    phone.send(signed(await phone.final(), 2, contact))
    assert (await phone.final()).status == 200
    return phone


async def invited(phone: Client) -> Request:
    loop = asyncio.get_running_loop()
    while True:
        data = await asyncio.wait_for(loop.sock_recv(phone.socket, 65535), 10)
        message = parse(data) if data.strip() else None
        if isinstance(message, Request):
            return message


def test_a_phone_is_called_where_it_registered_also_after_a_restart(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        native = await start()
        phone = await registered(native)
        assert native.phones.reachable("201")
        assert native.describe()["phones"] == {"201": {"places": ["UDP"], "seconds": 600}}
        await native.stop()
        native = await start()
        assert native.phones.reachable("201")
        (call,) = native.phones.ring("201", SARA)
        ringing = asyncio.create_task(call.invite(SOUND))
        invite = await invited(phone)
        assert (invite.method, invite.uri) == ("INVITE", f"sip:201@{HOST}:5060")
        assert invite.from_.name == "Sara"
        assert invite.from_.uri.user == "+989121234567"
        call.hang_up()
        with pytest.raises(SipFailure):
            await ringing
        phone.socket.close()

    play(scene, engine)


def test_a_phone_that_left_is_not_called_after_a_restart(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        native = await start()
        phone = await registered(native)
        phone.send(register(MINE, cseq=3, via=f"{HOST};rport"))
        phone.send(signed(await phone.final(), 4, f"{MINE};expires=0"))
        assert (await phone.final()).status == 200
        await native.stop()
        native = await start()
        assert not native.phones.reachable("201")
        assert native.phones.ring("201", SARA) == []
        phone.socket.close()

    play(scene, engine)


def test_over_tcp_the_phones_own_connection_is_used_and_without_it_nothing(
    engine: Engine,
) -> None:
    async def scene(start: Any) -> None:
        native = await start("tcp://127.0.0.1:0")
        at = native.addresses[0]
        streams = await asyncio.open_connection(at.host, at.port, local_addr=(HOST, 0))
        phone = StreamClient(*streams)
        contact = f"<sip:201@{HOST}:5060;transport=tcp>"
        heard: list[tuple[str, bool]] = []
        native.phones.on_change(lambda extension, there: heard.append((extension, there)))

        async def say(data: bytes) -> Response:
            phone.writer.write(data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP"))
            return await phone.final()

        done = await say(signed(await say(register(contact)), 2, contact))
        assert (done.status, heard) == (200, [("201", True)])
        (call,) = native.phones.ring("201", SARA)
        ringing = asyncio.create_task(call.invite(SOUND))
        invite = await phone.message()
        assert isinstance(invite, Request)
        assert invite.uri == f"sip:201@{HOST}:5060;transport=tcp"
        call.hang_up()
        with pytest.raises(SipFailure):
            await ringing
        await phone.close()
        await until(lambda: not native.phones.reachable("201"))

    play(scene, engine)


def test_guessing_passwords_ends_in_a_ban_and_strangers_hear_nothing(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        native = await start()
        stranger = Client(native.addresses[0], "127.0.0.6")
        stranger.send(register(MINE, via="127.0.0.6;rport"))
        await until(lambda: native.ignored == 1)
        guesser = Client(native.addresses[0], HOST)
        for cseq in range(1, 10, 2):
            guesser.send(register(MINE, cseq=cseq, via=f"{HOST};rport"))
            guesser.send(signed(await guesser.final(), cseq + 1, MINE, "guess"))
            assert (await guesser.final()).status == 401
        assert native.describe()["banned"] == 1
        guesser.send(register(MINE, cseq=20, via=f"{HOST};rport"))
        await until(lambda: native.describe()["refused"].get("banned") == 1)
        for client in (stranger, guesser):
            with pytest.raises(BlockingIOError):
                client.socket.recv(1)
            client.socket.close()

    play(scene, engine, limits=SipLimits(failures=5))


def test_where_the_database_is_away_the_phone_is_asked_to_come_again(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        native = await start()
        phone = Client(native.addresses[0], HOST)
        phone.send(register(MINE, via=f"{HOST};rport"))
        asked = await phone.final()
        places.metadata.drop_all(engine)
        phone.send(signed(asked, 2, MINE))
        answer = await phone.final()
        assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
        assert not native.phones.reachable("201")
        phone.socket.close()

    play(scene, engine)


@pytest.mark.parametrize("secret", ["", None])
def test_a_phone_without_a_secret_stops_the_start(tmp_path: Path, secret: str | None) -> None:
    file = tmp_path / "secret"
    if secret is not None:
        file.write_text(secret)
    phone = {"extension": "201", "user": "sara", "hosts": ["127.0.0.0/8"]}
    sip = Sip.model_validate({"phones": [{**phone, "password_file": file}]})
    with pytest.raises(StartError, match=r"sip\.phones"):
        NativeSipBackend(sip)


# --- Several nodes -----------------------------------------------------------------------------


def contact_of(message: Request) -> Uri:
    return parse_name_addr(message.headers.get("Contact") or "").uri


def taken(invite: Request) -> bytes:
    """200 of the phone: it sends and hears at port 4000."""
    body = f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
    body += "m=audio 4000 RTP/AVP 0\r\n"
    same = "".join(
        f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq")
    )
    head = (
        f"SIP/2.0 200 OK\r\n{same}To: {invite.headers.get('To')};tag=phone\r\nContact: {MINE}\r\n"
    )
    head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def hung_up(invite: Request) -> bytes:
    """BYE of the phone in that call, straight to whoever called."""
    lines = [
        f"BYE {contact_of(invite)} SIP/2.0",
        f"Via: SIP/2.0/UDP {HOST};rport;branch=z9hG4bKbye",
        f"From: {invite.headers.get('To')};tag=phone",
        f"To: {invite.headers.get('From')}",
        f"Call-ID: {invite.call_id}",
        "CSeq: 1 BYE",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def two_nodes(start: Any, **second: Any) -> tuple[NativeSipBackend, NativeSipBackend]:
    one = await start(node="one", neighbours=True)
    return one, await start(**({"node": "two", "neighbours": True} | second))


def test_a_phone_of_another_node_is_called_from_here_and_may_hang_up(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        one, two = await two_nodes(start)
        heard: list[tuple[str, bool]] = []
        two.phones.on_change(lambda extension, there: heard.append((extension, there)))
        phone = await registered(one)
        await until(lambda: two.phones.reachable("201"))
        assert heard == [("201", True)]
        (call,) = two.phones.ring("201", SARA)
        ringing = asyncio.create_task(call.invite(SOUND))
        invite = await invited(phone)
        assert contact_of(invite).port == two.addresses[0].port
        phone.to = two.addresses[0]
        phone.send(taken(invite))
        assert (await ringing).address.port == 4000
        assert (await invited(phone)).method == "ACK"
        phone.send(hung_up(invite))
        assert (await phone.final()).status == 200
        assert await call.ended == "bye"
        phone.socket.close()

    play(scene, engine)


def test_a_phone_that_leaves_or_moves_is_known_everywhere(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        one, two = await two_nodes(start)
        phone = await registered(one)
        await until(lambda: two.phones.reachable("201"))
        moved = await registered(two)  # the same Contact, by another node
        await asyncio.sleep(1.5)
        assert len(two.phones.ring("201", SARA)) == len(one.phones.ring("201", SARA)) == 1
        for node, client in ((one, phone), (two, moved)):
            client.send(register(MINE, cseq=3, via=f"{HOST};rport"))
            client.send(signed(await client.final(), 4, f"{MINE};expires=0"))
            assert (await client.final()).status == 200
            assert node.phones is not None
        await until(lambda: not one.phones.reachable("201") and not two.phones.reachable("201"))
        phone.socket.close()
        moved.socket.close()

    play(scene, engine)


def test_without_neighbours_or_along_a_connection_a_phone_is_its_own_nodes(engine: Engine) -> None:
    async def scene(start: Any) -> None:
        one, two = await two_nodes(start, neighbours=False)
        phone = await registered(one)
        three = await start("tcp://127.0.0.1:0", node="three", neighbours=True)
        await asyncio.sleep(1.5)
        assert one.phones.reachable("201")
        assert not two.phones.reachable("201")  # looks after itself only
        assert not three.phones.reachable("201")  # has no datagrams
        phone.socket.close()

    play(scene, engine)


def test_what_is_known_of_other_nodes_stays_while_the_database_is_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(start: Any) -> None:
        one, two = await two_nodes(start)
        phone = await registered(one)
        await until(lambda: two.phones.reachable("201"))

        def away() -> Any:
            raise OSError("the database is away")

        monkeypatch.setattr(two.phones._store, "elsewhere", away)
        await asyncio.sleep(2.5)
        assert two.phones.reachable("201")
        phone.socket.close()

    play(scene, engine)
