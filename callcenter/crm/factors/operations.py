"""Adding, using and taking away factors, recovery codes and steps of a sign-in.

Secrets arrive sealed and codes hashed: that is the web's work, as with passwords.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, select, update
from sqlalchemy.orm import Session

from callcenter.crm.factors.models import Factor, Purpose, RecoveryCode, SignInStep
from callcenter.crm.text import checked
from callcenter.errors import Conflict, NotFound, StepOver
from callcenter.events import now

STEP_LASTS = timedelta(minutes=10)
CHALLENGE_LASTS = timedelta(minutes=5)
STEP_TRIES = 5


def begin_totp(session: Session, user: str, *, name: str, secret: str) -> Factor:
    """A code generator that is not confirmed yet, in place of one that never was."""
    session.execute(delete(Factor).where(Factor.user == user, Factor.confirmed_at.is_(None)))
    made = Factor(user=user, kind="totp", name=checked("name", name, most=60), secret=secret)
    session.add(made)
    session.flush()
    return made


def add_passkey(
    session: Session, user: str, *, name: str, credential: str, key: str, counter: int
) -> Factor:
    """A passkey that was shown, so it counts at once. Raises Conflict where it is known."""
    if session.scalar(select(Factor.id).where(Factor.credential == credential)):
        raise Conflict("this passkey is set up already")
    made = Factor(
        user=user,
        kind="passkey",
        name=checked("name", name, most=60),
        secret=key,
        credential=credential,
        counter=counter,
        confirmed_at=now(),
    )
    session.add(made)
    session.flush()
    return made


def use(session: Session, factor: Factor, counter: int) -> bool:
    """The factor was shown with that counter; False when that one, or a later one, was used."""
    return _use(session, factor, counter, Factor.counter < counter)


def use_passkey(session: Session, factor: Factor, counter: int) -> bool:
    """As `use`; a device that does not count says 0 each time."""
    newer = Factor.counter < counter if counter else Factor.counter == 0
    return _use(session, factor, counter, newer)


def _use(session: Session, factor: Factor, counter: int, newer: ColumnElement[bool]) -> bool:
    moment = now()
    return _one(
        session,
        update(Factor)
        .where(Factor.id == factor.id, newer)
        .values(counter=counter, used_at=moment, confirmed_at=factor.confirmed_at or moment)
        .execution_options(synchronize_session="fetch"),
    )


def use_recovery_code(session: Session, user: str, hash_: str) -> bool:
    """Spend a recovery code; False when there is none like it left."""
    return _one(
        session,
        update(RecoveryCode)
        .where(
            RecoveryCode.user == user,
            RecoveryCode.hash == hash_,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now())
        .execution_options(synchronize_session="fetch"),
    )


def set_recovery_codes(session: Session, user: str, hashes: Iterable[str]) -> None:
    """New codes; those of before work no more."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user == user))
    session.add_all(RecoveryCode(user=user, hash=one) for one in hashes)
    session.flush()


def remove(session: Session, user: str, factor: str) -> Factor:
    """Take a factor of that user away. Raises NotFound."""
    found = session.get(Factor, factor)
    if found is None or found.user != user:
        raise NotFound("there is no such second factor")
    session.delete(found)
    session.flush()
    return found


def reset(session: Session, user: str) -> None:
    """Take every factor and recovery code away, and what was begun with them."""
    for table in (Factor, RecoveryCode, SignInStep):
        session.execute(delete(table).where(table.user == user))


def open_step(
    session: Session,
    token_hash: str,
    purpose: Purpose,
    user: str | None,
    data: dict[str, Any],
    lasts: timedelta = STEP_LASTS,
) -> SignInStep:
    """A step that is to be finished within `lasts`; those that are over go."""
    moment = now()
    session.execute(delete(SignInStep).where(SignInStep.expires_at < moment))
    made = SignInStep(
        token_hash=token_hash,
        purpose=purpose,
        user=user,
        data=data,
        failures=0,
        expires_at=moment + lasts,
    )
    session.add(made)
    session.flush()
    return made


def step(session: Session, token_hash: str, *purposes: Purpose) -> SignInStep:
    """The step with that token. Raises StepOver."""
    found = session.get(SignInStep, token_hash)
    if found is None or found.purpose not in purposes or _is_over(found, now()):
        raise StepOver("this sign-in took too long or had too many wrong codes: begin again")
    return found


def fail(session: Session, opened: SignInStep) -> None:
    """A wrong code; after `STEP_TRIES` of them the step is over."""
    opened.failures += 1
    session.flush()


def close_step(session: Session, opened: SignInStep) -> None:
    """The step is done: its token opens nothing more. Raises StepOver where another was faster."""
    if not _one(session, delete(SignInStep).where(SignInStep.token_hash == opened.token_hash)):
        raise StepOver("this sign-in was finished elsewhere: begin again")


def _is_over(opened: SignInStep, moment: datetime) -> bool:
    return opened.expires_at <= moment or opened.failures >= STEP_TRIES


def _one(session: Session, statement: Any) -> bool:
    """Whether the statement met its row."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1
