"""The table of legal holds; a released one stays."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Kind = Literal["interaction", "customer"]


class LegalHold(Base):
    """A customer or one call is kept until the hold is released; each may have several holds."""

    __tablename__ = "legal_holds"
    __table_args__ = (Index("ix_legal_holds_object", "object", "kind", "released_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    kind: Mapped[Kind] = mapped_column(String(16))
    object: Mapped[str] = mapped_column(ID)
    reason: Mapped[str] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    set_at: Mapped[datetime] = mapped_column(default=now)
    released_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    released_at: Mapped[datetime | None]
    release_reason: Mapped[str | None] = mapped_column(Text)
