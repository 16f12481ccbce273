"""A supervisor narrows the list of recordings, saves that as a view, and opens a call from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from test_review import happens
from test_screens import AXE, CHECK, SIDEWAYS, TAGS
from world import World, running, wait_for

from callcenter.events import CallAnswered, CallEnded, CallRang, RecordingSealed, UtteranceHeard
from callcenter.ids import new_id

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

BOSSES = {"en": "sara", "fa": "mina", "he": "noa"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("recordings"))
    silent = {"live": dict.fromkeys(("en", "fa", "he"), "off"), "second_pass": "off"}
    with running(folder, speech=silent) as started:
        started.add_user("dana")
        for language, name in BOSSES.items():
            started.add_user(name, "supervisor", language=language)
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def recorded(world: World, name: str, seconds: float, said: str) -> str:
    """A call of Dana that was kept, as its facts tell. → its id"""
    call, agent = new_id(), world.api("dana").get("/session")["user"]["id"]
    happens(
        world,
        CallRang(
            call=call,
            from_number="+989121234567",
            from_name=name,
            to_number="100",
            line="100",
            trunk="local",
            region="IR",
            language="en",
            policy="always",
            node="test",
            sip_call_id=call,
        ),
        CallAnswered(call=call, agent=agent, queue="support", wait_seconds=2.0),
        UtteranceHeard(
            call=call,
            utterance=new_id(),
            leg="customer",
            text=said,
            t0=1.0,
            t1=3.0,
            language="en",
            engine="script",
        ),
        CallEnded(call=call, reason="completed", by="customer", agent=agent, talk_seconds=seconds),
        RecordingSealed(
            call=call,
            recording=new_id(),
            path=f"2026/11/26/{call}.opus",
            format="opus",
            seconds=seconds,
            size=1,
            sha256="0" * 64,
            legs={},
        ),
    )
    return call


def test_a_supervisor_narrows_the_list_keeps_it_as_a_view_and_opens_a_call(
    world: World, browser: Browser
) -> None:
    recorded(world, "Kaveh", 45, "only a question")
    call = recorded(world, "Omid", 900, "the parcel never came")
    recorded(world, "Leila", 700, "the invoice is wrong")
    api = world.api(BOSSES["en"])  # the page shows what was there when it was opened
    wait_for(lambda: len(api.get("/recordings")["items"]) == 3, "all three are in the list")
    boss = AgentPage(browser, world, BOSSES["en"])
    boss.page.wait_for_url(lambda url: "sign-in" not in url)
    boss.page.goto("/recordings")
    rows = boss.hook("recording-row")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("Leila")

    # By keyboard: what was said, then the length.
    boss.hook("filter-words").fill("parc")
    expect(rows).to_have_count(1)
    boss.hook("filter-words").fill("")
    boss.hook("filter-more").press("Enter")
    boss.hook("filter-length-min").fill("10")
    expect(rows).to_have_count(2)
    boss.page.wait_for_url("**/recordings?min=10")

    boss.hook("view-save").click()
    boss.page.keyboard.type("Long calls")
    boss.hook("view-shared").check()
    boss.page.keyboard.press("Enter")
    chip = boss.hook("view-chip")
    expect(chip).to_have_text("Long calls")
    expect(chip).to_have_attribute("aria-current", "true")
    boss.hook("filter-clear").click()
    expect(rows).to_have_count(3)

    boss.page.reload()
    expect(rows).to_have_count(3)
    chip.click()
    expect(rows).to_have_count(2)
    expect(boss.hook("filter-length-min")).to_have_value("10")
    rows.filter(has_text="Omid").get_by_role("link").click()
    boss.page.wait_for_url(f"**/calls/{world.api('sara').interaction(call)['id']}")
    expect(boss.hook("utterance")).to_contain_text("the parcel never came")
    boss.close()


@pytest.mark.parametrize("language", BOSSES)
def test_everybody_can_use_the_page(world: World, browser: Browser, language: str) -> None:
    """What axe-core finds of the page with everything open, wide and narrow, light and dark."""
    recorded(world, "Kaveh", 45, "only a question")
    boss = AgentPage(browser, world, BOSSES[language])
    boss.page.wait_for_url(lambda url: "sign-in" not in url)
    boss.page.goto("/recordings?period=days&min=0")
    expect(boss.hook("recording-row").first).to_be_visible()
    expect(boss.page.locator("html")).to_have_attribute("lang", language)
    boss.hook("view-save").click()
    boss.page.evaluate(AXE.read_text(encoding="utf-8"))
    for width in (1280, 390):
        boss.page.set_viewport_size({"width": width, "height": 844})
        assert boss.page.evaluate(SIDEWAYS) <= 0
        for theme in ("light", "dark"):
            boss.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert boss.page.evaluate(CHECK, TAGS) == []
    boss.close()
