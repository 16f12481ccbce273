"""A complaint from the call to the answer: the agent registers it, the desk moves it on with
mouse and keyboard, the customer follows it in the portal, without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stage
from browser import AgentPage, chromium
from playwright.sync_api import Browser, Page, expect
from world import World, running, wait_for

from callcenter.events import CallEnded, CallRang, ComplaintCodeRead, ComplaintOpened

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CAST = stage.ENGLISH
NAME, NUMBER = CAST.caller
TONE = bytes([0x10, 0x90] * 80) * 50


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("desk"))
    silent = {
        "live": dict.fromkeys(("en", "fa", "he"), "off"),
        "second_pass": "off",
        "models_dir": str(folder / "no models"),
    }
    post = {"mail": {"via": "file"}, "sms": {"via": "file"}}
    with running(folder, **stage.settings(), speech=silent, messages=post) as started:
        stage.fill(started, CAST)
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


@pytest.fixture
def customer(world: World, browser: Browser) -> Iterator[Page]:
    """The customer's own browser; no script runs in it."""
    context = browser.new_context(base_url=world.base, locale="en-GB", java_script_enabled=False)
    yield context.new_page()
    context.close()


def messages(world: World, kind: str) -> list[dict[str, Any]]:
    files = sorted((world.data / "messages").glob("*.json"))
    texts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return [one for one in texts if kind in one["body"]]


def asks(page: Page, code: str) -> str:
    """What the portal says to the customer now."""
    page.goto("/portal?lang=en")
    page.fill("input[name=code]", code)
    page.fill("input[name=last]", NUMBER[-4:])
    page.click("button[type=submit]")
    shown = page.get_by_test_id("status")
    expect(shown).to_be_visible()
    return str(shown.inner_text())


def test_from_the_call_to_the_answer(world: World, browser: Browser, customer: Page) -> None:
    code = an_agent_registers_it_during_the_call(world, browser)
    assert "We have your complaint" in asks(customer, code)
    boss = AgentPage(browser, world, CAST.supervisor[0])
    the_desk_moves_it(world, boss, customer, code)
    boss.close()


def an_agent_registers_it_during_the_call(world: World, browser: Browser) -> str:
    agent = AgentPage(browser, world, CAST.agent[0]).start_shift()
    world.sipp("uac_talk.xml", seconds=120, sound=TONE, to=CAST.line, caller=NUMBER)
    expect(agent.hook("pop-name")).to_contain_text(NAME)
    expect(agent.hook("pop-card").get_by_test_id("incident-notice")).to_contain_text(
        CAST.trouble[1]
    )
    call = str(world.facts(CallRang)[-1].call)
    agent.answer()
    stage.speak(world, call, CAST)
    said = agent.page.locator("[data-testid=caption][data-leg=customer][data-kind=final]")
    expect(said).to_have_count(3)
    expect(agent.hook("customer-pane").get_by_test_id("incident-notice")).to_contain_text(
        CAST.trouble[2]
    )

    wish = said.nth(2)
    wish.hover()
    wish.get_by_test_id("caption-quote").click()  # 1: the sentence is the quote and the subject
    agent.hook("complaint-save").click()  # 2
    saved = agent.hook("complaint-saved")
    expect(saved).to_be_visible()
    assert world.facts(CallEnded, call=call) == []
    opened = world.wait_fact(ComplaintOpened, call=call)
    assert saved.get_attribute("data-code") == opened.code

    (kept,) = [c for c in world.api(CAST.agent[0]).get("/complaints?open=true")["items"]
               if c["code"] == opened.code]  # fmt: skip
    assert kept["subject"] == CAST.talk[5][1]
    assert [one["text"] for one in kept["quotes"]] == [CAST.talk[5][1]]
    wait_for(lambda: len(messages(world, opened.code)) == 2, "the receipt by mail and SMS")
    assert {one["to"] for one in messages(world, opened.code)} == {NUMBER, "customer@example.com"}
    saved.get_by_test_id("code-read-out").click()  # the system says it, twice
    told = world.wait_fact(ComplaintCodeRead, call=call)
    assert (told.complaint, told.by) == (kept["id"], opened.by)
    agent.hook("call-end").click()
    expect(agent.hook("wrapup")).to_be_visible()
    agent.hook("wrapup-outcome").select_option("complaint")
    agent.hook("wrapup-save").click()
    expect(agent.hook("call-bar")).to_have_attribute("data-state", "idle")
    agent.close()
    return str(opened.code)


def the_desk_moves_it(world: World, boss: AgentPage, customer: Page, code: str) -> None:
    expect(boss.hook("my-menu")).to_be_visible()
    boss.page.goto("/complaints")
    card = boss.page.locator(f"[data-testid=complaint-card][data-code={code}]")
    column = boss.page.locator("[data-testid=column]")

    def stands_in(name: str) -> None:
        expect(card).to_have_attribute("data-stage", name)

    # By keyboard: Shift and the arrow to the next stage; the focus stays on the card.
    card.get_by_test_id("card-link").focus()
    boss.page.keyboard.press("Shift+ArrowRight")
    stands_in("acknowledged")
    expect(card.get_by_test_id("card-link")).to_be_focused()
    expect(boss.hook("board-said")).to_contain_text(code)

    # By dragging.
    card.drag_to(column.and_(boss.page.locator("[data-stage=investigating]")))
    stands_in("investigating")
    assert "We are finding out what happened" in asks(customer, code)

    # Deciding asks for the decision first.
    card.drag_to(column.and_(boss.page.locator("[data-stage=responded]")))
    expect(boss.hook("step-dialog")).to_be_visible()
    boss.hook("transition-decision").fill("Your order leaves today, delivery is free.")
    boss.hook("transition-save").click()
    stands_in("responded")
    assert "delivery is free" not in asks(customer, code)  # decided, not told

    # By keyboard again: M and the menu.
    card.get_by_test_id("card-link").focus()
    boss.page.keyboard.press("m")
    expect(boss.hook("move-communicated")).to_be_focused()
    boss.page.keyboard.press("Enter")
    boss.hook("transition-channel").select_option("mail")
    boss.hook("transition-save").click()
    stands_in("communicated")
    assert "delivery is free" in asks(customer, code)
    wait_for(lambda: messages(world, "delivery is free"), "the answer by mail")

    # Its page: the moment is heard from where it was said; cause and remedy; closing.
    card.get_by_test_id("card-link").click()
    expect(boss.hook("quote-play")).to_be_visible()
    boss.hook("quote-play").click()
    expect(boss.hook("player")).to_have_attribute("data-playing", "true")
    boss.hook("fact-cause").select_option("delivery")
    boss.hook("fact-remedy").select_option("discount")
    boss.hook("fact-cost").fill("250000")
    boss.hook("fact-why").fill("Agreed on the phone")
    boss.hook("facts-save").click()
    expect(boss.page.get_by_text("Agreed on the phone").first).to_be_visible()
    boss.hook("transition-closed").click()
    boss.hook("transition-accepted").select_option("yes")
    boss.hook("transition-save").click()
    expect(boss.hook("complaint-stage")).to_have_attribute("data-stage", "closed")
    assert "Your complaint is closed" in asks(customer, code)
    (done,) = [c for c in world.api(CAST.supervisor[0]).get("/complaints?stage=closed")["items"]
               if c["code"] == code]  # fmt: skip
    assert (done["accepted"], done["remedy_cost"], done["cause"]) == (True, 250000.0, "delivery")
