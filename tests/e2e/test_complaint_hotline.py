"""The status of a complaint by telephone: real processes, a real SIP peer, spoken prompts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from soft_agent import SoftAgent
from sounds import sealed_sound
from udp_peer import UdpPeer
from world import World, running, wait_for

from callcenter.crm.complaints.keypad import pressed
from callcenter.demo.phone import place_call
from callcenter.events import CallEnded, CallQueued, ComplaintCodeRead
from callcenter.telephony.adapters import prompt_files
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed"),
]
NUMBER = "+989121234567"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("hotline"))
    lines = [
        {"number": "100", "queue": "support", "language": "en"},
        {"number": "300", "queue": "support", "language": "fa", "service": "complaint_status"},
        {"number": "400", "queue": "support", "language": "fa"},
        {"number": "500", "queue": "support", "language": "he"},
    ]
    silent = {"live": dict.fromkeys(("en", "fa", "he"), "off"), "second_pass": "off"}
    kept = {"format": "wav"}
    with running(folder, lines=lines, speech=silent, recording=kept) as started:
        started.add_user("sara", "supervisor")
        started.add_user("dana")
        yield started


def test_a_complaint_is_followed_by_telephone(world: World) -> None:
    """Registered, decided and appealed over the API; the customer calls and hears where it is."""
    desk = world.api("sara")
    phones = [{"number": NUMBER, "region": "IR"}]
    customer = desk.send("POST", "/customers", {"name": "Sara", "phones": phones})
    complaint = desk.send(
        "POST", "/complaints", {"subject": "Broken lid", "customer": customer["id"]}
    )
    more = {"responded": {"decision": "a new lid"}, "communicated": {"channel": "phone"}}
    for stage in (
        *("acknowledged", "responded", "communicated", "appealed", "assessing", "responded"),
        *("communicated", "closed", "reopened", "investigating"),
    ):
        step = {"to": stage, "note": "n"} | more.get(stage, {})
        moved = desk.send("POST", f"/complaints/{complaint['id']}/transitions", step)
        assert moved["stage"] == stage

    report = place_call(
        to="300",
        caller=NUMBER,
        host="127.0.0.1",
        port=world.sip_port,
        seconds=60,
        dtmf=pressed(complaint["code"]) + "#",
    )
    assert report.ended_by == "the other side"
    assert report.heard > 5.0, "code, stage and goodbye are spoken"
    (ended,) = wait_for(lambda: world.facts(CallEnded), "its end")
    assert (ended.reason, ended.by, ended.detail) == (
        "completed", "system", "complaint status told",
    )  # fmt: skip
    assert world.facts(CallQueued, call=ended.call) == [], "nobody was rung"
    row = wait_for(lambda: desk.interaction(ended.call), "its row")
    assert (row["outcome"], row["policy"]) == ("completed", "never")
    spoken = sorted(path.stem for path in (world.data / "prompts" / "fa").glob("*.wav"))
    assert "stage_investigating" in spoken


@pytest.mark.parametrize(("line", "language"), [("100", "en"), ("400", "fa"), ("500", "he")])
def test_the_customer_hears_the_code_sample_by_sample(
    world: World, line: str, language: str
) -> None:
    """The packets that reach the customer's telephone are the prompts' own, none missing; a key
    lets them come again, and the recording has both."""
    dana = SoftAgent(world, "dana").connect_audio().available()
    peer = UdpPeer(world.sip_port)
    try:
        peer.invite(line)
        call = dana.answer_next()
        peer.answered()
        contact = wait_for(lambda: dana.api.interaction(call), "its row")
        wish = {"subject": "Broken lid", "interaction": contact["id"]}
        complaint = dana.api.send("POST", "/complaints", wish)
        dana.api.send("POST", f"/calls/{call}/reading", {"code": complaint["code"]})
        told = world.wait_fact(ComplaintCodeRead, call=call)
        assert (told.complaint, told.by) == (complaint["id"], dana.id)
        assert world.facts(CallEnded, call=call) == [], "the call goes on"

        spoken = prompt_files.receipt(world.data / "prompts", language, complaint["code"], True)
        expected: list[bytes] = []
        while (frame := spoken.frame(len(expected))) is not None:
            expected.append(frame)
        said = b"".join(expected)
        assert len(said) > 8000 * 15
        assert said in b"".join(peer.sound), "what was heard is not what the prompts say"
        peer.press("1")
        wait_for(lambda: b"".join(peer.sound).count(said) == 2, "it again", seconds=120)
        peer.press("0")

        desk = world.api("sara")

        def history() -> list[Any]:
            kept = desk.get(f"/complaints/{complaint['id']}")
            return [one for one in kept["changes"] if one["field"] == "code_read"]

        (noted,) = wait_for(history, "a line in the complaint's history")
        assert datetime.fromisoformat(noted["at"]) == told.at
        assert noted["by"]["id"] == dana.id
        peer.send("BYE")
        world.wait_fact(CallEnded, call=call)
        agent, customer, _ = sealed_sound(world, call)
        # A machine that stands still for long leaves its gap in the lane, so second by second.
        lane, words = agent.astype(np.int16).tobytes(), g711.decode(said, Codec.PCMU)
        parts = [one.tobytes() for one in np.array_split(words, len(words) // 8000) if one.any()]
        once = words.tobytes()
        found = sum(lane.count(one) == 2 * once.count(one) for one in parts)
        assert found >= len(parts) - 2, "the announcement is in the agent's lane, twice"
        assert not customer.any(), "the customer said nothing"
    finally:
        peer.close()
        dana.close()
