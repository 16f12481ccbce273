"""The table of messages: written in the transaction of what they tell, sent afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Channel = Literal["mail", "sms"]
State = Literal["waiting", "sent", "failed"]


class Message(Base):
    """One mail or text message to one customer."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_waiting", "state", "next_at"),
        Index("ix_messages_complaint", "complaint_id"),
        Index("ix_messages_customer", "customer_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    channel: Mapped[Channel] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))  # receipt, acknowledged, decision …
    to: Mapped[str] = mapped_column(String(320))
    language: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[str | None] = mapped_column(ID)
    complaint_id: Mapped[str | None] = mapped_column(ID)
    state: Mapped[State] = mapped_column(String(16), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    next_at: Mapped[datetime] = mapped_column(default=now)  # not tried before
    sent_at: Mapped[datetime | None]
