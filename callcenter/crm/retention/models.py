"""The table of recordings whose time is over; its rows stay when the files are gone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import Base


class RetentionMark(Base):
    """A recording whose time is over; until it is shredded it can be heard."""

    __tablename__ = "retention_marks"
    __table_args__ = (Index("ix_retention_marks_waiting", "shredded_at", "marked_at"),)

    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id"), primary_key=True)
    marked_at: Mapped[datetime]
    shredded_at: Mapped[datetime | None]
