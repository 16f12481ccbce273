"""An agent in a real Chromium with the product's own pages; Playwright drives it.

The times are taken inside the page: when the socket's message arrives, when the card with the
caller has been painted, when Answer is clicked, when the caller's sound comes out. They are
wall-clock seconds, corrected for the page's own clock.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callcenter.bench import sound
from callcenter.errors import StartError

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

_PATIENCE_MS = 60_000
_ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-quic",
]
_WATCH = """(() => {
  const seen = window.benchSeen = {};
  let skew = 0, listening = false;
  const now = () => performance.timeOrigin + performance.now() + skew;
  const note = (name) => { if (!(name in seen)) seen[name] = now() / 1000; };
  window.benchBegin = () => {
    for (const name of Object.keys(seen)) delete seen[name];
    const first = Date.now();
    while (Date.now() === first);
    skew += Date.now() - now();
  };
  const until = (what, true_) => new Promise((done, fail) => {
    const end = now() + 60000;
    const look = () => {
      if (true_()) done();
      else if (now() > end) fail(new Error(what + ' did not come within 60 s'));
      else setTimeout(look, 10);
    };
    look();
  });
  window.benchUntil = (name) => until(name, () => name in seen);
  window.benchIdle = () => until('the end of the call', () => {
    const bar = document.querySelector('[data-testid=call-bar]');
    return !['ringing', 'talking', 'held'].includes(bar?.dataset.state);
  });
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, given) {
      const socket = new target(...given);
      socket.addEventListener('message', (event) => {
        if (typeof event.data === 'string' && event.data.includes('"call.ringing"')) note('event');
      });
      return socket;
    },
  });
  new MutationObserver(() => {
    if ('painting' in seen || !document.querySelector('[data-testid=pop-card]')) return;
    note('painting');
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => note('painted');
      after.port2.postMessage(0);
    });
  }).observe(document, {childList: true, subtree: true});
  addEventListener('click', (event) => {
    if (event.target.closest?.('[data-testid=pop-answer]')) { note('click'); listening = true; }
  }, true);
  window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
    construct(target, given) {
      const peer = new target(...given);
      peer.addEventListener('track', (event) => {
        const context = new AudioContext({latencyHint: 'interactive'});
        const ear = context.createAnalyser();
        ear.fftSize = 256;
        context.createMediaStreamSource(new MediaStream([event.track])).connect(ear);
        const samples = new Float32Array(ear.fftSize);
        setInterval(() => {
          if (!listening) return;
          ear.getFloatTimeDomainData(samples);
          const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
          if (power > 1e-4) { note('sound'); listening = false; }
        }, 4);
      });
      return peer;
    },
  });
})();"""


def missing() -> str | None:
    """What a real browser needs and is not here; None when all is."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (pip install 'callcenter[test]')"
    with _playwright() as playwright:
        return None if _executable(playwright) else "no Chromium is on this machine"


class BrowserAgent:
    """One signed-in agent at the desk."""

    def __init__(self, page: Page, version: str) -> None:
        self._page = page
        self.version = version

    def sign_in(self, base: str, username: str, password: str) -> None:
        """Through the sign-in page and the start of the shift, until calls can come."""
        page = self._page
        page.goto(base + "/sign-in?lang=en")
        page.fill("input[name=username]", username)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.get_by_test_id("shift-start").click()
        page.get_by_test_id("shift-available").click()
        page.locator("[data-testid=light-line][data-ok=true]").wait_for()
        page.locator("[data-testid=call-bar]").wait_for()

    def begin(self) -> None:
        """Forget the last call's times."""
        self._page.evaluate("benchBegin()")

    def answer(self) -> None:
        """Wait for the painted card, click Answer, wait for the caller's sound."""
        self._page.evaluate("benchUntil('painted')")
        self._page.get_by_test_id("pop-answer").click()
        self._page.evaluate("benchUntil('sound')")

    def times(self) -> dict[str, float]:
        """event, painted, click, sound."""
        found: dict[str, float] = self._page.evaluate("benchSeen")
        return found

    def wait_idle(self) -> None:
        """Until the call is over on the screen, and the sound of it in the ear."""
        self._page.get_by_test_id("pop-card").wait_for(state="detached")
        self._page.evaluate("benchIdle()")


@contextmanager
def browser_agent(folder: Path) -> Iterator[BrowserAgent]:
    """A Chromium whose microphone hears the warble. Raises StartError where there is none."""
    microphone = folder / "microphone.wav"
    sound.write_wav(microphone)
    with _playwright() as playwright:
        executable = _executable(playwright)
        if executable is None:
            raise StartError("no Chromium is on this machine")
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[*_ARGUMENTS, f"--use-file-for-fake-audio-capture={microphone}"],
        )
        try:
            context = browser.new_context(permissions=["microphone", "notifications"])
            context.set_default_timeout(_PATIENCE_MS)
            context.add_init_script(_WATCH)
            yield BrowserAgent(context.new_page(), browser.version)
        finally:
            browser.close()


@contextmanager
def _playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


def _executable(playwright: Any) -> str | None:
    own = ""
    with suppress(Exception):
        own = playwright.chromium.executable_path
    if own and Path(own).exists():
        return str(own)
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)
