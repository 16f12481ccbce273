"""Tables of complaints: the complaint, its way through the stages, its changes, what was quoted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from callcenter.crm.complaints.keypad import pressed
from callcenter.crm.complaints.stages import Stage
from callcenter.crm.db import ID, Base
from callcenter.events import LegName, now
from callcenter.ids import new_id

Severity = Literal["low", "normal", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Level = Literal["low", "normal", "high"]
LEVELS: tuple[Level, ...] = get_args(Level)
Remedy = Literal[
    "none", "apology", "explanation", "correction", "repair", "replacement", "refund", "discount"
]
REMEDIES: tuple[Remedy, ...] = get_args(Remedy)
SYSTEM = "system"  # stands for a person where nobody did it


def _keys(context: Any) -> str:
    return pressed(context.get_current_parameters()["code"])


class Complaint(Base):
    """An expression of dissatisfaction to which an answer is owed. Never deleted."""

    __tablename__ = "complaints"
    __table_args__ = (
        Index("ix_complaints_customer", "customer_id", "stage"),
        Index("ix_complaints_stage", "stage", "due_at"),
        Index("ix_complaints_owner", "owner", "stage"),
        Index("ix_complaints_created", "created_at", "id"),
        Index("ix_complaints_interaction", "interaction_id"),
        Index("ix_complaints_cause", "cause", "created_at"),
        Index("ix_complaints_incident", "incident_id"),
        Index("ix_complaints_keys", "keys"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    keys: Mapped[str] = mapped_column(String(16), default=_keys)  # of the code, on a telephone
    stage: Mapped[Stage] = mapped_column(String(16), default="received")
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    interaction_id: Mapped[str | None] = mapped_column(ForeignKey("interactions.id"))
    subject: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    severity: Mapped[Severity] = mapped_column(String(16), default="normal")
    owner: Mapped[str | None] = mapped_column(ID)
    product: Mapped[str] = mapped_column(String(200), default="")
    queue: Mapped[str | None] = mapped_column(String(64))
    # Assessment (8.4) and what the customer asks for
    safety: Mapped[bool] = mapped_column(default=False)
    impact: Mapped[Level | None] = mapped_column(String(16))
    complexity: Mapped[Level | None] = mapped_column(String(16))
    wanted: Mapped[str] = mapped_column(Text, default="")
    # Clocks: `clock_from` begins anew with an appeal or reopening
    clock_from: Mapped[datetime | None] = mapped_column(default=now)
    acknowledge_due_at: Mapped[datetime | None]  # None: acknowledged
    due_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]  # the first decision
    told_at: Mapped[datetime | None]
    escalation: Mapped[int] = mapped_column(default=0)  # steps of `complaints.escalate` taken
    # What came of it
    cause: Mapped[str | None] = mapped_column(String(64))
    corrective: Mapped[str] = mapped_column(Text, default="")
    remedy: Mapped[Remedy | None] = mapped_column(String(16))
    remedy_cents: Mapped[int | None] = mapped_column(BigInteger)  # hundredths of the currency
    accepted: Mapped[bool | None]  # whether the customer took the decision
    incident_id: Mapped[str | None] = mapped_column(ID)
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
    changes: Mapped[list[ComplaintChange]] = relationship(order_by="ComplaintChange.number")
    calls: Mapped[list[ComplaintCall]] = relationship(order_by="ComplaintCall.at")


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


class ComplaintChange(Base):
    """One field that somebody changed: who, when, from, to, why. Never changed itself."""

    __tablename__ = "complaint_changes"

    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    complaint_id: Mapped[str] = mapped_column(ForeignKey("complaints.id"), index=True)
    field: Mapped[str] = mapped_column(String(32))
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text, default="")
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)


class ComplaintCall(Base):
    """A further contact about the complaint, beside the one in which it was born."""

    __tablename__ = "complaint_calls"

    complaint_id: Mapped[str] = mapped_column(ForeignKey("complaints.id"), primary_key=True)
    interaction_id: Mapped[str] = mapped_column(
        ForeignKey("interactions.id"), primary_key=True, index=True
    )
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)


class Cause(Base):
    """What went wrong, from a list that leads keep."""

    __tablename__ = "complaint_causes"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    label_fa: Mapped[str] = mapped_column(String(100))
    label_he: Mapped[str] = mapped_column(String(100))
    label_en: Mapped[str] = mapped_column(String(100))
    position: Mapped[int] = mapped_column(default=0)


class Incident(Base):
    """Several complaints of one cause. Agents see an open one when the next customer calls."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_open", "closed_at", "opened_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    cause: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(200), default="")
    title: Mapped[str] = mapped_column(String(200), default="")  # "": the cause's name will do
    advice: Mapped[str] = mapped_column(Text, default="")  # what agents tell callers
    version: Mapped[int] = mapped_column(default=1)
    opened_at: Mapped[datetime] = mapped_column(default=now)
    opened_by: Mapped[str] = mapped_column(ID)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(ID)
    closing: Mapped[str] = mapped_column(Text, default="")  # why it is over: the corrective action


class ComplaintQuote(Base):
    """Words of the call, copied: they stay as they were quoted."""

    __tablename__ = "complaint_quotes"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    complaint_id: Mapped[str] = mapped_column(ForeignKey("complaints.id"), index=True)
    interaction_id: Mapped[str | None] = mapped_column(ID)  # None: where it was born
    utterance: Mapped[str] = mapped_column(String(64))
    leg: Mapped[LegName] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    t0: Mapped[float]
    t1: Mapped[float]
