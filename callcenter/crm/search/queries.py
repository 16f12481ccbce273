"""Search in what was said: hits with the words marked, only where one may read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.interactions.queries import of_agent
from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.crm.text import normalize, words
from callcenter.errors import Invalid

_PIECE = re.compile(r"\s+|\S+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; `hit` when it is what was searched."""

    text: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """An utterance that holds the words, the contact it belongs to, and its marked text."""

    utterance: Utterance
    interaction: Interaction
    snippet: list[Piece]


def transcripts(
    session: Session,
    q: str,
    *,
    visible_to: str | None = None,
    call: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Hit]:
    """Utterances with every word of `q`, the newest first; of one call when `call` is given.

    `visible_to`: an agent, who finds only his own calls; None finds all.
    """
    found = fts.numbers(session, q)
    if found is None:
        return Page([])
    query = (
        select(Utterance, Interaction)
        .join(Interaction, Interaction.call_id == Utterance.call_id)
        .where(
            Utterance.number.in_(found),
            Utterance.revision == Interaction.transcript_revision,
        )
        .order_by(Utterance.number.desc())
    )
    if visible_to is not None:
        query = query.where(of_agent(visible_to))
    if call is not None:
        query = query.where(Utterance.call_id == call)
    if cursor:
        query = query.where(Utterance.number < _number(cursor))
    count = limited(limit)
    rows = session.execute(query.limit(count + 1)).all()
    last = rows[count - 1][0] if len(rows) > count else None
    hits = [Hit(said, contact, marked(said.text, q)) for said, contact in rows[:count]]
    return Page(hits, after(str(last.number)) if last else None)


def marked(text: str, q: str) -> list[Piece]:
    """The text in pieces; pieces with a searched word are hits. Joined they are the text."""
    terms = words(q)
    if not terms:
        return [Piece(text, False)]
    pieces: list[Piece] = []
    for part in _PIECE.findall(text):
        hit = any(_is(word, terms) for word in normalize(part).split())
        if pieces and pieces[-1].hit == hit:
            pieces[-1] = Piece(pieces[-1].text + part, hit)
        else:
            pieces.append(Piece(part, hit))
    return pieces


def _is(word: str, terms: list[str]) -> bool:
    return word in terms or word.startswith(terms[-1])


def _number(cursor: str) -> int:
    (number,) = key_of(cursor, 1)
    if not number.isdigit():
        raise Invalid("cursor is none of ours: start again without it", {"cursor": "unknown"})
    return int(number)
