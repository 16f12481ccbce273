"""Signing in and out, sessions, and who may hear what: the rules behind `auth`.

A session's token is 256 random bits; the database keeps its SHA-256 only. Sessions end by
sign-out, after `web.session_idle_minutes` without a request or open socket, after
`web.session_hours`, and at once when the account is disabled or its password changes.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.agents import queries as outbox
from callcenter.crm.audit import operations as audit
from callcenter.crm.users import operations, queries
from callcenter.crm.users.models import User, UserSession
from callcenter.database import reading
from callcenter.errors import NotSignedIn, ReasonNeeded, TooManyTries
from callcenter.events import Device, now
from callcenter.web import auth, passwords
from callcenter.web.context import Who
from callcenter.web.permissions import Permission, Scope

GLASS_BROKEN_FOR = timedelta(minutes=15)
ONE_LISTENING = 300.0  # seconds in which further requests belong to the same listening
_TOUCH_EVERY = timedelta(seconds=60)


class Access:
    """Needs the database only; safe to use from many threads."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._idle = timedelta(minutes=settings.web.session_idle_minutes)
        self._lifetime = timedelta(hours=settings.web.session_hours)
        self._lock = threading.Lock()
        self._glass: dict[tuple[str, str], datetime] = {}
        self._listening: dict[tuple[str, str, str], float] = {}
        self.on_sign_out: list[Callable[[str], None]] = []
        self.on_locked: list[Callable[[User], None]] = []

    # --- Signing in and out ------------------------------------------------------------------

    def sign_in(self, username: str, password: str, address: str | None) -> tuple[Who, str]:
        """The person and a fresh token. Raises TooManyTries or NotSignedIn.

        A wrong name and a wrong password look alike and take equally long.
        """
        with Session(self._reader) as session:
            wait = queries.delay(session, username, address)
            user = queries.by_username(session, username)
            known = user.password_hash if user and user.disabled_at is None else None
        if wait > 0:
            raise TooManyTries("too many failed tries: wait, then try again", wait)
        right = passwords.matches(known, password)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            if not right or user is None:
                operations.note_failure(session, username, address)
                self._record(session, None, "sign_in", None, address, "refused")
                locked = queries.failures(session, username) == queries.FREE_TRIES
            else:
                return self._open(session, user.id, username, address)
        if locked and user is not None:
            self._locked(user, address)
        raise NotSignedIn("the user name or the password is wrong")

    def _locked(self, user: User, address: str | None) -> None:
        """From here on tries are delayed: the audit keeps it, the owner is told."""
        with Session(self._engine) as session, session.begin():
            self._record(session, None, "lock", user.id, address, "ok")
        for tell in self.on_locked:
            tell(user)

    def _open(
        self, session: Session, user: str, username: str, address: str | None
    ) -> tuple[Who, str]:
        token = secrets.token_urlsafe(32)
        person = operations.get_or_raise(session, user)
        failed = queries.failures(session, username)
        operations.forget_failures(session, username)
        opened = operations.open_session(
            session,
            person,
            token_hash=_hash(token),
            csrf=secrets.token_urlsafe(32),
            lifetime=self._lifetime,
            address=address,
        )
        self._record(session, user, "sign_in", user, address, "ok")
        return _who(opened, person, failed), token

    def whose(self, token: str) -> Who | None:
        """Who holds that token; None when its session is over."""
        return self._find(_hash(token))

    def again(self, person: Who) -> Who:
        """The same person, read anew. Raises NotSignedIn."""
        found = self._find(person.session)
        if found is None:
            raise NotSignedIn("the session is over: sign in again")
        return found

    def _find(self, token_hash: str) -> Who | None:
        with Session(self._reader) as session:
            found = queries.open_session(session, token_hash, idle=self._idle)
            if found is None:
                return None
            opened, user = found
            person, seen = _who(opened, user), opened.last_seen_at
        if now() - seen > _TOUCH_EVERY:
            self.touch(token_hash)
        return person

    def alive(self, token_hash: str) -> bool:
        """Whether the session goes on; asking counts as using it."""
        return self._find(token_hash) is not None

    def touch(self, token_hash: str) -> None:
        """The session is in use."""
        with Session(self._engine) as session, session.begin():
            operations.touch(session, token_hash)

    def sign_out(self, person: Who, address: str | None) -> None:
        """End the session; its sockets are cut off within seconds."""
        with Session(self._engine) as session, session.begin():
            operations.revoke(session, person.session)
            self._record(session, person.id, "sign_out", person.id, address, "ok")
        for tell in self.on_sign_out:
            tell(person.session)

    # --- Accounts ----------------------------------------------------------------------------

    def set_language(self, person: Who, language: str) -> None:
        """Keep the language that the person chose."""
        with Session(self._engine) as session, session.begin():
            user = operations.get_or_raise(session, person.id)
            operations.change(session, user, language=language)

    def set_device(self, person: Who, device: Device) -> None:
        """Keep what the person wants to talk by, for this shift and the next ones."""
        with Session(self._engine) as session, session.begin():
            user = operations.get_or_raise(session, person.id)
            operations.set_preferences(session, user, {"device": device})

    def device_of(self, person: Who) -> Device:
        """What the person chose to talk by."""
        with Session(self._reader) as session:
            user = queries.by_id(session, person.id)
        return "phone" if user and user.preferences.get("device") == "phone" else "browser"

    def set_disabled(
        self, person: Who, user: str, disabled: bool | None, address: str | None
    ) -> User:
        """Switch an account off (its sessions end) or on."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            found = operations.get_or_raise(session, user)
            if disabled is not None:
                (operations.disable if disabled else operations.enable)(session, found)
                what = "disable" if disabled else "enable"
                self._record(session, person.id, what, user, address, "ok")
            return found

    def unlock(self, person: Who, user: str, address: str | None) -> None:
        """Forget the failed tries of an account."""
        with Session(self._engine) as session, session.begin():
            found = operations.get_or_raise(session, user)
            operations.forget_failures(session, found.username)
            self._record(session, person.id, "unlock", user, address, "ok")

    def sessions_of(self, user: str) -> list[UserSession]:
        """The open sessions of an account, newest first."""
        with Session(self._reader) as session:
            operations.get_or_raise(session, user)
            return list(queries.sessions_of(session, user))

    def end_sessions(self, person: Who, user: str, id_: str | None, address: str | None) -> None:
        """End one session of an account, or all; open sockets are cut within seconds."""
        with Session(self._engine) as session, session.begin():
            operations.get_or_raise(session, user)
            if id_ is None:
                operations.revoke_all(session, user)
            else:
                operations.revoke_one(session, user, id_)
            self._record(session, person.id, "end_session", user, address, "ok")

    def last_seq(self, agent: str) -> int:
        """The newest event of an agent."""
        with Session(self._reader) as session:
            return outbox.last_seq(session, agent)

    # --- Sound and text of calls -------------------------------------------------------------

    def open_conversation(self, interaction: Any, what: str | None, address: str | None) -> None:
        """Let through who may hear this call, and note in the audit that they did (`what`).

        Raises NotFound for another agent's call, ReasonNeeded before the glass is broken.
        """
        person = auth.own_only(Permission.CONVERSATION, *interaction.talked)
        if person.scope(Permission.CONVERSATION) is Scope.REASON:
            self._need_reason(person, interaction.id)
        if what is None or not self._is_new(person, interaction.id, what):
            return
        try:
            with Session(self._engine) as session, session.begin():
                audit.record(
                    session, person.id, what, "interaction", interaction.id, address=address
                )
        except Exception:
            with self._lock:  # nobody hears what the audit did not take
                self._listening.pop((person.session, interaction.id, what), None)
            raise

    def break_glass(self, interaction: Any, reason: str, address: str | None) -> datetime:
        """Open one conversation for a while; returns until when."""
        person = auth.own_only(Permission.CONVERSATION, *interaction.talked)
        with Session(self._engine) as session, session.begin():
            audit.record(
                session,
                person.id,
                "break_glass",
                "interaction",
                interaction.id,
                reason=reason,
                address=address,
            )
        until = now() + GLASS_BROKEN_FOR
        with self._lock:
            self._glass[person.session, interaction.id] = until
        return until

    def _need_reason(self, person: Who, interaction: str) -> None:
        with self._lock:
            until = self._glass.get((person.session, interaction))
        if until is None or until < now():
            raise ReasonNeeded("give a reason first: it is kept in the audit")

    def _is_new(self, person: Who, interaction: str, what: str) -> bool:
        """A player asks for many parts: they are one listening."""
        moment, key = time.monotonic(), (person.session, interaction, what)
        with self._lock:
            last = self._listening.get(key)
            fresh = last is None or moment - last > ONE_LISTENING
            if fresh:
                self._listening[key] = moment
            if len(self._listening) > 10_000:
                self._listening.clear()
        return fresh

    @staticmethod
    def _record(
        session: Session,
        person: str | None,
        what: str,
        user: str | None,
        address: str | None,
        result: str,
    ) -> None:
        audit.record(session, person, what, "user", user, address=address, result=result)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _who(opened: UserSession, user: User, failed: int = 0) -> Who:
    return Who(
        id=user.id,
        username=user.username,
        name=user.name,
        role=user.role,
        extension=user.extension,
        language=user.language,
        session=opened.token_hash,
        csrf=opened.csrf,
        expires_at=opened.expires_at,
        failed_sign_ins=failed,
    )
