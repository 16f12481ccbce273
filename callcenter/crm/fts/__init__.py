"""The text index: FTS5 on SQLite, `tsvector` with GIN on PostgreSQL; both hold the same words.

The index holds the words of the normalised text (`text.normalize`) in their order under the
key of the row it belongs to. PostgreSQL is given them as they are, with their places (a cast,
no parser): its dictionaries and locale never look at them, so both find the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, cast, delete, insert
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Session

from callcenter.crm.fts import vocabulary
from callcenter.crm.fts.finding import FTS5, PLACES, is_sqlite, key, matching
from callcenter.crm.fts.query import parse
from callcenter.crm.fts.wanted import Wanted, vector
from callcenter.crm.fts.words import indexed


def add(session: Session, number: int, text: str) -> None:
    """Index the text of utterance `number`, and learn its words."""
    add_all(session, [(number, text)])


def add_all(session: Session, texts: Sequence[tuple[int, str]]) -> None:
    """Index the texts of these utterances (number and text), and learn their words."""
    found = [(number, indexed(text)) for number, text in texts]
    vocabulary.learn(session, (words for _, words in found))
    if is_sqlite(session):
        rows = [{"rowid": number, "text": " ".join(words)} for number, words in found]
        session.execute(insert(FTS5), rows)
        return
    new = insert(PLACES).values(number=bindparam("n"), words=cast(bindparam("at"), TSVECTOR))
    session.execute(new, [{"n": number, "at": vector(words)} for number, words in found])


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
