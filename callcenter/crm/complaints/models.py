"""Tables of complaints: the complaint, its way through the stages, what was quoted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from callcenter.crm.complaints.stages import Stage
from callcenter.crm.db import ID, Base
from callcenter.events import LegName, now
from callcenter.ids import new_id

Severity = Literal["low", "normal", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


class Complaint(Base):
    """An expression of dissatisfaction to which an answer is owed. Never deleted."""

    __tablename__ = "complaints"
    __table_args__ = (
        Index("ix_complaints_customer", "customer_id", "stage"),
        Index("ix_complaints_stage", "stage", "due_at"),
        Index("ix_complaints_owner", "owner", "stage"),
        Index("ix_complaints_created", "created_at", "id"),
        Index("ix_complaints_interaction", "interaction_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    stage: Mapped[Stage] = mapped_column(String(16), default="received")
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    interaction_id: Mapped[str | None] = mapped_column(ForeignKey("interactions.id"))
    subject: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    severity: Mapped[Severity] = mapped_column(String(16), default="normal")
    owner: Mapped[str | None] = mapped_column(ID)
    due_at: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(Text)
    told_by: Mapped[str | None] = mapped_column(String(32))  # channel the decision was told on
    reopened: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str] = mapped_column(ID)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    closed_at: Mapped[datetime | None]

    transitions: Mapped[list[ComplaintTransition]] = relationship(
        order_by="ComplaintTransition.number", lazy="selectin"
    )
    quotes: Mapped[list[ComplaintQuote]] = relationship(
        order_by="ComplaintQuote.t0", lazy="selectin"
    )


class ComplaintTransition(Base):
    """One step of a complaint: who took it, when, and why. Never changed."""

    __tablename__ = "complaint_transitions"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    complaint_id: Mapped[str] = mapped_column(ForeignKey("complaints.id"), index=True)
    from_stage: Mapped[Stage | None] = mapped_column(String(16))  # None: the first
    to_stage: Mapped[Stage] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)


class ComplaintQuote(Base):
    """Words of the call, copied: they stay as they were quoted."""

    __tablename__ = "complaint_quotes"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    complaint_id: Mapped[str] = mapped_column(ForeignKey("complaints.id"), index=True)
    utterance: Mapped[str] = mapped_column(String(64))
    leg: Mapped[LegName] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    t0: Mapped[float]
    t1: Mapped[float]
