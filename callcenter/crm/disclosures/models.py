"""The table of disclosures."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Kind = Literal["interaction", "customer"]


class Disclosure(Base):
    """One call or one customer was opened to one session until a moment; the audit has it too."""

    __tablename__ = "disclosures"
    __table_args__ = (Index("ix_disclosures_session", "session", "kind", "object", "until"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    who: Mapped[str] = mapped_column(ForeignKey("users.id"))
    session: Mapped[str] = mapped_column(String(64))  # hash of its token
    kind: Mapped[Kind] = mapped_column(String(16))
    object: Mapped[str] = mapped_column(ID)
    reason: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(default=now)
    until: Mapped[datetime]
