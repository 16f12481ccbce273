"""The audit table: append-only; a row has the hash over the one before, and a link (chains)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base


class AuditEntry(Base):
    """Somebody did something. Holds ids, never content."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_object", "kind", "object"),
        Index("ix_audit_who", "who", "number"),
    )

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    at: Mapped[datetime]
    who: Mapped[str | None] = mapped_column(ID)  # None: the system, or nobody signed in
    what: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    object: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(String(64))
    result: Mapped[str] = mapped_column(String(32))
    hash: Mapped[str] = mapped_column(String(64))
