"""The desk at work: a step of a complaint with all that belongs to it, in one transaction.

Receipt and answer go into the outbox of messages, a cause is looked at for an incident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.complaints import incidents, operations
from callcenter.crm.complaints.clocks import Rules, rules_of
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import Step, check
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.dates import day
from callcenter.crm.messages import operations as messages
from callcenter.crm.messages.models import Channel
from callcenter.crm.messages.operations import Post, post_of
from callcenter.errors import Invalid


@dataclass(frozen=True, slots=True)
class Desk:
    """The rules of the site, and its way to customers."""

    rules: Rules
    post: Post

    def register(self, session: Session, *, by: str, **fields: Any) -> Complaint:
        """See `operations.open_complaint`; the customer gets a receipt with the code."""
        complaint = operations.open_complaint(session, by=by, rules=self.rules, **fields)
        self._write(session, complaint, "receipt")
        return complaint

    def change(self, session: Session, complaint: Complaint, **fields: Any) -> Complaint:
        """See `operations.change`; a cause that came up before may make an incident."""
        before = complaint.cause
        operations.change(session, complaint, rules=self.rules, **fields)
        if complaint.cause != before:
            incidents.look(session, complaint, self.rules)
        return complaint

    def move(self, session: Session, complaint: Complaint, step: Step, *, by: str) -> Complaint:
        """See `operations.transition`; what the customer must hear of it is written to them.

        Told "by mail" or "by SMS" means by us where that channel is on. Raises Invalid where
        the customer has no such address: nobody was told then.
        """
        check(complaint.stage, step)
        channel = self._ours(step)
        if channel and not self._reaches(session, complaint, channel):
            detail = "this customer has no address for that channel"
            raise Invalid(detail, {"channel": detail})
        operations.transition(session, complaint, step, by=by, rules=self.rules)
        if step.to == "acknowledged":
            self._write(session, complaint, "acknowledged")
        elif channel:
            self._write(session, complaint, "decision", (channel,))
        return complaint

    def _ours(self, step: Step) -> Channel | None:
        if step.to != "communicated":
            return None
        return next((one for one in self.post.channels if one == step.channel.strip()), None)

    def _reaches(self, session: Session, complaint: Complaint, channel: Channel) -> bool:
        if complaint.customer_id is None:
            return False
        customer = customer_or_raise(session, complaint.customer_id)
        return messages.address(customer, channel) is not None

    def _write(
        self,
        session: Session,
        complaint: Complaint,
        kind: Literal["receipt", "acknowledged", "decision"],
        channels: tuple[Channel, ...] | None = None,
    ) -> None:
        if complaint.customer_id is None or not self.post.channels:
            return
        customer = customer_or_raise(session, complaint.customer_id)
        language = customer.language or self.post.default_language
        messages.write(
            session,
            self.post,
            customer,
            kind,
            channels=channels,
            complaint=complaint.id,
            code=complaint.code,
            subject=complaint.subject,
            due=day(complaint.due_at, language, self.rules.calendar.zone),
            decision=complaint.decision or "",
        )


def desk_of(settings: Settings) -> Desk:
    """The desk that the settings describe."""
    return Desk(rules_of(settings), post_of(settings))
