"""The text index: SQLite FTS5 now, one branch a dialect.

The index holds normalised text (`text.normalize`) under the key of the row it belongs to.
PostgreSQL: a `tsvector` column made of `to_tsvector('simple', normalised)` fits here.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, column, func, insert, literal_column, select, table
from sqlalchemy.orm import Session

from callcenter.crm.text import normalize, words
from callcenter.errors import Unavailable

UTTERANCES = table("utterances_fts", column("rowid"), column("text"))


def add(session: Session, number: int, text: str) -> None:
    """Index the text of utterance `number`."""
    if session.get_bind().dialect.name != "sqlite":
        return  # kept all the same; it can be indexed when that dialect has its branch
    session.execute(insert(UTTERANCES).values(rowid=number, text=normalize(text)))


def numbers(session: Session, query: str) -> Select[int] | None:
    """The utterances that hold every word of the query; None where it has no word.

    The last word may be a beginning, so that a search finds while one types.
    """
    _only_sqlite(session)
    terms = words(query)[:16]
    if not terms:
        return None
    match = " ".join(f'"{term}"' for term in terms) + "*"
    rowid: ColumnElement[int] = literal_column("rowid")
    found = select(rowid).select_from(UTTERANCES)
    return found.where(func.match(match, literal_column("utterances_fts")))


def _only_sqlite(session: Session) -> None:
    if session.get_bind().dialect.name != "sqlite":
        raise Unavailable("search over transcripts works on SQLite only, so far")
