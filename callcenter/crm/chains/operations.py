"""Appending to a chain, in the transaction that writes the row.

Writers wait for each other: on PostgreSQL by the lock on the chain's end, on SQLite by its one
write lock. The first who comes to a chain without links links what is there already: rows from
before there were chains. A chain with a checkpoint is none of those, whatever its end says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from callcenter.crm.chains import links
from callcenter.crm.chains.keys import Key, KeyRing
from callcenter.crm.chains.links import Head, Link
from callcenter.crm.chains.models import ChainCheckpoint, ChainEnd, ChainLink
from callcenter.errors import StartError

BATCH = 500
_OPTION = "chain_keys"
_LOGGER = structlog.get_logger()

Rows = list[tuple[str, bytes]]
"""Items with their content."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What is chained: rows that have an id (`item`) and one spelling (`content`).

    `page(session, after, limit)`: the rows after that item, "" for the first, in the order of
    insertion; `some(session, items)`: those of them that are there.
    """

    name: str
    page: Callable[[Session, str, int], Rows]
    some: Callable[[Session, Sequence[str]], Rows]


class End:
    """The end of a chain, ours until the transaction is over."""

    def __init__(self, session: Session, chain: Chain, row: ChainEnd, key: Key) -> None:
        self._session, self._chain, self._row, self._key = session, chain, row, key

    def add(self, item: str, content: bytes) -> None:
        """Link a row that was written in this transaction."""
        self.add_all([(item, content)])

    def add_all(self, rows: Rows) -> None:
        """Link these rows, in their order."""
        made: list[Link] = []
        end = Head(self._row.count, self._row.mac)
        for item, content in rows:
            made.append(links.make(self._key, self._chain.name, end, item, content))
            end = Head(made[-1].number, made[-1].mac)
        self._row.count, self._row.mac = end.count, end.mac
        values = [{name: getattr(one, name) for name in Link.__slots__} for one in made]
        self._session.execute(insert(ChainLink), values)
        self._session.flush()


def use_keys(engine: Engine, keys: KeyRing) -> None:
    """From now on rows that are written with this engine are linked with these keys."""
    engine.update_execution_options(**{_OPTION: keys})


def keys_of(session: Session) -> KeyRing:
    """The keys of the session's engine. Raises StartError where it was given none."""
    keys = session.connection().get_execution_options().get(_OPTION)
    if not isinstance(keys, KeyRing):
        raise StartError("the database was opened without the keys of its chains")
    return keys


def lock(session: Session, chain: Chain) -> End:
    """Wait until the end of the chain is ours; call it before the row is written."""
    key = keys_of(session).signing
    row, is_new = _end_row(session, chain.name)
    end = End(session, chain, row, key)
    if is_new:
        _adopt(session, chain, end)
    return end


def begin(engine: Engine, *chains: Chain) -> None:
    """Link what is there from before, now instead of with the first row that comes."""
    for chain in chains:
        with Session(engine) as session, session.begin():
            lock(session, chain)


def _end_row(session: Session, chain: str) -> tuple[ChainEnd, bool]:
    """The row, locked, and whether the chain never had a link. Where somebody set the row back, the
    chain goes on behind its last link, or behind its checkpoint: what cannot be written down would
    stop the floor; the walk tells of it."""
    ends = select(ChainEnd).where(ChainEnd.chain == chain).with_for_update()
    row = session.scalars(ends.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        row = ChainEnd(chain=chain, count=0, mac=links.START)
        session.add(row)
    numbers = select(ChainLink.number, ChainLink.mac).where(ChainLink.chain == chain)
    last = session.execute(numbers.order_by(ChainLink.number.desc()).limit(1)).first()
    # only where there are no links is the checkpoint asked for: a backup that is made before an
    # upgrade writes its line, too
    known = last if last is not None else session.get(ChainCheckpoint, chain)
    if known is not None and known.number > row.count:
        _LOGGER.error("the end of a chain was set back: callcenter recordings verify", chain=chain)
        row.count, row.mac = known.number, known.mac
    return row, known is None and row.count == 0


def _adopt(session: Session, chain: Chain, end: End) -> None:
    count, after = 0, ""
    while rows := chain.page(session, after, BATCH):
        end.add_all(rows)
        count, after = count + len(rows), rows[-1][0]
    if count:
        _LOGGER.info("rows from before are chained now", chain=chain.name, rows=count)
