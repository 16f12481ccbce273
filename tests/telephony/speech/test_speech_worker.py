from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from callcenter.bus import MemoryBus
from callcenter.config import Language
from callcenter.errors import ModelMissing, RecordingError
from callcenter.events import (
    CallRang,
    CaptionHeard,
    DescribeHealth,
    Fact,
    RecordingSealed,
    TranscriptCompleted,
    TranscriptPending,
    UtteranceHeard,
    now,
)
from callcenter.log import EventLog
from callcenter.redaction.finding import Rules
from callcenter.telephony.adapters.speech_socket import SpeechListener, SpeechSocket
from callcenter.telephony.fakes.speech import Said, ScriptedEngine, ScriptedTranscriber
from callcenter.telephony.ports import Codec
from callcenter.telephony.speech import wire
from callcenter.telephony.speech.models import Installed
from callcenter.telephony.speech.roster import LiveEngine, Roster
from callcenter.telephony.speech.scribe import Scribe
from callcenter.telephony.speech.second_pass import SecondPass, note
from callcenter.telephony.speech.tasks import Tasks, back_off
from callcenter.telephony.speech.worker import Lanes, Live, SpeechWorker

WaitUntil = Callable[..., Any]
FRAME = b"\xff" * 160
SCRIPT = [Said(0.2, 1.0, "good morning"), Said(1.5, 2.0, "how are you")]


class Worker:
    """A speech worker in this process, its ends in the test's hands."""

    def __init__(self, engine: Engine, tmp_path: Path) -> None:
        self.engine = engine
        self.log = EventLog(engine)
        self.bus = MemoryBus()
        self.models_dir = tmp_path / "models"
        self.run_dir = tmp_path
        self.partials: list[CaptionHeard] = []
        self.bus.subscribe(CaptionHeard, self.partials.append)
        self.lanes = Lanes(vosk=1)
        self.scribe = Scribe(self.log, self.bus)
        self.scribe.start()
        self.sound: dict[int, Any] = {}
        self.running: SpeechWorker | None = None

    def live(
        self,
        script: Sequence[Said] = SCRIPT,
        *,
        cost: float = 0.0,
        limit: float = 60.0,
        max_legs: int = 8,
        settings: dict[Language, LiveEngine] | None = None,
        engine: Any = None,
    ) -> Live:
        scripted = engine or ScriptedEngine(script, cost)
        self.roster = Roster(
            settings or {"en": "vosk"},
            self.models_dir,
            {"vosk": lambda _model: scripted, "whisper": lambda _model: scripted},
            lambda _model: ScriptedTranscriber(SCRIPT),
        )
        self.live_ = Live(
            self.roster, self.lanes, self.scribe, max_legs=max_legs, limit=limit, rules=Rules()
        )
        return self.live_

    def second_pass(self, worker: str = "w", **options: Any) -> SecondPass:
        return SecondPass(
            **{
                "tasks": Tasks(self.engine, worker),
                "log": self.log,
                "recordings_dir": self.run_dir / "recordings",
                "transcriber": self.roster.transcriber,
                "read_sound": lambda _path: self.sound,
                "rules": Rules(),
                **options,
            }
        )

    def start(self, *, always: bool = True, worker: str = "w") -> SpeechWorker:
        tasks = Tasks(self.engine, worker)
        self.running = SpeechWorker(
            node=worker,
            engine=self.engine,
            bus=self.bus,
            live=self.live_,
            roster=self.roster,
            tasks=tasks,
            passes=lambda breathe: self.second_pass(worker, breathe=breathe),
            always=always,
        )
        self.running.start()
        return self.running

    def facts(self, call: str = "c") -> list[Fact]:
        """What speech appended."""
        others = (CallRang, RecordingSealed)
        facts = [entry.fact for entry in self.log.of_call(call)]
        return [fact for fact in facts if not isinstance(fact, others)]

    def completed(self, call: str = "c") -> bool:
        return any(isinstance(fact, TranscriptCompleted) for fact in self.facts(call))


