"""The status of a complaint by telephone: real processes, a real SIP peer, spoken prompts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import World, running, wait_for

from callcenter.crm.complaints.keypad import pressed
from callcenter.demo.phone import place_call
from callcenter.events import CallEnded, CallQueued

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
    ]
    silent = {"live": dict.fromkeys(("en", "fa", "he"), "off"), "second_pass": "off"}
    with running(folder, lines=lines, speech=silent) as started:
        started.add_user("sara", "supervisor")
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
    assert world.facts(CallQueued) == [], "nobody was rung"
    row = wait_for(lambda: desk.interaction(ended.call), "its row")
    assert (row["outcome"], row["policy"]) == ("completed", "never")
    spoken = sorted(path.stem for path in (world.data / "prompts" / "fa").glob("*.wav"))
    assert "stage_investigating" in spoken
