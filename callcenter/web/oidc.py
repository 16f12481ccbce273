"""Signing in with an OpenID Connect provider: what is remembered on the way, and who gets in.

On the way out the browser carries state, nonce and verifier in a sealed cookie: strangers who
press the button write nothing into our database. On the way back the state is spent there.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.config import Oidc, Settings
from callcenter.crm.audit import operations as audit
from callcenter.crm.factors import operations as steps
from callcenter.crm.users import operations, queries
from callcenter.crm.users.models import Role, User
from callcenter.errors import (
    CallcenterError,
    ConfigError,
    IdentityRefused,
    IdentityWeak,
    NotLetIn,
    ProviderDown,
    Refused,
    StepOver,
)
from callcenter.web import passwords
from callcenter.web.context import Services, Who
from callcenter.web.factors import hashed
from callcenter.web.id_tokens import values
from callcenter.web.identity_provider import IdentityProvider
from callcenter.web.sealing import Seal

CALLBACK = "/sign-in/oidc/callback"
LASTS = 600  # seconds from the button to the way back
_OWNER = "oidc"


class OidcSignIn:
    """Both halves of a sign-in; safe to use from many threads."""

    def __init__(self, parts: Services, settings: Oidc) -> None:
        self._parts = parts
        self._settings = settings
        self._provider = IdentityProvider(settings, redirect_uri(parts.settings))
        self._seal = Seal(parts.settings.keys_dir, parts.settings.sign_in.key_file)

    def begin(self, on: str) -> tuple[str, str]:
        """Where to send the browser, and what it carries. Raises ProviderDown."""
        carried = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        address = self._provider.address(**carried)
        text = json.dumps({**carried, "next": on, "until": time.time() + LASTS})
        return address, self._seal.close(text.encode(), _OWNER)

    def finish(
        self, carried: str, asked: dict[str, str], address: str | None
    ) -> tuple[Who, str, str]:
        """The person, a fresh token, and the page to go on to; a refusal stands in the audit.

        `asked` is the query of the callback. Raises StepOver, TooManyTries, IdentityRefused,
        IdentityWeak, NotLetIn or ProviderDown.
        """
        way = self._way(carried, asked)
        with self._parts.reading() as session:
            self._parts.access.demand_patience(session, _OWNER + way["state"], address)
        try:
            claims = self._claims(way, asked)
            with self._parts.writing() as session:
                self._spend(session, way["state"])
                user = self._user(session, claims)
                person, token = self._parts.access.open(session, user.id, "oidc", address)
            return person, token, way["next"]
        except Refused as error:
            self._note(error, way["state"], address)
            raise

    def _way(self, carried: str, asked: dict[str, str]) -> dict[str, Any]:
        """What the browser carried, where it belongs to this callback. Raises StepOver."""
        try:
            way: dict[str, Any] = json.loads(self._seal.open(carried, _OWNER))
        except (ConfigError, ValueError) as error:
            raise StepOver("this sign-in was not begun in this browser: begin again") from error
        same = hmac.compare_digest(way["state"].encode(), asked.get("state", "").encode())
        if not same or way["until"] < time.time():
            raise StepOver("this sign-in took too long or was begun elsewhere: begin again")
        return way

    def _claims(self, way: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
        if asked.get("iss", self._settings.issuer) != self._settings.issuer:
            raise IdentityRefused("another provider answered")  # RFC 9207
        if "error" in asked or not asked.get("code"):
            raise IdentityRefused("the provider did not sign the person in")
        claims = self._provider.claims(asked["code"], nonce=way["nonce"], verifier=way["verifier"])
        wanted = self._settings.acr_values  # asked for, which binds no provider (OIDC Core 5.5.1.1)
        if wanted and claims.get("acr") not in wanted:
            raise IdentityWeak("the provider did not ask as strongly as sign_in.oidc.acr_values")
        return claims

    @staticmethod
    def _spend(session: Session, state: str) -> None:
        """A state opens once. Raises StepOver."""
        try:
            steps.open_step(session, hashed(state), "oidc", None, {})
        except IntegrityError as error:
            raise StepOver("this sign-in is finished already: begin again") from error

    def _user(self, session: Session, claims: dict[str, Any]) -> User:
        """The account of that person, with the role that the provider says. Raises NotLetIn."""
        role, issuer, subject = self._role(claims), self._settings.issuer, str(claims["sub"])
        user = queries.by_identity(session, issuer, subject)
        if user is None:
            user = self._first_time(session, claims, role)
            operations.bind(session, user, issuer, subject)
            audit.record(session, user.id, "bind", "user", user.id, reason="oidc")
        if user.disabled_at is not None:
            raise NotLetIn("this account is disabled")
        if role is not None and role != user.role:
            operations.change(session, user, role=role)
            audit.record(session, user.id, "change_role", "user", user.id, reason="oidc")
        return user

    def _first_time(self, session: Session, claims: dict[str, Any], role: Role | None) -> User:
        """The account that has the person's name, or a new one. Raises NotLetIn.

        People choose their names at many providers: an administrator's is not given for one.
        """
        username = self._username(claims)
        user = queries.by_username(session, username)
        if user is None:
            return self._make(session, username, claims, role)
        if user.role == "admin":
            raise NotLetIn("this administrator was made here and signs in with the password")
        if queries.is_bound(session, user.id, self._settings.issuer):
            raise NotLetIn("this account belongs to somebody else of the provider")
        return user

    def _username(self, claims: dict[str, Any]) -> str:
        name = self._settings.username_claim
        found = values(claims, name)
        if len(found) != 1 or (name == "email" and claims.get("email_verified") is not True):
            raise NotLetIn(f"the provider says no (verified) {name}")
        return found[0]

    def _role(self, claims: dict[str, Any]) -> Role | None:
        """The first role of ours that fits; None: the provider is not asked for it."""
        if self._settings.role_claim is None:
            return None
        held = values(claims, self._settings.role_claim)
        fitting = [role for value, role in self._settings.roles.items() if value in held]
        if not fitting:
            raise NotLetIn("the provider says no role that has a place here")
        return fitting[0]

    def _make(
        self, session: Session, username: str, claims: dict[str, Any], role: Role | None
    ) -> User:
        if not self._settings.create:
            raise NotLetIn("there is no such account here")
        user = operations.create(
            session,
            username=username,
            name=next(iter(values(claims, "name")), None),
            role=role or self._settings.new_role,
            password_hash=passwords.hashed(secrets.token_urlsafe(32)),
            language=self._parts.settings.site.default_language,
        )
        audit.record(session, user.id, "create", "user", user.id, reason="oidc")
        return user

    def _note(self, error: CallcenterError, state: str, address: str | None) -> None:
        """Into the audit; a refusal counts for the address, as a wrong password does."""
        with self._parts.writing() as session:
            if not isinstance(error, ProviderDown):
                operations.note_failure(session, _OWNER + state, address)
            reason = f"oidc {error.slug}"
            audit.record(
                session, None, "sign_in", "user", reason=reason, address=address, result="refused"
            )


def redirect_uri(settings: Settings) -> str:
    """Our one address that the provider sends people back to."""
    return f"{settings.web.public_url}{CALLBACK}"
