"""Tables of customers, their phones and the words of their names."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Kind = Literal["person", "company"]


class Customer(Base):
    """A person or a company. A merged one stays and points to the one that took it in."""

    __tablename__ = "customers"
    __table_args__ = (Index("ix_customers_sort_name", "sort_name", "id"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    kind: Mapped[Kind] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(200))
    sort_name: Mapped[str] = mapped_column(String(400))  # normalised
    language: Mapped[str | None] = mapped_column(String(8))
    emails: Mapped[list[str]] = mapped_column(default=list)
    address: Mapped[str] = mapped_column(Text, default="")
    tier: Mapped[str | None] = mapped_column(String(32))
    notes: Mapped[str] = mapped_column(Text, default="")
    custom: Mapped[dict[str, Any]] = mapped_column(default=dict)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str | None] = mapped_column(ID)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    merged_into: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    erased_at: Mapped[datetime | None]  # nothing personal is left, or soon will be

    phones: Mapped[list[Phone]] = relationship(
        order_by="Phone.position", cascade="all, delete-orphan", lazy="selectin"
    )


class Phone(Base):
    """A number of a customer: as typed, and canonical for matching (`phones.py`)."""

    __tablename__ = "customer_phones"
    __table_args__ = (
        Index("ix_customer_phones_e164", "e164"),
        Index("ix_customer_phones_national", "national"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)
    number: Mapped[str] = mapped_column(String(64))  # as typed
    region: Mapped[str] = mapped_column(String(2))
    label: Mapped[str] = mapped_column(String(64), default="")
    e164: Mapped[str] = mapped_column(String(20))
    national: Mapped[str] = mapped_column(String(20))
    extension: Mapped[str | None] = mapped_column(String(16))
    international: Mapped[bool]  # typed with its country code, so the region is no guess


class CustomerWord(Base):
    """A normalised word of a customer's name or e-mail address, found by its beginning."""

    __tablename__ = "customer_words"

    # Collation "C": a range of code points is then a range of the index.
    word: Mapped[str] = mapped_column(
        String(100).with_variant(String(100, collation="C"), "postgresql"), primary_key=True
    )
    customer_id: Mapped[str] = mapped_column(
        ForeignKey("customers.id"), primary_key=True, index=True
    )
