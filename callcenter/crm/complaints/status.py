"""What a customer may know of a complaint: its stage, the deadline, the answer once it was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.queries import by_code
from callcenter.crm.complaints.stages import WAITING_STAGES, Stage
from callcenter.crm.customers.models import Customer
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.text import fold_digits


@dataclass(frozen=True, slots=True)
class Status:
    """No notes, no names: what is told to whoever has the code. `due` while they wait."""

    code: str
    subject: str
    stage: Stage
    due: datetime | None
    answer: str
    steps: tuple[tuple[Stage, datetime], ...]


def look_up(session: Session, code: str, digits: str) -> Status | None:
    """The complaint of that code, for somebody whose number ends with these digits."""
    complaint = by_code(session, code)
    end = "".join(char for char in fold_digits(digits) if char.isdecimal())
    if complaint is None or not end:
        return None
    if not any(number.endswith(end) for number in _numbers(session, complaint)):
        return None
    return of(complaint)


def of(complaint: Complaint) -> Status:
    """What may be told."""
    waits = complaint.stage in WAITING_STAGES
    return Status(
        code=complaint.code,
        subject=complaint.subject,
        stage=complaint.stage,
        due=complaint.due_at if waits else None,
        answer=complaint.decision or "" if not waits else "",
        steps=tuple((one.to_stage, one.at) for one in complaint.transitions),
    )


def _numbers(session: Session, complaint: Complaint) -> list[str]:
    """Every number of the customer, and the one that the complaint came from."""
    found: list[str] = []
    if complaint.customer_id:
        customer = session.get(Customer, complaint.customer_id)
        found += [phone.e164 for phone in customer.phones] if customer else []
    if complaint.interaction_id:
        born = session.get(Interaction, complaint.interaction_id)
        found += [born.from_number] if born and born.from_number else []
    return found
