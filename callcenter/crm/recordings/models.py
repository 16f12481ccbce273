"""Tables of the list of recordings: saved views."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id


class SavedView(Base):
    """A named set of filters; `shared` ones are everybody's to use, and their owner's to change.

    A view that its owner takes back stays in the table.
    """

    __tablename__ = "saved_views"
    __table_args__ = (
        Index("ix_saved_views_owner", "owner", "name"),
        Index("ix_saved_views_shared", "shared", "name"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(ID)
    name: Mapped[str] = mapped_column(String(100))
    filters: Mapped[dict[str, Any]]
    shared: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    removed_at: Mapped[datetime | None]
