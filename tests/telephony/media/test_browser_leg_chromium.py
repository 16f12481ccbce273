"""The browser's leg against a real Chromium with its fake microphone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest
import uvloop
from playwright.sync_api import Browser, Page, sync_playwright
from soundlink import Recorder

from callcenter.config import Settings
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.webrtc import BrowserLeg, BrowserLegs
from callcenter.telephony.media import g711
from callcenter.telephony.media.tones import hold_music
from callcenter.telephony.ports import BrowserCodec

pytestmark = pytest.mark.integration

AGENT = "0199aaaa-0000-7000-8000-00000000000c"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = """<!doctype html><title>leg</title><script>
async function begin() {
  const stream = await navigator.mediaDevices.getUserMedia({audio: true});
  const peer = window.peer = new RTCPeerConnection();
  const line = peer.addTransceiver(stream.getAudioTracks()[0], {streams: [stream]});
  line.setCodecPreferences(RTCRtpReceiver.getCapabilities('audio').codecs
    .filter(codec => ['audio/PCMU', 'audio/opus'].includes(codec.mimeType)));
  peer.ontrack = event => {
    window.speaker = new Audio();
    speaker.srcObject = new MediaStream([event.track]);
    speaker.play();
  };
  await peer.setLocalDescription(await peer.createOffer());
  while (peer.iceGatheringState !== 'complete') await new Promise(r => setTimeout(r, 5));
  const sdp = await window.negotiate(peer.localDescription.sdp);
  await peer.setRemoteDescription({type: 'answer', sdp});
}
async function heard() {
  const found = {};
  (await peer.getStats()).forEach(entry => {
    if (entry.type === 'inbound-rtp') Object.assign(found,
      {bytes: entry.bytesReceived, energy: entry.totalAudioEnergy, lost: entry.packetsLost});
    if (entry.type === 'codec') found.codec = entry.mimeType;
  });
  return found;
}
</script>"""
T = TypeVar("T")


class TelephonyThread:
    """The plane and the legs on a loop of their own, as in the telephony process."""

    def __init__(self, codecs: list[BrowserCodec]) -> None:
        self._codecs = codecs
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.plane, self.legs = self.run(self._start())

    async def _start(self) -> tuple[BatchingMediaPlane, BrowserLegs]:
        plane = BatchingMediaPlane((41000, 46999))
        return plane, BrowserLegs(plane, self._codecs)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(60)

    def call(self, function: Callable[[], T]) -> T:
        async def work() -> T:
            return function()

        return self.run(work())

    def leg(self) -> BrowserLeg:
        leg = self.legs.leg(AGENT)
        assert leg is not None
        return leg

    def stop(self) -> None:
        self.run(self.legs.stop())
        self.call(self.plane.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def telephony(request: pytest.FixtureRequest) -> Iterator[TelephonyThread]:
    there = TelephonyThread(request.param)
    yield there
    there.stop()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def open_leg(browser: Browser, telephony: TelephonyThread) -> Page:
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(content_type="text/html", body=PAGE))
    page.expose_function(
        "negotiate", lambda sdp: telephony.run(telephony.legs.negotiate(AGENT, sdp, "offer"))
    )
    page.goto("http://localhost/leg")
    page.evaluate("begin()")
    until(page, lambda: telephony.call(lambda: telephony.legs.connected(AGENT)))
    return page


def until(page: Page, condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        page.wait_for_timeout(50)


def loudness(sink: Recorder) -> float:
    """Effective value of the loudest 20 ms."""
    frames = [g711.decode(payload, codec).astype(float) for _, payload, codec in sink.written]
    return max((float(np.sqrt(np.mean(frame**2))) for frame in frames), default=0.0)


@pytest.mark.parametrize(
    ("telephony", "codec"),
    [
        (Settings().browser.codecs, "audio/PCMU"),
        (["opus", "pcmu"], "audio/opus"),
    ],
    indirect=["telephony"],
)
def test_sound_goes_both_ways_with_a_real_browser_and_survives_a_reload(
    chromium: Browser, telephony: TelephonyThread, codec: str
) -> None:
    page = open_leg(chromium, telephony)
    sink = Recorder()
    leg = telephony.leg()
    telephony.call(lambda: telephony.plane.tap(leg, sink, start=asyncio.get_event_loop().time()))
    telephony.call(lambda: telephony.plane.play(leg, hold_music()))
    until(page, lambda: loudness(sink) > 500)
    until(page, lambda: page.evaluate("heard()").get("energy", 0) > 0.001)
    until(page, lambda: page.evaluate("heard()")["bytes"] > 160 * 10)
    assert page.evaluate("heard()")["codec"] == codec
    reports = leg.sound.reports
    until(page, lambda: reports.round_trip is not None)
    assert reports.round_trip is not None
    assert reports.round_trip < 1
    assert reports.remote_jitter is not None
    assert reports.remote_jitter < 800  # samples: 0.1 s
    assert telephony.call(lambda: leg.sound.reception.jitter) < 800

    spoken = len(sink.written)
    begun = time.monotonic()
    page.reload()
    page.evaluate("begin()")
    until(page, lambda: len(sink.written) > spoken + 60 and loudness(sink) > 500)
    until(page, lambda: page.evaluate("heard()").get("energy", 0) > 0.0005)
    assert time.monotonic() - begun < 30
    assert telephony.leg() is leg
    page.close()
    until_gone = time.monotonic() + 30
    while telephony.call(lambda: telephony.legs.connected(AGENT)):
        assert time.monotonic() < until_gone, "the closed page is still taken for connected"
        time.sleep(0.1)