@pytest.fixture
def worker(engine: Engine, tmp_path: Path) -> Iterator[Worker]:
    made = Worker(engine, tmp_path)
    yield made
    if made.running:
        made.running.stop()
    made.lanes.stop(5)
    made.scribe.stop()
    engine.dispose()


def opened(line: int, leg: Any = "customer", call: str = "c", language: str = "en") -> wire.Opened:
    return wire.Opened(line, wire.Opening(call, leg, language))


def talk(desk: Any, line: int, seconds: float, start: float = 0.0) -> None:
    for batch in range(round(seconds * 10)):
        position = round(start * 8000) + batch * 800
        desk.take(wire.Sound(line, position, Codec.PCMU, b"\xff" * 800))


def texts(facts: Sequence[Fact], leg: str, revision: int = 1) -> list[tuple[str, float, float]]:
    return [
        (f.text, f.t0, f.t1)
        for f in facts
        if isinstance(f, UtteranceHeard) and f.leg == leg and f.revision == revision
    ]


SPOKEN = [("good morning", 0.2, 1.0), ("how are you", 1.5, 2.0)]


# --- Live -------------------------------------------------------------------------------------


def test_both_sides_are_heard_in_order_and_the_call_is_complete(
    worker: Worker, fake_model: Any, wait_until: WaitUntil
) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    desk = worker.live().desk()
    for line, leg in ((1, "agent"), (2, "customer")):
        desk.take(opened(line, leg))
    for at in range(25):
        for line in (1, 2):
            talk(desk, line, 0.1, at / 10)
    for line in (1, 2):
        desk.take(wire.Closed(line))
    wait_until(worker.completed, "the end")
    facts = worker.facts()
    assert texts(facts, "agent") == SPOKEN
    assert texts(facts, "customer") == SPOKEN
    assert isinstance(facts[-1], TranscriptCompleted)
    assert (facts[-1].revision, facts[-1].utterances, facts[-1].engine) == (1, 4, "scripted")
    finals = {f.utterance: f for f in facts if isinstance(f, UtteranceHeard)}
    assert len(finals) == 4
    assert {p.utterance for p in worker.partials} == set(finals)
    assert all(finals[p.utterance].leg == p.leg for p in worker.partials)


def test_a_language_without_a_model_waits_and_is_told_once(
    worker: Worker, wait_until: WaitUntil
) -> None:
    desk = worker.live().desk()
    desk.take(opened(1, "agent"))
    desk.take(opened(2, "customer"))
    talk(desk, 1, 1)
    desk.gone()
    wait_until(worker.facts, "a fact")
    (fact,) = worker.facts()
    assert isinstance(fact, TranscriptPending)
    assert fact.reason == "no_model"


def test_a_recogniser_that_is_too_slow_sheds_and_says_so_once(
    worker: Worker, fake_model: Any, wait_until: WaitUntil
) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    desk = worker.live(cost=2.0, limit=0.5).desk()
    desk.take(opened(1))
    began = time.monotonic()
    talk(desk, 1, 30)
    assert time.monotonic() - began < 10  # whoever sends is never made to wait
    wait_until(worker.facts, "a fact")
    desk.take(wire.Closed(1))
    wait_until(lambda: worker.live_.legs == 0, "the end of the line")
    pending = [f for f in worker.facts() if isinstance(f, TranscriptPending)]
    assert [f.reason for f in pending] == ["overload"]
    assert not any(isinstance(f, TranscriptCompleted) for f in worker.facts())


def test_more_legs_than_allowed_are_transcribed_later(
    worker: Worker, fake_model: Any, wait_until: WaitUntil
) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    desk = worker.live(max_legs=1).desk()
    desk.take(opened(1, call="c"))
    desk.take(opened(2, call="d"))
    for line in (1, 2):
        talk(desk, line, 2.5)
    desk.gone()
    wait_until(lambda: len(worker.facts("c")) == 3 and worker.facts("d"), "both calls' facts")
    assert texts(worker.facts("c"), "customer") == SPOKEN
    (pending,) = worker.facts("d")
    assert isinstance(pending, TranscriptPending)
    assert pending.reason == "overload"
    assert worker.live_.legs == 0


