"""Memos of the dialogs that are open now: what a restarted process says goodbye with.

A table and not a fact: a memo changes during the call (target, way, CSeq) and is worthless, and
personal, once the call is over. It is written and deleted in the transaction of the facts that
open and end the call. `node` is the telephony process from whose address the BYE must come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Index,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
)

from callcenter.database import reading

Memos = Mapping[str, dict[str, Any] | None]
"""Call → its memo; None: the dialog is over."""

metadata = MetaData()

open_dialogs = Table(
    "open_dialogs",
    metadata,
    Column("call", String(36), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("memo", JSON, nullable=False),
    Index("ix_open_dialogs_node", "node"),
)


_FORGET = delete(open_dialogs).where(open_dialogs.c.call == bindparam("over"))
_OPEN = insert(open_dialogs)


def keep(connection: Connection, node: str, memos: Memos) -> None:
    """Write what changed, in the caller's transaction."""
    if not memos:
        return
    connection.execute(_FORGET, [{"over": call} for call in memos])
    opened = [
        {"call": call, "node": node, "memo": memo}
        for call, memo in memos.items()
        if memo is not None
    ]
    if opened:
        connection.execute(_OPEN, opened)


def left_open(engine: Engine, node: str) -> dict[str, dict[str, Any]]:
    """What that node had open when it was stopped: call → memo."""
    query = select(open_dialogs.c.call, open_dialogs.c.memo).where(open_dialogs.c.node == node)
    with reading(engine).connect() as connection:
        return {row.call: row.memo for row in connection.execute(query)}
