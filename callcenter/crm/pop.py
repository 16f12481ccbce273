"""What an agent needs to know before saying hello, in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from callcenter.crm.complaints.queries import open_counts
from callcenter.crm.customers.models import Customer, Phone
from callcenter.crm.customers.queries import Reason, match
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.interactions.queries import last_of_customers


@dataclass(frozen=True, slots=True)
class Card:
    """One possible caller: who, why, what is open, what happened last (newest first)."""

    customer: Customer
    phone: Phone
    reason: Reason
    score: float
    open_complaints: int
    last: list[Interaction]


def cards(session: Session, number: str | None, region: str, *, most: int = 5) -> list[Card]:
    """Everybody who may be calling from that number, best first; four queries at most."""
    found = match(session, number, region)[:most]
    if not found:
        return []
    ids = [one.customer.id for one in found]
    complaints = open_counts(session, ids)
    last = last_of_customers(session, ids)
    return [
        Card(
            one.customer,
            one.phone,
            one.reason,
            one.score,
            complaints.get(one.customer.id, 0),
            last.get(one.customer.id, []),
        )
        for one in found
    ]
