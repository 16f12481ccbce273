"""The figures of one conversation. Pure: stretches of speech in, figures out.

Times are seconds from the answer. What is counted, and from when on, stands in
docs/decisions/0020-review.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from callcenter.crm.review.spans import (
    Span,
    at_least,
    both,
    joined,
    longest,
    total,
    within,
    without,
)
from callcenter.events import LegName

MarkKind = Literal["hold", "transfer", "conference", "pause", "redacted", "talk_over", "dead_air"]
_NOT_AWAY: tuple[MarkKind, ...] = ("redacted", "conference")  # they talk all the same

TALK_OVER = 0.5  # seconds both speak: shorter is a "yes" in between
DEAD_AIR = 5.0  # seconds nobody speaks while nobody is on hold
QUIET = 1.5  # seconds that a listener wants to skip
BREATH = 3.0  # a pause of one's own that does not end a monologue
INTERJECTION = 1.0  # of the other side, that does not end one either
LEAST_FOR_PACE = 3.0  # seconds of speech under which words a minute say nothing


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in the call, where it began and ended."""

    kind: MarkKind
    t0: float
    t1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One leg: seconds of speech, its share of all speech, longest monologue, words a minute."""

    seconds: float = 0.0
    share: float = 0.0
    longest: float = 0.0
    words: int = 0
    pace: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a conversation was like. `quiet`: stretches without speech, hold included."""

    seconds: float = 0.0
    agent: Side = field(default_factory=Side)
    customer: Side = field(default_factory=Side)
    both_seconds: float = 0.0
    silence_seconds: float = 0.0
    hold_seconds: float = 0.0
    marks: Sequence[Mark] = ()
    quiet: Sequence[Span] = ()

    def count(self, kind: MarkKind) -> int:
        """How many marks of that kind."""
        return sum(mark.kind == kind for mark in self.marks)


def measure(
    seconds: float,
    speech: Mapping[LegName, Sequence[Span]],
    words: Mapping[LegName, int],
    away: Iterable[Mark] = (),
) -> Figures:
    """The figures of a conversation of `seconds`.

    `away` are hold, transfer and pause: what is heard meanwhile is no conversation. A conference
    is marked only, and so is what was redacted: somebody spoke there, which `speech` has to say.
    """
    off = [Mark(one.kind, max(0.0, one.t0), min(one.t1, seconds)) for one in away]
    gone = within(
        ((one.t0, one.t1) for one in off if one.t1 > one.t0 and one.kind not in _NOT_AWAY), seconds
    )
    agent, customer = (
        without(within(speech.get(leg, ()), seconds), gone) for leg in ("agent", "customer")
    )
    anybody = joined([*agent, *customer])
    over = at_least(both(agent, customer), TALK_OVER)
    silent = without([(0.0, seconds)], joined([*anybody, *gone]))
    dead = at_least(silent, DEAD_AIR)
    marks = [
        *off,
        *(Mark("talk_over", *span) for span in over),
        *(Mark("dead_air", *span) for span in dead),
    ]
    return Figures(
        seconds=_round(seconds),
        agent=_side(agent, customer, words.get("agent", 0)),
        customer=_side(customer, agent, words.get("customer", 0)),
        both_seconds=_round(total(over)),
        silence_seconds=_round(total(silent)),
        hold_seconds=_round(total(gone)),
        marks=[Mark(m.kind, _round(m.t0), _round(m.t1)) for m in sorted(marks, key=_place)],
        quiet=[
            (_round(start), _round(end))
            for start, end in at_least(without([(0.0, seconds)], anybody), QUIET)
        ],
    )


def count_words(text: str) -> int:
    """Words as people write them: «می‌رسد» is one, a lone dash is none."""
    return sum(any(char.isalnum() for char in part) for part in text.split())


def _side(own: Sequence[Span], other: Sequence[Span], words: int) -> Side:
    seconds, theirs = total(own), total(other)
    spoken = seconds + theirs
    alone = without(joined(own, BREATH), at_least(other, INTERJECTION))
    paced = words > 0 and seconds >= LEAST_FOR_PACE
    return Side(
        seconds=_round(seconds),
        share=round(seconds / spoken, 3) if spoken else 0.0,
        longest=_round(longest(alone)),
        words=words,
        pace=round(60 * words / seconds, 1) if paced else None,
    )


def _place(mark: Mark) -> tuple[float, float, str]:
    return mark.t0, mark.t1, mark.kind


def _round(seconds: float) -> float:
    return round(seconds, 2)
