"""Changing the review: comments at moments, links to moments."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.review.models import Comment, MomentLink
from callcenter.crm.text import checked
from callcenter.errors import Expired, Forbidden, Invalid, NotFound
from callcenter.events import now

MOST_COMMENT = 4_000
LATEST = 86_400.0  # seconds: no call lasts longer than a day


def comment(
    session: Session,
    interaction: Interaction,
    *,
    by: str,
    text: str,
    t0: float,
    t1: float | None = None,
) -> Comment:
    """A remark at `t0`, or from `t0` to `t1`, in seconds from the answer."""
    check_moment("t0", t0)
    if t1 is not None:
        check_moment("t1", t1)
        if t1 <= t0:
            raise Invalid("a span ends after it begins", {"t1": "must be later than t0"})
    made = Comment(
        interaction_id=interaction.id,
        t0=t0,
        t1=t1,
        text=checked("text", text, most=MOST_COMMENT, needed=True),
        by=by,
    )
    session.add(made)
    session.flush()
    return made


def take_back(session: Session, interaction: Interaction, comment: str, *, by: str) -> None:
    """The author takes a remark back; the row stays."""
    found = session.get(Comment, comment)
    if found is None or found.interaction_id != interaction.id or found.removed_at:
        raise NotFound("there is no such comment")
    if found.by != by:
        raise Forbidden("only who wrote a comment may take it back")
    found.removed_at = now()
    session.flush()


def link(
    session: Session, interaction: Interaction, *, by: str, t0: float, days: int
) -> tuple[str, MomentLink]:
    """A link to second `t0` that opens for `days` days. → (token, row)"""
    check_moment("t0", t0)
    token = secrets.token_urlsafe(24)
    made = MomentLink(
        token_hash=_hash(token),
        interaction_id=interaction.id,
        t0=t0,
        by=by,
        expires_at=now() + timedelta(days=days),
    )
    session.add(made)
    session.flush()
    return token, made


def open_link(session: Session, token: str) -> MomentLink:
    """Where the link leads. Raises NotFound for a token that never was, Expired for an old one."""
    found = session.get(MomentLink, _hash(token))
    if found is None:
        raise NotFound("no such thing")  # the words of a link to another's call
    if found.expires_at <= now():
        raise Expired("this link has expired: ask for a new one")
    return found


def check_moment(field: str, seconds: float) -> None:
    """Raises Invalid for what can be no second of a call."""
    if not -LATEST <= seconds <= LATEST:
        raise Invalid("there is no such moment", {field: "is no moment of a call"})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
