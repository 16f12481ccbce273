"""A supervisor asks for an erasure, an administrator runs it: gone from screen and disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from test_evaluation import is_accessible
from test_review import recorded
from world import World, running, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LANGUAGES = ("fa", "he", "en")
NAME = "Mahtab Zandieh"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("erasure"))
    silent = {"live": dict.fromkeys(LANGUAGES, "off"), "second_pass": "off"}
    with running(folder, speech=silent) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        started.add_user("root", "admin")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def test_a_customer_is_erased_by_two_people(world: World, browser: Browser) -> None:
    call = recorded(world)
    api = world.api("sara")
    record = wait_for(
        lambda: (r := api.interaction(call)) and r["recording_state"] == "sealed" and r,
        "the sealed recording",
    )
    customer = api.send("POST", "/customers", {"name": NAME})["id"]
    api.send("PATCH", f"/interactions/{record['id']}", {"customer": customer, "notes": NAME})
    recordings = world.data / "recordings"
    assert [path for path in recordings.rglob("*") if path.suffix in (".opus", ".wav")]

    boss = AgentPage(browser, world, "sara")
    boss.page.goto(f"/customers/{customer}")
    expect(boss.page.locator("main h1")).to_contain_text(NAME)
    boss.page.get_by_role("tab").nth(1).click()
    boss.hook("erasure-ask").click()
    boss.hook("reason-form").locator("input").fill("letter of 24 November")
    boss.hook("reason-form").locator("button[type=submit]").click()
    expect(boss.hook("erasure")).to_have_attribute("data-state", "asked")
    expect(boss.hook("erasure-run")).to_have_count(0)
    is_accessible(boss, "erasure")

    root = AgentPage(browser, world, "root")
    root.page.goto("/erasures")
    expect(root.hook("erasure")).to_contain_text("letter of 24 November")
    root.hook("erasure-run").click()
    expect(root.hook("erasure-really")).to_be_visible()
    is_accessible(root, "erasure-really")
    root.hook("erasure-really").click()
    expect(root.hook("erasure")).to_have_attribute("data-state", "done", timeout=60_000)
    expect(root.hook("erasure")).not_to_contain_text("letter of 24 November")

    boss.page.goto(f"/customers/{customer}")
    expect(boss.hook("erased")).to_be_visible()
    is_accessible(boss, "erased")
    wait_for(
        lambda: not [path for path in recordings.rglob("*") if path.suffix in (".opus", ".wav")],
        "the recording is gone",
    )
    for path in world.data.rglob("*"):
        if path.is_file():
            assert NAME.encode() not in path.read_bytes(), path.name
    boss.close()
    root.close()
