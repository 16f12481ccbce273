"""The jobs process: what ended gets sealed, whatever happens between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from callcenter import jobs, log
from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.errors import RecordingError
from callcenter.events import (
    CallEnded,
    DescribeHealth,
    Fact,
    LogAdvanced,
    RecordingFailed,
    RecordingRedacted,
    RecordingSealed,
    RecordingStarted,
    SpeechRedacted,
)
from callcenter.ids import new_id
from callcenter.jobs import Jobs
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.adapters.sealed_sound import read_sound
from callcenter.telephony.ports import Codec
from callcenter.telephony.recording.sealing import Sealed, Silence

WaitUntil = Callable[..., None]
LOUD = bytes([0x10, 0x90] * 80)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    log.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def recordings(tmp_path: Path) -> DiskRecordings:
    return DiskRecordings(tmp_path / "recordings")


@pytest.fixture
def make(
    tmp_path: Path, engine: Engine, recordings: DiskRecordings
) -> Iterator[Callable[..., Jobs]]:
    made: list[Jobs] = []

    def start(store: DiskRecordings = recordings, bus: MemoryBus | None = None) -> Jobs:
        worker = Jobs(engine, bus or MemoryBus(), store, tmp_path / "jobs.db", backoff=(0.0, 0.0))
        made.append(worker)
        worker.start()
        return worker

    yield start
    for worker in made:
        worker.stop()


def record(store: DiskRecordings, *, seconds: int = 2, close: bool = True) -> str:
    call = new_id()
    journal = store.open_journal(call)
    for frame in range(50 * seconds):
        journal.leg("customer").write(160 * frame, LOUD, Codec.PCMU)
    if close:
        journal.close(8000 * seconds)
    else:
        journal.sync(8000 * seconds)
        journal._close_files()  # what the kernel does for a killed process
    return call


def ended(call: str) -> CallEnded:
    return CallEnded(call=call, reason="completed", by="customer")


def facts_of(engine: Engine, call: str, *kinds: type[Fact]) -> list[Fact]:
    return [e.fact for e in log.EventLog(engine).of_call(call) if isinstance(e.fact, kinds)]


def outcome(engine: Engine, call: str) -> list[Fact]:
    return facts_of(engine, call, RecordingSealed, RecordingFailed)


def test_an_ended_call_is_sealed_told_and_its_journal_removed(
    engine: Engine,
    recordings: DiskRecordings,
    make: Callable[..., Jobs],
    wait_until: WaitUntil,
    tmp_path: Path,
) -> None:
    bus = MemoryBus()
    told: list[int] = []
    bus.subscribe(LogAdvanced, lambda signal: told.append(signal.position))
    worker = make(bus=bus)
    call = record(recordings)
    log.EventLog(engine).append(RecordingStarted(call=call), ended(call))
    worker.follow()
    wait_until(lambda: recordings.journals() == [], "the journal is removed", seconds=30)
    (fact,) = outcome(engine, call)
    assert isinstance(fact, RecordingSealed)
    assert (fact.seconds, fact.interrupted) == (2.0, False)
    assert (tmp_path / "recordings" / fact.path).stat().st_size == fact.size
    assert told == [log.EventLog(engine).end()]


def test_a_recording_is_told_of_as_soon_as_the_database_takes_it(
    engine: Engine,
    recordings: DiskRecordings,
    make: Callable[..., Jobs],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append, failed = log.EventLog.append, list[str]()

    def locked(self: log.EventLog, *facts: Fact) -> list[log.Entry]:
        if isinstance(facts[0], RecordingSealed) and not failed:
            failed.append(facts[0].call)
            raise OperationalError("INSERT", {}, Exception("database is locked"))
        return append(self, *facts)

    monkeypatch.setattr(log.EventLog, "append", locked)
    monkeypatch.setattr(jobs, "TELL_SECONDS", 0.1)
    worker = make()
    call = record(recordings)
    log.EventLog(engine).append(RecordingStarted(call=call), ended(call))
    worker.follow()
    wait_until(lambda: recordings.journals() == [], "the journal is removed", seconds=30)
    assert (failed, len(outcome(engine, call))) == ([call], 1)


def test_at_start_journals_of_ended_calls_are_sealed_and_open_calls_left_alone(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    done, still = record(recordings, close=False), record(recordings, close=False)
    log.EventLog(engine).append(
        RecordingStarted(call=done),
        RecordingStarted(call=still),
        CallEnded(call=done, reason="interrupted", by="system"),
    )
    make()
    wait_until(lambda: recordings.journals() == [still], "the ended one is sealed", seconds=30)
    (fact,) = outcome(engine, done)
    assert isinstance(fact, RecordingSealed)
    assert fact.interrupted
    assert outcome(engine, still) == []


def test_a_kill_after_the_fact_only_leaves_a_journal_to_remove(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    call = record(recordings)
    log.EventLog(engine).append(ended(call), recordings.seal(call).fact())
    make()
    wait_until(lambda: recordings.journals() == [], "the journal is removed", seconds=30)
    assert len(outcome(engine, call)) == 1


def test_nothing_recorded_ends_as_a_failure_with_that_sentence(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    call = new_id()
    recordings.open_journal(call).close(0)
    worker = make()
    log.EventLog(engine).append(ended(call))
    worker.follow()
    wait_until(lambda: outcome(engine, call), "a fact", seconds=30)
    (fact,) = outcome(engine, call)
    assert isinstance(fact, RecordingFailed)
    assert fact.reason == "nothing was recorded"


class Broken(DiskRecordings):
    """Fails `times` times before it works."""

    times = 99
    calls = 0

    def seal(self, call: str, silences: Sequence[Silence] = ()) -> Sealed:
        self.calls += 1
        if self.calls <= self.times:
            raise RecordingError("no room")
        return super().seal(call, silences)


def test_a_failing_disk_is_tried_again_and_works(
    engine: Engine, tmp_path: Path, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    store = Broken(tmp_path / "recordings")
    store.times = 1
    call = record(store)
    log.EventLog(engine).append(ended(call))
    make(store)
    wait_until(lambda: outcome(engine, call), "a fact", seconds=40)
    assert [type(fact) for fact in outcome(engine, call)] == [RecordingSealed]


def test_a_disk_that_stays_broken_ends_as_failed_and_keeps_the_journal(
    engine: Engine, tmp_path: Path, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    store = Broken(tmp_path / "recordings")
    call = record(store)
    log.EventLog(engine).append(ended(call))
    make(store)
    wait_until(lambda: outcome(engine, call), "a fact", seconds=40)
    (fact,) = outcome(engine, call)
    assert isinstance(fact, RecordingFailed)
    assert (fact.reason, store.calls, store.journals()) == ("no room", 3, [call])


def test_a_call_without_a_recording_is_passed_over(
    engine: Engine, make: Callable[..., Jobs]
) -> None:
    call = new_id()
    worker = make()
    log.EventLog(engine).append(ended(call))
    worker.follow()
    assert worker.health()["waiting"] == 0
    assert outcome(engine, call) == []


def test_the_process_follows_the_log_answers_health_and_stops(
    engine: Engine,
    recordings: DiskRecordings,
    make_settings: Callable[..., Settings],
    wait_until: WaitUntil,
) -> None:
    bus, stop = MemoryBus(), threading.Event()
    thread = threading.Thread(
        target=jobs.run, args=(make_settings(), engine, bus, recordings, stop), daemon=True
    )
    thread.start()
    call = record(recordings)
    entry = log.EventLog(engine).append(ended(call))[-1]
    bus.publish(LogAdvanced(position=entry.position))
    wait_until(lambda: outcome(engine, call), "the recording is sealed", seconds=40)
    assert bus.request("jobs", DescribeHealth())["free_bytes"] > 0
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


# --- Redaction --------------------------------------------------------------------------------


def said(call: str, t0: float, t1: float) -> SpeechRedacted:
    return SpeechRedacted(call=call, utterance="u", leg="customer", kind="card", t0=t0, t1=t1)


def loudness(recordings: DiskRecordings, path: str, t0: float, t1: float) -> int:
    """Of the customer's leg between two seconds of the sealed file, a packet's edges left out."""
    sound = read_sound(recordings._folder / path)[1]
    return int(abs(sound[round((t0 + 0.04) * 8000) : round((t1 - 0.04) * 8000)]).max())


def test_what_was_redacted_during_the_call_is_silent_before_it_is_sealed(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    worker = make()
    call = record(recordings, seconds=4)
    facts = log.EventLog(engine)
    facts.append(RecordingStarted(call=call), said(call, 1.0, 2.0), ended(call))
    worker.follow()
    wait_until(lambda: recordings.journals() == [], "the journal is removed", seconds=30)
    (fact,) = outcome(engine, call)
    assert isinstance(fact, RecordingSealed)
    assert loudness(recordings, fact.path, 1.0, 2.0) < 40
    assert min(loudness(recordings, fact.path, *at) for at in ((0.0, 1.0), (2.0, 4.0))) > 4000
    assert not facts_of(engine, call, RecordingRedacted), "one file was made, not two"
    levels = recordings.levels(fact.path)
    assert levels
    assert not any(levels.customer[51:99])


def test_what_the_second_pass_finds_makes_the_sealed_file_silent(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    worker = make()
    call = record(recordings, seconds=4)
    log.EventLog(engine).append(RecordingStarted(call=call), ended(call))
    worker.follow()
    wait_until(lambda: outcome(engine, call), "it is sealed", seconds=30)
    (sealed,) = outcome(engine, call)
    assert isinstance(sealed, RecordingSealed)
    assert loudness(recordings, sealed.path, 1.0, 2.0) > 4000
    for span in ((1.0, 2.0), (3.0, 9.0)):
        log.EventLog(engine).append(said(call, *span))
        worker.follow()
    wait_until(
        lambda: loudness(recordings, sealed.path, 3.0, 4.0) < 40, "the second silence", seconds=30
    )
    wait_until(
        lambda: [
            fact
            for fact in facts_of(engine, call, RecordingRedacted)
            if fact.silences == [("customer", 1.0, 2.0), ("customer", 3.0, 9.0)]  # type: ignore[attr-defined]
        ],
        "both are told",
        seconds=30,
    )
    last = facts_of(engine, call, RecordingRedacted)[-1]
    assert isinstance(last, RecordingRedacted)
    assert (last.recording, last.sha256) == (sealed.recording, recordings.sha256(sealed.path))
    assert last.sha256 != sealed.sha256
    assert loudness(recordings, sealed.path, 1.0, 2.0) < 40
    assert loudness(recordings, sealed.path, 2.0, 3.0) > 1000, "encoded twice"


def test_a_redaction_that_was_cut_off_is_finished_at_the_next_start(
    engine: Engine, recordings: DiskRecordings, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    call = record(recordings)
    sealed = recordings.seal(call)
    recordings.discard(call)
    log.EventLog(engine).append(sealed.fact(), said(call, 0.5, 1.5))
    recordings.silence(sealed.path, [("customer", 0.5, 1.5)])  # killed before it was told
    make()
    wait_until(lambda: facts_of(engine, call, RecordingRedacted), "it is told", seconds=30)
    (fact,) = facts_of(engine, call, RecordingRedacted)
    assert isinstance(fact, RecordingRedacted)
    assert fact.sha256 == recordings.sha256(sealed.path)


def test_a_redaction_that_fails_is_tried_again(
    engine: Engine, tmp_path: Path, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    failures = [RecordingError("the disk is away")] * 2

    class Broken(DiskRecordings):
        def silence(self, path: str, silences: Sequence[Silence]) -> Sealed:
            if failures:
                raise failures.pop()
            return super().silence(path, silences)

    store = Broken(tmp_path / "recordings")
    call = record(store)
    sealed = store.seal(call)
    log.EventLog(engine).append(sealed.fact(), said(call, 0.5, 1.5))
    make(store)
    wait_until(lambda: facts_of(engine, call, RecordingRedacted), "it is told", seconds=30)
    assert loudness(store, sealed.path, 0.5, 1.5) < 40


def test_a_recording_that_was_shredded_is_not_redacted_for_ever(
    engine: Engine, tmp_path: Path, make: Callable[..., Jobs], wait_until: WaitUntil
) -> None:
    tries: list[str] = []

    class Watched(DiskRecordings):
        def silence(self, path: str, silences: Sequence[Silence]) -> Sealed:
            tries.append(path)
            return super().silence(path, silences)

    store = Watched(tmp_path / "recordings")
    call = record(store)
    sealed = store.seal(call)
    store.discard(call)
    log.EventLog(engine).append(sealed.fact(), said(call, 0.5, 1.5))
    store.remove(sealed.path)
    jobs = make(store)
    wait_until(lambda: len(tries) == 3, "as often as there are pauses, and once more", seconds=30)
    time.sleep(0.5)  # what is put off for ten minutes waits in the queue by then
    assert jobs.health()["waiting"] == 0
    assert len(tries) == 3
    assert facts_of(engine, call, RecordingRedacted) == []


def test_a_journal_that_cannot_be_sealed_keeps_nothing_of_it(
    recordings: DiskRecordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RecordingError("no encoder")

    monkeypatch.setattr("callcenter.telephony.adapters.recordings._encode", refuse)
    call = record(recordings)
    with pytest.raises(RecordingError, match="no encoder"):
        recordings.seal(call, [("customer", 0.5, 1.5)])
    kept = (recordings._journal(call) / "customer.pcmu").read_bytes()
    assert set(kept[4000:12000]) == {0xFF}
    assert kept[:4000] == (LOUD * 25)
