"""The jobs process: work that may take long and must not be lost: sealing recordings, and chores.

    CallEnded in the log → task in the queue → sealed file → RecordingSealed → journal removed
    SpeechRedacted, also of later → silence in journal or sealed file → RecordingRedacted

The cursor of the consumer "jobs" and the queue are both on the disk. A kill between any two of
these steps is repaired at the next start by looking at the journals that are left. Doing a step
twice changes nothing.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from huey import SqliteHuey
from huey.consumer import Consumer as HueyConsumer
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.bus import Answer, Bus
from callcenter.config import Settings
from callcenter.database import AWAY
from callcenter.errors import CallcenterError, NoSpace
from callcenter.events import (
    CallEnded,
    DescribeHealth,
    Fact,
    LogAdvanced,
    RecordingFailed,
    RecordingRedacted,
    RecordingSealed,
    RecordingStarted,
    RecordingTruncated,
    ServiceStarted,
    SpeechRedacted,
    now,
)
from callcenter.ids import new_id
from callcenter.log import Consumer, Entry, EventLog
from callcenter.telephony.recording.sealing import (
    NothingRecorded,
    Sealed,
    SealedStore,
    Silence,
    StillRecording,
)

BACKOFF = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before each further attempt to seal."""

FALLBACK_SECONDS = 1.0
TELL_SECONDS = 5.0
ROOM_SECONDS = 10.0
"""How long sealing waits where the disk is full, again and again: room is made by people."""
DRAIN_SECONDS = 12.0
CHORE_SECONDS = 5.0
REMEMBERED = timedelta(days=2)
"""So far back a start looks for recordings whose redaction was cut off by a kill."""
REDACT_SECONDS = 600.0
"""Between attempts to redact a recording, after the first few."""
LEAST_FREE_BYTES = 200 * 2**20
_LOGGER = structlog.get_logger()


