"""Asking the index, newest first, without reading all that a frequent word is in.

FTS5 goes through its lists backwards and stops. PostgreSQL's GIN has no order: it would fetch a
million rows to sort them, so what is frequent is looked for in the newest rows one by one, and
the whole index is asked only where those hold too few, which means that it is not frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from callcenter.crm.fts.wanted import Wanted, fts5, tsquery

FTS5 = table("utterances_fts", column("rowid"), column("text"))
PLACES = table("utterances_fts", column("number"), column("words"))

SORTED = 5_000
"""Utterances that GIN may find and PostgreSQL sort."""
NEWEST = 60_000
"""Utterances that are looked at one by one."""
ENOUGH = 10
"""Found among the newest, they are worth showing; fewer say that all together are not many."""


@dataclass(frozen=True, slots=True)
class Newest:
    """Utterances, newest first; below `down_to` there may be more, None: those are all."""

    numbers: Sequence[int]
    down_to: int | None


def newest(session: Session, asked: Wanted, *, before: int | None, most: int) -> Newest:
    """The last `most` utterances that hold it; those before number `before`."""
    query = matching(session, asked)
    if before is not None:
        query = query.where(key(session) < before)
    if is_sqlite(session):
        return _taken(session, query.order_by(key(session).desc()), most)
    if asked.most > SORTED:
        found = _one_by_one(session, asked, before, most)
        if len(found.numbers) >= ENOUGH or found.down_to is None:
            return found
    every = query.cte("found").prefix_with("MATERIALIZED")  # or the rows are read in their order
    return _taken(session, select(every.c.number).order_by(every.c.number.desc()), most)


def matching(session: Session, asked: Wanted) -> Select[Any]:
    """The numbers of all utterances that hold it."""
    if is_sqlite(session):
        holds = func.match(fts5(asked), literal_column("utterances_fts"))
        return select(key(session)).select_from(FTS5).where(holds)
    return select(key(session)).where(_held(asked))


def holding(session: Session, asked: Wanted, number: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the utterance with that number holds it: asked of one after the other.

    `IS TRUE` keeps PostgreSQL from asking GIN, the offset from reading the whole table at once.
    """
    if is_sqlite(session):
        return number.in_(matching(session, asked))
    row = select(PLACES.c.number).where(PLACES.c.number == number, _held(asked).is_(True))
    return row.offset(0).exists()


def key(session: Session) -> ColumnElement[int]:
    """The number of the utterance in the index."""
    if is_sqlite(session):
        return literal_column("utterances_fts.rowid")
    return PLACES.c.number


def is_sqlite(session: Session) -> bool:
    """Whether the index is FTS5."""
    return session.get_bind().dialect.name == "sqlite"


def _one_by_one(session: Session, asked: Wanted, before: int | None, most: int) -> Newest:
    """Among the newest; `IS TRUE` keeps PostgreSQL from asking GIN."""
    number: ColumnElement[int] = PLACES.c.number
    end = before or (session.scalar(select(func.max(number))) or 0) + 1
    start = end - NEWEST
    query = select(number).where(number >= start, number < end, _held(asked).is_(True))
    found = _taken(session, query.order_by(number.desc()), most)
    return found if found.down_to or start <= 1 else Newest(found.numbers, start)


def _taken(session: Session, query: Select[Any], most: int) -> Newest:
    numbers = session.scalars(query.limit(most)).all()
    return Newest(numbers, numbers[-1] if len(numbers) == most else None)


def _held(asked: Wanted) -> ColumnElement[bool]:
    return PLACES.c.words.op("@@", is_comparison=True)(cast(literal(tsquery(asked)), TSQUERY))
