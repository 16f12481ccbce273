"""What people do for the safety of their own account; and an administrator for another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.factors import operations as factors
from callcenter.crm.factors import queries
from callcenter.crm.factors.models import Factor
from callcenter.crm.users import operations
from callcenter.crm.users import queries as users
from callcenter.crm.users.models import User
from callcenter.database import reading
from callcenter.errors import Invalid, StepOver, WrongCode
from callcenter.web import challenges, passkeys, passwords
from callcenter.web.access import Access
from callcenter.web.context import Who
from callcenter.web.factors import Enrolment
from callcenter.web.leaked import LeakedPasswords
from callcenter.web.passkeys import Answer, RelyingParty


@dataclass(frozen=True, slots=True)
class Overview:
    """What somebody can show beside the password."""

    items: Sequence[Factor]
    recovery_codes_left: int
    needed: bool
    passkeys: bool
    by_provider: bool


class OwnSecurity:
    """Each change wants the password again and leaves a line in the audit."""

    def __init__(
        self, engine: Engine, access: Access, leaked: LeakedPasswords | None = None
    ) -> None:
        self._engine = engine
        self._leaked = leaked
        self._access = access
        self._factors = access.factors

    def overview(self, person: Who, passkeys: bool) -> Overview:
        """The person's factors; `passkeys`: whether there can be any at this address."""
        with Session(reading(self._engine)) as session:
            items, left = self._factors.of(session, person.id)
            mine = users.sessions_of(session, person.id)
            oidc = any(one.method == "oidc" for one in mine if one.token_hash == person.session)
        return Overview(items, left, self._factors.needed_for(person.role), passkeys, oidc)

    def begin_totp(self, person: Who, password: str, name: str, address: str | None) -> Enrolment:
        """A code generator to scan; it counts after its first code."""
        self._access.prove(person, password, address)
        with Session(self._engine) as session, session.begin():
            return self._factors.begin_totp(session, _user(session, person), name)

    def confirm_totp(self, person: Who, code: str, address: str | None) -> list[str]:
        """The generator counts; recovery codes with the first factor. Raises Invalid."""
        try:
            with Session(self._engine) as session, session.begin():
                made = self._factors.confirm_totp(session, person.id, code)
                _note(session, person, "factor.add", person.id, address)
                return made
        except WrongCode as error:  # not a 401: whoever asks is signed in
            raise Invalid(error.detail, {"code": "is wrong"}) from error

    def begin_passkey(
        self, person: Who, party: RelyingParty, password: str, name: str, address: str | None
    ) -> dict[str, Any]:
        """Options of `navigator.credentials.create`."""
        self._access.prove(person, password, address)
        with Session(self._engine) as session, session.begin():
            challenge = challenges.issue(session, "register", person.id, {"name": name})
            known = queries.credentials(session, person.id)
        return passkeys.registration_options(
            party, person.id, person.username, challenge, map(passkeys.read, known)
        )

    def confirm_passkey(
        self, person: Who, party: RelyingParty, answer: Answer, address: str | None
    ) -> list[str]:
        """The passkey counts; recovery codes with the first factor. Raises Invalid, Conflict."""
        try:
            challenge, begun = challenges.take(self._engine, "register", answer)
            if begun.user != person.id:
                raise WrongCode("this passkey was begun by somebody else: begin again")
            with Session(self._engine) as session, session.begin():
                name = begun.data.get("name", "")
                made = self._factors.add_passkey(session, person.id, party, challenge, answer, name)
                _note(session, person, "factor.add", person.id, address)
                return made
        except (WrongCode, StepOver) as error:  # not a 401: whoever asks is signed in
            raise Invalid(error.detail, {"credential": "is not accepted"}) from error

    def change_password(
        self, person: Who, password: str, fresh: str, site: str, address: str | None
    ) -> None:
        """Another password; every other session of the person ends.

        Raises Invalid, Unavailable where the list of leaked ones cannot be used.
        """
        self._access.prove(person, password, address)
        try:
            about = (person.username, person.name, site)
            known = passwords.chosen(fresh, about=about, leaked=self._leaked)
        except Invalid as error:
            raise type(error)(error.detail, {"new_password": error.detail}) from error
        with Session(self._engine) as session, session.begin():
            operations.set_password(session, _user(session, person), known, but=person.session)
            _note(session, person, "password.change", person.id, address)

    def new_codes(self, person: Who, password: str, address: str | None) -> list[str]:
        """New recovery codes in place of the old ones."""
        self._access.prove(person, password, address)
        with Session(self._engine) as session, session.begin():
            _note(session, person, "recovery_codes.renew", person.id, address)
            return self._factors.new_codes(session, person.id)

    def remove(self, person: Who, factor: str, password: str, address: str | None) -> None:
        """Take one of one's own factors away. Raises NotFound or Conflict."""
        self._access.prove(person, password, address)
        with Session(self._engine) as session, session.begin():
            self._factors.remove(session, _user(session, person), factor)
            _note(session, person, "factor.remove", person.id, address)

    def reset(self, person: Who, user: str, address: str | None) -> None:
        """An administrator takes every factor of somebody away; their sessions end."""
        with Session(self._engine) as session, session.begin():
            operations.get_or_raise(session, user)
            factors.reset(session, user)
            operations.revoke_all(session, user)
            _note(session, person, "factor.reset", user, address)


def _user(session: Session, person: Who) -> User:
    return operations.get_or_raise(session, person.id)


def _note(session: Session, person: Who, what: str, user: str, address: str | None) -> None:
    audit.record(session, person.id, what, "user", user, address=address)
