"""SIPp is called by the real adapter: echo, busy, no answer, the phone hangs up."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sip_bench import backend
from test_sipp import free_port

from callcenter.config import Trunk
from callcenter.errors import SipFailure
from callcenter.telephony.ports import Address, OutboundCall

SCENARIOS = Path(__file__).parents[2] / "data" / "sipp"
HERE = Address("127.0.0.1", 30000)
PATIENCE = 60.0

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (sip-tester)"),
]


@dataclass
class Run:
    code: int
    log: str


async def talk_and_hang_up(call: OutboundCall) -> None:
    media = await asyncio.wait_for(call.invite(HERE), PATIENCE)
    assert media.address.host == "127.0.0.1"
    await asyncio.sleep(0.2)
    call.hang_up()
    assert await call.ended == "hung_up"


async def wait_for_bye(call: OutboundCall) -> None:
    await asyncio.wait_for(call.invite(HERE), PATIENCE)
    assert await asyncio.wait_for(call.ended, PATIENCE) == "bye"


async def find_it_busy(call: OutboundCall) -> None:
    with pytest.raises(SipFailure):
        await asyncio.wait_for(call.invite(HERE), PATIENCE)
    assert (await call.ended, call.status) == ("refused", 486)


async def give_up_while_it_rings(call: OutboundCall) -> None:
    rings = asyncio.get_running_loop().create_future()
    call.on_progress(lambda status, media: rings.set_result(status))
    answering = asyncio.create_task(call.invite(HERE))
    assert await asyncio.wait_for(rings, PATIENCE) == 180
    call.hang_up()
    with pytest.raises(SipFailure):
        await answering


@pytest.mark.parametrize(
    ("name", "life"),
    [
        ("uas_echo", talk_and_hang_up),
        ("uas_bye", wait_for_bye),
        ("uas_busy", find_it_busy),
        ("uas_cancel", give_up_while_it_rings),
    ],
)
def test_sipp_as_the_called_side(
    name: str, life: Callable[[OutboundCall], Awaitable[None]], tmp_path: Path
) -> None:
    run = asyncio.run(play(name, life, tmp_path))
    assert run.code == 0, run.log[-6000:]


async def play(name: str, life: Callable[[OutboundCall], Awaitable[None]], folder: Path) -> Run:
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIOS / f"{name}.xml"), "-i", "127.0.0.1", "-p", str(port)),
        *("-mi", "127.0.0.1", "-mp", str(free_port()), "-m", "1", "-nostdin", "-rtp_echo"),
        *("-timeout", "90", "-timeout_error", "-trace_err", "-trace_msg"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    trunk = Trunk(name="provider", hosts=["127.0.0.0/8"], server=f"127.0.0.1:{port}")
    native, _ = await backend(lambda call: call.reject(404), trunks=[trunk])
    await life(await native.to_number("+989121234567", "provider"))
    output, _ = await asyncio.wait_for(server.communicate(), PATIENCE)
    await native.stop()
    assert native.active() == 0
    log = "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))  # noqa: ASYNC240
    return Run(server.returncode or 0, output.decode(errors="replace") + log)
