"""Tables of the review: what a conversation was like, remarks on it, links to its moments."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

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


class Comment(Base):
    """A remark at a moment of a call (`t1` None) or on a span; seconds from the answer.

    A comment that its author takes back stays in the table.
    """

    __tablename__ = "review_comments"
    __table_args__ = (Index("ix_review_comments_interaction", "interaction_id", "t0"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"))
    t0: Mapped[float]
    t1: Mapped[float | None]
    text: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)
    removed_at: Mapped[datetime | None]


class MomentLink(Base):
    """A link to a moment of a call; of its token only the SHA-256 is kept."""

    __tablename__ = "moment_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"))
    t0: Mapped[float]
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class Correction(Base):
    """A sentence that somebody put right. `before` stays readable; nothing is taken back."""

    __tablename__ = "utterance_corrections"
    __table_args__ = (Index("ix_utterance_corrections_call", "call_id", "at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    call_id: Mapped[str] = mapped_column(ID)
    utterance: Mapped[str] = mapped_column(String(64))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)
