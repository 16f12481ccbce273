"""Alembic's entry: the connection comes from `callcenter.migrations.upgrade`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from callcenter.crm.db import Moment
from callcenter.migrations.tables import FTS_TABLES, targets


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _to: Any) -> bool:
    """SQLite keeps an FTS5 table in shadow tables; Alembic looks at none of them."""
    return not (kind == "table" and name and name.startswith(FTS_TABLES))


def render(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Write our own types as what they are in the database."""
    if kind == "type" and isinstance(thing, Moment):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Run the steps on the given connection, in its transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=targets(),
        render_as_batch=True,
        transactional_ddl=True,
        include_object=ours,
        render_item=render,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
