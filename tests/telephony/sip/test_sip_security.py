"""Who is kept out, on real sockets: strangers, guessers, replays (A03, A12)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog
from sip_bench import RingThenAnswer, request, tokens
from test_sip_native import LOOPBACK_OFFER, Client, listening, until

from callcenter.config import Sip, SipLimits, Trunk, TrunkAuth
from callcenter.errors import ConfigError
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.ports import InboundCall
from callcenter.telephony.sip.digest import SHA256, Answerer, Login, parse_digest
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse

pytestmark = pytest.mark.integration  # real sockets, in real time

NEAR = Trunk(name="near", hosts=["127.0.0.1/32", "127.0.0.2/32"])
AUTH = TrunkAuth(username="trunk", password="open sesame")
PROVING = Trunk(name="near", hosts=NEAR.hosts, auth=AUTH)


def silent(client: Client) -> bool:
    try:
        client.socket.recv(1)
    except BlockingIOError:
        return True
    return False


def test_a_stranger_with_a_live_calls_names_reaches_nothing_and_the_call_goes_on() -> None:
    """A03."""

    async def scene() -> None:
        app = RingThenAnswer(0.0)
        async with listening(app, trunks=[NEAR]) as (native, client):
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
            tag = (await client.final()).to.tag
            client.send(request("ACK", to_tag=tag, branch="a", via="127.0.0.1;rport"))
            stranger = Client(client.to, "127.0.0.3")
            with structlog.testing.capture_logs() as said:
                via = "127.0.0.3;rport"
                stranger.send(request(body=LOOPBACK_OFFER, call_id="x", branch="x", via=via))
                stranger.send(request("BYE", cseq=2, to_tag=tag, branch="y", via=via))
                stranger.send(request("REGISTER", call_id="z", branch="z", via=via))
                await until(lambda: native.ignored == 3)
            assert [log["src"] for log in said if log["event"] == "SECURITY sip"] == ["127.0.0.3"]
            assert silent(stranger)
            assert native.active() == 1
            assert native.describe()["refused"] == {"source is of no trunk": 3}
            client.send(request("BYE", cseq=2, to_tag=tag, branch="bye", via="127.0.0.1;rport"))
            while (await client.final()).cseq.method != "BYE":
                pass
            await until(lambda: app.ends == ["bye"])
            stranger.socket.close()

    asyncio.run(scene())


class Guesser(Client):
    """Signs each attempt with the challenge of the answer before."""

    sent = 0

    async def attempt(self, password: str, asked: Response | None) -> None:
        self.sent += 1
        host = self.socket.getsockname()[0]
        named: Any = {"via": f"{host};rport", "cseq": self.sent, "branch": f"{host}-{self.sent}"}
        named |= {"call_id": f"guess-{host}", "body": LOOPBACK_OFFER}
        extra = ""
        if asked is not None:
            message = parse(request(**named))
            assert isinstance(message, Request)
            answerer = Answerer(Login("trunk", password), (SHA256,), tokens())
            name, value = answerer.credentials(asked, message) or ("", "")
            extra = f"{name}: {value}\r\n"
        self.send(request(extra=extra, **named))


def test_two_hundred_wrong_passwords_end_in_a_ban_that_ends() -> None:
    """A12: 401 up to the limit, then silence, also for the right password; others are served."""

    async def scene() -> None:
        calls: list[InboundCall] = []
        limits = SipLimits(failures=20, ban_seconds=600)
        async with listening(calls.append, trunks=[PROVING], limits=limits) as (native, client):
            guesser = Guesser(client.to)
            await guesser.attempt("", None)
            for _ in range(20):
                asked = await guesser.final()
                assert asked.status == 401
                await guesser.attempt("guess", asked)
            asked = await guesser.final()
            assert asked.status == 401
            for number in range(180):
                await guesser.attempt("guess", asked)
                await until(lambda n=number: native.describe()["refused"].get("banned") == n + 1)
            await guesser.attempt("open sesame", asked)
            await until(lambda: native.describe()["refused"]["banned"] == 181)
            assert native.describe()["banned"] == 1
            other = Guesser(client.to, "127.0.0.2")
            await other.attempt("", None)
            await other.attempt("open sesame", await other.final())
            assert (await other.response()).status == 100
            assert len(calls) == 1

            native._guard._bans["127.0.0.1"] = 0.0  # ten minutes later
            assert native.describe()["banned"] == 0
            await guesser.attempt("open sesame", asked)
            while (await guesser.response()).status != 100:
                pass  # the last 401 may be repeated: nobody acknowledged it
            assert len(calls) == 2
            for one in (guesser, other):
                one.socket.close()

    asyncio.run(scene())


def test_a_nonce_or_count_that_was_used_is_stale() -> None:
    async def scene() -> None:
        async with listening(trunks=[PROVING]) as (_, client):
            guesser = Guesser(client.to)
            await guesser.attempt("", None)
            asked = await guesser.final()
            await guesser.attempt("open sesame", asked)
            assert (await guesser.response()).status == 100
            await guesser.attempt("open sesame", asked)
            again = await guesser.final()
            assert again.status == 401
            assert parse_digest(again.headers.get("WWW-Authenticate") or "")["stale"] == "true"
            guesser.socket.close()

    asyncio.run(scene())


def test_malformed_messages_of_a_trunk_end_in_a_ban_over_tcp_too() -> None:
    async def scene() -> None:
        limits = SipLimits(malformed=5)
        listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
        async with listening(trunks=[NEAR], limits=limits, listen=listen) as (native, client):
            for _ in range(5):
                client.send(b"NO SIP AT ALL\r\n\r\n")
            await until(lambda: native.describe()["banned"] == 1)
            client.send(request("OPTIONS", via="127.0.0.1;rport"))
            tcp = native.addresses[1]
            reader, writer = await asyncio.open_connection(tcp.host, tcp.port)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            await until(lambda: native.describe()["refused"]["banned"] == 2)
            assert silent(client)

    asyncio.run(scene())


def test_md5_is_offered_after_sha_256_and_with_a_warning_only() -> None:
    async def scene(auth: TrunkAuth) -> list[str]:
        trunk = Trunk(name="near", hosts=NEAR.hosts, auth=auth)
        async with listening(trunks=[trunk]) as (_, client):
            client.send(request(body=LOOPBACK_OFFER, via="127.0.0.1;rport"))
            asked = await client.final()
            offers = asked.headers.all("WWW-Authenticate")
            return [parse_digest(offer)["algorithm"] for offer in offers]

    for name, offered in (("sha-256", ["SHA-256"]), ("md5", ["SHA-256", "MD5"])):
        with structlog.testing.capture_logs() as said:
            auth = TrunkAuth(**(AUTH.model_dump() | {"algorithm": name}))
            assert asyncio.run(scene(auth)) == offered
        assert any("MD5" in log["event"] for log in said) == (name == "md5")


def test_a_password_is_read_from_its_file_and_a_missing_one_named(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    auth = TrunkAuth(username="trunk", password_file=file)
    with pytest.raises(ConfigError, match="secret cannot be read"):
        NativeSipBackend(Sip(trunks=[Trunk(name="near", hosts=NEAR.hosts, auth=auth)]))
    file.write_text("open sesame\n", encoding="utf-8")
    assert auth.secret() == "open sesame"
    assert "sesame" not in repr(AUTH)
