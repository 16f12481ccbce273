"""Opening complaints and taking them through their stages. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm.complaints import fields as complaint_fields
from callcenter.crm.complaints.clocks import Rules, usual
from callcenter.crm.complaints.codes import new_code
from callcenter.crm.complaints.models import (
    Complaint,
    ComplaintCall,
    ComplaintChange,
    ComplaintQuote,
    ComplaintTransition,
)
from callcenter.crm.complaints.stages import BEGIN_ANEW, Stage, Step, check
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.interactions.operations import get_or_raise as interaction_or_raise
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import ComplaintCodeRead, ComplaintMoved, ComplaintOpened, now


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
    product: str = "",
    wanted: str = "",
    utterances: Sequence[str] = (),
    rules: Rules | None = None,
) -> Complaint:
    """Register a complaint and append `ComplaintOpened` in the same transaction.

    `utterances`: ids of what was said in that interaction, quoted as it stands now. Without
    a customer the interaction's is taken. The clocks of `rules` start now.
    """
    born = interaction_or_raise(session, interaction) if interaction else None
    if customer is None and born is not None:
        customer = born.customer_id
    if customer is not None:
        customer_or_raise(session, customer)
    rules, moment = rules or usual(), now()
    complaint = Complaint(
        code=free_code(session),
        customer_id=customer,
        interaction_id=interaction,
        subject=checked("subject", subject, most=200, needed=True),
        description=checked("description", description, most=200_000),
        severity=complaint_fields.severity(severity),
        product=checked("product", product, most=200),
        wanted=checked("wanted", wanted, most=20_000),
        queue=born.queue if born else None,
        owner=owner or by,
        created_by=by,
        created_at=moment,
        clock_from=moment,
    )
    complaint.stage = "received"
    complaint.acknowledge_due_at = rules.acknowledge_due(moment)
    complaint.due_at = due_at or rules.decide_due(moment, complaint.severity)
    complaint.quotes = _quotes(session, born, utterances)
    complaint.transitions = [
        ComplaintTransition(from_stage=None, to_stage="received", by=by, note="", details={})
    ]
    session.add(complaint)
    session.flush()
    _tell(session, complaint, born)
    return complaint


def quote(
    session: Session, complaint: Complaint, utterances: Sequence[str], *, call: str | None = None
) -> None:
    """Quote more of what was said where the complaint was born, or in another contact `call`."""
    where = call or complaint.interaction_id
    if where is None:
        raise Conflict("this complaint was not born in a call: there is nothing to quote")
    said_in = interaction_or_raise(session, where)
    known = {one.utterance for one in complaint.quotes}
    fresh = _quotes(session, said_in, [one for one in utterances if one not in known])
    for one in fresh:
        one.interaction_id = None if where == complaint.interaction_id else where
    complaint.quotes.extend(fresh)
    session.flush()


def add_call(session: Session, complaint: Complaint, interaction: str, *, by: str) -> None:
    """A further contact was about this complaint; adding it twice changes nothing."""
    row = interaction_or_raise(session, interaction)
    known = {complaint.interaction_id, *(one.interaction_id for one in complaint.calls)}
    if row.id in known:
        return
    complaint.calls.append(ComplaintCall(interaction_id=row.id, by=by))
    _touched(complaint)
    session.flush()


def change(
    session: Session,
    complaint: Complaint,
    *,
    by: str,
    why: str = "",
    version: int | None = None,
    rules: Rules | None = None,
    **fields: Any,
) -> Complaint:
    """Set any of `fields.CHECKS`; every one that really changes is noted with who and why.

    Another severity sets another deadline, counted from where the clock began.
    """
    if version is not None and version != complaint.version:
        raise Conflict("somebody changed this complaint meanwhile: load it again")
    reason = checked("why", why, most=2_000)
    values = {name: complaint_fields.check(session, name, value) for name, value in fields.items()}
    if "severity" in values and "due_at" not in values:
        start = complaint.clock_from or complaint.created_at
        if values["severity"] != complaint.severity:
            values["due_at"] = (rules or usual()).decide_due(start, values["severity"])
    for name, value in values.items():
        before = getattr(complaint, name)
        if before != value:
            setattr(complaint, name, value)
            _note(complaint, name, before, value, by=by, why=reason)
    _touched(complaint)
    session.flush()
    return complaint


def _note(complaint: Complaint, name: str, before: Any, after: Any, *, by: str, why: str) -> None:
    shown = complaint_fields.shown
    change = ComplaintChange(field=name, before=shown(before), after=shown(after), by=by, why=why)
    complaint.changes.append(change)


def transition(
    session: Session, complaint: Complaint, step: Step, *, by: str, rules: Rules | None = None
) -> Complaint:
    """Take one step (`stages.check` says which may be taken), note it, and tell the log."""
    check(complaint.stage, step)
    before: Stage = complaint.stage
    details: dict[str, Any] = {
        key: value for key in ("decision", "channel") if (value := getattr(step, key))
    }
    if step.accepted is not None:
        details["accepted"] = step.accepted
    complaint.transitions.append(
        ComplaintTransition(
            from_stage=before,
            to_stage=step.to,
            by=by,
            note=checked("note", step.note, most=20_000),
            details=details,
        )
    )
    complaint.stage = step.to
    _arrived(complaint, step, now(), rules or usual())
    _touched(complaint)
    session.flush()
    moved = ComplaintMoved(
        complaint=complaint.id, code=complaint.code, from_stage=before, to_stage=step.to, by=by
    )
    log.append_within(session.connection(), moved)
    return complaint


def _arrived(complaint: Complaint, step: Step, moment: datetime, rules: Rules) -> None:
    """What a stage means for the record and its clocks."""
    complaint.acknowledged_at = complaint.acknowledged_at or moment
    complaint.acknowledge_due_at = None
    if step.to == "responded":
        complaint.decision = checked("decision", step.decision, most=20_000)
        complaint.decided_at = complaint.decided_at or moment
    elif step.to == "communicated":
        complaint.told_by = checked("channel", step.channel, most=32)
        complaint.told_at = moment
    elif step.to in BEGIN_ANEW:
        complaint.reopened += 1
        complaint.accepted = None
        complaint.clock_from, complaint.escalation = moment, 0
        complaint.due_at = rules.decide_due(moment, complaint.severity)
    if step.to == "closed":
        complaint.accepted = step.accepted
    complaint.closed_at = moment if step.to == "closed" else None


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


def code_read(session: Session, fact: ComplaintCodeRead) -> None:
    """The customer heard the code: a line of the complaint's history."""
    told = {"complaint_id": fact.complaint, "field": "code_read", "by": fact.by, "at": fact.at}
    if session.scalar(select(ComplaintChange.number).filter_by(**told)) is None:
        session.add(ComplaintChange(**told, after="phone"))


def free_code(session: Session) -> str:
    """A code that no complaint has."""
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
