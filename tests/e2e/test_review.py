"""A supervisor reviews a call: a real recording in a real browser, figures from its sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from sounds import ulaw_of
from world import DATA, World, running, wait_for

from callcenter.database import open_database
from callcenter.events import (
    CallAnswered,
    CallEnded,
    CallRang,
    Fact,
    LegName,
    RecordingStarted,
    UtteranceHeard,
)
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import SAMPLE_RATE, Codec

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAID: tuple[tuple[LegName, str, float], ...] = (
    ("customer", "joe04", 1.0),
    ("agent", "joe05", 14.0),
)
"""Leg, clip, second at which it begins; between the two nobody speaks for seconds."""
LENGTH = 30


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("review"))
    silent = {"live": dict.fromkeys(("en", "fa", "he"), "off"), "second_pass": "off"}
    with running(folder, speech=silent) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def happens(world: World, *facts: Fact) -> None:
    engine = open_database(world.settings.database_url)
    try:
        EventLog(engine).append(*facts)
    finally:
        engine.dispose()


def recorded(world: World) -> str:
    """A call of Dana with that sound, journalled as the telephony process does. → its id"""
    call, agent = new_id(), world.api("dana").get("/session")["user"]["id"]
    journal = DiskRecordings(world.settings.recordings_dir).open_journal(call)
    frame = 160
    for leg, clip, second in SAID:
        sound = ulaw_of(DATA / "speech" / f"{clip}.wav")
        for at in range(0, len(sound), frame):
            journal.leg(leg).write(
                int(second * SAMPLE_RATE) + at, sound[at : at + frame], Codec.PCMU
            )
    journal.close(LENGTH * SAMPLE_RATE)
    ring: dict[str, Any] = {
        "to_number": "100",
        "line": "100",
        "trunk": "local",
        "region": "IR",
        "language": "en",
        "policy": "always",
        "node": "test",
        "sip_call_id": call,
    }
    heard = [
        UtteranceHeard(
            call=call,
            utterance=new_id(),
            leg=leg,
            text=f"What {leg} said first",
            t0=second,
            t1=second + 4,
            language="en",
            engine="script",
        )
        for leg, _, second in SAID
    ]
    happens(
        world,
        CallRang(call=call, from_number="+989121234567", from_name="Kaveh", **ring),
        CallAnswered(call=call, agent=agent, queue="support", wait_seconds=2.0),
        RecordingStarted(call=call),
        *heard,
        CallEnded(
            call=call, reason="completed", by="customer", agent=agent, talk_seconds=float(LENGTH)
        ),
    )
    return call


def test_a_supervisor_hears_judges_and_shares_a_moment(world: World, browser: Browser) -> None:
    call = recorded(world)
    boss = AgentPage(browser, world, "sara")
    boss.page.wait_for_url(lambda url: "sign-in" not in url)
    api = world.api("sara")
    record = wait_for(
        lambda: (r := api.interaction(call)) and r["recording_state"] == "sealed" and r,
        "the sealed recording",
    )
    boss.page.goto(f"/calls/{record['id']}")

    # Figures, measured from the sound: the customer first, nobody for a while, the agent.
    expect(boss.hook("conversation")).to_have_attribute("data-state", "measured")
    found = api.get(f"/interactions/{record['id']}/conversation")
    assert 2 < found["customer"]["seconds"] < 12
    assert 2 < found["agent"]["seconds"] < 12
    assert found["talk_overs"] == 0
    (silence, *_) = [one for one in found["marks"] if one["kind"] == "dead_air"]
    assert found["customer"]["words"] == 4

    # From mark to mark, by keyboard, faster.
    boss.page.locator("[data-testid=moment][data-kind=dead_air]").first.click()
    seek = boss.hook("player-seek")
    assert abs(float(seek.input_value()) - silence["t0"]) < 0.6
    boss.hook("player-speed").select_option("2")
    boss.page.locator("h1").click()
    boss.page.keyboard.press("k")
    expect(boss.hook("player")).to_have_attribute("data-playing", "true")
    sound = boss.page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
    assert not any("peaks" in one and "columns=" not in one for one in sound)

    # Silence is skipped: second 13 is there before it could have been played.
    boss.hook("player-skip").check()
    wait_for(lambda: float(seek.input_value()) > silence["t1"] - 1, "the end of the silence")
    boss.page.locator("h1").click()
    boss.page.keyboard.press("k")
    expect(boss.hook("player")).to_have_attribute("data-playing", "false")

    # The transcript seeks, and is searched.
    boss.hook("utterance").nth(1).click()
    expect(boss.hook("utterance").nth(1)).to_have_attribute("aria-current", "true")
    assert abs(float(seek.input_value()) - SAID[1][2]) < 0.6
    boss.hook("transcript-find").fill("CUSTOMER")
    expect(boss.hook("utterance")).to_have_count(1)

    # A comment on this moment, which the agent reads too; a link that leads there.
    boss.hook("comment-text").fill("Well explained")
    boss.hook("comment-save").click()
    comment = boss.page.locator("[data-testid=moment][data-kind=comment]")
    expect(comment).to_contain_text("Well explained")
    (kept,) = world.api("dana").get(f"/interactions/{record['id']}/comments")["items"]
    assert abs(kept["t0"] - SAID[1][2]) < 0.6
    boss.hook("moment-share").click()
    address = boss.hook("moment-address").input_value()
    boss.page.goto(address)
    boss.page.wait_for_url(f"**/calls/{record['id']}?t=*")
    expect(boss.hook("player")).to_be_visible()
    wait_for(lambda: abs(float(seek.input_value()) - SAID[1][2]) < 0.6, "the moment")
    boss.page.goto(f"{address}x")
    expect(boss.hook("moment-gone")).to_be_visible()
    boss.close()


def test_a_phrase_is_told_at_once_and_the_search_plays_from_its_sentence(
    world: World, browser: Browser
) -> None:
    recorded_call = recorded(world)
    boss = AgentPage(browser, world, "sara")
    boss.page.wait_for_url(lambda url: "sign-in" not in url)

    # What is listened for.
    boss.page.goto("/phrases")
    boss.hook("phrases-new").click()
    boss.hook("phrases-name").fill("Going to the office")
    boss.hook("phrases-lines").fill("consumer office")
    boss.hook("phrases-save").click()
    expect(boss.hook("phrase-list")).to_contain_text("consumer office")

    # A customer says it while the call lasts: the page is told, and leads to the moment.
    call = talking(world)
    says(world, call, "then I go to the Consumer-Office", 12.0)
    expect(boss.hook("toast").last).to_contain_text("Going to the office")
    boss.hook("toast-link").click()
    live = world.api("sara").interaction(call)
    assert live
    boss.page.wait_for_url(f"**/calls/{live['id']}?t=12")
    marks = world.api("sara").get(f"/interactions/{live['id']}/conversation")["phrases"]
    assert [(mark["phrase"], mark["t0"]) for mark in marks] == [("consumer office", 12.0)]
    boss.page.goto(f"/calls?mark={world.api('sara').get('/phrase-lists')['items'][0]['id']}")
    expect(boss.hook("history-row")).to_have_count(1)

    # The search forgives a slip, marks the words and plays from the sentence.
    wait_for(
        lambda: (
            (r := world.api("sara").interaction(recorded_call)) and r["recording_state"] == "sealed"
        ),
        "the sealed recording",
    )
    boss.hook("search").fill('"agnet said" first')
    boss.hook("search").press("Enter")
    sentence = boss.hook("sentence").first
    expect(sentence).to_contain_text("What agent said first")
    expect(sentence.get_by_test_id("hit").first).to_have_text("agent said")
    expect(boss.hook("also")).to_contain_text("agnet")
    boss.hook("sentences-search").press("ArrowDown")
    boss.page.keyboard.press("Enter")
    boss.page.wait_for_url("**/calls/*?t=13.5&play=1")
    expect(boss.hook("player")).to_have_attribute("data-playing", "true")
    seek = boss.hook("player-seek")
    wait_for(lambda: float(seek.input_value()) > 13.4, "the sentence")
    boss.close()


def talking(world: World) -> str:
    """A call that Dana has now. → its id"""
    call, agent = new_id(), world.api("dana").get("/session")["user"]["id"]
    ring: dict[str, Any] = {
        "to_number": "100",
        "line": "100",
        "trunk": "local",
        "region": "IR",
        "language": "en",
        "policy": "always",
        "node": "test",
        "sip_call_id": call,
    }
    happens(
        world,
        CallRang(call=call, from_number="+989121234567", from_name="Kaveh", **ring),
        CallAnswered(call=call, agent=agent, queue="support", wait_seconds=2.0),
    )
    return call


def says(world: World, call: str, text: str, t0: float) -> None:
    happens(
        world,
        UtteranceHeard(
            call=call,
            utterance=new_id(),
            leg="customer",
            text=text,
            t0=t0,
            t1=t0 + 2,
            language="en",
            engine="script",
        ),
    )
