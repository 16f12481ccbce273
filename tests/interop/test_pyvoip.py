"""pyVoIP as the caller: an implementation of SIP and RTP that is not ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from house import house, until

from callcenter.demo.phone import place_call
from callcenter.demo.telephone import Telephone, is_up

pytestmark = pytest.mark.integration


def test_pyvoip_calls_speaks_hears_and_hangs_up(tmp_path: Path) -> None:
    async def call() -> None:
        async with house() as home:
            address = home.address
            report = await asyncio.to_thread(
                lambda: place_call(
                    to="100",
                    caller="+989121234567",
                    host=address.host,
                    port=address.port,
                    seconds=3,
                )
            )
            (guest,) = home.guests
            await until(lambda: guest.end == "bye", "it hung up")
            assert guest.inbound.caller.number == "+989121234567"
            assert guest.seconds_heard > 1.5
            assert report.heard > 1.0
            assert report.ended_by == "the caller"

    asyncio.run(call())


def test_pyvoip_gets_the_keys_that_an_agent_presses() -> None:
    """By RFC 4733; each once and in their order, while sound goes on."""

    async def call() -> None:
        async with house() as home:
            phone = Telephone(home.address.host, home.address.port, "+989121234567")
            await asyncio.to_thread(phone.start)
            try:
                outgoing = await asyncio.to_thread(phone.dial, "100")
                await until(lambda: is_up(outgoing), "it was answered")
                (guest,) = home.guests
                assert guest.agreed is not None
                assert guest.agreed.telephone_event is not None
                home.press(guest, "42#")
                home.press(guest, "00*")
                got: list[str] = []

                def all_came() -> bool:
                    got.extend(outgoing.get_dtmf())
                    return len(got) >= 6

                await until(all_came, "the keys came")
                assert "".join(got) == "42#00*"
                await asyncio.to_thread(outgoing.hangup)
                await until(lambda: guest.end == "bye", "it hung up")
            finally:
                await asyncio.to_thread(phone.stop)

    asyncio.run(call())
