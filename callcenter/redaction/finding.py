"""What of a text has to be masked, by the rules of a site."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from callcenter.config import Redaction
from callcenter.redaction.kinds import (
    LEAST_CARD,
    MOST_CARD,
    Country,
    Cue,
    cues,
    is_card,
    is_national_id,
    issued_card,
)
from callcenter.redaction.numerals import Digits
from callcenter.redaction.runs import Run, folded, scan

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

    @classmethod
    def of(cls, section: Redaction) -> Rules:
        """Those of the settings."""
        return cls(section.cards, tuple(section.national_ids), section.patterns)

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


def mask(text: str, rules: Rules, kinds: Sequence[str] = ()) -> tuple[str, list[str]]:
    """A text that somebody typed, with masks; and what each mask of it stands for, in order.

    `kinds`: of the masks that it holds already, as far as they are known.
    """
    found = find(text, rules)
    known = zip(_masks(text), kinds, strict=False)
    places = sorted([*known, *((one.start, one.kind) for one in found)])
    return masked(text, found), [kind for _, kind in places]


def mask_growing(text: str, rules: Rules) -> str:
    """A text that is being typed, with masks: a card number at its end may want its last digits."""
    found = find(text, rules)
    cards = Rules(cards=rules.cards)  # only the end of a card number is waited for
    return masked(text, [*found, *growing_end(text, found, cards, shown=LEAST_CARD - 1)])


def growing_end(
    text: str, found: Sequence[Found], rules: Rules, *, shown: int, bridge: int = 0
) -> list[Found]:
    """The number that ends the text, if it could yet become one that is masked, is longer than
    `shown` digits and is not among what was `found`. `bridge`: see `scan`."""
    tail = scan(text, bridge=bridge).tail
    if tail is None or tail.dialled or len(tail.digits) <= shown:
        return []
    if not rules.may_grow(tail.digits) or any(one.end > tail.start for one in found):
        return []
    return [Found(tail.start, tail.end, CARD)]


def _masks(text: str) -> Iterator[int]:
    return (match.start() for match in re.finditer(MASK, text))


def _in_run(run: Run, rules: Rules, about: set[Cue]) -> Iterator[Found]:
    if run.amount or run.dialled:
        return
    if rules.cards:
        places = list(_cards(run, cued="card" in about))
        yield from (Found(*place, CARD) for place in places)
        if places:
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


def _cards(run: Run, *, cued: bool) -> Iterator[tuple[int, int]]:
    """Where card numbers stand; what is read out behind the last one goes with it."""
    if is_card(run.digits, cued=cued):
        yield run.start, run.end
        return
    first = 0
    while last := _card_from(run.pieces, first):
        begin, end = last
        behind = sum(len(piece.digits) for piece in run.pieces[end:])
        at = run.end if behind <= _AFTER_CARD else run.pieces[end - 1].end
        yield run.pieces[begin].start, at
        first = end


def _card_from(pieces: Sequence[Digits], first: int) -> tuple[int, int] | None:
    """The first pieces from there on that are the card number of a known issuer, the longest."""
    for begin in range(first, len(pieces)):
        digits = ""
        found = None
        for end in range(begin + 1, len(pieces) + 1):
            digits += pieces[end - 1].digits
            if len(digits) > MOST_CARD:
                break
            if len(digits) >= LEAST_CARD and issued_card(digits):
                found = begin, end
        if found:
            return found
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
