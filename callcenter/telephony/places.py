"""Where desk phones are registered: kept so that a restarted telephony process can call them.

A table and not a fact, like `dialogs`: a place changes every few minutes and is worthless once
it has expired. `node` is the telephony process that the phone registered with; along a connection
that process alone has the way to it, by datagrams any other has it, too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Engine,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
)

from callcenter.database import reading

metadata = MetaData()

phone_places = Table(
    "phone_places",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("extension", String(32), primary_key=True),
    Column("places", JSON, nullable=False),
)

Places = list[dict[str, Any]]
"""Places of one extension as JSON types."""


class PlaceStore:
    """The places of one node's phones. Methods block; they raise what the database raises."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine, self._node = engine, node

    def keep(self, extension: str, places: Places) -> None:
        """These are the extension's places now; committed when it returns."""
        mine = (phone_places.c.node == self._node) & (phone_places.c.extension == extension)
        with self._engine.begin() as connection:
            connection.execute(delete(phone_places).where(mine))
            if places:
                row = {"node": self._node, "extension": extension, "places": places}
                connection.execute(insert(phone_places).values(row))

    def kept(self) -> dict[str, Places]:
        """What an earlier process kept: extension → places."""
        return self._where(phone_places.c.node == self._node)

    def elsewhere(self) -> dict[str, Places]:
        """The same of all other nodes."""
        return self._where(phone_places.c.node != self._node)

    def _where(self, condition: ColumnElement[bool]) -> dict[str, Places]:
        found: dict[str, Places] = {}
        query = select(phone_places.c.extension, phone_places.c.places).where(condition)
        with reading(self._engine).connect() as connection:
            for row in connection.execute(query):
                found[row.extension] = found.get(row.extension, []) + row.places
        return found
