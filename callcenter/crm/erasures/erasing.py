"""What becomes of each row: texts, names and numbers go; ids, times, counts and figures stay.

Doing any of it twice changes nothing. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from callcenter.crm.agents.models import AgentEvent
from callcenter.crm.audit import operations as audit
from callcenter.crm.complaints.models import Complaint, ComplaintQuote
from callcenter.crm.customers.models import Customer, CustomerWord, Phone
from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.holds.models import LegalHold
from callcenter.crm.interactions.models import Interaction, Recording
from callcenter.crm.messages.models import Message
from callcenter.crm.quality.models import Evaluation, EvaluationAnswer, EvaluationNote
from callcenter.crm.retention.models import RetentionMark
from callcenter.crm.review.models import Comment, MomentLink
from callcenter.crm.shredding import texts
from callcenter.crm.shredding.facts import PERSONAL
from callcenter.crm.trust.verify import SHRED
from callcenter.crm.vault import operations as vault


def calls(customer: str, after: str, limit: int) -> Select[str, str | None]:
    """(interaction, call) whose interaction's id comes after that one."""
    query = select(Interaction.id, Interaction.call_id)
    mine = query.where(Interaction.customer_id == customer, Interaction.id > after)
    return mine.order_by(Interaction.id).limit(limit)


def unfinished(session: Session, customer: str) -> str | None:
    """Why it must wait: a `call` lasts, or a `recording` is being sealed."""
    mine = Interaction.customer_id == customer
    lasts = exists().where(mine, Interaction.channel == "phone", Interaction.ended_at.is_(None))
    sealing = exists().where(mine, Interaction.recording_state == "running")
    for why, found in (("call", lasts), ("recording", sealing)):
        if session.scalar(select(found)):
            return why
    return None


def close_keys(session: Session, customer: str, at: datetime) -> None:
    """Nobody can open a recording of the customer again, nor the record."""
    vault.destroy(session, customer)
    session.execute(
        update(Customer)
        .where(Customer.id == customer, Customer.erased_at.is_(None))
        .values(erased_at=at)
    )


def paths(session: Session, calls: Sequence[str]) -> list[str]:
    """Of the sealed files of these calls."""
    return list(session.scalars(select(Recording.path).where(Recording.call_id.in_(calls))))


def calls_away(session: Session, ids: Sequence[str], calls: Sequence[str], at: datetime) -> None:
    """Everything personal of these interactions and calls; their files are gone already."""
    _sounds(session, calls, at)
    texts.facts(session, calls, list(PERSONAL))
    texts.transcripts(session, calls)
    session.execute(delete(AgentEvent).where(AgentEvent.call.in_(calls)))
    for table in (Comment, MomentLink):
        session.execute(delete(table).where(table.interaction_id.in_(ids)))
    _judgements(session, ids)
    quotes = update(ComplaintQuote).where(ComplaintQuote.interaction_id.in_(ids))
    session.execute(quotes.values(text=""))
    outward = update(Interaction).where(
        Interaction.id.in_(ids), Interaction.direction == "outbound"
    )
    session.execute(outward.values(to_number=None))
    session.execute(
        update(Interaction)
        .where(Interaction.id.in_(ids))
        .values(
            from_number=None, from_name=None, diverted_from=None, candidates=[], detail="",
            notes="", draft=None, version=Interaction.version + 1,
        )
    )  # fmt: skip


def _sounds(session: Session, calls: Sequence[str], at: datetime) -> None:
    """As retention does it: the audit says why a file is not there, the mark that it is gone."""
    gone = exists().where(
        RetentionMark.kind == "recordings",
        RetentionMark.object == Recording.id,
        RetentionMark.shredded_at.is_not(None),
    )
    fresh = select(Recording.id).where(Recording.call_id.in_(calls), ~gone)
    for recording in session.scalars(fresh).all():
        audit.record(session, None, SHRED, "recording", recording)
        mark = session.get(RetentionMark, ("recordings", recording))
        if mark is None:
            mark = RetentionMark(kind="recordings", object=recording, marked_at=at)
            session.add(mark)
        mark.shredded_at = at
    vault.destroy(session, None, calls)


def _judgements(session: Session, ids: Sequence[str]) -> None:
    """Scores stay: they are the agent's. What was written beside them may name the customer."""
    mine = select(Evaluation.id).where(Evaluation.interaction_id.in_(ids))
    answers = update(EvaluationAnswer).where(EvaluationAnswer.evaluation_id.in_(mine))
    session.execute(answers.values(remark=""))
    notes = update(EvaluationNote).where(EvaluationNote.evaluation_id.in_(mine))
    session.execute(notes.values(text=""))
    session.execute(update(Evaluation).where(Evaluation.interaction_id.in_(ids)).values(summary=""))


def complaints_away(session: Session, customer: str) -> None:
    """The texts of the customer's complaints."""
    ids = session.scalars(select(Complaint.id).where(Complaint.customer_id == customer)).all()
    texts.complaints(session, ids)


def record_away(session: Session, customer: str) -> list[str]:
    """The record, its messages and exports; the ids of exports whose archives are to go."""
    texts.messages(session, Message.customer_id == customer)
    for table in (Phone, CustomerWord):
        session.execute(delete(table).where(table.customer_id == customer))
    session.execute(
        update(Customer)
        .where(Customer.id == customer)
        .values(
            name=texts.NOTHING, sort_name="", language=None, emails=[], address="", tier=None,
            notes="", custom={}, version=Customer.version + 1,
        )
    )  # fmt: skip
    mine = CustomerExport.customer_id == customer
    session.execute(update(CustomerExport).where(mine).values(state="expired", reason=""))
    return list(session.scalars(select(CustomerExport.id).where(mine)))


def open_complaints(session: Session, customer: str) -> int:
    """How many complaints still wait for their answer."""
    query = select(func.count()).where(
        Complaint.customer_id == customer, Complaint.stage.not_in(["closed"])
    )
    return session.scalar(query) or 0


def held(session: Session, customer: str) -> bool:
    """Whether a legal hold lies on the customer or on one of the calls."""
    mine = select(Interaction.id).where(Interaction.customer_id == customer)
    object_ = or_(
        (LegalHold.kind == "customer") & (LegalHold.object == customer),
        (LegalHold.kind == "interaction") & LegalHold.object.in_(mine),
    )
    return bool(session.scalar(select(exists().where(LegalHold.released_at.is_(None), object_))))
