"""Making and changing users, opening and ending sessions, counting failed tries.

Passwords and tokens arrive hashed: hashing is the web's work.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from callcenter.crm.text import checked, fold_digits
from callcenter.crm.users.models import (
    ROLES,
    Identity,
    Method,
    Role,
    SignInFailure,
    User,
    UserSession,
)
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import now

LANGUAGES = ("fa", "he", "en")


def fold(username: str) -> str:
    """The one form of a user name under which it is stored and looked up."""
    return username.strip().casefold()


def create(
    session: Session,
    *,
    username: str,
    password_hash: str,
    role: Role,
    name: str | None = None,
    extension: str | None = None,
    language: str = "fa",
    team: str | None = None,
) -> User:
    """A new user. Invalid for a bad field, Conflict for a name or extension that is taken."""
    user = User(
        username=_username(username),
        name=checked("name", name or username, most=200, needed=True),
        role=_role(role),
        extension=_extension(extension),
        language=_language(language),
        team=_team(team),
        password_hash=password_hash,
    )
    _free(session, user)
    session.add(user)
    session.flush()
    return user


def ensure_first_admin(
    session: Session, password_hash: str, *, language: str = "fa"
) -> User | None:
    """The user `admin` where there is no user at all; else None and nothing changes."""
    if session.scalar(select(User.id).limit(1)) is not None:
        return None
    return create(
        session,
        username="admin",
        name="Administrator",
        role="admin",
        password_hash=password_hash,
        language=language,
    )


def change(session: Session, user: User, **fields: Any) -> User:
    """Set any of name, role, extension, language, team; a new role ends the user's sessions."""
    checks = {
        "name": lambda value: checked("name", value, most=200, needed=True),
        "role": _role,
        "extension": _extension,
        "language": _language,
        "team": _team,
    }
    for field, value in fields.items():
        if field not in checks:
            raise Invalid(f"{field} cannot be changed", {field: "cannot be changed"})
        value = checks[field](value)
        if field == "role" and value != user.role:
            revoke_all(session, user.id)
        setattr(user, field, value)
    with session.no_autoflush:
        _free(session, user)
    session.flush()
    return user


def _team(value: str | None) -> str | None:
    return checked("team", value, most=64) or None if value else None


def set_password(
    session: Session, user: User, password_hash: str, *, but: str | None = None
) -> None:
    """A new password; every session of the user ends, except the one with token hash `but`."""
    user.password_hash = password_hash
    revoke_all(session, user.id, but=but)


def disable(session: Session, user: User) -> None:
    """The user can sign in no more; every session ends. Records keep their name."""
    user.disabled_at = user.disabled_at or now()
    revoke_all(session, user.id)


def enable(session: Session, user: User) -> None:
    """The user may sign in again."""
    user.disabled_at = None


def bind(session: Session, user: User, issuer: str, subject: str) -> None:
    """That person of the provider is this user from now on."""
    session.add(Identity(issuer=issuer, subject=subject, user=user.id))
    session.flush()


def set_preferences(session: Session, user: User, changes: dict[str, Any]) -> dict[str, Any]:
    """Merge the changes into the preferences; None removes a key."""
    merged = {**user.preferences, **changes}
    user.preferences = {key: value for key, value in merged.items() if value is not None}
    return user.preferences


def open_session(
    session: Session,
    user: User,
    *,
    token_hash: str,
    csrf: str,
    lifetime: timedelta,
    address: str | None = None,
    method: Method = "password",
) -> UserSession:
    """A session that begins now and ends after `lifetime` at the latest."""
    moment = now()
    opened = UserSession(
        token_hash=token_hash,
        user=user.id,
        csrf=csrf,
        address=address,
        method=method,
        created_at=moment,
        last_seen_at=moment,
        expires_at=moment + lifetime,
    )
    session.add(opened)
    session.flush()
    return opened


def touch(session: Session, token_hash: str) -> None:
    """The session was used now."""
    session.execute(
        update(UserSession)
        .where(UserSession.token_hash == token_hash)
        .values(last_seen_at=now())
        .execution_options(synchronize_session="fetch")
    )


def revoke(session: Session, token_hash: str) -> None:
    """End one session."""
    _revoke(session, UserSession.token_hash == token_hash)


def revoke_one(session: Session, user: str, id_: str) -> None:
    """End the session of that user with that public id. Raises NotFound."""
    query = select(UserSession).where(UserSession.user == user, UserSession.revoked_at.is_(None))
    for opened in session.scalars(query):
        if opened.id == id_:
            return revoke(session, opened.token_hash)
    raise NotFound("there is no such session")


def revoke_all(session: Session, user: str, *, but: str | None = None) -> None:
    """End every session of the user, except the one with token hash `but`."""
    _revoke(session, UserSession.user == user, UserSession.token_hash != (but or ""))


def note_failure(session: Session, username: str, address: str | None) -> None:
    """Somebody failed to sign in under that name, from that address."""
    session.add(SignInFailure(username=fold(username)[:64], address=address))
    session.flush()


def forget_failures(session: Session, username: str) -> None:
    """The right password was given: earlier failures count no more."""
    session.execute(delete(SignInFailure).where(SignInFailure.username == fold(username)[:64]))


def sweep(session: Session, *, before: datetime) -> None:
    """Remove sessions that ended and failures that happened before that moment."""
    session.execute(delete(UserSession).where(UserSession.expires_at < before))
    session.execute(delete(SignInFailure).where(SignInFailure.at < before))


def _revoke(session: Session, *where: Any) -> None:
    session.execute(
        update(UserSession)
        .where(UserSession.revoked_at.is_(None), *where)
        .values(revoked_at=now())
        .execution_options(synchronize_session="fetch")
    )


def _free(session: Session, user: User) -> None:
    taken = select(User).where(User.id != (user.id or ""))
    if session.scalar(taken.where(User.username == user.username).limit(1)):
        raise Conflict("this user name is taken: choose another one")
    if user.extension and session.scalar(taken.where(User.extension == user.extension).limit(1)):
        raise Conflict("this extension belongs to somebody else: choose another one")


def get_or_raise(session: Session, user: str) -> User:
    """The user with that id, else NotFound."""
    found = session.get(User, user)
    if found is None:
        raise NotFound("there is no such user")
    return found


def _username(username: str) -> str:
    folded = fold(username)
    if not re.fullmatch(r"[\w.@-]{1,64}", folded):
        raise Invalid(
            "a user name has 1 to 64 letters, digits or . - _ @",
            {"username": "1 to 64 letters, digits or . - _ @"},
        )
    return folded


def _role(role: str) -> Role:
    if role not in ROLES:
        raise Invalid(f"a role is one of {', '.join(ROLES)}", {"role": "is no role"})
    return role


def _language(language: str) -> str:
    if language not in LANGUAGES:
        raise Invalid("a language is one of fa, he, en", {"language": "is none of fa, he, en"})
    return language


def _extension(extension: str | None) -> str | None:
    if not extension:
        return None
    folded = fold_digits(extension.strip())
    if not re.fullmatch(r"\d{1,16}", folded):
        raise Invalid("an extension has digits only", {"extension": "must have digits only"})
    return folded
