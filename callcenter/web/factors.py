"""What a person shows beside the password: the rules over `crm.factors`.

Functions take an open session; the caller commits, counts failures and writes the audit.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.factors import operations, queries
from callcenter.crm.factors.models import Factor
from callcenter.crm.users.models import User
from callcenter.errors import (
    Conflict,
    EnrolmentNeeded,
    FactorNeeded,
    PasskeyRefused,
    WrongCode,
)
from callcenter.web import codes, passkeys
from callcenter.web.passkeys import Answer, RelyingParty
from callcenter.web.sealing import Seal

CodeMethod = Literal["totp", "recovery"]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A code generator that waits for its first code; shown this once."""

    secret: str
    address: str
    picture: str


class Factors:
    """Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._needed = frozenset(settings.sign_in.second_factor)
        self._issuer = settings.site.name
        self._seal = Seal(settings.keys_dir, settings.sign_in.key_file)

    def needed_for(self, role: str) -> bool:
        """Whether the settings want a second factor of that role."""
        return role in self._needed

    # --- Signing in --------------------------------------------------------------------------

    def next_step(self, session: Session, user: User) -> FactorNeeded | None:
        """What is still to come after the right password; None: nothing."""
        kinds = tuple(sorted({one.kind for one in queries.of(session, user.id)}))
        if kinds:
            token = self._open_step(session, user, "factor")
            return FactorNeeded("show your second factor", token, (*kinds, "recovery"))
        if self.needed_for(user.role):
            token = self._open_step(session, user, "enrol")
            return EnrolmentNeeded("your role needs a second factor: set it up", token, ("totp",))
        return None

    def _open_step(self, session: Session, user: User, purpose: Literal["factor", "enrol"]) -> str:
        token = secrets.token_urlsafe(32)
        data = {"password": _mark(user)}
        operations.open_step(session, hashed(token), purpose, user.id, data)
        return token

    def check(self, session: Session, user: str, code: str) -> CodeMethod | None:
        """What the code was; None for a wrong one or one that was used."""
        if len(codes.plain(code)) > codes.DIGITS:
            spent = operations.use_recovery_code(session, user, codes.recovery_hash(code))
            return "recovery" if spent else None
        for factor in queries.of(session, user):
            if factor.kind == "totp" and self._use(session, factor, code):
                return "totp"
        return None

    def _use(self, session: Session, factor: Factor, code: str) -> bool:
        """A code opens once: its time step must be newer than the last one that was used."""
        secret = self._seal.open(factor.secret, factor.user)
        step = codes.step_of(secret, code, time.time())
        return step is not None and operations.use(session, factor, step)

    def check_passkey(
        self, session: Session, user: str, party: RelyingParty, challenge: bytes, answer: Answer
    ) -> None:
        """Let a passkey of that user through. Raises PasskeyRefused or PasskeyCopied."""
        factor = queries.passkey(session, user, passkeys.credential_of(answer))
        if factor is None:
            raise PasskeyRefused("this passkey is not one of yours here: sign in another way")
        key = self._seal.open(factor.secret, user)
        counter = passkeys.asserted(party, challenge, key, factor.counter, answer)
        if not operations.use_passkey(session, factor, counter):
            raise PasskeyRefused("this passkey was used at this moment elsewhere: try again")

    # --- Setting up --------------------------------------------------------------------------

    def begin_totp(self, session: Session, user: User, name: str = "") -> Enrolment:
        """A new code generator; it counts once `confirm_totp` saw a code of it."""
        secret = codes.new_secret()
        sealed = self._seal.close(secret, user.id)
        operations.begin_totp(session, user.id, name=name, secret=sealed)
        address = codes.address(secret, user.username, self._issuer)
        return Enrolment(codes.spelled(secret), address, codes.picture(address))

    def confirm_totp(self, session: Session, user: str, code: str) -> list[str]:
        """The generator counts from now on; recovery codes with the first factor.

        Raises WrongCode.
        """
        begun = queries.begun_totp(session, user)
        if begun is None or not self._use(session, begun, code):
            raise WrongCode("this code is wrong: look at the clock of the phone, take the next one")
        return self.first_codes(session, user)

    def add_passkey(
        self,
        session: Session,
        user: str,
        party: RelyingParty,
        challenge: bytes,
        answer: Answer,
        name: str,
    ) -> list[str]:
        """A passkey that counts from now on; recovery codes with the first factor.

        Raises PasskeyRefused, Conflict.
        """
        made = passkeys.registered(party, challenge, answer)
        operations.add_passkey(
            session,
            user,
            name=name,
            credential=passkeys.spelled(made.credential),
            key=self._seal.close(made.public_key, user),
            counter=made.counter,
        )
        return self.first_codes(session, user)

    def first_codes(self, session: Session, user: str) -> list[str]:
        """Recovery codes for somebody who has none left; else nothing new."""
        return [] if queries.recovery_codes_left(session, user) else self.new_codes(session, user)

    def new_codes(self, session: Session, user: str) -> list[str]:
        """New recovery codes, shown this once; those of before work no more."""
        made = codes.recovery_codes()
        operations.set_recovery_codes(session, user, map(codes.recovery_hash, made))
        return made

    def remove(self, session: Session, user: User, factor: str) -> None:
        """Take a factor away; with the last one the recovery codes go. Raises Conflict."""
        others = [one for one in queries.of(session, user.id) if one.id != factor]
        if not others and self.needed_for(user.role):
            raise Conflict("your role needs a second factor: add another one first")
        operations.remove(session, user.id, factor)
        if not others:
            operations.reset(session, user.id)

    def of(self, session: Session, user: str) -> tuple[Sequence[Factor], int]:
        """The factors of a user, and how many recovery codes are left."""
        return queries.of(session, user), queries.recovery_codes_left(session, user)


def hashed(token: str) -> str:
    """Under which a token is kept: it has 256 random bits, so SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def same_password(user: User, data: dict[str, str]) -> bool:
    """Whether the password of the step's beginning is still the user's."""
    return data.get("password") == _mark(user)


def _mark(user: User) -> str:
    return hashed(user.password_hash)[:16]
