"""The life of a speech process: lines come and go, lanes listen, what is heard is written down.

Live captions come first: the second pass waits between two utterances while a lane has work.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from callcenter.bus import Answer, Bus
from callcenter.errors import ModelMissing
from callcenter.events import (
    DescribeHealth,
    LogAdvanced,
    ServiceStarted,
    SpeechStatus,
)
from callcenter.log import Consumer, Entry
from callcenter.redaction.finding import Rules
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.speech import second_pass, wire
from callcenter.telephony.speech.captions import Caption, Ear, as_facts, as_signal
from callcenter.telephony.speech.lanes import Lane, LaneLine
from callcenter.telephony.speech.ledger import Ledger, Reason
from callcenter.telephony.speech.redactor import Cues, Redactor
from callcenter.telephony.speech.roster import Roster
from callcenter.telephony.speech.scribe import Scribe
from callcenter.telephony.speech.second_pass import SecondPass, Stopped
from callcenter.telephony.speech.tasks import Tasks

LIMIT_SECONDS = 6.0
LOOK_SECONDS = 30.0
_FALLBACK_SECONDS = 1.0
_LONGEST_BREATH = 5.0
_IDLE_RELEASE_SECONDS = 60.0
_LOWEST_PRIORITY = 15
_LOGGER = structlog.get_logger()


class Lanes:
    """One lane for Whisper, whose segments are served one at a time, several for Vosk."""

    def __init__(self, vosk: int) -> None:
        self.whisper = Lane("whisper")
        self._vosk = [Lane(f"vosk-{number}") for number in range(vosk)]

    def choose(self, engine: str) -> Lane:
        """The lane with the fewest lines for that engine."""
        return min(self._vosk, key=lambda lane: lane.lines) if engine == "vosk" else self.whisper

    @property
    def idle(self) -> bool:
        """Whether no live work waits."""
        return all(lane.idle for lane in (self.whisper, *self._vosk))

    def stop(self, seconds: float) -> None:
        """End each after what waits, all within so long."""
        deadline = time.monotonic() + seconds
        for lane in (self.whisper, *self._vosk):
            lane.stop(max(0.0, deadline - time.monotonic()))


class Live:
    """Every line of this process; its methods are called by the listener's threads."""

    def __init__(
        self,
        roster: Roster,
        lanes: Lanes,
        scribe: Scribe,
        *,
        max_legs: int,
        rules: Rules,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        self.roster = roster
        self.lanes = lanes
        self.limit = limit
        self.legs = 0
        self._rules = rules
        self._cues: WeakValueDictionary[str, Cues] = WeakValueDictionary()
        self._scribe = scribe
        self._max_legs = max_legs
        self._ledger = Ledger()
        self._lock = threading.Lock()

    def desk(self) -> LiveDesk:
        """One for a new connection."""
        return LiveDesk(self)

    def open(self, opening: wire.Opening) -> LiveLine:
        """A line, listening or deaf."""
        with self._lock:
            self._ledger.opened(opening.call, opening.language)
        if opening.resumed:
            self.lost(opening.call, "failed")
        model = self.roster.choice(opening.language)
        if model is None:
            self.lost(opening.call, "no_model")
            return LiveLine(self, opening, None)
        with self._lock:
            full = self.legs >= self._max_legs
            self.legs += not full
        if full:
            self.lost(opening.call, "overload")
        return LiveLine(self, opening, None if full else self.lanes.choose(model.engine))

    def lost(self, call: str, reason: Reason) -> None:
        """Sound of the call was not heard."""
        with self._lock:
            facts = self._ledger.lost(call, reason)
            self._scribe.write(facts)
        if facts:
            _LOGGER.info("transcribed later", call=call, reason=reason)

    def redactor(self, call: str) -> Redactor:
        """For one more leg of the call; what one leg speaks of counts for the other."""
        with self._lock:
            return Redactor(self._rules, self._cues.setdefault(call, Cues()))

    def heard(self, opening: wire.Opening, engine: str, captions: Iterable[Caption]) -> None:
        """Hand captions on as they become known."""
        call, leg = opening.call, opening.leg
        for caption in captions:
            with self._lock:
                if caption.kind == "partial":
                    self._scribe.write([as_signal(caption, call, leg)])
                    continue
                self._ledger.heard(call, engine)
                self._scribe.write(as_facts(caption, call, leg, opening.language, engine))

    def closed(self, call: str, engine: str, *, listened: bool) -> None:
        """A line is over and everything it said is written."""
        with self._lock:
            self.legs -= listened
            self._scribe.write(self._ledger.closed(call, engine))


class LiveLine:
    """One leg of one call. `take` and `close` are the listener's, the rest is the lane's."""

    def __init__(self, live: Live, opening: wire.Opening, lane: Lane | None) -> None:
        self._live = live
        self._opening = opening
        self._lane = lane
        self._engine = ""
        self._ear: Ear | None = None
        self._redactor = live.redactor(opening.call)
        self._deaf = False
        self._queue: LaneLine | None = None
        if lane:
            lane.lines += 1
            self._queue = LaneLine(lane, self._hear, self.behind, live.limit)

    def take(self, sound: wire.Sound) -> None:
        """Queue sound for the recogniser."""
        if self._queue:
            self._queue.put(sound)

    def behind(self) -> None:
        """Some sound was dropped on its way."""
        self._live.lost(self._opening.call, "overload")

    def close(self) -> None:
        """The leg's sound is over."""
        if self._lane:
            self._lane.put(self._finish)
        else:
            self._live.closed(self._opening.call, self._engine, listened=False)

    def _hear(self, sound: wire.Sound) -> None:
        if self._deaf:
            return
        with self._boundary():
            ear = self._ear or self._begin()
            for caption in ear.hear(sound.position, sound.payload, sound.codec):
                self._heard(self._redactor.take(caption))
            self._heard(self._redactor.passed(sound.position / SAMPLE_RATE))

    def _begin(self) -> Ear:
        engine = self._live.roster.engine(self._opening.language)
        self._engine = engine.name
        self._ear = Ear(engine.recogniser(self._opening.language))
        return self._ear

    def _finish(self) -> None:
        assert self._lane
        self._lane.lines -= 1
        with self._boundary():
            if self._ear and not self._deaf:
                for caption in self._ear.finish():
                    self._heard(self._redactor.take(caption))
            self._heard(self._redactor.finish())
        self._ear = None
        self._live.closed(self._opening.call, self._engine, listened=True)

    def _heard(self, captions: Iterable[Caption]) -> None:
        self._live.heard(self._opening, self._engine, captions)

    @contextlib.contextmanager
    def _boundary(self) -> Iterator[None]:
        """A recogniser that fails costs this line its captions and nothing else."""
        call = self._opening.call
        with structlog.contextvars.bound_contextvars(call=call):
            try:
                yield
            except ModelMissing:
                self._deaf = True
                self._live.lost(call, "no_model")
            except Exception:
                self._deaf = True
                _LOGGER.exception("recogniser failed")
                self._live.lost(call, "failed")


class LiveDesk:
    """The lines of one connection."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._lines: dict[int, LiveLine] = {}

    def take(self, frame: wire.Frame) -> None:
        """See speech_socket.Desk; frames of unknown lines are passed over."""
        if isinstance(frame, wire.Opened):
            known = frame.line in self._lines
            if not known and not self._live.roster.is_off(frame.opening.language):
                self._lines[frame.line] = self._live.open(frame.opening)
            return
        line = self._lines.get(frame.line)
        if line is None:
            return
        match frame:
            case wire.Sound():
                line.take(frame)
            case wire.Behind():
                line.behind()
            case wire.Closed():
                self._lines.pop(frame.line).close()

    def gone(self) -> None:
        """See speech_socket.Desk."""
        while self._lines:
            self._lines.popitem()[1].close()


class SpeechWorker:
    """Follows the log, does the second passes and tells the others how it is."""

    def __init__(
        self,
        *,
        node: str,
        engine: Engine,
        bus: Bus,
        live: Live,
        roster: Roster,
        tasks: Tasks,
        passes: Callable[[Callable[[], None]], SecondPass],
        always: bool,
    ) -> None:
        self._node = node
        self._bus = bus
        self._live = live
        self._roster = roster
        self._tasks = tasks
        self._second_pass = passes(self._breathe)
        self._always = always
        self._consumer = Consumer(engine, "speech", self._note)
        self._advanced = threading.Event()
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, name="follow", daemon=True),
            threading.Thread(target=self._pass, name="second-pass", daemon=True),
        ]

    def start(self) -> None:
        """Begin; the first status follows when the models are loaded."""
        self._tasks.release_own()
        self._bus.subscribe(LogAdvanced, lambda _signal: self._advanced.set())
        self._bus.serve("speech", {DescribeHealth: self.health})
        for thread in self._threads:
            thread.start()
        self._bus.publish(ServiceStarted(service="speech", node=self._node))

    def stop(self, seconds: float = 5.0) -> None:
        """End; a second pass under way is begun anew at the next start."""
        self._stopping.set()
        self._advanced.set()
        self._due.set()
        for thread in self._threads:
            thread.join(seconds)

    def health(self, _command: DescribeHealth | None = None) -> Answer:
        """The answer to DescribeHealth. A missing model is told but is no illness."""
        engines, missing = self._roster.status()
        return {
            "ok": True,
            "detail": _sentence(engines, missing),
            "engines": engines,
            "missing": missing,
            "legs": self._live.legs,
            "pending": self._tasks.pending(),
        }

    def _status(self) -> None:
        engines, missing = self._roster.status()
        self._bus.publish(
            SpeechStatus(
                node=self._node,
                engines=engines,
                missing=missing,
                legs=self._live.legs,
                pending=self._tasks.pending(),
            )
        )

    def _note(self, session: Session, entry: Entry) -> None:
        second_pass.note(
            session.connection(), entry, always=self._always, is_off=self._roster.is_off
        )

    def _follow(self) -> None:
        """Sealed recordings become tasks; now and then look for models and tell the status."""
        self._roster.preload()
        looked = 0.0
        while not self._stopping.is_set():
            try:
                if list(self._consumer.catch_up()):
                    self._due.set()
                if time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    self._look()
            except SQLAlchemyError as error:
                _LOGGER.warning("log not read, tried again", error=type(error).__name__)
            self._advanced.wait(_FALLBACK_SECONDS)
            self._advanced.clear()

    def _look(self) -> None:
        if self._roster.look():
            self._roster.preload()
        self._status()

    def _pass(self) -> None:
        _be_humble()
        idle_since = time.monotonic()
        while not self._stopping.is_set():
            try:
                worked, position = self._second_pass.run_one()
            except Stopped:
                return
            except SQLAlchemyError as error:
                _LOGGER.warning("second pass waits", error=type(error).__name__)
                worked, position = False, None
            if position:
                self._bus.publish(LogAdvanced(position=position))
            if worked:
                idle_since = time.monotonic()
                continue
            if time.monotonic() - idle_since > _IDLE_RELEASE_SECONDS:
                self._roster.release_transcriber()
            self._due.wait(_FALLBACK_SECONDS)
            self._due.clear()

    def _breathe(self) -> None:
        """Between two utterances of a second pass: live lines first."""
        deadline = time.monotonic() + _LONGEST_BREATH
        while not self._live.lanes.idle and time.monotonic() < deadline:
            if self._stopping.wait(0.05):
                break
        if self._stopping.is_set():
            raise Stopped


def _be_humble() -> None:
    """The second pass, and the threads its model will start, at the lowest priority."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)


def _sentence(engines: dict[str, str], missing: dict[str, str]) -> str:
    served = ", ".join(f"{language} by {engine}" for language, engine in engines.items())
    lacking = ", ".join(language for language, why in missing.items() if why == "no_model")
    parts = [f"captions: {served}" if served else "no live captions"]
    if lacking:
        parts.append(f"no model for {lacking}: run `callcenter models fetch`")
    return "; ".join(parts)
