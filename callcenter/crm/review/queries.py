"""Reading the review: the figures of a call, its comments."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.review.models import Comment, Conversation


def conversation(session: Session, interaction: Interaction) -> Conversation | None:
    """The figures of that call; None where nobody asked for them yet."""
    if interaction.call_id is None:
        return None
    return session.get(Conversation, interaction.call_id)


def comments(session: Session, interaction: Interaction) -> Sequence[Comment]:
    """The comments on a call in the order of its moments."""
    query = select(Comment).where(
        Comment.interaction_id == interaction.id, Comment.removed_at.is_(None)
    )
    return session.scalars(query.order_by(Comment.t0, Comment.id)).all()
