"""A passkey as the second step of a sign-in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.factors import operations as steps
from callcenter.crm.factors import queries
from callcenter.crm.users.models import User
from callcenter.database import reading
from callcenter.errors import PasskeyCopied, PasskeyRefused
from callcenter.web import challenges, passkeys
from callcenter.web.access import Access
from callcenter.web.context import Who
from callcenter.web.passkeys import Answer, RelyingParty


class PasskeySteps:
    """Goes on where the answer to the password was FactorNeeded with the kind `passkey`."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    def begin(self, party: RelyingParty, step: str) -> dict[str, Any]:
        """Options of `navigator.credentials.get`. Raises StepOver."""
        with Session(self._engine) as session, session.begin():
            opened, user = self._access.person_of(session, step, "factor")
            challenge = challenges.issue(session, "assert", user.id, {"step": opened.token_hash})
            known = queries.credentials(session, user.id)
        return passkeys.assertion_options(party, challenge, map(passkeys.read, known))

    def finish(
        self, party: RelyingParty, step: str, answer: Answer, address: str | None
    ) -> tuple[Who, str]:
        """The person and a fresh token. Raises StepOver, TooManyTries or PasskeyRefused."""
        with Session(reading(self._engine)) as session:
            _, user = self._access.person_of(session, step, "factor")
            self._access.demand_patience(session, user.username, address)
        try:
            return self._verified(party, step, answer, address)
        except PasskeyRefused as error:
            self._refuse(step, user, error, address)
            raise

    def _verified(
        self, party: RelyingParty, step: str, answer: Answer, address: str | None
    ) -> tuple[Who, str]:
        challenge, begun = challenges.take(self._engine, "assert", answer)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            opened, user = self._access.person_of(session, step, "factor")
            if begun.data.get("step") != opened.token_hash:
                raise PasskeyRefused("this passkey was asked for by another sign-in: begin again")
            self._access.factors.check_passkey(session, user.id, party, challenge, answer)
            steps.close_step(session, opened)
            return self._access.open(session, user.id, "passkey", address)

    def _refuse(self, step: str, user: User, error: PasskeyRefused, address: str | None) -> None:
        """Count it as a wrong code; that a key may be copied is a line of its own."""
        with Session(self._engine) as session, session.begin():
            opened, _ = self._access.person_of(session, step, "factor")
            steps.fail(session, opened)
            if isinstance(error, PasskeyCopied):
                audit.record(
                    session, None, "passkey.copied", "user", user.id,
                    address=address, result="refused",
                )  # fmt: skip
        self._access.failed("second_factor", user.username, user, address)
