"""Facts after which a conversation is measured (again). Applying one twice is harmless."""

from __future__ import annotations

from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm.db import insert_or
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.review.models import Conversation


def sealed(session: Session, fact: events.RecordingSealed) -> None:
    """There is sound to measure."""
    ask(session, fact.call)


def transcribed(session: Session, fact: events.TranscriptCompleted) -> None:
    """There are words to count."""
    ask(session, fact.call)


def redacted(session: Session, fact: events.SpeechRedacted | events.RecordingRedacted) -> None:
    """There is less to hear. A call that lasts is measured when it is sealed."""
    interaction = by_call(session, fact.call)
    if interaction and interaction.ended_at:
        ask(session, fact.call)


def ended(session: Session, fact: events.CallEnded) -> None:
    """A call that is not recorded, and was heard by a recogniser all the same."""
    interaction = by_call(session, fact.call)
    if interaction and interaction.transcript_state != "none":
        ask(session, fact.call)


def ask(session: Session, call: str) -> None:
    """Let the call be measured, also one that was already."""
    new = insert_or(session, Conversation.__table__).values(
        call_id=call, state="waiting", marks=[], quiet=[]
    )
    session.execute(
        new.on_conflict_do_update(
            index_elements=["call_id"],
            set_={"state": "waiting", "asked": Conversation.asked + 1},
        )
    )
