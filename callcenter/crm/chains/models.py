"""Tables of the chains: their links, append-only; the end of each, which writers lock; and where
one begins that retention has cut."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import Base

_BIG = BigInteger().with_variant(Integer, "sqlite")


class ChainLink(Base):
    """See `links.Link`."""

    __tablename__ = "chain_links"
    __table_args__ = (Index("ix_chain_links_item", "chain", "item", unique=True),)

    chain: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    item: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    previous: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(16))
    mac: Mapped[str] = mapped_column(String(64))


class ChainEnd(Base):
    """How many links a chain has, and the mac of the last one."""

    __tablename__ = "chain_ends"

    chain: Mapped[str] = mapped_column(String(16), primary_key=True)
    count: Mapped[int] = mapped_column(_BIG)
    mac: Mapped[str] = mapped_column(String(64))


class ChainCheckpoint(Base):
    """See `links.Checkpoint`; its number never goes back.

    `cutting` is true inside of the transaction that cuts and never after it: only then the database
    lets go of links, and of rows of the audit, up to here (migration 0037).
    """

    __tablename__ = "chain_checkpoints"

    chain: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(_BIG)
    mac: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    key: Mapped[str] = mapped_column(String(16))
    proof: Mapped[str] = mapped_column(String(64))
    cutting: Mapped[bool]
