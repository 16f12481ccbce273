"""Finding users and sessions, and how long a sign-in has to wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.crm.users.models import Identity, SignInFailure, User, UserSession
from callcenter.crm.users.operations import fold
from callcenter.events import now

FREE_TRIES = 5
FREE_TRIES_PER_ADDRESS = 30
LONGEST_DELAY = 900.0
WINDOW = timedelta(hours=1)


def by_username(session: Session, username: str) -> User | None:
    """The user of that name, in whatever case it is written."""
    return session.scalar(select(User).where(User.username == fold(username)))


def by_identity(session: Session, issuer: str, subject: str) -> User | None:
    """The user who is bound to that person of a provider."""
    bound = session.get(Identity, (issuer, subject))
    return session.get(User, bound.user) if bound else None


def is_bound(session: Session, user: str, issuer: str) -> bool:
    """Whether the user is bound to a person of that provider."""
    mine = select(Identity).where(Identity.user == user, Identity.issuer == issuer)
    return session.scalar(mine) is not None


def by_id(session: Session, user: str) -> User | None:
    """The user with that id."""
    return session.get(User, user)


def members(session: Session, team: str) -> tuple[str, ...]:
    """The ids of everybody in that team, also of those who left: their calls stay the team's."""
    return tuple(session.scalars(select(User.id).where(User.team == team).order_by(User.id)))


def by_ids(session: Session, users: Iterable[str]) -> Sequence[User]:
    """These users, in one query; unknown ids are left out."""
    wanted = set(users)
    if not wanted:
        return []
    return session.scalars(select(User).where(User.id.in_(wanted))).all()


def page(session: Session, *, limit: int | None = None, cursor: str | None = None) -> Page[User]:
    """All users, also disabled ones, by name."""
    query = select(User).order_by(User.name, User.id)
    if cursor:
        name, id_ = key_of(cursor, 2)
        query = query.where(tuple_(User.name, User.id) > (name, id_))
    count = limited(limit)
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.name, last.id) if last else None)


def everybody(session: Session, *, disabled: bool = False) -> Sequence[User]:
    """All users by name; those who cannot sign in any more only when asked for."""
    query = select(User).order_by(User.name, User.id)
    return session.scalars(query if disabled else query.where(User.disabled_at.is_(None))).all()


def names(session: Session, users: Iterable[str]) -> dict[str, str]:
    """Id → name of these users, in one query."""
    query = select(User.id, User.name).where(User.id.in_(set(users)))
    return {row.id: row.name for row in session.execute(query)}


def open_session(
    session: Session, token_hash: str, *, idle: timedelta
) -> tuple[UserSession, User] | None:
    """The session and its user, None when it ended, was idle too long or was revoked."""
    query = (
        select(UserSession, User)
        .join(User, User.id == UserSession.user)
        .where(UserSession.token_hash == token_hash)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    opened, user = found
    moment = now()
    ended = opened.revoked_at or user.disabled_at or opened.expires_at <= moment
    if ended or opened.last_seen_at + idle <= moment:
        return None
    return opened, user


def sessions_of(session: Session, user: str) -> Sequence[UserSession]:
    """The user's sessions that were not revoked and are not over, newest first."""
    query = select(UserSession).where(
        UserSession.user == user,
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > now(),
    )
    return session.scalars(query.order_by(UserSession.created_at.desc())).all()


def delay(session: Session, username: str, address: str | None) -> float:
    """Seconds until the next try is listened to; 0 when it may be made now.

    The first five failures of a name within an hour cost nothing (thirty for an address),
    then the pause doubles from one second to fifteen minutes.
    """
    moment = now()
    by_name = _failures(session, moment, SignInFailure.username == fold(username)[:64])
    waits = [_wait(*by_name, FREE_TRIES, moment)]
    if address:
        by_address = _failures(session, moment, SignInFailure.address == address)
        waits.append(_wait(*by_address, FREE_TRIES_PER_ADDRESS, moment))
    return max(waits)


def failures(session: Session, username: str) -> int:
    """Failed tries under that name within the last hour."""
    return _failures(session, now(), SignInFailure.username == fold(username)[:64])[0]


def _failures(session: Session, moment: datetime, where: object) -> tuple[int, datetime | None]:
    query = select(func.count(), func.max(SignInFailure.at)).where(
        where,  # type: ignore[arg-type]
        SignInFailure.at > moment - WINDOW,
    )
    count, last = session.execute(query).one()
    return count, last


def _wait(count: int, last: datetime | None, free: int, moment: datetime) -> float:
    if last is None or count < free:
        return 0.0
    pause = min(LONGEST_DELAY, 2.0 ** min(count - free, 20))
    return float(max(0.0, pause - (moment - last).total_seconds()))
