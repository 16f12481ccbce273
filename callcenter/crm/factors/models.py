"""Tables of second factors, recovery codes and sign-ins that are not finished."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Kind = Literal["totp", "passkey"]
Purpose = Literal["factor", "enrol", "oidc", "register", "assert"]


class Factor(Base):
    """A code generator (RFC 6238) or a passkey (WebAuthn) of one person."""

    __tablename__ = "factors"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    user: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[Kind] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(60))
    secret: Mapped[str] = mapped_column(Text)  # sealed; of a passkey the public key (COSE)
    credential: Mapped[str | None] = mapped_column(String(1364), unique=True)  # base64url
    counter: Mapped[int] = mapped_column(
        BigInteger, default=0
    )  # the last time step of which a code was used; the last count of the passkey's device
    created_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]  # None: shown, and no code of it seen yet
    used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A code that works once, for whoever lost the factor. Only its hash is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("ix_recovery_codes_user", "user", "hash"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    user: Mapped[str] = mapped_column(ForeignKey("users.id"))
    hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]


class SignInStep(Base):
    """A sign-in of which a part is still to come; only the hash of its token is kept."""

    __tablename__ = "sign_in_steps"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(String(16))
    user: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    expires_at: Mapped[datetime] = mapped_column(index=True)
