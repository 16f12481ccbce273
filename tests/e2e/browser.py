"""An agent at a real Chromium: signs in, starts the shift, has a fake microphone that beeps."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from world import PASSWORD, PATIENCE, World

CHROMIUM = "/usr/bin/chromium"
BEEP_HERTZ = 1000
expect.set_options(timeout=PATIENCE * 1000)


def microphone(path: Path) -> Path:
    """A WAV that Chromium takes as its microphone: beeps at uneven distances, so that a shift
    between two recordings of it has one answer only."""
    rate, gaps = 48_000, (0.3, 0.5, 0.4, 0.9, 0.6, 0.35, 0.75, 0.45)
    beep = (12_000 * np.sin(2 * np.pi * BEEP_HERTZ * np.arange(int(0.2 * rate)) / rate)).astype(
        "<i2"
    )
    pieces = [piece for gap in gaps for piece in (beep, np.zeros(int(gap * rate), "<i2"))]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(np.concatenate(pieces).tobytes())
    return path


@contextmanager
def chromium(folder: Path, sound: Path | None = None) -> Iterator[Browser]:
    """Debian's Chromium without a window, with that microphone, without calls to the outside.

    `sound`: a WAV to be the microphone's in place of the beeps.
    """
    sound = sound or microphone(folder / "microphone.wav")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={sound}",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


class AgentPage:
    """The desk as one agent sees it. `hook(name)` finds an element by its data-testid."""

    def __init__(self, browser: Browser, world: World, username: str, *, locale: str = "en-US"):
        self.world = world
        self.context = browser.new_context(
            locale=locale, base_url=world.base, viewport={"width": 1440, "height": 900}
        )
        self.context.grant_permissions(["microphone", "notifications"], origin=world.base)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto("/sign-in")
        self.sign_in(username)

    def sign_in(self, username: str) -> None:
        """From the sign-in page, which is there."""
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")

    def hook(self, name: str) -> Locator:
        """The element with that data-testid."""
        return self.page.get_by_test_id(name)

    def start_shift(self) -> AgentPage:
        """Sound, microphone, notifications; then available."""
        self.hook("shift-start").click()
        self.hook("shift-available").click()
        expect(self.hook("light-line")).to_have_attribute("data-ok", "true")
        expect(self.hook("my-state")).to_be_visible()
        return self

    def answer(self) -> None:
        """Click Answer on the pop and wait until the two talk."""
        self.hook("pop-answer").click()
        expect(self.hook("call-bar")).to_have_attribute("data-state", "talking")

    def close(self) -> None:
        """Close the window; no script failed meanwhile."""
        self.context.close()
        assert self.errors == []
