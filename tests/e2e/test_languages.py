"""Persian and Hebrew calls: sound becomes text in the right script, kept and shown from right
to left. No accuracy is claimed: the clips are synthetic (research/speech.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from sounds import ulaw_of
from world import DATA, World, finish, running, wait_for

from callcenter.events import CallRang, TranscriptCompleted, UtteranceHeard

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SCRIPTS = {"fa": re.compile(r"[\u0600-\u06ff]"), "he": re.compile(r"[\u0590-\u05ff]")}
PAUSE = b"\xff" * 12_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(Path(tmp_path_factory.mktemp("languages"))) as started:
        started.add_user("sara", "supervisor")
        for language in SCRIPTS:
            started.add_user(f"agent-{language}", language=language)
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


@pytest.mark.parametrize(("language", "line"), [("fa", "200"), ("he", "300")])
def test_speech_becomes_text_in_its_own_script_from_right_to_left(
    world: World, browser: Browser, language: str, line: str
) -> None:
    agent = AgentPage(browser, world, f"agent-{language}").start_shift()
    expect(agent.page.locator("html")).to_have_attribute("dir", "rtl")
    expect(agent.page.locator("html")).to_have_attribute("lang", re.compile(f"^{language}"))
    said = PAUSE + ulaw_of(DATA / "speech" / f"{language}00.wav") + PAUSE
    caller = world.sipp("uac_talk.xml", seconds=20, sound=said, to=line, caller="+972541112233")
    agent.answer()
    call = world.facts(CallRang)[-1].call
    live = agent.page.locator("[data-testid=caption][data-leg=customer][data-kind=final]").first
    expect(live).to_contain_text(SCRIPTS[language])
    assert live.locator("p").evaluate("p => getComputedStyle(p).direction") == "rtl"
    finish(caller)
    agent.close()

    done = world.wait_fact(TranscriptCompleted, call=call, revision=2)
    assert done.language == language
    kept = [u for u in world.facts(UtteranceHeard, call=call) if u.leg == "customer"]
    assert any(SCRIPTS[language].search(u.text) for u in kept if u.revision == 2)
    api = world.api("sara")
    record = wait_for(lambda: api.interaction(call), "the record")
    transcript = wait_for(
        lambda: (t := api.get(f"/interactions/{record['id']}/transcript"))["state"] == "done" and t,
        "the transcript",
    )
    shown = [item["text"] for item in transcript["items"] if item["leg"] == "customer"]
    assert any(SCRIPTS[language].search(text) for text in shown)
