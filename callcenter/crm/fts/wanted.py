"""What the index is asked for: a query whose terms became words. Pure, with both dialects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from callcenter.crm.fts.words import indexed

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Words one after the other; or two such with at most `apart` words between, in any order."""

    phrases: tuple[Words, ...]
    apart: int | None = None


Choice = tuple[Chain, ...]
"""Any of these."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Every choice of `must`, none of `without`; `also`: words looked for instead of typed ones.

    `most`: no more utterances than that hold it, as far as the vocabulary knows.
    """

    must: tuple[Choice, ...] = ()
    without: tuple[Choice, ...] = ()
    most: int = 0
    also: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; `hit` when it is what was searched."""

    text: str
    hit: bool


def vector(found: Iterable[str]) -> str:
    """These words as the text of a PostgreSQL `tsvector` with their positions."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(found, 1):
        places.setdefault(word, []).append(str(place))
    return " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())


def fts5(wanted: Wanted) -> str:
    """The query as FTS5 reads it."""
    must = " AND ".join(_choice(choice, _fts5_chain, " OR ") for choice in wanted.must)
    if not wanted.without:
        return must
    without = " OR ".join(_choice(choice, _fts5_chain, " OR ") for choice in wanted.without)
    return f"({must}) NOT ({without})"


def tsquery(wanted: Wanted) -> str:
    """The query as PostgreSQL's `tsquery` reads it."""
    must = [_choice(choice, _tsquery_chain, " | ") for choice in wanted.must]
    without = [f"!{_choice(choice, _tsquery_chain, ' | ')}" for choice in wanted.without]
    return " & ".join([*must, *without])


def marked(text: str, wanted: Wanted) -> list[Piece]:
    """The text in pieces; pieces with what was searched are hits. Joined they are the text."""
    parts = re.findall(r"\s+|\S+", text)
    said = [(word, place) for place, part in enumerate(parts) for word in indexed(part)]
    words = [word for word, _ in said]
    hit: set[int] = set()
    phrases = {p for choice in wanted.must for chain in choice for p in chain.phrases}
    for phrase in phrases:
        for at in range(len(words) - len(phrase) + 1):
            if tuple(words[at : at + len(phrase)]) == phrase:
                hit.update(range(said[at][1], said[at + len(phrase) - 1][1] + 1))
    return _joined(parts, hit)


def _joined(parts: list[str], hit: set[int]) -> list[Piece]:
    pieces: list[Piece] = []
    for place, part in enumerate(parts):
        if pieces and pieces[-1].hit == (place in hit):
            pieces[-1] = Piece(pieces[-1].text + part, place in hit)
        else:
            pieces.append(Piece(part, place in hit))
    return pieces


def _choice(choice: Choice, spell: Callable[[Chain], str], either: str) -> str:
    return f"({either.join(spell(chain) for chain in choice)})"


def _fts5_chain(chain: Chain) -> str:
    phrases = " ".join(f'"{" ".join(phrase)}"' for phrase in chain.phrases)
    return phrases if chain.apart is None else f"NEAR({phrases}, {chain.apart})"


def _tsquery_chain(chain: Chain) -> str:
    spelled = ["(" + " <-> ".join(f"'{word}'" for word in phrase) + ")" for phrase in chain.phrases]
    if chain.apart is None:
        return spelled[0]
    one, other = spelled
    steps = range(1, chain.apart + 2)
    near = "|".join(f"{one} <{step}> {other}|{other} <{step}> {one}" for step in steps)
    return f"({one} & {other} & ({near}))"  # most rows hold not both: that is seen faster
