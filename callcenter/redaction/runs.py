"""Runs of digits in a text: what was written or spoken as one number, fillers and all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from callcenter.redaction import lexicon
from callcenter.redaction.numerals import Digits, Spoken, read

MOST_FILLERS = 4
_TOKEN = re.compile(
    r"(?P<digits>\d+)"
    r"|(?P<word>(?:[^\W\d_]|[\u0591-\u05c7\u064b-\u0652])+(?:['’׳״\"](?=\w)[^\W\d_]+)*)"
    r"|(?P<other>\S)"
)
_JOINS = frozenset("-–—,،.…·()[]?!?؟;؛\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u05be'\"")
"""Signs between two pieces of one number."""
_BEFORE = re.compile(r"(\d+)([/.:])\Z")
_AFTER = re.compile(r"([/.:])(\d+)")
_GROUP = 3  # digits from which on a point between two groups makes no date or decimal
_CURRENCY = frozenset("$€£₪﷼%")


@dataclass(slots=True)
class Run:
    """Digits that follow each other. `amount`: money, a date, a percentage or the like;
    `dialled`: a plus stands before it, so it is a telephone number."""

    pieces: list[Digits] = field(default_factory=list)
    amount: bool = False
    dialled: bool = False

    @property
    def digits(self) -> str:
        """All of them, ASCII."""
        return "".join(piece.digits for piece in self.pieces)

    @property
    def start(self) -> int:
        """The first character."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """The one after the last."""
        return self.pieces[-1].end


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text holds. `leads`: its first run begins it, or it is nothing but fillers, so a
    number before it may go on; `tail`: the run that ends it, so a number may go on behind it."""

    runs: list[Run]
    leads: bool
    tail: Run | None


Step = Digits | Literal["filler", "word", "plus", "unit", "break"]


def scan(text: str, *, bridge: int = 0) -> Scan:
    """The runs of a text. Offsets are in characters.

    So many words that are no fillers do not end a number either: recognisers make words of digits.
    """
    runs: list[Run] = []
    open_run: Run | None = None
    leads, begun, fillers, strange, dialled = False, False, 0, 0, False
    for step in _steps(text):
        if isinstance(step, Digits):
            if open_run is None:
                open_run = Run(dialled=dialled)
                runs.append(open_run)
                leads = leads or not begun
            open_run.pieces.append(step)
            begun, fillers, strange, dialled = True, 0, 0, False
        elif step == "filler" or (
            step == "word" and strange < bridge and (open_run is not None or not begun)
        ):
            fillers += 1
            strange += step == "word"
            if fillers > MOST_FILLERS:
                open_run = None
        else:
            if step == "unit" and open_run and not fillers:
                open_run.amount = True
            open_run, begun, dialled, fillers = None, True, step == "plus", 0
    return Scan(runs, leads or not (begun or strange), open_run)


def folded(text: str, runs: list[Run]) -> tuple[str, list[int]]:
    """The text with every run as plain digits, and where each of its characters stands in the text.

    So a pattern for digits finds what was spoken in words and in pieces.
    """
    chars: list[str] = []
    places: list[int] = []
    at = 0
    for run in runs:
        chars += text[at : run.start]
        places += range(at, run.start)
        for piece in run.pieces:
            chars += piece.digits
            places += [piece.start] * len(piece.digits)
        at = run.end
    chars += text[at:]
    places += range(at, len(text) + 1)
    return "".join(chars), places


def _steps(text: str) -> Iterator[Step]:
    """Numbers, and what lies between them."""
    waiting: list[Spoken] = []
    for match in _TOKEN.finditer(text):
        step = _step(text, match)
        if isinstance(step, tuple):
            waiting += step
            continue
        if step == "join":
            continue
        if waiting:
            yield from _spoken(waiting)
            waiting = []
        yield step
    if waiting:
        yield from _spoken(waiting)


def _spoken(words: list[Spoken]) -> Iterator[Step]:
    """A number of words; "and" alone is a filler, "thousand" alone a unit."""
    found = list(read(words))
    if not found:
        yield "filler" if all(one.word.role in ("and", "times") for one in words) else "unit"
    yield from found


def _step(text: str, match: re.Match[str]) -> Step | Literal["join"] | tuple[Spoken, ...]:
    start, end = match.span()
    if match["digits"]:
        return _digits(text, start, end)
    if match["word"]:
        return _word(match["word"], start, end)
    sign = match["other"]
    if sign in _JOINS:
        return "join"
    if sign == "+":
        return "plus"
    return "unit" if sign in _CURRENCY else "break"


def _digits(text: str, start: int, end: int) -> Step:
    """Written digits; beside a slash, a colon or a point between digits it is a date or decimal."""
    before, after = _BEFORE.search(text, max(0, start - 24), start), _AFTER.match(text, end)
    beside = [(one[2], one[1]) for one in (before,) if one] + [
        one.groups() for one in (after,) if one
    ]
    for sign, group in beside:
        if sign != "." or min(len(group), end - start) < _GROUP:
            return "break"
    if start and text[start - 1] in _CURRENCY:
        return "unit"
    return Digits(ascii_digits(text[start:end]), start, end)


def _word(word: str, start: int, end: int) -> Step | tuple[Spoken, ...]:
    plain = lexicon.key(word)
    words = lexicon.number_words(plain)
    if words:
        return tuple(Spoken(one, (start, end)) for one in words)
    if plain in lexicon.FILLERS:
        return "filler"
    return "unit" if plain in lexicon.UNITS else "word"


def ascii_digits(text: str) -> str:
    """Decimal digits of any script as ASCII."""
    return "".join(str(unicodedata.decimal(char)) for char in text)
