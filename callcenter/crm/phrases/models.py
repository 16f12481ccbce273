"""Tables of the phrases: lists that people write, marks that calls get of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import LegName, now
from callcenter.ids import new_id

Severity = Literal["note", "warning", "urgent"]
Language = Literal["fa", "he", "en"]


class PhraseList(Base):
    """Phrases of one language with one meaning ("wants to leave").

    `leg` None: whoever says it. `notice`: supervisors are told while the call lasts. A list that
    is retired marks no more calls; its marks stay.
    """

    __tablename__ = "phrase_lists"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    language: Mapped[Language] = mapped_column(String(8))
    severity: Mapped[Severity] = mapped_column(String(16))
    leg: Mapped[LegName | None] = mapped_column(String(16))
    phrases: Mapped[list[str]] = mapped_column(JSON, default=list)
    notice: Mapped[bool] = mapped_column(default=True)
    by: Mapped[str] = mapped_column(ID)
    changed_at: Mapped[datetime] = mapped_column(default=now)
    retired_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class PhraseMark(Base):
    """A list's phrase was said in this utterance; seconds from the answer.

    Shown when its revision is the interaction's, as its utterance is.
    """

    __tablename__ = "phrase_marks"
    __table_args__ = (
        UniqueConstraint("utterance", "list_id", name="uq_phrase_marks_utterance_list"),
        Index("ix_phrase_marks_call", "call_id", "revision", "t0"),
        Index("ix_phrase_marks_list", "list_id", "call_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    call_id: Mapped[str] = mapped_column(ID)
    list_id: Mapped[str] = mapped_column(ForeignKey("phrase_lists.id"))
    utterance: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int]
    leg: Mapped[LegName] = mapped_column(String(16))
    phrase: Mapped[str] = mapped_column(String(200))
    t0: Mapped[float]
    t1: Mapped[float]