class Jobs:
    """Seals what ended. One worker: a long recording must not take both cores from the sound."""

    def __init__(
        self,
        engine: Engine,
        bus: Bus,
        recordings: SealedStore,
        queue_file: Path,
        *,
        backoff: Sequence[float] = BACKOFF,
    ) -> None:
        queue_file.parent.mkdir(parents=True, exist_ok=True)
        self._log = EventLog(engine)
        self._bus = bus
        self._recordings = recordings
        self._backoff = backoff
        self._consumer = Consumer(engine, "jobs", self._take)
        self._huey = SqliteHuey("jobs", filename=str(queue_file), results=False, fsync=True)
        self._task: Any = self._huey.task(name="seal")(self.seal)
        self._silencing: Any = self._huey.task(name="silence")(self.silence)
        self._workers = _Workers(
            self._huey,
            workers=1,
            periodic=False,
            backoff=1.0,
            check_worker_health=False,
            shutdown_timeout=DRAIN_SECONDS,
        )

    def start(self) -> None:
        """Start the worker, and queue what an earlier run left behind."""
        self._workers.start()
        self.recover()

    def stop(self) -> None:
        """Finish the task in hand; the rest waits on the disk."""
        self._workers.stop(graceful=True)
        self._huey.storage.close()

    def follow(self) -> None:
        """Take every new fact."""
        for _ in self._consumer.catch_up():
            pass

    def recover(self) -> None:
        """Look at every journal on the disk; those of calls still open are left alone."""
        for call in self._recordings.journals():
            facts = [entry.fact for entry in self._log.of_call(call)]
            if _has(facts, RecordingFailed):
                _LOGGER.warning("a journal could not be sealed and is kept", call=call)
            elif _has(facts, CallEnded) or _has(facts, RecordingSealed):
                self._task(call)
        recent = self._log.since(now() - REMEMBERED, SpeechRedacted)
        for call in {str(entry.fact.subject) for entry in recent}:
            self._silencing(call)

    def seal(self, call: str, attempt: int = 0) -> None:
        """Seal the call's journal, tell the log, then remove it."""
        with structlog.contextvars.bound_contextvars(call=call):
            facts = [entry.fact for entry in self._log.of_call(call)]
            if _has(facts, RecordingSealed):
                self._recordings.discard(call)
            elif not _has(facts, RecordingFailed):
                short = (f.reason for f in facts if isinstance(f, RecordingTruncated))
                self._attempt(call, attempt, next(short, None), _silences(facts))

    def silence(self, call: str, attempt: int = 0) -> None:
        """Make a sealed recording silent where the log says so by now; done twice it is the same.

        It is tried until it succeeds, or until the file has been gone for some attempts: what may
        not be kept is kept until then.
        """
        with structlog.contextvars.bound_contextvars(call=call):
            facts = [entry.fact for entry in self._log.of_call(call)]
            sealed = next((f for f in facts if isinstance(f, RecordingSealed)), None)
            wanted = _silences(facts)
            if sealed is None or not wanted:
                return  # sealing looks at the log itself
            try:
                file = self._recordings.silence(sealed.path, wanted)
                if file.sha256 != _known_sha256(facts):
                    self._tell(_redacted(file))
            except Exception as error:
                if attempt >= len(self._backoff) and self._recordings.sha256(sealed.path) is None:
                    _LOGGER.warning("a recording that was to be redacted is gone")
                    return
                _LOGGER.error("a recording is not redacted yet", error=type(error).__name__)
                wait = (*self._backoff, REDACT_SECONDS)[min(attempt, len(self._backoff))]
                self._silencing.schedule(args=(call, attempt + 1), delay=wait)

    def health(self) -> Answer:
        """See DescribeHealth."""
        free = self._recordings.free_bytes()
        waiting = self._huey.pending_count() + self._huey.scheduled_count()
        enough = free > LEAST_FREE_BYTES
        detail = f"{waiting} recordings to seal" if enough else "the disk of recordings is full"
        return {"ok": enough, "detail": detail, "waiting": waiting, "free_bytes": free}

    def _take(self, _session: Session, entry: Entry) -> None:
        if isinstance(entry.fact, SpeechRedacted):
            self._silencing(entry.fact.call)
        if isinstance(entry.fact, CallEnded):
            call = entry.fact.call
            facts = [known.fact for known in self._log.of_call(call)]
            if _has(facts, RecordingStarted) or call in self._recordings.journals():
                self._task(call)

    def _attempt(
        self, call: str, attempt: int, truncated: str | None, silences: Sequence[Silence]
    ) -> None:
        try:
            sealed = self._recordings.seal(call, silences)
        except StillRecording:
            self._task.schedule(args=(call, attempt), delay=1)
        except NothingRecorded as error:
            self._tell(RecordingFailed(call=call, reason=error.detail))
            self._recordings.discard(call)
        except NoSpace as error:  # no failure of this recording: it waits until there is room
            _LOGGER.warning("sealing waits for room on the disk", reason=error.detail)
            self._task.schedule(args=(call, attempt), delay=ROOM_SECONDS)
        except CallcenterError as error:
            self._again(call, attempt, error.detail)
        except Exception:
            _LOGGER.exception("sealing failed")
            self._again(call, attempt, "sealing failed; see the log of jobs")
        else:
            self._sealed(call, sealed, truncated)

    def _sealed(self, call: str, sealed: Sealed, truncated: str | None) -> None:
        try:
            self._tell(sealed.fact(truncated))
        except AWAY:  # the file is in place: the next attempt only tells of it
            _LOGGER.exception("the log cannot be told of a recording; tried again")
            self._task.schedule(args=(call, 0), delay=TELL_SECONDS)
            return
        self._recordings.discard(call)
        _LOGGER.info("recording sealed", seconds=sealed.seconds, bytes=sealed.size)
        self.silence(call)  # what became known while it was sealed

    def _again(self, call: str, attempt: int, reason: str) -> None:
        if attempt < len(self._backoff):
            _LOGGER.warning("sealing will be tried again", attempt=attempt + 1, reason=reason)
            self._task.schedule(args=(call, attempt + 1), delay=self._backoff[attempt])
        else:
            _LOGGER.error("sealing given up, the journal is kept", reason=reason)
            self._tell(RecordingFailed(call=call, reason=reason))

    def _tell(self, fact: Fact) -> None:
        entry = self._log.append(fact)[-1]
        self._bus.publish(LogAdvanced(position=entry.position))


