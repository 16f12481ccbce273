"""Signing in and out, sessions, and who may hear what: the rules behind `auth`.

A session's token is 256 random bits; the database keeps its SHA-256 only. Sessions end by
sign-out, after `web.session_idle_minutes` without a request or open socket, after
`web.session_hours`, and at once when the account is disabled or its password changes.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.agents import queries as outbox
from callcenter.crm.audit import operations as audit
from callcenter.crm.disclosures import models as disclosures
from callcenter.crm.disclosures.operations import disclose
from callcenter.crm.disclosures.queries import is_open
from callcenter.crm.factors import operations as steps
from callcenter.crm.factors.models import Purpose, SignInStep
from callcenter.crm.users import operations, queries
from callcenter.crm.users.models import Method, User, UserSession
from callcenter.database import reading
from callcenter.errors import Invalid, NotSignedIn, ReasonNeeded, StepOver, TooManyTries, WrongCode
from callcenter.events import Device, now
from callcenter.web import auth, passwords, permissions
from callcenter.web.context import Who
from callcenter.web.factors import Enrolment, Factors, hashed, same_password
from callcenter.web.permissions import Permission, Scope

ONE_LISTENING = 300.0  # seconds in which further requests belong to the same listening
_TOUCH_EVERY = timedelta(seconds=60)


class Access:
    """Needs the database only; safe to use from many threads."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._idle = timedelta(minutes=settings.web.session_idle_minutes)
        self._lifetime = timedelta(hours=settings.web.session_hours)
        self.factors = Factors(settings)
        self._lock = threading.Lock()
        self._listening: dict[tuple[str, str, str], float] = {}
        self.on_sign_out: list[Callable[[str], None]] = []
        self.on_disclosed: list[Callable[[], None]] = []
        self.on_locked: list[Callable[[User], None]] = []

    # --- Signing in and out ------------------------------------------------------------------

    def sign_in(self, username: str, password: str, address: str | None) -> tuple[Who, str]:
        """The person and a fresh token. Raises TooManyTries, NotSignedIn or FactorNeeded.

        A wrong name and a wrong password look alike and take equally long.
        """
        with Session(self._reader) as session:
            self.demand_patience(session, username, address)
            user = queries.by_username(session, username)
            known = user.password_hash if user and user.disabled_at is None else None
        if not passwords.matches(known, password) or user is None:
            self.failed("sign_in", username, user, address)
            raise NotSignedIn("the user name or the password is wrong")
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            needed = self.factors.next_step(session, user)
            if needed is None:
                return self.open(session, user.id, "password", address)
        raise needed

    def enrol(self, step: str) -> Enrolment:
        """A code generator for somebody whose sign-in stopped for want of one. Raises StepOver."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            _, user = self.person_of(session, step, "enrol")
            return self.factors.begin_totp(session, user)

    def second_step(self, step: str, code: str, address: str | None) -> tuple[Who, str, list[str]]:
        """The person, a fresh token, and recovery codes where the first factor was set up.

        Raises StepOver, TooManyTries or WrongCode.
        """
        with Session(self._reader) as session:
            opened, user = self.person_of(session, step, "factor", "enrol")
            self.demand_patience(session, user.username, address)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            opened, user = self.person_of(session, step, "factor", "enrol")
            method, fresh = self._shown(session, opened, code)
            if method is not None:
                steps.close_step(session, opened)
                return *self.open(session, user.id, method, address), fresh
            steps.fail(session, opened)
        self.failed("second_factor", user.username, user, address)
        raise WrongCode("the code is wrong or was used before: take the next one")

    def _shown(
        self, session: Session, opened: SignInStep, code: str
    ) -> tuple[Method | None, list[str]]:
        """What a code was, and recovery codes that were made."""
        assert opened.user is not None
        if opened.purpose == "factor":
            return self.factors.check(session, opened.user, code), []
        try:
            return "totp", self.factors.confirm_totp(session, opened.user, code)
        except WrongCode:
            return None, []

    def person_of(self, session: Session, step: str, *purposes: Purpose) -> tuple[SignInStep, User]:
        """An open step and whose it is. Raises StepOver."""
        opened = steps.step(session, hashed(step), *purposes)
        user = queries.by_id(session, opened.user or "")
        if user is None or user.disabled_at or not same_password(user, opened.data):
            raise StepOver("this sign-in is over: begin again")
        return opened, user

    def demand_patience(self, session: Session, username: str, address: str | None) -> None:
        """Raises TooManyTries while too many failed."""
        wait = queries.delay(session, username, address)
        if wait > 0:
            raise TooManyTries("too many failed tries: wait, then try again", wait)

    def failed(self, what: str, username: str, user: User | None, address: str | None) -> None:
        """Count a wrong password or code; from the fifth on tries wait, and the owner is told."""
        with Session(self._engine) as session, session.begin():
            operations.note_failure(session, username, address)
            self._record(session, None, what, user.id if user else None, address, "refused")
            locked = queries.failures(session, username) == queries.FREE_TRIES
            if locked and user is not None:
                self._record(session, None, "lock", user.id, address, "ok")
        if locked and user is not None:
            for tell in self.on_locked:
                tell(user)

    def prove(self, person: Who, password: str, address: str | None) -> None:
        """Ask for the password again before something that matters.

        Raises Invalid for a wrong one, TooManyTries.
        """
        with Session(self._reader) as session:
            self.demand_patience(session, person.username, address)
            user = operations.get_or_raise(session, person.id)
        if not passwords.matches(user.password_hash, password):
            self.failed("prove", person.username, user, address)
            raise Invalid("the password is wrong", {"password": "is wrong"})

    def open(
        self, session: Session, user: str, method: Method, address: str | None
    ) -> tuple[Who, str]:
        """A new session for somebody who showed everything that was asked for."""
        token = secrets.token_urlsafe(32)
        person = operations.get_or_raise(session, user)
        failed = queries.failures(session, person.username)
        operations.forget_failures(session, person.username)
        opened = operations.open_session(
            session,
            person,
            token_hash=hashed(token),
            csrf=secrets.token_urlsafe(32),
            lifetime=self._lifetime,
            address=address,
            method=method,
        )
        audit.record(session, user, "sign_in", "user", user, reason=method, address=address)
        return _who(opened, person, failed), token

    def whose(self, token: str) -> Who | None:
        """Who holds that token; None when its session is over."""
        return self._find(hashed(token))

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

    def members(self, team: str) -> tuple[str, ...]:
        """The ids of everybody in that team."""
        with Session(self._reader) as session:
            return queries.members(session, team)

    def in_teams(self, users: set[str]) -> bool:
        """Whether one of these is in a team."""
        with Session(self._reader) as session:
            return any(user.team is not None for user in queries.by_ids(session, users))

    def demand_hearing(self, users: Iterable[str], talked: set[str]) -> None:
        """Each of these may hear a call in which `talked` took part. Raises Invalid."""
        with Session(self._reader) as session:
            members = cache(partial(queries.members, session))
            for user in queries.by_ids(session, users):
                if permissions.may_hear(user, talked, members):
                    continue
                scope = permissions.scope_of(user.role, Permission.CONVERSATION, user.team)
                sentence = "not everybody of these may hear the call: name supervisors"
                if scope is Scope.TEAM:
                    sentence = f"the call is not of team {user.team}: who is in it may not hear it"
                raise Invalid(sentence, {"judges": sentence})

    def set_team(self, person: Who, user: str, team: str | None, address: str | None) -> User:
        """Put somebody into a team, or out of it; it holds from the next request on."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            found = operations.get_or_raise(session, user)
            operations.change(session, found, team=team)
            audit.record(
                session, person.id, "team", "user", user, reason=team or "", address=address
            )
            return found

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

    def end_sessions(
        self,
        person: Who,
        user: str,
        id_: str | None,
        address: str | None,
        *,
        but: str | None = None,
    ) -> None:
        """End one session of an account, or all `but` one; sockets are cut within seconds."""
        with Session(self._engine) as session, session.begin():
            operations.get_or_raise(session, user)
            if id_ is None:
                operations.revoke_all(session, user, but=but)
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
            self._need_reason(person, "interaction", interaction.id)
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

    def open_customer(self, customer: str, address: str | None) -> None:
        """Let through who may see this customer; who needed a reason is noted in the audit.

        Raises ReasonNeeded before the glass is broken, whether there is such a customer or not.
        """
        person, scope = auth.allow(Permission.CUSTOMERS_READ)
        if scope is not Scope.REASON:
            return
        self._need_reason(person, "customer", customer)
        if self._is_new(person, customer, "customer.read"):
            with Session(self._engine) as session, session.begin():
                audit.record(
                    session, person.id, "customer.read", "customer", customer, address=address
                )

    def break_glass(
        self, person: Who, kind: disclosures.Kind, object: str, reason: str, address: str | None
    ) -> datetime:
        """Open one call or one customer for a while; returns until when. Leads are told."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            made = disclose(
                session,
                who=person.id,
                opened_by=person.session,
                kind=kind,
                object=object,
                reason=reason,
                address=address,
            )
        for tell in self.on_disclosed:
            tell()
        return made.until

    def is_disclosed(self, person: Who, kind: disclosures.Kind, object: str) -> bool:
        """Whether the person opened it with a reason that still holds."""
        with Session(self._reader) as session:
            return is_open(session, person.session, kind, object)

    def _need_reason(self, person: Who, kind: disclosures.Kind, object: str) -> None:
        if not self.is_disclosed(person, kind, object):
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


def _who(opened: UserSession, user: User, failed: int = 0) -> Who:
    return Who(
        id=user.id,
        username=user.username,
        name=user.name,
        role=user.role,
        extension=user.extension,
        language=user.language,
        team=user.team,
        session=opened.token_hash,
        csrf=opened.csrf,
        draft_key=user.draft_key,
        expires_at=opened.expires_at,
        failed_sign_ins=failed,
    )
