"""What somebody can show beside the password."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.factors.models import Factor, RecoveryCode


def of(session: Session, user: str) -> Sequence[Factor]:
    """The confirmed factors of a user, oldest first."""
    query = select(Factor).where(Factor.user == user, Factor.confirmed_at.is_not(None))
    return session.scalars(query.order_by(Factor.created_at)).all()


def begun_totp(session: Session, user: str) -> Factor | None:
    """The code generator that waits for its first code."""
    query = select(Factor).where(Factor.user == user, Factor.confirmed_at.is_(None))
    return session.scalar(query.limit(1))


def passkey(session: Session, user: str, credential: str) -> Factor | None:
    """The passkey of that user with that name of the credential."""
    query = select(Factor).where(Factor.user == user, Factor.credential == credential)
    return session.scalar(query)


def credentials(session: Session, user: str) -> Sequence[str]:
    """The credentials of a user's passkeys."""
    query = select(Factor.credential).where(Factor.user == user, Factor.credential.is_not(None))
    return [one for one in session.scalars(query) if one is not None]


def recovery_codes_left(session: Session, user: str) -> int:
    """How many recovery codes were not used."""
    query = select(func.count()).where(RecoveryCode.user == user, RecoveryCode.used_at.is_(None))
    return session.scalar(query) or 0
