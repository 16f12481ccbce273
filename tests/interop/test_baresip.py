"""baresip calls us: sound both ways, keys, hold, and TLS with SRTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from baresip import Baresip, baresip, needs_baresip
from house import HOST, SPEECH, Guest, House, house, linear_numbers, until

from callcenter import tls
from callcenter.config import Settings, SipTls, Trunk
from callcenter.telephony.ports import Direction

pytestmark = [pytest.mark.integration, needs_baresip]


def test_sound_goes_both_ways_and_keys_arrive(tmp_path: Path) -> None:
    async def call() -> None:
        async with house() as home, calling(tmp_path, home) as phone:
            guest = await dial(phone, home)
            await until(lambda: len(guest.numbers()) > 60, "we hear its frames")
            await until(lambda: len(linear_numbers(phone.heard())) > 60, "it hears our frames")
            for key in "12#":
                await phone.order("sndcode", key)
            await until(lambda: "".join(guest.digits) == "12#", "the keys came")
            await phone.order("hangup")
            await until(lambda: guest.end == "bye", "it hung up")
            assert home.backend.active() == 0

    asyncio.run(call())


def test_hold_and_resume_are_followed(tmp_path: Path) -> None:
    async def call() -> None:
        async with house() as home, calling(tmp_path, home) as phone:
            guest = await dial(phone, home)
            await until(lambda: guest.seconds_heard > 0.5, "it speaks")
            await phone.order("hold")
            await until(lambda: guest.wishes, "it holds")
            assert guest.wishes[-1] in (Direction.SENDONLY, Direction.INACTIVE)
            await phone.order("resume")
            await until(lambda: guest.wishes[-1] is Direction.SENDRECV, "it talks again")
            before = guest.seconds_heard
            await until(lambda: guest.seconds_heard > before + 0.5, "it is heard again")
            guest.inbound.hang_up()
            await until(lambda: guest.end == "hung_up", "our BYE was taken")
            await phone.event("CALL_CLOSED")

    asyncio.run(call())


def test_tls_with_srtp(tmp_path: Path, settings: Settings) -> None:
    files = tls.make(settings)  # as `callcenter tls` does

    async def call() -> None:
        secure = SipTls(certificate=files.certificate, key=files.key)
        trunk = Trunk(name="local", hosts=["127.0.0.0/8"], srtp="required")
        at = house(f"tls://{HOST}:0", tls=secure, trunks=[trunk])
        async with at as home, calling(tmp_path, home, files.authority) as phone:
            guest = await dial(phone, home)
            await until(lambda: len(guest.numbers()) > 60, "we hear its frames")
            await until(lambda: len(linear_numbers(phone.heard())) > 60, "it hears our frames")
            assert guest.agreed is not None
            assert guest.agreed.srtp is not None
            await phone.order("hangup")
            await until(lambda: guest.end == "bye", "it hung up")

    asyncio.run(call())


@asynccontextmanager
async def calling(
    folder: Path, home: House, certificate: Path | None = None
) -> AsyncIterator[Baresip]:
    """A baresip whose calls go to our address, without registration."""
    transport = "tls" if certificate else "udp"
    account = f"<sip:agent@{HOST};transport={transport}>;regint=0"
    there = f"{home.address.host}:{home.address.port}"
    account += f';outbound="sip:{there};transport={transport}"'
    account += ";mediaenc=srtp-mand" if certificate else ""
    async with baresip(folder, account, SPEECH, certificate) as phone:
        yield phone


async def dial(phone: Baresip, home: House) -> Guest:
    """Call and wait until both sides know of it."""
    await phone.order("dial", f"sip:100@{home.address.host}:{home.address.port}")
    await phone.event("CALL_ESTABLISHED")
    guest: Guest = await until(lambda: home.guests and home.guests[-1], "the call came")
    await until(lambda: guest.agreed, "the call stands")
    return guest
