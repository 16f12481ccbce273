"""Every screen in Persian, Hebrew and English, light and dark, wide and narrow, on the real system.

Checked on each: no violation that axe-core finds (all its rules but `best-practice` ones are on,
none is excluded), the direction, no sideways scrolling, no text without translation, nothing on
the browser's console. CALLCENTER_SCREENSHOTS=1 also writes docs/images/screens.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stage
from browser import AgentPage, chromium
from playwright.sync_api import Browser, Page, expect
from stage import Cast
from world import DATA, Api, World, running, wait_for

from callcenter.events import CallRang

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
TEXTS = ROOT / "frontend" / "src" / "i18n"
PICTURES = ROOT / "docs" / "images" / "screens"
PHOTOGRAPH = os.environ.pop("CALLCENTER_SCREENSHOTS", "") == "1"  # no setting of the system
DARK = (
    "talking",
    "interaction",
    "complaints-board",
    "complaint",
    "portal-status",
)  # also photographed in dark
NARROW = (
    "talking",
    "complaints-board",
    "portal-status",
)  # also photographed at a telephone's width
WIDTHS = (900, 390)
LARGEST = 120_000  # bytes of a picture
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Latin words that are right on a Persian or Hebrew page.
LATIN = re.compile(r"\b(C-[0-9A-Z]+|Ctrl|Shift|VIP|ITU|English|Sepehr|support|[A-Z]|\S+@\S+)\b")


def _keys(texts: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


KEYS = frozenset(_keys(json.loads((TEXTS / "en.json").read_text(encoding="utf-8"))))
GROUPS = "|".join(sorted({key.split(".")[0] for key in KEYS}))
KEY = re.compile(rf"(?<![\w.@])(?:{GROUPS})\.[a-zA-Z_][\w.-]*")
SHOWN = """() => [document.body.innerText, ...[...document.querySelectorAll(
  '[aria-label],[title],[placeholder]')].flatMap((e) =>
    ['aria-label', 'title', 'placeholder'].map((a) => e.getAttribute(a) ?? ''))].join('\\n')"""
SIDEWAYS = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
CHECK = """(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then((found) =>
  found.violations.map((v) => v.id + ': ' + v.nodes.map((n) =>
    n.target.join(' ') + ' (' + (n.any[0] ?? n.all[0] ?? n.none[0])?.message + ')').join('; ')))"""


class Screens:
    """One browser page that is looked at from all sides; `on_shift`: its line is to be up."""

    def __init__(self, page: Page, cast: Cast, *, on_shift: bool = True) -> None:
        self.page, self.cast, self.on_shift = page, cast, on_shift
        self.wrong: list[str] = []
        self.seen: list[str] = []
        self._axe = AXE.read_text(encoding="utf-8")
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(f"console at {self.page.url}: {message.text}")

    def look(self, name: str) -> None:
        """Check the screen that is shown now."""
        self.seen.append(name)
        if self.on_shift and (line := self.page.get_by_test_id("light-line")).count():
            expect(line).to_have_attribute("data-ok", "true")
        self._words(name)
        for theme in ("dark", "light"):
            self._theme(theme)
            self._axe_finds(f"{name} {theme}")
            if PHOTOGRAPH and (theme == "light" or name in DARK):
                self._photograph(name if theme == "light" else f"{name}-dark", (1280, 800))
        for width in WIDTHS:
            self._resize(width, 844)
            if over := self.page.evaluate(SIDEWAYS):
                self.wrong.append(f"{name}: {over} px too wide at {width}")
            if width == WIDTHS[-1]:
                self._axe_finds(f"{name} {width}")
                if PHOTOGRAPH and name in NARROW:
                    self._photograph(f"{name}-narrow", (width, 844))
        self._resize(1440, 900)
        if over := self.page.evaluate(SIDEWAYS):
            self.wrong.append(f"{name}: {over} px too wide")

    def _words(self, name: str) -> None:
        root = self.page.locator("html")
        expect(root).to_have_attribute("lang", re.compile(f"^{self.cast.language}"))
        expect(root).to_have_attribute("dir", "ltr" if self.cast.language == "en" else "rtl")
        shown = self.page.evaluate(SHOWN)
        if keys := KEY.findall(shown):
            self.wrong.append(f"{name}: keys in place of texts: {keys}")
        if self.cast.language != "en":
            own = {self.cast.agent[0], self.cast.supervisor[0]}
            words = set(re.findall(r"[A-Za-z]{3,}", LATIN.sub("", shown))) - own
            if words:
                self.wrong.append(f"{name}: not translated: {sorted(words)}")

    def _theme(self, theme: Any) -> None:
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")

    def _axe_finds(self, what: str) -> None:
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(self._axe)  # by the debugger: the page's CSP stays in force
        for found in self.page.evaluate(CHECK, TAGS):
            self.wrong.append(f"{what}: {found}")

    def _resize(self, width: int, height: int) -> None:
        self.page.set_viewport_size({"width": width, "height": height})

    def _photograph(self, name: str, size: tuple[int, int]) -> None:
        before = self.page.viewport_size
        self._resize(*size)
        self.page.mouse.move(1, 1)
        self.page.wait_for_timeout(250)  # a picture, not a check: let fonts and meters settle
        folder = PICTURES / self.cast.language
        folder.mkdir(parents=True, exist_ok=True)
        asked = {"format": "webp", "quality": 82}
        shot = self.page.context.new_cdp_session(self.page).send("Page.captureScreenshot", asked)
        picture = base64.b64decode(shot["data"])
        assert len(picture) <= LARGEST, f"{name}: {len(picture)} bytes"
        (folder / f"{name}.webp").write_bytes(picture)
        if extra := os.environ.get("SCREENSHOTS_PNG"):
            self.page.screenshot(path=f"{extra}/{self.cast.language}-{name}.png")
        if before:
            self._resize(before["width"], before["height"])


def voice(path: Path) -> Path:
    """A WAV that is spoken into the agent's microphone: the waveform is one of speech."""
    sentences = []
    for name in ("joe02", "joe04", "joe05"):
        with wave.open(str(DATA / "speech" / f"{name}.wav"), "rb") as clip:
            said = np.frombuffer(clip.readframes(clip.getnframes()), "<i2")
        sentences += [np.zeros(16_000, "<i2"), np.repeat(said, 48_000 // clip.getframerate())]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.concatenate(sentences).tobytes())
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = Path(tmp_path_factory.mktemp("chromium"))
    with chromium(folder, voice(folder / "voice.wav")) as started:
        yield started


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("screens"))
    silent = {
        "live": dict.fromkeys(("en", "fa", "he"), "off"),
        "second_pass": "off",
        "models_dir": str(folder / "no models"),
    }
    with running(folder, **stage.settings(), speech=silent) as started:
        yield started


def spoken(cast: Cast) -> bytes:
    """What the caller's telephone says: the demo's clip (WAVE with µ-law), pauses between."""
    file = ROOT / "callcenter" / "demo" / "speech" / f"customer_{cast.language}.wav"
    _, _, sound = file.read_bytes().partition(b"data")
    return (b"\xff" * 8_000 + sound[4:] + b"\xff" * 16_000) * 4


@pytest.mark.parametrize("cast", stage.CASTS, ids=lambda cast: cast.language)
def test_every_screen_can_be_shown_to_anybody(world: World, browser: Browser, cast: Cast) -> None:
    stage.fill(world, cast)
    sign_in(world, browser, cast)
    agent = AgentPage(browser, world, cast.agent[0], locale=cast.locale)
    screens = Screens(agent.page, cast)
    a_shift_begins(agent, screens)
    call = a_call_comes(world, agent, screens, cast)
    the_records(world, agent, screens, call)
    the_desk(agent, screens)
    agent.close()
    seen = the_supervisor_looks(world, browser, cast, call)
    the_customer_asks(world, browser, cast)
    assert not screens.wrong, "\n".join(screens.wrong)
    assert len(screens.seen) == 19
    assert seen == 15


DRAWN = """() => [0, 1].map((lane) => {
  const canvas = document.querySelector('[data-testid=player] canvas');
  const { width, height } = canvas;
  const data = canvas.getContext('2d').getImageData(8, (lane * height) >> 1, width - 8, height >> 1)
  return [...data.data.filter((_, i) => i % 4 === 3)].filter((alpha) => alpha > 0).length;
})"""


def lanes_drawn(page: Page) -> bool:
    """Whether more than a silent line is drawn in both halves of the player."""
    width = page.locator("[data-testid=player] canvas").evaluate("(c) => c.width")
    dots: list[int] = page.evaluate(DRAWN)
    return min(dots) > 3 * int(width)


def sign_in(world: World, browser: Browser, cast: Cast) -> None:
    context = browser.new_context(locale=cast.locale, base_url=world.base)
    page = context.new_page()
    screens = Screens(page, cast)
    page.goto("/sign-in")
    screens.look("sign-in")
    context.close()
    assert screens.wrong == []


def a_shift_begins(agent: AgentPage, screens: Screens) -> None:
    expect(agent.hook("shift-start")).to_be_visible()
    agent.hook("shift-start").click()
    expect(agent.hook("shift-available")).to_be_visible()
    screens.look("shift")
    agent.hook("shift-available").click()
    expect(agent.hook("light-line")).to_have_attribute("data-ok", "true")
    expect(agent.hook("today-row").first).to_be_visible()
    expect(agent.hook("my-state")).to_have_attribute("data-state", "available")
    screens.look("desk")
    agent.page.keyboard.press("Shift+Slash")
    expect(agent.page.locator("dialog[open]")).to_be_visible()
    screens.look("keyboard")
    agent.page.keyboard.press("Escape")


def a_call_comes(world: World, agent: AgentPage, screens: Screens, cast: Cast) -> str:
    number = cast.caller[1]
    caller = world.sipp(
        "uac_talk.xml", seconds=200, sound=spoken(cast), to=cast.line, caller=number
    )
    expect(agent.hook("pop-name")).to_contain_text(cast.caller[0])
    call = str(world.facts(CallRang)[-1].call)
    screens.look("pop")
    agent.answer()
    over = time.monotonic() + stage.speak(world, call, cast)
    final = agent.page.locator("[data-testid=caption][data-kind=final]")
    expect(final).to_have_count(len(cast.talk))
    legs = {"agent": "the agent's", "customer": "the caller's"}
    assert {leg for leg in legs if agent.page.locator(f"[data-leg={leg}]").count()} == set(legs)
    agent.hook("notes").fill(cast.notes)
    expect(agent.hook("notes-saved")).to_have_attribute("data-state", "saved")
    screens.look("talking")
    agent.hook("recording-form").click()
    expect(agent.hook("unrecorded-form")).to_have_attribute("data-state", "formOpen")
    screens.look("card-form")
    agent.hook("unrecorded-done").click()
    expect(agent.hook("recording-state")).to_have_attribute("data-state", "running")

    agent.hook("complaint-open").first.click()
    agent.hook("complaint-subject").fill(cast.complaint[0])
    agent.hook("complaint-description").fill(cast.complaint[1])
    customer = agent.page.locator("[data-testid=complaint-quote][data-leg=customer]")
    customer.nth(1).check()
    customer.nth(2).check()
    wait_for(lambda: time.monotonic() > over, "the end of the conversation")
    agent.hook("call-end").click()
    expect(agent.hook("wrapup")).to_be_visible()
    caller.kill()
    agent.hook("wrapup-outcome").select_option("complaint")
    screens.look("wrap-up")
    agent.hook("complaint-save").click()
    expect(agent.hook("complaint-saved")).to_be_visible()
    agent.hook("wrapup-save").click()
    expect(agent.hook("call-bar")).to_have_attribute("data-state", "idle")
    stage.transcribed(world, call, cast)
    return call


def the_records(world: World, agent: AgentPage, screens: Screens, call: str) -> None:
    api = world.api(screens.cast.agent[0])
    record = wait_for(
        lambda: (
            (r := api.interaction(call))
            and (r["recording_state"], r["transcript_state"]) == ("sealed", "done")
            and r
        ),
        "the recording and the transcript",
    )
    (complaint,) = api.get("/complaints", interaction=record["id"])["items"]
    customer = record["customer"]["id"]
    for name, path, ready in (
        ("calls", "/calls", "history-row"),
        ("recordings", "/recordings", "recording-row"),
        ("customers", "/customers", "customer-row"),
        ("customer", f"/customers/{customer}", "customer-name"),
        ("complaints", "/complaints?view=table", "complaint-row"),
        ("complaint", f"/complaints/{complaint['id']}", "quote"),
        ("interaction", f"/calls/{record['id']}", "utterance"),
    ):
        agent.page.goto(path)
        expect(agent.hook(ready).first).to_be_visible()
        if name == "interaction":
            wait_for(lambda: lanes_drawn(agent.page), "the waveform of both sides")
        screens.look(name)
    agent.page.goto("/no-such-page")
    expect(agent.page.locator("h1")).to_be_visible()
    screens.look("lost")
    agent.page.goto("/calls?q=zzzz")
    expect(agent.page.locator("h1")).to_be_visible()
    screens.look("nothing-found")


def the_desk(agent: AgentPage, screens: Screens) -> None:
    for name, view, ready in (
        ("complaints-board", "board", "complaint-card"),
        ("complaints-incidents", "incidents", "incident"),
        ("complaints-figures", "figures", "figure"),
    ):
        agent.page.goto(f"/complaints?view={view}")
        expect(agent.hook(ready).first).to_be_visible()
        screens.look(name)


def the_supervisor_looks(world: World, browser: Browser, cast: Cast, call: str) -> int:
    """What only a supervisor sees; how many screens that were."""
    supervisor = AgentPage(browser, world, cast.supervisor[0], locale=cast.locale)
    expect(supervisor.hook("my-menu")).to_be_visible()
    screens = Screens(supervisor.page, cast, on_shift=False)
    what_was_said(supervisor, screens)
    how_good_it_was(world, supervisor, screens, call)
    who_saw_what(supervisor, screens)
    supervisor.close()
    assert not screens.wrong, "\n".join(screens.wrong)
    return len(screens.seen)


def what_was_said(supervisor: AgentPage, screens: Screens) -> None:
    """The search over all conversations, and the phrases that are listened for."""
    sentence = screens.cast.talk[1][1]
    word = max(re.findall(r"\w+", sentence), key=len)
    for name, path, ready in (
        ("search", f"/search?q={word}", "sentence"),
        ("search-empty", "/search", "sentences-search"),
    ):
        supervisor.page.goto(path)
        expect(supervisor.hook(ready).first).to_be_visible()
        supervisor.hook("search-help").locator("summary").click()
        screens.look(name)
    supervisor.page.goto("/phrases")
    supervisor.hook("phrases-new").click()
    supervisor.hook("phrases-name").fill(screens.cast.complaint[0])
    supervisor.hook("phrases-lines").fill(sentence)
    screens.look("phrases-form")
    supervisor.hook("phrases-save").click()
    expect(supervisor.hook("phrase-list").first).to_be_visible()
    screens.look("phrases")


def how_good_it_was(world: World, supervisor: AgentPage, screens: Screens, call: str) -> None:
    """Scorecards, the evaluation beside the player, what was drawn, trends."""
    api, page = world.api(screens.cast.supervisor[0]), supervisor.page
    card = a_scorecard(api, screens.cast)
    begun = {"interaction": api.interaction(call)["id"], "scorecard": card}
    evaluation = api.send("POST", "/evaluations", begun)["id"]
    page.goto(f"/quality/evaluations/{evaluation}")
    expect(supervisor.hook("utterance").first).to_be_visible()
    expect(supervisor.hook("player")).to_be_visible()
    supervisor.hook("answer-1").first.click()
    supervisor.hook("remark-open").first.click()
    screens.look("evaluation")
    supervisor.hook("correct").first.click()
    expect(supervisor.hook("correction-text")).to_be_visible()
    screens.look("correction")
    answers = [{"question": "name", "value": 1}, {"question": "tone", "value": 2}]
    api.send("PATCH", f"/evaluations/{evaluation}", {"answers": answers})
    api.send("POST", f"/evaluations/{evaluation}/submission")
    for name, path, ready in (
        ("evaluations", "/quality", "evaluation-row"),
        ("waiting", "/quality?view=waiting", "view-waiting"),
        ("trends", "/quality?view=trends", "trend-row"),
        ("scorecards", "/quality?view=scorecards", "scorecard-row"),
        ("scorecard", f"/quality/scorecards/{card}", "scorecard-form"),
    ):
        page.goto(path)
        expect(supervisor.hook(ready).first).to_be_visible()
        screens.look(name)
    page.goto("/quality?view=rules")
    supervisor.hook("rule-new").click()
    screens.look("rules")


def a_scorecard(api: Api, cast: Cast) -> str:
    """A published scorecard of two questions, in the cast's words."""
    title, text = cast.complaint
    questions = [{"id": "name", "text": title}, {"id": "tone", "text": text, "scale": 4}]
    section = {"id": "greeting", "title": title, "weight": 1, "questions": questions}
    card = str(api.send("POST", "/scorecards", {"name": title, "sections": [section]})["id"])
    api.send("POST", f"/scorecards/{card}/publication")
    return card


def who_saw_what(supervisor: AgentPage, screens: Screens) -> None:
    """One's own security, and what others opened with a reason."""
    for name, ready in (
        ("security", "session"),
        ("disclosures", "my-menu"),
        ("erasures", "erasures-list"),
    ):
        supervisor.page.goto(f"/{name}")
        expect(supervisor.page.locator("main h1")).to_be_visible()
        expect(supervisor.hook(ready).first).to_be_visible()
        screens.look(name)


def the_customer_asks(world: World, browser: Browser, cast: Cast) -> None:
    api = world.api(cast.supervisor[0])
    mine = [
        one
        for one in api.get("/complaints")["items"]
        if one["customer"] and one["customer"]["name"] == cast.caller[0]
    ]
    context = browser.new_context(locale=cast.locale, base_url=world.base)
    page = context.new_page()
    screens = Screens(page, cast)
    page.goto("/portal")
    screens.look("portal")
    page.fill("input[name=code]", mine[0]["code"])
    page.fill("input[name=last]", cast.caller[1][-4:])
    page.click("button[type=submit]")
    expect(page.get_by_test_id("status")).to_be_visible()
    screens.look("portal-status")
    context.close()
    assert screens.wrong == []


KEEP_MICROPHONE = """(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (asked) => (window.microphone = await open(asked));
})()"""
UNPLUG = """() => {
  const [track] = window.microphone.getAudioTracks();
  track.stop();
  track.dispatchEvent(new Event('ended'));  // what a browser does when the device goes
}"""


def test_a_microphone_that_goes_is_told_and_connected_again(world: World, browser: Browser) -> None:
    world.add_user("lena")
    agent = AgentPage(browser, world, "lena")
    expect(agent.hook("shift-start")).to_be_visible()
    agent.context.add_init_script(KEEP_MICROPHONE)
    agent.page.reload()
    agent.start_shift()
    agent.page.evaluate(UNPLUG)
    light = agent.hook("light-mic")
    expect(light).to_have_attribute("data-ok", "false")
    expect(light).to_contain_text("Microphone unplugged")
    agent.hook("mic-reopen").click()
    expect(light).to_have_attribute("data-ok", "true")
    expect(agent.hook("light-line")).to_have_attribute("data-ok", "true")
    expect(agent.hook("mic-reopen")).to_have_count(0)
    agent.close()
