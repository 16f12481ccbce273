"""A caller on SIPp, an agent at a real Chromium that speaks Opus: heard both ways, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import BEEP_HERTZ, AgentPage, chromium
from playwright.sync_api import Page
from sounds import lag_seconds, sealed_sound, tone_share
from world import World, finish, running, wait_for

from callcenter.events import CallQualityMeasured, CallRang

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

KAVEH = "+989121234567"
KEEP_PEERS = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers.push(this); }
};
"""
HEARD = """async () => {
  const found = {};
  (await window.peers.at(-1).getStats()).forEach(entry => {
    if (entry.type === 'inbound-rtp')
      Object.assign(found, {energy: entry.totalAudioEnergy, bytes: entry.bytesReceived});
    if (entry.type === 'codec') found[entry.mimeType] = entry.sdpFmtpLine || '';
  });
  return found;
}"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("opus"))
    with running(folder, browser={"codecs": ["opus", "pcmu"]}) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture
def dana(world: World, tmp_path: Path) -> Iterator[AgentPage]:
    with chromium(tmp_path) as browser:
        page = AgentPage(browser, world, "dana")
        page.context.add_init_script(KEEP_PEERS)
        page.page.reload()
        page.start_shift()
        yield page
        page.close()


def heard(page: Page) -> dict[str, Any]:
    return dict(page.evaluate(HEARD))


def test_opus_carries_the_agents_sound_both_ways_into_the_call_and_its_recording(
    world: World, dana: AgentPage
) -> None:
    caller = world.sipp("uac_echo.xml", "-rtp_echo", seconds=20, caller=KAVEH)
    dana.answer()
    call = world.facts(CallRang)[-1].call
    # What the agent hears is what the caller says back: the agent's own beeps.
    wait_for(lambda: heard(dana.page).get("energy", 0) > 0.005, "sound at the agent's")
    wait_for(lambda: heard(dana.page)["bytes"] > 5_000, "seconds of it")
    stats = heard(dana.page)
    assert "audio/opus" in stats
    assert "audio/PCMU" not in stats
    finish(caller)
    agent, customer, _ = sealed_sound(world, call)
    assert tone_share(agent, BEEP_HERTZ) > 0.5
    assert tone_share(customer, BEEP_HERTZ) > 0.5
    assert 0.0 < lag_seconds(agent, customer) < 0.5
    measured, other = (
        world.wait_fact(CallQualityMeasured, call=call, leg=leg) for leg in ("agent", "customer")
    )
    assert (measured.codec, other.codec) == ("opus", "PCMU")
    assert measured.received > 300
    assert measured.lost == 0
    assert measured.round_trip_ms is not None
    assert measured.jitter_ms < 100
    assert measured.remote_jitter_ms is not None
    assert measured.remote_jitter_ms < 100
