"""Opening complaints and taking them through their stages. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm.complaints.codes import new_code
from callcenter.crm.complaints.models import (
    SEVERITIES,
    Complaint,
    ComplaintQuote,
    ComplaintTransition,
    Severity,
)
from callcenter.crm.complaints.stages import Stage, Step, check
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.interactions.operations import get_or_raise as interaction_or_raise
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import ComplaintOpened, now

DUE: dict[Severity, timedelta] = {
    "critical": timedelta(days=1),
    "high": timedelta(days=3),
    "normal": timedelta(days=10),
    "low": timedelta(days=20),
}


def get_or_raise(session: Session, complaint: str) -> Complaint:
    """The complaint with that id, else NotFound."""
    found = session.get(Complaint, complaint)
    if found is None:
        raise NotFound("there is no such complaint")
    return found


def open_complaint(
    session: Session,
    *,
    by: str,
    subject: str,
    description: str = "",
    severity: str = "normal",
    customer: str | None = None,
    interaction: str | None = None,
    owner: str | None = None,
    due_at: datetime | None = None,
    utterances: Sequence[str] = (),
) -> Complaint:
    """Register a complaint and append `ComplaintOpened` in the same transaction.

    `utterances`: ids of what was said in that interaction, quoted as it stands now. Without
    a customer the interaction's is taken.
    """
    born = interaction_or_raise(session, interaction) if interaction else None
    if customer is None and born is not None:
        customer = born.customer_id
    if customer is not None:
        customer_or_raise(session, customer)
    complaint = Complaint(
        code=_free_code(session),
        customer_id=customer,
        interaction_id=interaction,
        subject=checked("subject", subject, most=200, needed=True),
        description=checked("description", description, most=200_000),
        severity=_severity(severity),
        owner=owner or by,
        created_by=by,
    )
    complaint.stage = "received"
    complaint.due_at = due_at or now() + DUE[complaint.severity]
    complaint.quotes = _quotes(session, born, utterances)
    complaint.transitions = [
        ComplaintTransition(from_stage=None, to_stage="received", by=by, note="", details={})
    ]
    session.add(complaint)
    session.flush()
    _tell(session, complaint, born)
    return complaint


def quote(session: Session, complaint: Complaint, utterances: Sequence[str]) -> None:
    """Quote more of what was said in the complaint's interaction."""
    if complaint.interaction_id is None:
        raise Conflict("this complaint was not born in a call: there is nothing to quote")
    born = interaction_or_raise(session, complaint.interaction_id)
    known = {one.utterance for one in complaint.quotes}
    fresh = [one for one in utterances if one not in known]
    complaint.quotes.extend(_quotes(session, born, fresh))
    session.flush()


def change(
    session: Session, complaint: Complaint, *, version: int | None = None, **fields: Any
) -> Complaint:
    """Set any of subject, description, severity, owner, due_at, customer."""
    if version is not None and version != complaint.version:
        raise Conflict("somebody changed this complaint meanwhile: load it again")
    for field, value in fields.items():
        if field == "subject":
            complaint.subject = checked(field, value, most=200, needed=True)
        elif field == "description":
            complaint.description = checked(field, value, most=200_000)
        elif field == "severity":
            complaint.severity = _severity(value)
        elif field == "owner":
            complaint.owner = value
        elif field == "due_at":
            complaint.due_at = value
        elif field == "customer":
            complaint.customer_id = customer_or_raise(session, value).id
        else:
            raise Invalid(f"{field} cannot be changed", {field: "cannot be changed"})
    _touched(complaint)
    session.flush()
    return complaint


def transition(session: Session, complaint: Complaint, step: Step, *, by: str) -> Complaint:
    """Take one step (`stages.check` says which may be taken) and note who took it."""
    check(complaint.stage, step)
    before: Stage = complaint.stage
    details = {key: value for key, value in asdict(step).items() if value}
    complaint.transitions.append(
        ComplaintTransition(
            from_stage=before,
            to_stage=step.to,
            by=by,
            note=checked("note", step.note, most=20_000),
            details={key: details[key] for key in ("decision", "channel") if key in details},
        )
    )
    complaint.stage = step.to
    if step.to == "responded":
        complaint.decision = checked("decision", step.decision, most=20_000)
    elif step.to == "communicated":
        complaint.told_by = checked("channel", step.channel, most=32)
    complaint.closed_at = now() if step.to == "closed" else None
    if step.to in ("reopened", "appealed"):
        complaint.reopened += 1
    _touched(complaint)
    session.flush()
    return complaint


def _touched(complaint: Complaint) -> None:
    complaint.version += 1
    complaint.updated_at = now()


def _tell(session: Session, complaint: Complaint, born: Interaction | None) -> None:
    fact = ComplaintOpened(
        complaint=complaint.id,
        code=complaint.code,
        customer=complaint.customer_id,
        interaction=complaint.interaction_id,
        by=complaint.created_by,
        call=born.call_id if born else None,
    )
    log.append_within(session.connection(), fact)


def _free_code(session: Session) -> str:
    while True:
        code = new_code()
        if session.scalar(select(Complaint.id).where(Complaint.code == code)) is None:
            return code


def _quotes(
    session: Session, born: Interaction | None, utterances: Sequence[str]
) -> list[ComplaintQuote]:
    if not utterances:
        return []
    if born is None:
        raise Invalid("quotes need the interaction", {"interaction": "is needed for quotes"})
    query = select(Utterance).where(Utterance.id.in_(utterances), Utterance.call_id == born.call_id)
    found = {one.id: one for one in session.scalars(query)}
    if unknown := [one for one in utterances if one not in found]:
        raise Invalid(
            f"{len(unknown)} of the quotes are not of this call", {"quotes": "is not of this call"}
        )
    return [
        ComplaintQuote(utterance=one.id, leg=one.leg, text=one.text, t0=one.t0, t1=one.t1)
        for one in sorted(found.values(), key=lambda one: one.t0)
    ]


def _severity(severity: str) -> Severity:
    for known in SEVERITIES:
        if known == severity:
            return known
    raise Invalid(f"a severity is one of {', '.join(SEVERITIES)}", {"severity": "is no severity"})
