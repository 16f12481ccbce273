"""The text index: FTS5 on SQLite, `tsvector` with GIN on PostgreSQL; both hold the same words.

The index holds the words of the normalised text (`text.normalize`) under the key of the row it
belongs to. PostgreSQL is given them as they are (`array_to_tsvector`, quoted in the query): its
own parser, dictionaries and locale never look at them, so both find the same.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    cast,
    column,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from callcenter.crm.text import words

_FTS5 = table("utterances_fts", column("rowid"), column("text"))
_TSVECTOR = table("utterances_fts", column("number"), column("words"))
_LONGEST = 200  # characters of a word that count; PostgreSQL takes 2046 bytes


def add(session: Session, number: int, text: str) -> None:
    """Index the text of utterance `number`."""
    found = _words(text)
    if _is_sqlite(session):
        session.execute(insert(_FTS5).values(rowid=number, text=" ".join(found)))
        return
    vector = func.array_to_tsvector(cast(literal(found, ARRAY(Text)), ARRAY(Text)))
    session.execute(insert(_TSVECTOR).values(number=number, words=vector))


def numbers(session: Session, query: str) -> Select[int] | None:
    """The utterances that hold every word of the query; None where it has no word.

    The last word may be a beginning, so that a search finds while one types.
    """
    terms = _words(query)[:16]
    if not terms:
        return None
    if _is_sqlite(session):
        match = " ".join(f'"{term}"' for term in terms) + "*"
        rowid: ColumnElement[int] = literal_column("rowid")
        holds = func.match(match, literal_column("utterances_fts"))
        return select(rowid).select_from(_FTS5).where(holds)
    wanted = " & ".join(f"'{term}'" for term in terms) + ":*"
    number: ColumnElement[int] = _TSVECTOR.c.number
    return select(number).where(_TSVECTOR.c.words.op("@@")(cast(literal(wanted), TSQUERY)))


def _words(text: str) -> list[str]:
    """FTS5 parts words at the underscore, so everybody does."""
    parts = (part for word in words(text) for part in word.split("_"))
    return [part[:_LONGEST] for part in parts if part]


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
