"""The table of exports; the archives are files that go after a day."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

State = Literal["waiting", "ready", "failed", "expired"]


class CustomerExport(Base):
    """Somebody asked for all that is kept of a customer. `done` of `total` calls are written."""

    __tablename__ = "customer_exports"
    __table_args__ = (
        Index("ix_customer_exports_state", "state", "expires_at"),
        Index("ix_customer_exports_customer", "customer_id", "id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    asked_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[State] = mapped_column(String(16), default="waiting")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]  # by the process that makes it; then another may
    size: Mapped[int | None] = mapped_column(BigInteger)  # bytes of the archive
    ready_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
