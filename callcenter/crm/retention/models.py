"""The table of what is too old; its rows stay when the things are gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base


class RetentionMark(Base):
    """Something whose time is over; until it is shredded it can be heard or read.

    `object`: the id of a recording, a call (its transcript), a complaint or a message; of the audit
    the number of the newest line that is meant.
    """

    __tablename__ = "retention_marks"
    __table_args__ = (Index("ix_retention_marks_waiting", "kind", "shredded_at", "marked_at"),)

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    object: Mapped[str] = mapped_column(ID, primary_key=True)
    marked_at: Mapped[datetime]
    shredded_at: Mapped[datetime | None]
