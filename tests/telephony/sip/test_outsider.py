"""A number outside is asked during a call and has it then: real SIP, real sound, a real recording.

SIPp is the number outside and says back whatever it hears.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_stage import RealStage, Telephone, Voice
from test_sipp import free_port

from callcenter.config import Settings
from callcenter.events import (
    AnswerCall,
    BeginConference,
    CallEnded,
    ConsultNumber,
    SwapConsultation,
    TransferCall,
)

SCENARIO = Path(__file__).parents[2] / "data" / "sipp" / "uas_echo.xml"
AGENT, CUSTOMER, RATE = 0x50, 0x35, 8000
NUMBER = "+989127654321"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (sip-tester)"),
]


def hears(voice: Voice, byte: int | None) -> bool:
    """Whether the last frames are mostly that; None: silence or music, none of the two."""
    heard = b"".join(data for _, data in voice.heard[-15:])
    shares = {one: heard.count(one) / max(1, len(heard)) for one in (AGENT, CUSTOMER)}
    if byte is None:
        return max(shares.values()) < 0.05
    return shares[byte] > 0.9


def test_it_is_asked_by_turns_and_handed_the_customer(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_port()
    sip: dict[str, Any] = {
        "listen": ["udp://127.0.0.1:0"],
        "trunks": [{"name": "pbx", "hosts": ["127.0.0.1/32"], "server": f"127.0.0.1:{port}"}],
        "outbound": {"trunk": "pbx", "allow": ["+98"], "night": None},
    }
    settings = make_settings(
        sip=sip,
        lines=[{"number": "100", "queue": "support", "language": "en"}],
        queues=[{"name": "support"}],
    )
    asyncio.run(_play(settings, port, tmp_path))


async def _play(settings: Settings, port: int, folder: Path) -> None:
    outside = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIO), "-i", "127.0.0.1", "-p", str(port), "-m", "1"),
        *("-mi", "127.0.0.1", "-mp", str(free_port()), "-nostdin", "-rtp_echo"),
        *("-timeout", "90", "-timeout_error"),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    stage = RealStage(settings)
    await stage.service.start()
    customer, agent = stage.telephone(), None
    try:
        await stage.seat("a")
        agent = stage.voice("a")
        agent.byte, customer.voice.byte = AGENT, CUSTOMER
        await _scene(stage, customer, agent)
        assert await asyncio.wait_for(outside.wait(), 60) == 0
    finally:
        customer.close()
        if agent:
            agent.close()
        await stage.service.stop(0.0)
        stage.plane.close()
        if outside.returncode is None:
            outside.kill()


async def _scene(stage: RealStage, customer: Telephone, agent: Voice) -> None:
    customer.send("INVITE", 1, customer.offer())
    await stage.until("AgentOffered")
    call = stage.call
    answering = asyncio.create_task(stage.order(AnswerCall(call=call, agent="a")))
    ok = await customer.answer(200, "INVITE", 1)
    customer.send("ACK", 1, branch="ack")
    customer.connect(ok)
    await answering
    await stage.happens(lambda: hears(agent, CUSTOMER) and hears(customer.voice, AGENT))

    await stage.order(ConsultNumber(call=call, agent="a", to=NUMBER))
    await stage.until("ConsultationAnswered")
    await stage.happens(lambda: hears(agent, AGENT) and hears(customer.voice, None))
    await agent.says(0x60, 60)  # for the ears outside only
    await agent.says(AGENT, 20)  # so that 0x60 lies within the last second

    await stage.order(SwapConsultation(call=call, agent="a", to="customer"))
    await stage.happens(lambda: hears(agent, CUSTOMER) and hears(customer.voice, AGENT))
    await agent.says(AGENT, 100)
    await stage.order(SwapConsultation(call=call, agent="a", to="colleague"))
    await stage.happens(lambda: hears(agent, AGENT) and hears(customer.voice, None))
    await agent.says(0x60, 20)
    await agent.says(AGENT, 20)
    await stage.order(BeginConference(call=call, agent="a"))
    await agent.says(AGENT, 60)
    await stage.order(TransferCall(call=call, agent="a", to_number=NUMBER))
    await stage.happens(lambda: hears(customer.voice, CUSTOMER))  # said back from outside
    await stage.until("a wrap_up")
    await customer.voice.says(CUSTOMER, 100)

    customer.send("BYE", 2)
    await stage.until("CallEnded")
    end = stage.last(CallEnded)
    assert (end.reason, end.by, end.agent) == ("completed", "customer", None)
    await stage.happens(lambda: stage.native.active() == 0)
    kept, said = stage.recorded("agent"), stage.recorded("customer")
    assert kept[-RATE // 2 - RATE : -RATE // 2].count(CUSTOMER) > 0.8 * RATE
    assert kept.count(AGENT) > 0.5 * RATE
    assert kept.count(0x60) == 0  # of what the two said alone nothing is kept
    assert said.count(CUSTOMER) > 0.8 * len(said)
