"""The jobs process's measuring of conversations: what waits is measured, once.

Everything is in the database: a process that is killed between two calls goes on with the next
one. Calls of older versions wait since the migration, so they are measured too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import structlog
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm.interactions.models import Interaction, Recording, Utterance
from callcenter.crm.interactions.queries import by_call, recording_of, transcript
from callcenter.crm.review.figures import Figures, Mark, MarkKind, count_words, measure
from callcenter.crm.review.models import Conversation
from callcenter.crm.review.spans import Span, joined
from callcenter.crm.review.speech import spoken
from callcenter.database import reading
from callcenter.events import Fact, LegName
from callcenter.log import EventLog

BATCH = 50
ROUND_SECONDS = 2.0
"""So that mails and clocks are not kept waiting by a month of old calls."""
LEGS: tuple[LegName, LegName] = ("agent", "customer")
_LOGGER = structlog.get_logger()


class Levels(Protocol):
    """How loud both legs were, 0 to 255, `per_second` values a second."""

    @property
    def agent(self) -> bytes:
        """Left."""

    @property
    def customer(self) -> bytes:
        """Right."""

    @property
    def per_second(self) -> int:
        """Values a second."""


class Measurer:
    """`levels(path)` gives the levels of the recording in that file, None where there are none."""

    def __init__(self, engine: Engine, levels: Callable[[str], Levels | None]) -> None:
        self._engine, self._levels = engine, levels
        self._log = EventLog(engine)

    def round(self) -> int:
        """Measure what waits, for two seconds; returns how many calls."""
        began, done = time.monotonic(), 0
        while time.monotonic() - began < ROUND_SECONDS:
            waiting = self._waiting()
            for call, asked in waiting:
                self._measure(call, asked)
                done += 1
                if time.monotonic() - began > ROUND_SECONDS:
                    return done
            if len(waiting) < BATCH:
                break
        return done

    def _waiting(self) -> list[tuple[str, int]]:
        query = select(Conversation.call_id, Conversation.asked)
        query = query.where(Conversation.state == "waiting").order_by(Conversation.call_id.desc())
        with Session(reading(self._engine)) as session:
            return [(call, asked) for call, asked in session.execute(query.limit(BATCH))]

    def _measure(self, call: str, asked: int) -> None:
        try:
            found = self._figures(call)
        except Exception:  # one bad file does not stop the others
            _LOGGER.exception("a conversation cannot be measured", call=call)
            found = None
        values: dict[str, Any] = columns(found) if found else {"state": "nothing"}
        with Session(self._engine) as session, session.begin():
            session.execute(
                update(Conversation)
                .where(Conversation.call_id == call, Conversation.asked == asked)
                .values(**values, measured_at=events.now())
            )

    def _figures(self, call: str) -> Figures | None:
        """None where there is neither sound nor text."""
        with Session(reading(self._engine)) as session:
            interaction = by_call(session, call)
            if interaction is None:
                return None
            said = transcript(session, interaction)
            recording = recording_of(session, interaction)
            speech, seconds = self._speech(interaction, recording, said)
        if not seconds:
            return None
        words = {leg: sum(count_words(one.text) for one in said if one.leg == leg) for leg in LEGS}
        facts = [entry.fact for entry in self._log.of_call(call)]
        offset = _offset(recording) if recording else 0.0
        silenced = redacted(facts)
        speech = {leg: joined([*speech[leg], *silenced[leg]]) for leg in LEGS}
        taken_out = [Mark("redacted", *span) for leg in LEGS for span in silenced[leg]]
        return measure(seconds, speech, words, [*away(facts, seconds, offset), *taken_out])

    def _speech(
        self, interaction: Interaction, recording: Recording | None, said: Sequence[Utterance]
    ) -> tuple[dict[LegName, Sequence[Span]], float]:
        """From the sound where there is some, else from the times of the sentences."""
        levels = self._levels(recording.path) if recording else None
        if recording and levels:
            offset = _offset(recording)
            legs: dict[LegName, bytes] = {"agent": levels.agent, "customer": levels.customer}
            found: dict[LegName, Sequence[Span]] = {
                leg: spoken(values, levels.per_second, offset=offset)
                for leg, values in legs.items()
            }
            return found, max(0.0, recording.seconds - offset)
        spoken_at: dict[LegName, Sequence[Span]] = {
            leg: [(one.t0, max(one.t0, one.t1)) for one in said if one.leg == leg] for leg in LEGS
        }
        end = max((one.t1 for one in said), default=0.0)
        return spoken_at, max(interaction.talk_seconds or 0.0, end) if said else 0.0


def away(facts: Sequence[Fact], seconds: float, offset: float = 0.0) -> list[Mark]:
    """Hold, transfer, conference and pause of a call of `seconds`, from what the log says.

    Positions of pauses count from the beginning of the file, in which the answer is at `offset`.
    """
    answers = [fact.at for fact in facts if isinstance(fact, events.CallAnswered)]
    if not answers:
        return []
    found: list[Mark] = []
    running: dict[MarkKind, float] = {}
    holders: set[LegName] = set()

    def begin(kind: MarkKind, at: float) -> None:
        running.setdefault(kind, at)

    def end(kind: MarkKind, at: float) -> None:
        if kind in running and at >= running[kind]:
            found.append(Mark(kind, running.pop(kind), at))

    for fact in facts:
        at = (fact.at - answers[0]).total_seconds()
        if isinstance(fact, events.CallHeld):
            holders.add(fact.by)
            begin("hold", at)
        elif isinstance(fact, events.CallResumed):
            holders.discard(fact.by)
            if not holders:
                end("hold", at)
        elif isinstance(fact, events.CallTransferred):
            holders.clear()
            end("hold", at)
            begin("transfer", at)
        elif isinstance(fact, events.CallAnswered):
            end("transfer", at)
        elif isinstance(fact, events.ConferenceBegan):
            begin("conference", at)
        elif isinstance(fact, events.ConsultationEnded):
            end("conference", at)
        elif isinstance(fact, events.RecordingPaused):
            begin("pause", fact.position - offset)
        elif isinstance(fact, events.RecordingResumed):
            end("pause", fact.position - offset)
    for kind in list(running):
        end(kind, seconds)
    return [one for one in found if one.t0 < seconds]


def redacted(facts: Sequence[Fact]) -> dict[LegName, list[Span]]:
    """What each leg said that was made silent."""
    said = [fact for fact in facts if isinstance(fact, events.SpeechRedacted)]
    return {leg: joined((one.t0, one.t1) for one in said if one.leg == leg) for leg in LEGS}


def columns(found: Figures) -> dict[str, Any]:
    """The figures as the row of a Conversation."""
    sides = {
        f"{leg}_{name}": value
        for leg, side in (("agent", found.agent), ("customer", found.customer))
        for name, value in asdict(side).items()
    }
    return {
        "state": "measured",
        "seconds": found.seconds,
        **sides,
        "both_seconds": found.both_seconds,
        "silence_seconds": found.silence_seconds,
        "hold_seconds": found.hold_seconds,
        "talk_overs": found.count("talk_over"),
        "dead_airs": found.count("dead_air"),
        "marks": [asdict(mark) for mark in found.marks],
        "quiet": [list(span) for span in found.quiet],
    }


def _offset(recording: Recording) -> float:
    """Where in the file the answer is."""
    return float(recording.legs.get("customer", {}).get("offset", 0.0))
