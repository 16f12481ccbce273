"""What is kept of a customer, as plain data: theirs only, also where others share their number.

Whoever else the caller might have been (`candidates`) is left out, so are calls of others that are
tied to a complaint, and people at the desks are ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints.models import (
    Complaint,
    ComplaintCall,
    ComplaintChange,
    ComplaintQuote,
    ComplaintTransition,
)
from callcenter.crm.customers.models import Customer, Phone
from callcenter.crm.db import Base
from callcenter.crm.interactions.models import Interaction, Recording, Utterance
from callcenter.crm.messages.models import Message
from callcenter.crm.phrases.models import PhraseMark
from callcenter.crm.quality.models import Evaluation, EvaluationAnswer
from callcenter.crm.review.models import Comment, Correction

Row = dict[str, Any]
_LEFT_OUT = {"candidates", "sort_name", "path"}
_OF_CALLS: dict[str, type[Any]] = {
    "recording": Recording,
    "transcript": Utterance,
    "corrections": Correction,
    "phrases": PhraseMark,
}
_OF_COMPLAINTS: dict[str, type[Any]] = {
    "steps": ComplaintTransition,
    "changes": ComplaintChange,
    "calls": ComplaintCall,
    "quotes": ComplaintQuote,
}


def customer(session: Session, id: str) -> Row:
    """The record with its phone numbers and the messages that were sent."""
    phones = select(Phone).where(Phone.customer_id == id).order_by(Phone.position)
    sent = select(Message).where(Message.customer_id == id).order_by(Message.created_at)
    return {
        **_plain(session.get_one(Customer, id)),
        "phones": _all(session.scalars(phones)),
        "messages": _all(session.scalars(sent)),
    }


def complaints(session: Session, customer: str) -> list[Row]:
    """Complaints with their steps, changes, calls and what was quoted from the customer's calls."""
    query = select(Complaint).where(Complaint.customer_id == customer)
    rows = session.scalars(query.order_by(Complaint.created_at)).all()
    ids, parts = [row.id for row in rows], {}
    for name, table in _OF_COMPLAINTS.items():
        own = table.complaint_id.in_(ids)
        if name in ("calls", "quotes"):
            own &= _of_own_calls(table, customer)
        parts[name] = _grouped(session, table, own, "complaint_id")
    return [
        {**_plain(row), **{name: parts[name][row.id] for name in _OF_COMPLAINTS}} for row in rows
    ]


def _of_own_calls(table: type[Any], customer: str) -> ColumnElement[bool]:
    """A quote without a call is of the one in which the complaint was born."""
    mine = select(Interaction.id).where(Interaction.customer_id == customer)
    if table is not ComplaintQuote:
        return table.interaction_id.in_(mine)  # type: ignore[no-any-return]
    born = select(Complaint.id).where(Complaint.interaction_id.in_(mine))
    unnamed = table.interaction_id.is_(None) & table.complaint_id.in_(born)
    return or_(table.interaction_id.in_(mine), unnamed)


def count_calls(session: Session, customer: str) -> int:
    """How many contacts there are."""
    query = select(func.count()).where(Interaction.customer_id == customer)
    return session.scalar(query) or 0


def calls(session: Session, customer: str, after: str, limit: int) -> list[tuple[Row, str | None]]:
    """The contacts whose ids come after that one: (the contact, path of its sound)."""
    query = select(Interaction).where(Interaction.customer_id == customer, Interaction.id > after)
    rows = session.scalars(query.order_by(Interaction.id).limit(limit)).all()
    of_call = {
        name: _grouped(session, table, table.call_id.in_([row.call_id for row in rows]), "call_id")
        for name, table in _OF_CALLS.items()
    }
    ids = [row.id for row in rows]
    of_contact = {
        "comments": _grouped(session, Comment, Comment.interaction_id.in_(ids), "interaction_id"),
        "evaluations": _evaluations(session, ids),
    }
    mine = Recording.call_id.in_([row.call_id for row in rows])
    paths = session.execute(select(Recording.call_id, Recording.path).where(mine))
    sounds = {call: path for call, path in paths}  # noqa: C416 - rows are no tuples to mypy
    return [
        (
            {
                **_plain(row),
                **{name: found[row.call_id] for name, found in of_call.items()},
                **{name: found[row.id] for name, found in of_contact.items()},
            },
            sounds.get(row.call_id or ""),
        )
        for row in rows
    ]


def _evaluations(session: Session, interactions: Sequence[str]) -> defaultdict[Any, list[Row]]:
    """Submitted ones, with their answers."""
    mine = Evaluation.interaction_id.in_(interactions) & (Evaluation.state == "submitted")
    found = _grouped(session, Evaluation, mine, "interaction_id")
    ids = [row["id"] for rows in found.values() for row in rows]
    own = EvaluationAnswer.evaluation_id.in_(ids)
    answers = _grouped(session, EvaluationAnswer, own, "evaluation_id")
    for row in (one for rows in found.values() for one in rows):
        row["answers"] = answers[row["id"]]
    return found


def _grouped(
    session: Session, table: type[Any], condition: ColumnElement[bool], by: str
) -> defaultdict[Any, list[Row]]:
    found: defaultdict[Any, list[Row]] = defaultdict(list)
    ordered = table.__mapper__.primary_key
    for row in session.scalars(select(table).where(condition).order_by(*ordered)):
        found[getattr(row, by)].append(_plain(row))
    return found


def _all(rows: Iterable[Base]) -> list[Row]:
    return [_plain(row) for row in rows]


def _plain(row: Base) -> Row:
    columns = row.__mapper__.column_attrs.keys()
    return {name: getattr(row, name) for name in columns if name not in _LEFT_OUT}
