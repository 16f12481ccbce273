"""The text index: FTS5 on SQLite, `tsvector` with GIN on PostgreSQL; both hold the same words.

The index holds the words of the normalised text (`text.normalize`) in their order under the
key of the row it belongs to. PostgreSQL is given them as they are, with their places (a cast,
no parser): its dictionaries and locale never look at them, so both find the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, cast, delete, insert, literal
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Session

from callcenter.crm.fts import vocabulary
from callcenter.crm.fts.finding import FTS5, PLACES, is_sqlite, key, matching
from callcenter.crm.fts.query import parse
from callcenter.crm.fts.wanted import Wanted, vector
from callcenter.crm.fts.words import indexed


def add(session: Session, number: int, text: str) -> None:
    """Index the text of utterance `number`, and learn its words."""
    found = indexed(text)
    vocabulary.learn(session, found)
    if is_sqlite(session):
        session.execute(insert(FTS5).values(rowid=number, text=" ".join(found)))
        return
    words = cast(literal(vector(found)), TSVECTOR)
    session.execute(insert(PLACES).values(number=number, words=words))


def remove(session: Session, texts: Mapping[int, str]) -> None:
    """Take utterances (number → text) out of the index and their words off the vocabulary."""
    for text in texts.values():
        vocabulary.forget(session, indexed(text))
    rows = FTS5 if is_sqlite(session) else PLACES
    session.execute(delete(rows).where(key(session).in_(list(texts))))


def wanted(session: Session, typed: str) -> Wanted | None:
    """What a query means (`query`); None where it has no word that must be there."""
    query = parse(typed)
    return vocabulary.resolve(session, query) if query.must else None


def numbers(session: Session, typed: str) -> Select[Any] | None:
    """The utterances that the query finds; None where it has no word."""
    found = wanted(session, typed)
    return matching(session, found) if found else None
