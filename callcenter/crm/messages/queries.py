"""Reading the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.messages.models import Message


def of_complaint(session: Session, complaint: str) -> Sequence[Message]:
    """What the customer was, or will be, sent about a complaint; oldest first."""
    query = select(Message).where(Message.complaint_id == complaint)
    return session.scalars(query.order_by(Message.created_at, Message.id)).all()
