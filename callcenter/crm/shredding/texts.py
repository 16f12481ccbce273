"""Transcripts, complaints and messages without their texts."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm import fts
from callcenter.crm.complaints.keypad import pressed
from callcenter.crm.complaints.models import (
    Complaint,
    ComplaintChange,
    ComplaintQuote,
    ComplaintTransition,
)
from callcenter.crm.complaints.operations import free_code
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.messages.models import Message
from callcenter.crm.phrases.models import PhraseMark
from callcenter.crm.review.models import Correction
from callcenter.crm.shredding.facts import forgotten

NOTHING = "—"
"""Where a name or a subject stood, in every language."""


def facts(session: Session, calls: Sequence[str], kinds: Sequence[str]) -> None:
    """The one change that the log's table lets through (migrations 0034 and 0035)."""
    table = log.facts
    mine = table.c.subject.in_(calls) & table.c.kind.in_(kinds)
    rows = session.execute(select(table.c.position, table.c.kind, table.c.payload).where(mine))
    for position, kind, payload in rows.all():
        left = forgotten(kind, payload)
        if left != payload:
            here = update(table).where(table.c.position == position)
            session.execute(here.values(payload=left))


def transcripts(session: Session, calls: Sequence[str]) -> None:
    """What was said in these calls, in every revision, and in the text index."""
    facts(session, calls, ["UtteranceHeard"])
    said = select(Utterance.number, Utterance.text).where(Utterance.call_id.in_(calls))
    texts = {number: text for number, text in session.execute(said)}  # noqa: C416 - rows to mypy
    if texts:
        fts.remove(session, texts)
    for table in (Utterance, Correction, PhraseMark):
        session.execute(delete(table).where(table.call_id.in_(calls)))
    mine = update(Interaction).where(Interaction.call_id.in_(calls))
    session.execute(mine.values(transcript_state="none"))


def complaints(session: Session, ids: Sequence[str]) -> None:
    """The texts of these complaints; stages, clocks, causes and remedies stay.

    The code is a new one that nobody was told: the old one opens nothing any more.
    """
    if not ids:
        return
    steps = update(ComplaintTransition).where(ComplaintTransition.complaint_id.in_(ids))
    session.execute(steps.values(note="", details={}))
    changes = update(ComplaintChange).where(ComplaintChange.complaint_id.in_(ids))
    session.execute(changes.values(before=None, after=None, why=""))
    quotes = update(ComplaintQuote).where(ComplaintQuote.complaint_id.in_(ids))
    session.execute(quotes.values(text=""))
    for id in ids:
        code = free_code(session)
        session.execute(
            update(Complaint)
            .where(Complaint.id == id)
            .values(
                subject=NOTHING, description="", wanted="", corrective="", decision=None,
                code=code, keys=pressed(code), version=Complaint.version + 1,
            )
        )  # fmt: skip
    messages(session, Message.complaint_id.in_(ids))


def messages(session: Session, mine: ColumnElement[bool]) -> None:
    """What was written to whom; what still waits is not sent."""
    waiting = update(Message).where(mine, Message.state == "waiting")
    session.execute(waiting.values(state="failed"))
    texts = update(Message).where(mine)
    session.execute(texts.values(to="", subject="", body="", problem=""))
