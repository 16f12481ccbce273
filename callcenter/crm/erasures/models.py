"""The table of erasures; a row stays when nothing else of the customer does."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

State = Literal["asked", "running", "done", "withdrawn"]
Step = Literal["tombstone", "key", "calls", "complaints", "record", "traces"]
STEPS: tuple[Step, ...] = ("tombstone", "key", "calls", "complaints", "record", "traces")


class Erasure(Base):
    """Somebody asked for a customer to be erased; `step` is the one to do next.

    Without a customer: a tombstone of somebody whom this database never knew.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        Index("ix_erasures_state", "state", "claimed_until"),
        Index("ix_erasures_customer", "customer_id", "state"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    tombstone: Mapped[str | None] = mapped_column(String(64), unique=True)
    state: Mapped[State] = mapped_column(String(16), default="asked")
    step: Mapped[Step] = mapped_column(String(16), default="tombstone")
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))  # None: a tombstone
    asked_at: Mapped[datetime] = mapped_column(default=now)
    run_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    run_at: Mapped[datetime | None]
    done: Mapped[int] = mapped_column(default=0)  # calls
    total: Mapped[int] = mapped_column(default=0)
    waits_for: Mapped[str | None] = mapped_column(String(32))  # why it does not go on now
    claimed_until: Mapped[datetime | None]  # by the process that does it; then another may
    done_at: Mapped[datetime | None]
