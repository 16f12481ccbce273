"""Tables of the review: what a conversation was like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base

ConversationState = Literal["waiting", "measured", "nothing"]


class Conversation(Base):
    """The figures of a call (`figures.Figures`); waiting until the jobs process measured it.

    `asked` counts how often it was asked for: an answer to an older question is thrown away.
    """

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_waiting", "state", "call_id"),)

    call_id: Mapped[str] = mapped_column(ID, primary_key=True)
    state: Mapped[ConversationState] = mapped_column(String(16), default="waiting")
    asked: Mapped[int] = mapped_column(default=1)
    seconds: Mapped[float] = mapped_column(default=0.0)
    agent_seconds: Mapped[float] = mapped_column(default=0.0)
    agent_share: Mapped[float] = mapped_column(default=0.0)
    agent_longest: Mapped[float] = mapped_column(default=0.0)
    agent_words: Mapped[int] = mapped_column(default=0)
    agent_pace: Mapped[float | None]
    customer_seconds: Mapped[float] = mapped_column(default=0.0)
    customer_share: Mapped[float] = mapped_column(default=0.0)
    customer_longest: Mapped[float] = mapped_column(default=0.0)
    customer_words: Mapped[int] = mapped_column(default=0)
    customer_pace: Mapped[float | None]
    both_seconds: Mapped[float] = mapped_column(default=0.0)
    silence_seconds: Mapped[float] = mapped_column(default=0.0)
    hold_seconds: Mapped[float] = mapped_column(default=0.0)
    talk_overs: Mapped[int] = mapped_column(default=0)
    dead_airs: Mapped[int] = mapped_column(default=0)
    marks: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    quiet: Mapped[list[Any]] = mapped_column(JSON, default=list)
    measured_at: Mapped[datetime | None]
