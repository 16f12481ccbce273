"""What people type into the search, understood. Pure.

    refund invoice          both words, in any order, in one sentence; the last may be a beginning
    "cancel my contract"    these words one after the other (also “…” and «…»)
    refund ~5 invoice       both with at most five words between; `~` alone means five
    -invoice  -"my boss"    sentences without it
    cancel*                 every word that begins so

Nothing is an error: a quote that stays open ends with the text, a `~` with nothing beside it is
left out, and what is no word is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from callcenter.crm.fts.words import indexed
from callcenter.crm.text import fold_digits

MOST_TERMS = 16
APART, MOST_APART = 5, 20
"""Words between two that are near: what `~` means, and the most that counts."""
LEAST_BEGINNING = 2

_TOKEN = re.compile(
    r"""(?<!\S)(?:
        ~(?P<apart>\d*)(?!\S)
        | (?P<minus>-)?["“”„«](?P<quoted>.*?)(?:["“”»](?!\S)|$)
        | (?P<without>-)?(?P<word>\S+)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Term:
    """A normalised word, or the beginning of one."""

    text: str
    beginning: bool = False


Phrase = tuple[Term, ...]
"""Terms one after the other."""


@dataclass(frozen=True, slots=True)
class Part:
    """A phrase; or two with at most `apart` words between, in any order.

    `joint`: typed as one word with a mark inside («می‌خواهم»), so it may also be written as one.
    """

    phrases: tuple[Phrase, ...]
    apart: int | None = None
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Sentences that hold every part of `must` and none of `without`."""

    must: tuple[Part, ...] = ()
    without: tuple[Part, ...] = ()

    @property
    def terms(self) -> list[Term]:
        """Every term in it."""
        parts = (*self.must, *self.without)
        return [term for part in parts for phrase in part.phrases for term in phrase]


@dataclass(frozen=True, slots=True)
class _Token:
    part: Part
    without: bool
    open: bool  # not quoted: the last one may be a beginning


def parse(typed: str) -> Query:
    """The query in what was typed; one without `must` finds nothing."""
    tokens, near = _tokens(typed)
    must, without = [], []
    chained: set[int] = set()
    for place, apart in near.items():
        one, other = tokens[place - 1], tokens[place]
        if not (one.without or other.without):
            must.append(Part((*one.part.phrases, *other.part.phrases), apart))
            chained |= {place - 1, place}
    for place, token in enumerate(tokens):
        if token.without:
            without.append(token.part)
        elif place not in chained:
            last = place == len(tokens) - 1 and token.open
            must.append(_beginning(token.part) if last else token.part)
    return Query(tuple(must), tuple(without))


def _tokens(typed: str) -> tuple[list[_Token], dict[int, int]]:
    """The tokens, and before which of them a `~` stands with how many words."""
    tokens: list[_Token] = []
    near: dict[int, int] = {}
    apart: int | None = None
    left = MOST_TERMS
    for found in _TOKEN.finditer(typed):
        if found["apart"] is not None:
            apart = int(fold_digits(found["apart"]) or APART) if tokens else None
            continue
        token = _token(found, left)
        if token is None:
            continue
        if apart is not None:
            near[len(tokens)] = min(apart, MOST_APART)
        apart = None
        left -= len(token.part.phrases[0])
        tokens.append(token)
    return tokens, near


def _token(found: re.Match[str], left: int) -> _Token | None:
    quoted = found["quoted"]
    written: str = found["word"] if quoted is None else quoted
    terms = tuple(Term(word) for word in indexed(written)[:left])
    if not terms:
        return None
    if written.endswith("*"):
        terms = (*terms[:-1], Term(terms[-1].text, beginning=True))
    joint = quoted is None and len(terms) > 1
    without = bool(found["minus"] or found["without"])
    return _Token(Part((terms,), joint=joint), without, quoted is None)


def _beginning(part: Part) -> Part:
    (phrase,) = part.phrases
    if len(phrase[-1].text) < LEAST_BEGINNING:
        return part
    last = Term(phrase[-1].text, beginning=True)
    return Part(((*phrase[:-1], last),), joint=part.joint)
