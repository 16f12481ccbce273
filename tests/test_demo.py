"""The simulated customer's telephone (against SIPp as the called side), speech and data."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter import migrations
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.customers.queries import match as match_phone
from callcenter.crm.interactions.models import Interaction
from callcenter.database import open_database
from callcenter.demo import data, people, wav
from callcenter.demo.phone import place_call
from callcenter.errors import Invalid, SipFailure

pytestmark = pytest.mark.integration  # real sockets, models or processes, in real time

DATA = Path(__file__).parent / "data" / "sipp"
SPEECH = Path(__file__).parents[1] / "callcenter" / "demo" / "speech"
NUMBER = "+989121234567"
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")


@contextmanager
def called_side(name: str, port: int, media: int, folder: Path) -> Iterator[Callable[[], str]]:
    """SIPp as the called side; yields what waits for its success and gives its message trace."""
    messages = folder / "messages.log"
    sipp = subprocess.Popen(
        f"sipp -sf {DATA / name} -i 127.0.0.1 -p {port} -mi 127.0.0.1 -mp {media} -rtp_echo -m 1"
        f" -nostdin -trace_msg -message_file {messages} -timeout 60 -timeout_error".split(),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def done() -> str:
        assert sipp.wait(30) == 0, messages.read_text()
        return messages.read_text()

    try:
        yield done
    finally:
        sipp.kill()
        sipp.wait()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    tone = 12000 * np.sin(2 * np.pi * 440 * np.arange(3 * 16000) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(tone.astype("<i2").tobytes())
    return path


@needs_sipp
def test_a_real_call_is_answered_heard_and_ended_without_a_thread_left(
    clip: Path, tmp_path: Path, free_udp_port: Callable[[], int]
) -> None:
    port, before, told = free_udp_port(), set(threading.enumerate()), list[str]()
    with called_side("uas_echo.xml", port, free_udp_port() & ~1, tmp_path) as done:
        report = place_call(
            to="100", caller=NUMBER, host="127.0.0.1", port=port, play=clip, on_progress=told.append
        )
        trace = done()
    assert told == ["calling", "ringing", "answered"]
    assert f"From: <sip:{NUMBER}@127.0.0.1>" in trace
    assert report.ended_by == "the caller"
    assert report.spoken == pytest.approx(3.0)
    assert report.heard >= 2.0, str(report)
    assert set(threading.enumerate()) - before == set()


@needs_sipp
def test_the_other_side_may_hang_up(
    clip: Path, tmp_path: Path, free_udp_port: Callable[[], int]
) -> None:
    port = free_udp_port()
    with called_side("uas_bye.xml", port, free_udp_port() & ~1, tmp_path) as done:
        report = place_call(
            to="100", caller=None, host="127.0.0.1", port=port, play=clip, seconds=30
        )
        trace = done()
    assert report.ended_by == "the other side"
    assert report.seconds < 20
    assert "From: <sip:anonymous@" in trace


@needs_sipp
def test_a_busy_line_is_said_in_one_sentence_and_acknowledged(
    tmp_path: Path, free_udp_port: Callable[[], int]
) -> None:
    port = free_udp_port()
    with called_side("uas_busy.xml", port, free_udp_port() & ~1, tmp_path) as done:
        with pytest.raises(SipFailure, match=r"^the line is busy \(486 Busy Here\)$"):
            place_call(to="100", caller=NUMBER, host="127.0.0.1", port=port)
        done()


@needs_sipp
def test_a_call_that_nobody_answers_is_cancelled(
    tmp_path: Path, free_udp_port: Callable[[], int]
) -> None:
    port = free_udp_port()
    with called_side("uas_cancel.xml", port, free_udp_port() & ~1, tmp_path) as done:
        with pytest.raises(SipFailure, match="nobody answered in time"):
            place_call(to="100", caller=NUMBER, host="127.0.0.1", port=port, answer_seconds=1)
        done()


def test_a_system_that_is_not_there_is_said_so(
    monkeypatch: pytest.MonkeyPatch, free_udp_port: Callable[[], int]
) -> None:
    monkeypatch.setattr("callcenter.demo.phone._PATIENCE", 0.3)
    started = time.monotonic()
    with pytest.raises(SipFailure, match="nothing answers at"):
        place_call(to="100", caller=NUMBER, host="127.0.0.1", port=free_udp_port())
    assert time.monotonic() - started < 15


def test_any_common_wav_becomes_8_bit_8_khz_mono(clip: Path) -> None:
    samples = np.frombuffer(wav.read(clip), np.uint8).astype(int)
    assert abs(len(samples) - 3 * 8000) <= 8
    assert samples.max() == pytest.approx(128 + 12000 / 256, abs=2)
    assert samples.mean() == pytest.approx(128, abs=0.5)


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"RIFF\x04\0\0\0WAVE")
    with pytest.raises(Invalid, match="is no WAV file"):
        wav.read(path)


@pytest.mark.parametrize(
    ("language", "seconds", "most"),
    [("en", (18, 30), 250_000), ("fa", (3, 15), 100_000), ("he", (3, 15), 100_000)],
)
def test_the_customers_speech_is_short_loud_and_small(
    language: str, seconds: tuple[int, int], most: int
) -> None:
    path = SPEECH / f"customer_{language}.wav"
    samples = np.frombuffer(wav.read(path), np.uint8).astype(int) - 128
    assert seconds[0] < len(samples) / 8000 < seconds[1]
    assert path.stat().st_size < most
    assert np.abs(samples).max() > 40


def test_the_sample_customers_are_always_the_same_and_no_two_share_a_number() -> None:
    first = people.invent()
    assert first == people.invent()
    assert len(first) == people.COUNT
    numbers = [number for one in first for number, _, _ in one.phones]
    assert len(numbers) == len(set(numbers))
    assert {one.language for one in first} == {"fa", "he", "en"}
    assert {one.kind for one in first} == {"person", "company"}


def test_filling_makes_customers_history_and_complaints_once(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'demo.db'}")
    migrations.upgrade(engine)
    with Session(engine) as session, session.begin():
        assert data.fill(session) == people.COUNT
        caller = data.CALLERS[0]
        (match,) = match_phone(session, caller.number, "IR")
        assert match.customer.name == caller.name
        assert session.scalar(select(func.count()).select_from(Interaction)) == data.CALLS
        stages = set(session.scalars(select(Complaint.stage)))
        assert stages == {"received", "acknowledged", "investigating", "responded", "closed"}
        assert all(caller.speech.is_file() for caller in data.CALLERS)
    with Session(engine) as session, session.begin():
        assert data.fill(session) == 0
    engine.dispose()
