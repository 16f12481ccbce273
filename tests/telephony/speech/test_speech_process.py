"""The real process with the real recogniser, killed in the middle of a call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speech_clips import clip

from callcenter.bus import Hub, LocalBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.events import DescribeHealth, TranscriptPending, UtteranceHeard
from callcenter.log import EventLog
from callcenter.telephony.adapters.speech_socket import SpeechSocket, socket_path
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec
from callcenter.telephony.speech.models import Installed

START = """
import sys
from pathlib import Path
from callcenter import bootstrap, config
bootstrap.run_speech(config.load(Path(sys.argv[1]), environ={}))
"""


@pytest.fixture
def start(
    make_settings: Callable[..., Settings], whisper_base: Installed, tmp_path: Path
) -> Iterator[tuple[Settings, Callable[[], subprocess.Popen[bytes]]]]:
    settings = make_settings(speech={"models_dir": str(whisper_base.path.parent)})
    file = tmp_path / "process.json"
    file.write_text(json.dumps(settings.model_dump(mode="json")))
    hub = Hub(settings.run_dir)
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen([sys.executable, "-c", START, str(file)]))
        return running[-1]

    yield settings, begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
    hub.close()


@pytest.mark.integration
def test_captions_go_on_after_the_worker_was_killed(
    start: tuple[Settings, Callable[[], subprocess.Popen[bytes]]], wait_until: Callable[..., Any]
) -> None:
    settings, begin = start
    first = begin()
    bus = LocalBus(settings.run_dir)
    path = socket_path(settings.run_dir, 0)
    wait_until(path.exists, "the worker's socket", seconds=60)
    link = SpeechSocket(settings.run_dir)
    log = EventLog(open_database(settings.database_url))
    said = np.concatenate([clip("joe04").samples, np.zeros(12_000, np.int16)])
    payload = g711.encode(said)
    stop = threading.Event()

    def speak() -> None:
        """One sentence again and again, in real time, as the media loop writes it."""
        line = link.open("c", "customer", "en")
        began, frame = time.monotonic(), 0
        while not stop.wait(0.01):
            while frame < (time.monotonic() - began) / 0.02:
                at = frame * 160 % (len(payload) - 160)
                line.write(frame * 160, payload[at : at + 160], Codec.PCMU)
                frame += 1
        line.close()

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        wait_until(lambda: texts(log), "a caption", seconds=90)
        health = bus.request("speech", DescribeHealth())
        assert health["ok"]
        assert health["engines"] == {"en": "whisper", "fa": "whisper", "he": "whisper"}
        assert health["legs"] == 1
        first.kill()
        first.wait()
        before = texts(log)
        second = begin()
        wait_until(lambda: len(texts(log)) >= len(before) + 2, "captions again", seconds=90)
    finally:
        stop.set()
        speaker.join()
    link.close()
    wait_until(lambda: "failed" in pending(log), "the word that something is missing")
    heard = texts(log)
    after = " ".join(text for text, _ in heard[len(before) :])
    assert "refund" in after or "invoice" in after
    assert [t0 for _, t0 in heard] == sorted(t0 for _, t0 in heard)
    assert heard[len(before)][1] > heard[len(before) - 1][1]
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    assert not path.exists()
    bus.close()


def texts(log: EventLog) -> list[tuple[str, float]]:
    facts = (entry.fact for entry in log.of_call("c"))
    return [(f.text, f.t0) for f in facts if isinstance(f, UtteranceHeard)]


def pending(log: EventLog) -> list[str]:
    facts = (entry.fact for entry in log.of_call("c"))
    return [f.reason for f in facts if isinstance(f, TranscriptPending)]
