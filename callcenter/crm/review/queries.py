"""Reading the review: the figures of a call."""

from __future__ import annotations

from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.review.models import Conversation


def conversation(session: Session, interaction: Interaction) -> Conversation | None:
    """The figures of that call; None where nobody asked for them yet."""
    if interaction.call_id is None:
        return None
    return session.get(Conversation, interaction.call_id)
