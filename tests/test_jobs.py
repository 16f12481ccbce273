"""The jobs process: what ended gets sealed, whatever happens between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
    RecordingSealed,
    RecordingStarted,
)
from callcenter.ids import new_id
from callcenter.jobs import Jobs
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import Codec
from callcenter.telephony.recording.sealing import Sealed

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

    def seal(self, call: str) -> Sealed:
        self.calls += 1
        if self.calls <= self.times:
            raise RecordingError("no room")
        return super().seal(call)


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
