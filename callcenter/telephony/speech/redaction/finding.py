"""What of a text has to be masked, by the rules of a site."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from callcenter.telephony.speech.redaction.kinds import (
    LEAST_CARD,
    MOST_CARD,
    Country,
    Cue,
    cues,
    is_card,
    is_national_id,
    issued_card,
)
from callcenter.telephony.speech.redaction.runs import Run, folded, scan

MASK = "▇▇▇▇"
CARD, NATIONAL_ID = "card", "national_id"
_AFTER_CARD = 8  # digits behind a card number: month, year and security code
_LONGEST = MOST_CARD + _AFTER_CARD
BRIDGE = 2
"""Words between the digits of a card number, once a card was spoken of."""
_MISHEARD = range(12, 22)  # digits: of sixteen a quarter lost, or some doubled


@dataclass(frozen=True, slots=True)
class Rules:
    """What is masked: card numbers, national ids of these countries, patterns by their names."""

    cards: bool = True
    national_ids: tuple[Country, ...] = ()
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether all is switched off."""
        return not (self.cards or self.national_ids or self.patterns)

    def may_grow(self, digits: str) -> bool:
        """Whether a number that ends with the text could yet become one that is masked."""
        if len(digits) > _LONGEST:
            return False
        if self.patterns or (self.cards and digits[0] != "0"):
            return True
        longest = {"ir": 10, "il": 9}
        return any(len(digits) < longest[country] for country in self.national_ids)


@dataclass(frozen=True, slots=True)
class Found:
    """Characters from `start` to before `end` are of this kind."""

    start: int
    end: int
    kind: str


def find(text: str, rules: Rules, cued: Iterable[Cue] = ()) -> list[Found]:
    """What is to be masked, in order, apart and never longer than a line.

    `cued`: of what was spoken shortly before.
    """
    if rules.nothing:
        return []
    runs = scan(text).runs
    about = {*cued, *cues(text)}
    found = [one for run in runs for one in _in_run(run, rules, about)]
    if rules.cards and "card" in about:
        found += _misheard(text)
    found += _patterns(text, runs, rules)
    return [part for one in _apart(found) for part in _by_line(text, one, runs)]


def masked(text: str, found: Sequence[Found]) -> str:
    """The text with each place as MASK."""
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], MASK]
        at = one.end
    return "".join([*parts, text[at:]])


def _in_run(run: Run, rules: Rules, about: set[Cue]) -> Iterator[Found]:
    if run.amount or run.dialled:
        return
    if rules.cards:
        place = _card(run, cued="card" in about)
        if place:
            yield Found(*place, CARD)
            return
    cued = "national_id" in about
    if any(is_national_id(run.digits, one, cued=cued) for one in rules.national_ids):
        yield Found(run.start, run.end, NATIONAL_ID)


def _misheard(text: str) -> Iterator[Found]:
    """Where a card was spoken of: so many digits that they are a card's, with words between them
    that the recogniser made of others."""
    for run in scan(text, bridge=BRIDGE).runs:
        plain = not (run.amount or run.dialled or run.digits.startswith("0"))
        if plain and len(run.digits) in _MISHEARD:
            yield Found(run.start, run.end, CARD)


def _card(run: Run, *, cued: bool) -> tuple[int, int] | None:
    """Where the card number stands; what is read out behind it goes with it."""
    if is_card(run.digits, cued=cued):
        return run.start, run.end
    sizes = [len(piece.digits) for piece in run.pieces]
    for first in range(len(sizes)):
        for last in range(len(sizes), first, -1):
            length = sum(sizes[first:last])
            if length < LEAST_CARD:
                break
            behind = sum(sizes[last:])
            if length > MOST_CARD or behind > _AFTER_CARD:
                continue
            if issued_card("".join(piece.digits for piece in run.pieces[first:last])):
                return run.pieces[first].start, run.end
    return None


def _patterns(text: str, runs: list[Run], rules: Rules) -> Iterator[Found]:
    """Patterns are looked for in the text as digits, then in the text as it is."""
    if not rules.patterns:
        return
    plain, places = folded(text, runs)
    ends = {piece.start: piece.end for run in runs for piece in run.pieces}
    for name, pattern in rules.patterns.items():
        for match in pattern.finditer(plain):
            if match.end() > match.start():
                start, last = places[match.start()], places[match.end() - 1]
                yield Found(start, ends.get(last, last + 1), name)
        for match in pattern.finditer(text):
            if match.end() > match.start():
                yield Found(match.start(), match.end(), name)


def _by_line(text: str, one: Found, runs: list[Run]) -> Iterator[Found]:
    """Of a number in several lines, each line's own digits: fillers around them stay."""
    if "\n" not in text[one.start : one.end]:
        yield one
        return
    start = one.start
    for line in text[one.start : one.end].split("\n"):
        end = start + len(line)
        pieces = [p for run in runs for p in run.pieces if p.start < end and p.end > start]
        if pieces:
            yield Found(max(start, pieces[0].start), min(end, pieces[-1].end), one.kind)
        start = end + 1


def _apart(found: Iterable[Found]) -> list[Found]:
    """In order; what overlaps becomes one of the first's kind."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda item: (item.start, -item.end)):
        if kept and one.start < kept[-1].end:
            kept[-1] = Found(kept[-1].start, max(kept[-1].end, one.end), kept[-1].kind)
        else:
            kept.append(one)
    return kept