class _Workers(HueyConsumer):  # type: ignore[misc]
    """Huey's worker threads in our process: signals are handled by us."""

    def _set_signal_handlers(self) -> None:
        pass


def _has(facts: Sequence[Fact], kind: type[Fact]) -> bool:
    return any(isinstance(fact, kind) for fact in facts)


def _silences(facts: Sequence[Fact]) -> list[Silence]:
    return [(f.leg, f.t0, f.t1) for f in facts if isinstance(f, SpeechRedacted)]


def _known_sha256(facts: Sequence[Fact]) -> str:
    """Of the sealed file, as the log has it."""
    told = [f.sha256 for f in facts if isinstance(f, RecordingSealed | RecordingRedacted)]
    return told[-1]


def _redacted(sealed: Sealed) -> RecordingRedacted:
    return RecordingRedacted(
        call=sealed.call,
        recording=sealed.recording,
        redaction=new_id(),
        sha256=sealed.sha256,
        size=sealed.size,
        silences=sealed.silences,
    )


class Chores:
    """Rounds that look for work in the database, on a thread of their own: one may wait for a
    mail server while recordings are sealed. A round that fails is tried again."""

    def __init__(self, rounds: Sequence[Callable[[], object]]) -> None:
        self._rounds = rounds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="chores", daemon=True)

    def start(self) -> None:
        """Begin; the first rounds are now."""
        if self._rounds:
            self._thread.start()

    def stop(self) -> None:
        """End after the round in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(DRAIN_SECONDS)

    def once(self) -> None:
        """Every round, whatever becomes of the others."""
        for one in self._rounds:
            try:
                one()
            except Exception:
                _LOGGER.exception("a chore failed; it is tried again")

    def _work(self) -> None:
        while not self._stop.is_set():
            self.once()
            self._stop.wait(CHORE_SECONDS)


def run(
    settings: Settings,
    engine: Engine,
    bus: Bus,
    recordings: SealedStore,
    stop: threading.Event,
    rounds: Sequence[Callable[[], object]] = (),
    slow: Sequence[Callable[[], object]] = (),
    alarms: Sequence[Callable[[], str | None]] = (),
) -> None:
    """Work until `stop` is set, then finish the task in hand.

    Rounds that are `slow` have a thread of their own: clocks and mails do not wait for them.
    `alarms` are sentences for `/readyz`, where something has not been done for too long.
    """
    wake = threading.Event()
    jobs = Jobs(engine, bus, recordings, settings.data_dir / "jobs.db")
    bus.subscribe(LogAdvanced, lambda _: wake.set())
    bus.serve("jobs", {DescribeHealth: lambda _: _with(jobs.health(), alarms)})
    jobs.start()
    chores = [Chores(rounds), Chores(slow)]
    for one in chores:
        one.start()
    bus.publish(ServiceStarted(service="jobs", node=platform.node()))
    while not stop.is_set():
        try:
            jobs.follow()
        except AWAY as error:
            _LOGGER.warning("the log cannot be read; trying again", error=type(error).__name__)
        wake.wait(FALLBACK_SECONDS)
        wake.clear()
    for one in chores:
        one.stop()
    jobs.stop()


def _with(health: Answer, alarms: Sequence[Callable[[], str | None]]) -> Answer:
    """They are told, and calls go on: `ok` stays what it is."""
    said = [text for alarm in alarms if (text := alarm()) is not None]
    return {**health, "detail": "; ".join([*said, health["detail"]]), "alarms": said}