class Breaks:
    name = "breaks"

    def recogniser(self, language: str) -> Any:
        raise RuntimeError("the library fell over")


def test_a_recogniser_that_fails_costs_only_its_own_captions(
    worker: Worker, fake_model: Any, wait_until: WaitUntil
) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    desk = worker.live(engine=Breaks()).desk()
    desk.take(opened(1))
    talk(desk, 1, 1)
    desk.take(wire.Closed(1))
    wait_until(lambda: worker.live_.legs == 0, "the end of the line")
    wait_until(worker.facts, "a fact")
    assert [type(f) for f in worker.facts()] == [TranscriptPending]


def test_captions_that_are_switched_off_leave_no_trace(worker: Worker, fake_model: Any) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    desk = worker.live(settings={"en": "off"}).desk()
    desk.take(opened(1))
    talk(desk, 1, 2)
    desk.gone()
    worker.scribe.stop()
    assert worker.facts() == []


# --- The socket -------------------------------------------------------------------------------


class Notes:
    """A desk that notes what it gets."""

    def __init__(self) -> None:
        self.frames: list[wire.Frame] = []
        self.ended = threading.Event()

    def take(self, frame: wire.Frame) -> None:
        self.frames.append(frame)

    def gone(self) -> None:
        self.ended.set()

    def sounds(self) -> list[wire.Sound]:
        return [f for f in self.frames if isinstance(f, wire.Sound)]


