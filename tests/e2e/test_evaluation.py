"""A supervisor scores a call beside the player, with evidence; the agent reads and acknowledges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from test_review import SAID, recorded
from test_screens import AXE, CHECK, TAGS
from world import World, running, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LANGUAGES = ("fa", "he", "en")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("quality"))
    silent = {"live": dict.fromkeys(LANGUAGES, "off"), "second_pass": "off"}
    with running(folder, speech=silent) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def is_accessible(person: AgentPage, mark: str) -> None:
    """The page that shows `mark`, in three languages: nothing that axe-core finds."""
    for language in LANGUAGES:
        person.hook("my-menu").click()
        person.hook(f"language-{language}").click()
        expect(person.page.locator("html")).to_have_attribute("lang", language)
        expect(person.hook(mark).first).to_be_visible()
        if not person.page.evaluate("() => 'axe' in window"):
            person.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert person.page.evaluate(CHECK, TAGS) == [], language
    person.page.keyboard.press("Escape")


def a_scorecard_is_written(boss: AgentPage) -> None:
    boss.page.goto("/quality?view=scorecards")
    boss.hook("scorecard-new").click()
    boss.hook("scorecard-name").fill("Support")
    boss.hook("section-title").fill("Greeting")
    boss.hook("question-text").fill("Says the own name?")
    boss.hook("section-add").click()
    boss.hook("section-title").nth(1).fill("Care")
    boss.hook("section-weight").nth(1).fill("3")
    boss.hook("question-text").nth(1).fill("Tone")
    boss.hook("question-scale").nth(1).select_option("4")
    boss.hook("question-add").nth(1).click()
    boss.hook("question-text").nth(2).fill("Checked the identity?")
    boss.hook("question-knock-out").nth(2).check()
    is_accessible(boss, "scorecard-form")
    boss.hook("scorecard-publish").click()
    boss.page.wait_for_url(lambda url: not url.endswith("/new"))


def the_call_is_scored(boss: AgentPage, record: dict[str, Any]) -> None:
    boss.page.goto(f"/calls/{record['id']}")
    boss.hook("evaluate").click()
    boss.page.wait_for_url("**/quality/evaluations/*")
    expect(boss.hook("player")).to_be_visible()
    question = boss.hook("question")
    score, seek = boss.hook("score"), boss.hook("player-seek")

    # By keyboard: a digit answers, and the next question is in focus; a knock-out makes it 0.
    question.nth(0).get_by_test_id("answer-0").focus()
    boss.page.keyboard.press("1")
    expect(question.nth(1).get_by_test_id("answer-0")).to_be_focused()
    expect(score).to_have_text("100")
    boss.page.keyboard.press("2")
    expect(question.nth(2).get_by_test_id("answer-0")).to_be_focused()
    boss.page.keyboard.press("0")
    expect(boss.hook("score-form")).to_contain_text("Knocked out")
    expect(score).to_have_text("0")
    question.nth(2).get_by_test_id("answer-na").click()
    expect(score).to_have_text("62.5")

    # Evidence: the moment that is heard now; a click on it plays from there.
    boss.hook("utterance").nth(1).click()
    question.nth(1).get_by_test_id("answer-2").focus()
    boss.page.keyboard.press("e")
    boss.hook("utterance").nth(0).click()
    assert abs(float(seek.input_value()) - SAID[0][2]) < 0.6
    question.nth(1).get_by_test_id("evidence").click()
    assert abs(float(seek.input_value()) - SAID[1][2]) < 0.6
    question.nth(1).get_by_test_id("remark-open").click()
    question.nth(1).get_by_test_id("remark").fill("Cuts the customer short")
    boss.hook("evaluation-summary").fill("Well solved; mind the tone")
    expect(boss.hook("evaluation-kept")).to_have_attribute("data-kept", "true")

    # The draft outlives the page.
    boss.page.reload()
    expect(score).to_have_text("62.5")
    expect(question.nth(1).get_by_test_id("remark")).to_have_value("Cuts the customer short")
    a_sentence_is_put_right(boss)
    is_accessible(boss, "player")
    boss.hook("evaluation-submit").click()
    boss.hook("evaluation-submit").click()
    expect(boss.hook("evaluation-state")).to_have_attribute("data-state", "submitted")


def a_sentence_is_put_right(boss: AgentPage) -> None:
    boss.hook("correct").first.click()
    boss.hook("correction-text").fill("What the customer really said")
    boss.hook("correction-save").click()
    expect(boss.hook("utterance").first).to_contain_text("What the customer really said")
    boss.hook("corrected").click()
    expect(boss.hook("correction-history")).to_contain_text("What customer said first")


def the_figures_are_there(boss: AgentPage) -> None:
    boss.page.goto("/quality?view=trends")
    expect(boss.hook("trend-row").first).to_contain_text("62.5")
    is_accessible(boss, "trend-row")
    boss.page.goto("/quality?view=rules")
    boss.hook("rule-new").click()
    is_accessible(boss, "view-rules")


def the_agent_answers(agent: AgentPage) -> None:
    agent.page.goto("/quality")
    agent.hook("evaluation-row").locator("a").click()
    expect(agent.hook("score")).to_have_text("62.5")
    expect(agent.hook("player")).to_be_visible()
    agent.hook("evidence").click()
    assert abs(float(agent.hook("player-seek").input_value()) - SAID[1][2]) < 0.6
    expect(agent.hook("evaluation-submit")).to_have_count(0)
    agent.hook("talk-text").fill("The line was bad")
    agent.hook("talk-send").click()
    expect(agent.hook("note")).to_contain_text("The line was bad")
    agent.hook("acknowledge").click()
    expect(agent.page.locator("[data-testid=note][data-kind=acknowledged]")).to_be_visible()
    is_accessible(agent, "talk")


def test_a_call_is_scored_with_evidence_and_the_agent_acknowledges(
    world: World, browser: Browser
) -> None:
    call = recorded(world)
    api = world.api("sara")
    record = wait_for(
        lambda: (r := api.interaction(call)) and r["recording_state"] == "sealed" and r,
        "the sealed recording",
    )
    boss = AgentPage(browser, world, "sara")
    boss.page.wait_for_url(lambda url: "sign-in" not in url)
    a_scorecard_is_written(boss)
    the_call_is_scored(boss, record)
    (kept,) = api.get("/evaluations")["items"]
    assert (kept["score"], kept["acknowledged_at"]) == (62.5, None)

    agent = AgentPage(browser, world, "dana")
    agent.page.wait_for_url(lambda url: "sign-in" not in url)
    the_agent_answers(agent)
    (kept,) = api.get("/evaluations")["items"]
    assert kept["acknowledged_at"]
    boss.page.reload()
    expect(boss.hook("note")).to_have_count(2)
    the_figures_are_there(boss)
    boss.close()
    agent.close()
