"""A28: script, template expressions and turning controls in everything that people can write.

Shown literally in the pop, on every screen and in the portal: nothing runs, nothing turns round.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, Page, expect
from test_review import happens, recorded
from world import World, running, wait_for

from callcenter.events import CallRang, UtteranceHeard
from callcenter.ids import new_id

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NUMBER = "+989121234567"
HOSTILE = (
    '<img src=x onerror="window.broken=1"><script>window.broken=2</script>'
    "{{ 7*191 }}${7*191}\u202egnp.exe\u2066"
)
SHOWN = "<img src=x onerror"
TURNING = "[\u202a-\u202e\u2066-\u2069]"
LOOK = f"""() => ({{
  broken: window.broken ?? null,
  images: document.querySelectorAll('img[src="x"]').length,
  text: document.body.innerText,
  turned: /{TURNING}/.test(document.body.innerText) || [...document.querySelectorAll('*')].some(
    (e) => [...e.attributes].some((a) => /{TURNING}/.test(a.value))),
}})"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("hostile"))
    silent = {"live": dict.fromkeys(("fa", "he", "en"), "off"), "second_pass": "off"}
    with running(folder, speech=silent) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


class Watcher:
    """Looks at pages of one browser page; `dialogs` and scripts that ran are kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialogs: list[str] = []
        page.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def look(self, name: str, *, least: int = 1) -> None:
        """The hostile text stands there literally, at least so often."""
        wait_for(lambda: self.page.evaluate(LOOK)["text"].count(SHOWN) >= least, name)
        found = self.page.evaluate(LOOK)
        assert (found["broken"], found["images"]) == (None, 0), name
        assert "1337" not in found["text"], f"{name}: an expression was worked out"
        assert not found["turned"], f"{name}: a control turns letters round"
        assert "[U+202E]gnp.exe[U+2066]" in found["text"], name
        assert self.dialogs == []


def written(world: World) -> dict[str, str]:
    """The text in every field that people write. → ids by noun"""
    api = world.api("sara")
    customer = api.send(
        "POST", "/customers",
        {
            "name": HOSTILE, "phones": [{"number": NUMBER}], "notes": HOSTILE, "address": HOSTILE,
            "emails": ["m@x.example"],
        },
    )["id"]  # fmt: skip
    call = recorded(world)
    record = wait_for(
        lambda: (r := api.interaction(call)) and r["recording_state"] == "sealed" and r,
        "the sealed recording",
    )
    happens(
        world,
        UtteranceHeard(
            call=call, utterance=new_id(), leg="customer", text=f"zebra {HOSTILE}", t0=20.0,
            t1=24.0, language="en", engine="script",
        ),
    )  # fmt: skip
    interaction = record["id"]
    api.send("PATCH", f"/interactions/{interaction}", {"customer": customer, "notes": HOSTILE})
    api.send("POST", f"/interactions/{interaction}/comments", {"text": HOSTILE, "t0": 1.0})
    complaint = api.send(
        "POST", "/complaints",
        {
            "subject": HOSTILE, "description": HOSTILE, "interaction": interaction,
            "customer": customer,
        },
    )  # fmt: skip
    api.send(
        "POST", f"/complaints/{complaint['id']}/transitions",
        {"to": "acknowledged", "note": HOSTILE},
    )  # fmt: skip
    api.send("PATCH", f"/complaints/{complaint['id']}", {"wanted": HOSTILE, "product": HOSTILE})
    return {
        "customer": customer,
        "interaction": interaction,
        "complaint": complaint["id"],
        "code": complaint["code"],
    }


def test_everything_is_shown_as_it_was_written(world: World, browser: Browser) -> None:
    made = written(world)
    boss = AgentPage(browser, world, "sara")
    expect(boss.hook("my-menu")).to_be_visible()
    eyes = Watcher(boss.page)
    for name, path, least in (
        ("calls", "/calls", 1),
        ("one call", f"/calls/{made['interaction']}", 3),
        ("recordings", "/recordings", 1),
        ("customers", "/customers", 1),
        ("one customer", f"/customers/{made['customer']}", 2),
        ("board", "/complaints", 1),
        ("table", "/complaints?view=table", 1),
        ("one complaint", f"/complaints/{made['complaint']}", 4),
        ("search", "/search?q=zebra", 1),
    ):
        boss.page.goto(path)
        eyes.look(name, least=least)
    boss.page.goto(f"/customers/{made['customer']}")
    for tab in range(3):
        boss.page.get_by_role("tab").nth(tab).click()
        eyes.look(f"tab {tab} of the customer")
    boss.close()


def test_the_pop_and_the_portal_too(world: World, browser: Browser) -> None:
    made = written(world) if not world.facts(CallRang) else None
    agent = AgentPage(browser, world, "dana").start_shift()
    eyes = Watcher(agent.page)
    caller = world.sipp("uac_talk.xml", seconds=60, caller=NUMBER)
    expect(agent.hook("pop-card")).to_be_visible()
    eyes.look("pop")
    agent.answer()
    eyes.look("record during the call")
    agent.hook("call-end").click()
    expect(agent.hook("wrapup")).to_be_visible()
    eyes.look("wrap-up")
    caller.wait(60)
    agent.close()

    (complaint, *_) = world.api("sara").get("/complaints")["items"]
    page = browser.new_context(base_url=world.base).new_page()
    visitor = Watcher(page)
    page.goto("/portal?lang=en")
    page.fill("input[name=code]", made["code"] if made else complaint["code"])
    page.fill("input[name=last]", NUMBER[-4:])
    page.click("button[type=submit]")
    expect(page.get_by_test_id("status")).to_be_visible()
    visitor.look("portal")
    page.context.close()