def test_frames_arrive_in_tenths_of_a_second_at_their_places(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    notes = Notes()
    listener = SpeechListener(tmp_path / "speech-0.sock", lambda: notes)
    link = SpeechSocket(tmp_path)
    line = link.open("c", "customer", "fa")
    wait_until(lambda: notes.frames, "the opening")
    for index in range(12):
        line.write(index * 160, FRAME, Codec.PCMU)
    line.write(80_000, FRAME, Codec.PCMA)
    line.close()
    line.close()
    line.write(0, FRAME, Codec.PCMU)
    wait_until(lambda: isinstance(notes.frames[-1], wire.Closed), "the end")
    number = line.number
    assert notes.frames == [
        wire.Opened(number, wire.Opening("c", "customer", "fa")),
        wire.Sound(number, 0, Codec.PCMU, FRAME * 5),
        wire.Sound(number, 800, Codec.PCMU, FRAME * 5),
        wire.Sound(number, 1600, Codec.PCMU, FRAME * 2),
        wire.Sound(number, 80_000, Codec.PCMA, FRAME),
        wire.Closed(number),
    ]
    link.close()
    assert notes.ended.wait(10)
    listener.close()


def test_without_a_worker_writing_costs_nothing_and_later_frames_say_what_is_missing(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    link = SpeechSocket(tmp_path)
    line = link.open("c", "customer", "en")
    for index in range(50):
        line.write(index * 160, FRAME, Codec.PCMU)
    notes = Notes()
    listener = SpeechListener(tmp_path / "speech-0.sock", lambda: notes)
    wait_until(lambda: notes.frames, "the opening")
    for index in range(50, 60):
        line.write(index * 160, FRAME, Codec.PCMU)
    wait_until(lambda: len(notes.sounds()) == 2, "sound")
    assert notes.frames[1] == wire.Behind(line.number)
    assert notes.sounds()[0].position == 50 * 160
    link.close()
    listener.close()


def test_running_lines_are_opened_anew_at_a_restarted_worker(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    first, second = Notes(), Notes()
    path = tmp_path / "speech-0.sock"
    listener = SpeechListener(path, lambda: first)
    link = SpeechSocket(tmp_path)
    line = link.open("c", "agent", "en")
    wait_until(lambda: first.frames, "the opening")
    listener.close()
    listener = SpeechListener(path, lambda: second)
    index = 0

    def speaks() -> bool:
        nonlocal index
        for _ in range(5):
            line.write(index * 160, FRAME, Codec.PCMU)
            index += 1
        return bool(second.sounds())

    wait_until(speaks, "sound at the new worker")
    assert second.frames[0] == wire.Opened(
        line.number, wire.Opening("c", "agent", "en", resumed=True)
    )
    link.close()
    listener.close()


def test_a_worker_that_reads_nothing_never_blocks_the_sound(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    held = threading.Event()

    class Stuck(Notes):
        def take(self, frame: wire.Frame) -> None:
            super().take(frame)
            if isinstance(frame, wire.Sound):
                held.wait(60)

    notes = Stuck()
    listener = SpeechListener(tmp_path / "speech-0.sock", lambda: notes)
    link = SpeechSocket(tmp_path)
    line = link.open("c", "customer", "en")
    wait_until(lambda: notes.frames, "the opening")
    slowest = 0.0
    for index in range(40_000):  # 800 s of sound: more than all buffers hold
        began = time.perf_counter()
        line.write(index * 160, FRAME, Codec.PCMU)
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 2.0
    held.set()

    def told() -> bool:
        nonlocal index
        index += 1
        line.write(index * 160, FRAME, Codec.PCMU)
        return wire.Behind(line.number) in notes.frames

    wait_until(told, "the word that sound was dropped")
    line.close()
    wait_until(lambda: wire.Closed(line.number) in notes.frames, "the end")
    link.close()
    listener.close()


# --- After the call ---------------------------------------------------------------------------


def rang(call: str = "c", language: str = "en") -> CallRang:
    return CallRang(
        call=call,
        from_number=None,
        from_name=None,
        to_number="100",
        line="100",
        trunk="local",
        region="IR",
        language=language,
        policy="always",
        node="n",
        sip_call_id="x",
    )


def sealed(call: str = "c", offset: float = 0.5) -> RecordingSealed:
    legs = {
        "agent": {"channel": 0, "offset": offset, "seconds": 3.0},
        "customer": {"channel": 1, "offset": offset, "seconds": 3.0},
    }
    return RecordingSealed(
        call=call,
        recording="r",
        path="c.wav",
        format="wav",
        seconds=3.0,
        size=1,
        sha256="0",
        legs=legs,
    )


def test_a_sealed_recording_is_transcribed_again_as_a_whole(
    worker: Worker, fake_model: Any, wait_until: WaitUntil
) -> None:
    fake_model("whisper-base")
    worker.live()
    worker.sound = {0: np.zeros(24_000, np.int16), 1: np.zeros(10_000, np.int16)}
    worker.log.append(rang(), sealed())
    worker.start()
    wait_until(worker.completed, "the second pass")
    facts = worker.facts()
    assert texts(facts, "agent", 2) == [("good morning", -0.3, 0.5), ("how are you", 1.0, 1.5)]
    assert texts(facts, "customer", 2) == [("good morning", -0.3, 0.5)]
    done = facts[-1]
    assert isinstance(done, TranscriptCompleted)
    assert (done.revision, done.utterances, done.language) == (2, 3, "en")
    assert Tasks(worker.engine, "w").pending() == 0


def test_without_a_model_the_call_waits_and_is_done_when_one_comes(
    worker: Worker, fake_model: Any
) -> None:
    worker.live()
    worker.sound = {0: np.zeros(24_000, np.int16), 1: np.zeros(24_000, np.int16)}
    moment = now() + timedelta(seconds=60)
    run = worker.second_pass(clock=lambda: moment)
    enqueue(worker, sealed())
    for _ in range(2):
        assert run.run_one()[0]
        moment += timedelta(seconds=31)
    pending = worker.facts()
    assert [type(f) for f in pending] == [TranscriptPending]
    fake_model("whisper-base")
    assert worker.roster.look()
    assert run.run_one()[0]
    assert isinstance(worker.facts()[-1], TranscriptCompleted)
    assert run.run_one() == (False, None)


def enqueue(worker: Worker, fact: RecordingSealed, *, always: bool = True) -> None:
    for entry in worker.log.append(rang(fact.call), fact)[1:]:
        with worker.engine.begin() as connection:
            note(connection, entry, always=always)
            note(connection, entry, always=always)  # a fact may come twice


@pytest.mark.parametrize(("captions_off", "tasks"), [(True, 0), (False, 1)])
def test_nobody_transcribes_a_language_for_which_all_is_switched_off(
    worker: Worker, captions_off: bool, tasks: int
) -> None:
    fact = sealed()
    for entry in worker.log.append(rang(fact.call), fact):
        with worker.engine.begin() as connection:
            note(connection, entry, always=False, is_off=lambda language: captions_off)
    assert Tasks(worker.engine, "w").pending() == tasks


def test_a_failed_task_is_tried_again_with_back_off_and_never_lost(
    worker: Worker, fake_model: Any
) -> None:
    fake_model("whisper-base")
    worker.live()
    moment = now()
    broken = True

    def read(_path: Path) -> Any:
        if broken:
            raise RecordingError("the disk is away")
        return {0: np.zeros(24_000, np.int16), 1: np.zeros(24_000, np.int16)}

    run = worker.second_pass(clock=lambda: moment, read_sound=read)
    enqueue(worker, sealed())
    tries = 0
    for _ in range(40):  # every 5 s for 200 s: after 0, 5, 15, 35, 75, 155
        tries += run.run_one()[0]
        moment += timedelta(seconds=5)
    assert tries == 6
    assert [type(f) for f in worker.facts()] == [TranscriptPending]
    broken = False
    moment += timedelta(hours=1)
    assert run.run_one()[0]
    assert isinstance(worker.facts()[-1], TranscriptCompleted)


def test_the_back_off_ends_at_an_hour() -> None:
    waits = [back_off(n).total_seconds() for n in (0, 1, 2, 9, 10, 10_000)]
    assert waits == [5, 10, 20, 2560, 3600, 3600]


def test_a_task_is_claimed_by_one_worker_and_free_again_when_that_one_restarts(
    worker: Worker,
) -> None:
    enqueue(worker, sealed())
    one, two = Tasks(worker.engine, "one"), Tasks(worker.engine, "two")
    task = one.claim(now())
    assert task is not None
    assert two.claim(now()) is None
    two.release_own()
    assert two.claim(now()) is None
    one.release_own()
    assert two.claim(now()) == task


def test_with_the_second_pass_off_only_what_was_not_heard_live_is_transcribed(
    worker: Worker,
) -> None:
    heard = TranscriptCompleted(call="d", revision=1, engine="vosk", language="en", utterances=0)
    worker.log.append(heard)
    enqueue(worker, sealed("d"), always=False)
    enqueue(worker, sealed("c"), always=False)
    task = Tasks(worker.engine, "w").claim(now())
    assert task is not None
    assert task.call == "c"
    assert Tasks(worker.engine, "w").pending() == 1


def test_health_names_engines_and_what_is_missing(worker: Worker, fake_model: Any) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    worker.live(settings={"en": "vosk", "he": "whisper", "fa": "off"})
    worker.start()
    answer = worker.bus.request("speech", DescribeHealth())
    assert answer == {
        "ok": True,
        "detail": "captions: en by vosk; no model for he: run `callcenter models fetch`",
        "engines": {"en": "vosk"},
        "missing": {"he": "no_model", "fa": "off"},
        "legs": 0,
        "pending": 0,
    }


def test_a_model_that_cannot_be_loaded_gives_way_to_the_next(
    tmp_path: Path, fake_model: Any
) -> None:
    fake_model("vosk-model-small-en-us-0.15")
    fake_model("whisper-base")

    def broken(_model: Installed) -> Any:
        raise ModelMissing("cannot be loaded")

    roster = Roster(
        {"en": "vosk"},
        tmp_path / "models",
        {"vosk": broken, "whisper": lambda _model: ScriptedEngine([])},
        lambda _model: ScriptedTranscriber([]),
    )
    assert roster.status() == ({"en": "vosk"}, {})
    assert roster.engine("en").name == "scripted"
    assert roster.status() == ({"en": "whisper"}, {})
