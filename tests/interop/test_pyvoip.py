"""pyVoIP as the caller: an implementation of SIP and RTP that is not ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from house import house, until

from callcenter.demo.phone import place_call

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
