"""Challenges of passkeys: each is a row of its own, good for one answer within five minutes."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from flask import Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.factors import operations as steps
from callcenter.crm.factors.models import SignInStep
from callcenter.errors import Conflict
from callcenter.web import auth
from callcenter.web.factors import hashed
from callcenter.web.passkeys import Answer, RelyingParty, challenge_of, spelled

Ceremony = Literal["register", "assert"]


def issue(session: Session, ceremony: Ceremony, user: str, data: dict[str, Any]) -> bytes:
    """A new challenge, 32 random bytes; `data` comes back with its answer."""
    challenge = secrets.token_bytes(32)
    token = hashed(spelled(challenge))
    steps.open_step(session, token, ceremony, user, data, steps.CHALLENGE_LASTS)
    return challenge


def take(engine: Engine, ceremony: Ceremony, answer: Answer) -> tuple[bytes, SignInStep]:
    """The challenge that was answered and its row, which is gone before anything is verified.

    Raises PasskeyRefused, StepOver.
    """
    challenge = challenge_of(answer)
    with Session(engine, expire_on_commit=False) as session, session.begin():
        begun = steps.step(session, hashed(spelled(challenge)), ceremony)
        session.expunge(begun)
        steps.close_step(session, begun)
    return challenge, begun


def party_of(asked: Request, settings: Settings) -> RelyingParty | None:
    """This site for passkeys; None where it is opened by an IP address or another name."""
    party = RelyingParty(auth.own_origin(asked, settings), settings.site.name)
    here = RelyingParty(asked.host_url, settings.site.name)
    return party if party.is_name and party.id == here.id else None


def demand_party(asked: Request, settings: Settings) -> RelyingParty:
    """As `party_of`. Raises Conflict for None."""
    party = party_of(asked, settings)
    if party is None:
        raise Conflict("passkeys need the site's own name: open it by that, not by an IP address")
    return party
