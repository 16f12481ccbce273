"""What pyVoIP alone gets wrong, and the adapter right: on real loopback sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sip_bench import pyvoip_backend, request
from test_sip_native import LOOPBACK_OFFER, Client, until
from test_sip_registrations import FAR, account, registrar

from callcenter import config
from callcenter.errors import ConfigError
from callcenter.telephony.adapters.sip_pyvoip import PyVoipSipBackend
from callcenter.telephony.adapters.sip_pyvoip_call import PyVoipCall
from callcenter.telephony.ports import Address, Codec, Direction, InboundCall, MediaDescription
from callcenter.telephony.sip.message import Request, Response, respond
from callcenter.telephony.sip.parser import parse

pytestmark = pytest.mark.integration  # real sockets, in real time

SOUND = Address("127.0.0.1", 30000)
MESSAGES = Path(__file__).parents[2] / "data" / "torture" / "msgs"


class Caller(Client):
    """One call at a time, every request by hand."""

    tag = ""

    def say(self, method: str, cseq: int, **more: Any) -> None:
        more = {"branch": f"{method}{cseq}", "via": "127.0.0.1;rport"} | more
        data = request(method, cseq=cseq, **more)
        self.send(data.replace(b"caller@192.0.2.20:5060", b"caller@127.0.0.1:" + self.port))

    @property
    def port(self) -> bytes:
        return str(self.socket.getsockname()[1]).encode()

    async def hear(self, wanted: int | str) -> Request | Response:
        """The next message with that status or method; those before it are passed over."""
        loop = asyncio.get_running_loop()
        while True:
            message = parse(await asyncio.wait_for(loop.sock_recv(self.socket, 65535), 10))
            if isinstance(message, Response):
                self.tag = message.to.tag or self.tag
            what = message.status if isinstance(message, Response) else message.method
            if what == wanted:
                return message


@contextlib.asynccontextmanager
async def extension(
    calls: list[InboundCall], **settings: Any
) -> AsyncIterator[tuple[PyVoipSipBackend, Caller]]:
    pyvoip, address = await pyvoip_backend(calls.append, **settings)
    caller = Caller(address)
    try:
        yield pyvoip, caller
    finally:
        caller.socket.close()
        await pyvoip.stop()


async def talking(caller: Caller, calls: list[InboundCall], **more: Any) -> PyVoipCall:
    caller.say("INVITE", 1, body=LOOPBACK_OFFER, **more)
    await caller.hear(100)
    call = calls[-1]
    assert isinstance(call, PyVoipCall)
    await call.answer(SOUND)
    await caller.hear(200)
    caller.say("ACK", 1, to_tag=caller.tag)
    await until(lambda: not call.running)
    return call


def test_it_registers_with_a_digest_takes_the_pbxs_calls_and_says_goodbye() -> None:
    async def scene() -> None:
        pbx, calls = await registrar(), list[InboundCall]()
        more: dict[str, Any] = {"trunks": FAR, "registrations": [account(pbx.port)]}
        async with extension(calls, **more) as (pyvoip, caller):
            report = pyvoip.describe
            await until(lambda: report()["registrations"]["pbx"]["state"] == "registered")
            assert pbx.bindings == ["300"]
            await talking(caller, calls)
            assert calls[0].trunk == "pbx"
        assert pbx.bindings == ["300", "0"]
        pbx.transport.close()

    asyncio.run(scene())


def test_without_a_registration_trunks_may_call_and_strangers_get_silence() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls) as (pyvoip, caller):
            assert pyvoip.describe()["registrations"] == {}
            await talking(caller, calls)
        async with extension(calls, trunks=FAR) as (pyvoip, caller):
            caller.say("OPTIONS", 1)
            await until(lambda: pyvoip.describe()["refused"])
            with pytest.raises(BlockingIOError):
                caller.socket.recv(1)

    asyncio.run(scene())


def test_it_needs_no_thread_for_a_call_and_keeps_nothing_of_it() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        before = threading.active_count()
        async with extension(calls) as (pyvoip, caller):
            await talking(caller, calls)
            assert threading.active_count() == before
            caller.say("BYE", 2, to_tag=caller.tag)
            await caller.hear(200)
            assert (await calls[0].ended, pyvoip.active()) == ("bye", 0)
            assert not pyvoip._phone.calls
            assert list(pyvoip._phone.sip.tagLibrary) == ["register"]

    asyncio.run(scene())


def test_a_200_is_repeated_until_the_ack_and_given_up_with_bye() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls) as (pyvoip, caller):
            caller.say("INVITE", 1, body=LOOPBACK_OFFER)
            await caller.hear(100)
            (call,) = calls
            assert isinstance(call, PyVoipCall)
            await call.answer(SOUND)
            first, second = await caller.hear(200), await caller.hear(200)
            assert bytes(first) == bytes(second)
            assert 31 < call.running["ACK"] - pyvoip.now() < 32
            call.start("ACK", pyvoip.now())  # as if those 32 s were over
            pyvoip.settle()
            await caller.hear("BYE")
            assert await call.ended == "no_ack"
            assert pyvoip.active() == 0

    asyncio.run(scene())


def test_hanging_up_before_the_ack_waits_for_it_with_the_bye() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls) as (_, caller):
            caller.say("INVITE", 1, body=LOOPBACK_OFFER)
            await caller.hear(100)
            await calls[0].answer(SOUND)
            await caller.hear(200)
            calls[0].hang_up()
            assert await calls[0].ended == "hung_up"
            caller.say("ACK", 1, to_tag=caller.tag)
            await caller.hear("BYE")

    asyncio.run(scene())


def test_a_later_process_ends_the_dialog_from_its_memo() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls) as (_, caller):
            memo = (await talking(caller, calls)).memo()
            assert memo is not None
            async with extension([]) as (later, _):
                goodbye = asyncio.ensure_future(later.say_goodbye(memo))
                bye = await caller.hear("BYE")
                assert bye.to.tag == "caller"
                assert bye.from_.tag == caller.tag
                answer = respond(bye, 200, tag="x") if isinstance(bye, Request) else None
                assert answer is not None
                answer.set_body(b"")
                caller.socket.sendto(bytes(answer), tuple_of(later.addresses[0]))
                await asyncio.wait_for(goodbye, 10)

    asyncio.run(scene())


def tuple_of(address: Address) -> tuple[str, int]:
    return address.host, address.port


def test_each_reinvite_is_answered_with_its_direction_and_starts_nothing_twice() -> None:
    async def scene() -> None:
        calls, wishes = list[InboundCall](), list[MediaDescription]()
        async with extension(calls) as (_, caller):
            call = await talking(caller, calls)
            call.on_media(wishes.append)
            versions = []
            for cseq, theirs, ours in ((2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")):
                body = LOOPBACK_OFFER.replace("sendrecv", theirs)
                caller.say("INVITE", cseq, body=body, to_tag=caller.tag)
                answer = (await caller.hear(200)).body.decode()
                assert f"a={ours}\r\n" in answer
                assert f"m=audio {SOUND.port} RTP/AVP 0 101" in answer
                versions.append(answer.split("o=- ")[1].split()[1])
                caller.say("ACK", cseq, to_tag=caller.tag)
            assert versions == ["2", "3"]
            assert [wish.direction for wish in wishes] == [Direction.SENDONLY, Direction.SENDRECV]
            assert len(call.voip.RTPClients) == 1

    asyncio.run(scene())


def test_a_reinvite_of_another_codec_alone_changes_nothing() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls) as (pyvoip, caller):
            await talking(caller, calls)
            g729 = LOOPBACK_OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 18")
            caller.say("INVITE", 2, body=g729, to_tag=caller.tag)
            await caller.hear(488)
            assert pyvoip.active() == 1

    asyncio.run(scene())


def test_a_call_more_than_the_limit_finds_it_busy() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls, max_calls=1) as (_, caller):
            await talking(caller, calls)
            caller.say("INVITE", 1, body=LOOPBACK_OFFER, call_id="c2", branch="second")
            refusal = await caller.hear(486)
            assert refusal.call_id == "c2"
            assert len(calls) == 1

    asyncio.run(scene())


def test_what_pyvoip_could_not_read_is_still_a_call_with_its_caller() -> None:
    """Compact and folded header fields, a video stream beside, a caller of the tel: scheme."""

    async def scene() -> None:
        calls: list[InboundCall] = []
        body = LOOPBACK_OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 8") + (
            "m=video 40002 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
        )
        async with extension(calls) as (_, caller):
            caller.say(
                "INVITE",
                1,
                body=body,
                from_='"Dr. ""Q"";tag=x" <tel:+989121234567>;tag=a;x=y'.replace('""', '\\"'),
                extra="Record-Route: <sip:127.0.0.1:1;lr>\r\nSubject: a\r\n folded: line\r\n",
            )
            await caller.hear(100)
            (call,) = calls
            assert call.caller.number == "+989121234567"
            media = await call.answer(SOUND)
            assert media.codec is Codec.PCMA
            answer = await caller.hear(200)
            assert answer.headers.get("Record-Route") == "<sip:127.0.0.1:1;lr>"
            assert b"m=video 0 " in answer.body

    asyncio.run(scene())


def test_it_lives_on_after_every_message_of_the_torture_set() -> None:
    async def scene() -> None:
        calls: list[InboundCall] = []
        async with extension(calls, limits={"malformed": 0}) as (_, caller):
            files = sorted(MESSAGES.iterdir())
            assert len(files) > 80
            hostile = Client(caller.to)
            for file in files:
                hostile.send(file.read_bytes()[:60_000])
                await asyncio.sleep(0)  # let it read: a full socket would drop what comes next
            hostile.socket.close()
            caller.say("OPTIONS", 1, call_id="alive", branch="alive")
            assert (await caller.hear(200)).call_id == "alive"

    asyncio.run(scene())


@pytest.mark.parametrize(
    "beyond",
    [
        {"listen": ["tcp://127.0.0.1:5060"]},
        {"listen": ["udp://[::1]:5060"]},
        {"registrations": [account(1).model_dump(), account(2).model_dump() | {"name": "b"}]},
        {"trunks": [{"name": "t", "hosts": ["::1"], "srtp": "required"}]},
        {"trunks": [{"name": "t", "hosts": ["::1"], "auth": {"username": "u", "password": "p"}}]},
    ],
)
def test_settings_beyond_it_stop_the_start_with_a_sentence(
    beyond: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"sip": {"backend": "pyvoip"} | beyond}, default=str))
    with pytest.raises(ConfigError, match="with backend pyvoip"):
        config.load(file, environ={})
