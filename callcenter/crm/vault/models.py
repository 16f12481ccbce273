"""Tables of keys; every key in them is wrapped by another one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now


class CustomerKey(Base):
    """A customer's key, wrapped by the master key that `master` names."""

    __tablename__ = "customer_keys"

    customer_id: Mapped[str] = mapped_column(ID, primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    master: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class CallKey(Base):
    """A call's key, wrapped by its customer's (`customer_id`) or by a master key (`master`)."""

    __tablename__ = "call_keys"

    call_id: Mapped[str] = mapped_column(ID, primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    customer_id: Mapped[str | None] = mapped_column(ID, index=True)
    master: Mapped[str | None] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
