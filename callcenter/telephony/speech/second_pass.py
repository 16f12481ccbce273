"""After the call: the sealed recording is transcribed as a whole and replaces the live text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

import structlog
from sqlalchemy import Connection, select

from callcenter.errors import ModelMissing
from callcenter.events import (
    CallRang,
    Fact,
    LegName,
    RecordingSealed,
    TranscriptCompleted,
    TranscriptPending,
    now,
)
from callcenter.ids import new_id
from callcenter.log import Entry, EventLog, facts
from callcenter.redaction.finding import Rules
from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import Transcriber
from callcenter.telephony.speech.captions import Caption, as_facts
from callcenter.telephony.speech.redactor import redact
from callcenter.telephony.speech.tasks import Task, Tasks, back_off, enqueue

REVISION = 2
MODEL_WAIT = timedelta(seconds=30)
ReadSound = Callable[[Path], Mapping[int, Samples]]
"""The file's channels as 8 kHz samples. Raises RecordingError."""
_LOGGER = structlog.get_logger()


class Stopped(Exception):
    """The worker was asked to stop between two utterances."""


class SecondPass:
    """Does one task at a time; `breathe` is called between utterances and may wait or raise
    Stopped, so that live captions come first."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        log: EventLog,
        recordings_dir: Path,
        transcriber: Callable[[str], Transcriber],
        read_sound: ReadSound,
        rules: Rules,
        breathe: Callable[[], None] = lambda: None,
        default_language: str = "en",
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._tasks = tasks
        self._log = log
        self._recordings_dir = recordings_dir
        self._transcriber = transcriber
        self._read_sound = read_sound
        self._rules = rules
        self._breathe = breathe
        self._default_language = default_language
        self._clock = clock

    def run_one(self) -> tuple[bool, int | None]:
        """Whether a task was due, and the log's new position when facts were written."""
        task = self._tasks.claim(self._clock())
        if task is None:
            return False, None
        with structlog.contextvars.bound_contextvars(call=task.call):
            return True, self._attempt(task)

    def _attempt(self, task: Task) -> int | None:
        try:
            return self._tasks.finish(task, self._transcribe(task))
        except Stopped:
            self._tasks.release_own()
            raise
        except ModelMissing:
            return self._wait(task, MODEL_WAIT, "no_model")
        except Exception as error:
            wait = back_off(task.attempts)
            _LOGGER.warning(
                "second pass failed, tried again later",
                error=type(error).__name__,
                wait=wait.total_seconds(),
            )
            return self._wait(task, wait, "failed")

    def _wait(
        self, task: Task, wait: timedelta, reason: Literal["no_model", "failed"]
    ) -> int | None:
        told = task.told == reason
        pending: list[Fact] = [] if told else [TranscriptPending(call=task.call, reason=reason)]
        return self._tasks.postpone(task, self._clock(), wait, reason, pending)

    def _transcribe(self, task: Task) -> list[Fact]:
        language = self._language(task.call)
        model = self._transcriber(language)
        sound = self._read_sound(self._recordings_dir / task.path)
        heard: list[tuple[LegName, Caption]] = []
        for leg in get_args(LegName):
            if leg in task.legs:
                place = task.legs[leg]
                heard += self._leg(leg, place, sound[int(place["channel"])], model, language)
        heard.sort(key=lambda item: item[1].t0)
        utterances: list[Fact] = [
            fact
            for leg, caption in redact(heard, self._rules)
            for fact in as_facts(caption, task.call, leg, language, model.name, REVISION)
        ]
        completed = TranscriptCompleted(
            call=task.call,
            revision=REVISION,
            engine=model.name,
            language=language,
            utterances=len(heard),
        )
        return [*utterances, completed]

    def _leg(
        self,
        leg: LegName,
        place: Mapping[str, float],
        samples: Samples,
        model: Transcriber,
        language: str,
    ) -> list[tuple[LegName, Caption]]:
        """Utterances on the call's clock: `offset` is where second 0 lies in the file."""
        offset = place.get("offset", 0.0)
        found: list[tuple[LegName, Caption]] = []
        self._breathe()
        for item in model.transcribe(samples, language):
            t0, t1 = round(item.t0 - offset, 3), round(item.t1 - offset, 3)
            words = tuple((round(a - offset, 3), round(b - offset, 3)) for a, b in item.words)
            found.append((leg, Caption("final", new_id(), item.text, t0, t1, words)))
            self._breathe()
        return found

    def _language(self, call: str) -> str:
        rang = (e.fact for e in self._log.of_call(call) if isinstance(e.fact, CallRang))
        return next((fact.language for fact in rang), self._default_language)


def note(
    connection: Connection,
    entry: Entry,
    *,
    always: bool,
    is_off: Callable[[str], bool] = lambda language: False,
) -> None:
    """What the consumer of the log does: a sealed recording becomes a task.

    Where the second pass is switched off (`always` is False) only a call that was not heard
    completely while it lasted becomes one, and none in a language whose captions are off
    (`is_off`): there nobody wants a text.
    """
    if not isinstance(entry.fact, RecordingSealed):
        return
    call = entry.fact.call
    wanted = not _heard_live(connection, call) and not is_off(_language_of(connection, call))
    if always or wanted:
        enqueue(connection, entry.fact, entry.fact.at)


def _language_of(connection: Connection, call: str) -> str:
    query = select(facts.c.payload).where(facts.c.subject == call, facts.c.kind == "CallRang")
    rang = connection.execute(query.limit(1)).first()
    return str(rang.payload["language"]) if rang else ""


def _heard_live(connection: Connection, call: str) -> bool:
    query = select(facts.c.position).where(
        facts.c.subject == call, facts.c.kind == TranscriptCompleted.__name__
    )
    return connection.execute(query.limit(1)).first() is not None
