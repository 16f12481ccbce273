"""Tables of users, their sessions and their failed tries to sign in."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import now
from callcenter.ids import new_id

Role = Literal["agent", "supervisor", "manager", "admin", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
Method = Literal["password", "totp", "recovery", "oidc", "passkey"]
"""What a session was opened with: the password alone, what came after it, or a provider."""


def new_draft_key() -> str:
    """256 random bits in hex: a key for AES-256-GCM."""
    return secrets.token_hex(32)


class User(Base):
    """A person with an account. An agent's id in facts and commands is this id."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_team", "team"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    username: Mapped[str] = mapped_column(String(64), unique=True)  # case-folded
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(String(16))
    extension: Mapped[str | None] = mapped_column(String(16), unique=True)
    language: Mapped[str] = mapped_column(String(8))
    team: Mapped[str | None] = mapped_column(String(64))  # a supervisor's: whose calls are theirs
    password_hash: Mapped[str] = mapped_column(String(255))
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)
    draft_key: Mapped[str] = mapped_column(String(64), default=new_draft_key)
    """Seals what this person's browsers keep of unsaved text; goes to their sessions only."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]


class Identity(Base):
    """Whom a user is at an OpenID Connect provider; bound at the first sign-in by it, for good.

    Names move from one person to another there, subjects do not (OpenID Connect Core 5.7).
    """

    __tablename__ = "identities"
    __table_args__ = (Index("uq_identities_user_issuer", "user", "issuer", unique=True),)

    issuer: Mapped[str] = mapped_column(String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime] = mapped_column(default=now)


class UserSession(Base):
    """A signed-in browser. Only the hash of its token is kept."""

    __tablename__ = "user_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    method: Mapped[Method] = mapped_column(String(16), default="password")
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]

    @property
    def id(self) -> str:
        """What names the session to people."""
        return public_id(self.token_hash)


class SignInFailure(Base):
    """A try with a wrong name or password; success is not counted."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        Index("ix_sign_in_failures_username", "username", "at"),
        Index("ix_sign_in_failures_address", "address", "at"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    username: Mapped[str] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(default=now)


def public_id(token_hash: str) -> str:
    """What names a session to people: it opens nothing."""
    return token_hash[:16]
