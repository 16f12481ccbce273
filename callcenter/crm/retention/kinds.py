"""What is kept for a time: which of it is too old, what holds it, and how it is shredded.

The audit is a chain and goes in another way (`audit_lines.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.holds import queries as holds
from callcenter.crm.interactions.models import Interaction, Recording, Utterance
from callcenter.crm.messages.models import Message
from callcenter.crm.shredding import texts
from callcenter.crm.trust.verify import SHRED
from callcenter.crm.vault import operations as vault


@dataclass(frozen=True, slots=True)
class Rules:
    """Days that things are kept, by kind (None: for ever); recordings of queues with their own;
    days between marking and shredding."""

    recordings: int | None = None
    queues: Mapping[str, int] = field(default_factory=dict)
    transcripts: int | None = None
    complaints: int | None = None
    messages: int | None = None
    audit: int | None = None
    shred_after: int = 7


class Kind(Protocol):
    """One kind of thing. What `due` says is too old is marked; it is shredded later."""

    @property
    def name(self) -> str:
        """As in the settings, the marks and the audit."""

    @property
    def id(self) -> InstrumentedAttribute[Any]:
        """The column of its ids."""

    def ids(self) -> Select[Any]:
        """Every id, with what `due` and `held` look at."""

    def due(self, at: datetime) -> ColumnElement[bool] | None:
        """Its time is over; None where the settings keep it for ever."""

    def held(self) -> ColumnElement[bool]:
        """A legal hold keeps it."""

    def shred(self, session: Session, ids: Sequence[str]) -> None:
        """Remove it for good."""


class Recordings:
    """Sound, by the moment of its sealing. `remove(path)` removes the files of one."""

    name = "recordings"

    def __init__(self, rules: Rules, remove: Callable[[str], None]) -> None:
        self._days, self._queues, self._remove = rules.recordings, rules.queues, remove

    @property
    def id(self) -> InstrumentedAttribute[Any]:
        """See Kind."""
        return Recording.id

    def ids(self) -> Select[Any]:
        """See Kind."""
        query = select(Recording.id)
        return query.join(Interaction, Interaction.call_id == Recording.call_id)

    def due(self, at: datetime) -> ColumnElement[bool] | None:
        """See Kind."""
        due = [
            and_(Interaction.queue == name, Recording.sealed_at < at - timedelta(days=days))
            for name, days in self._queues.items()
        ]
        if self._days is not None:
            others = or_(Interaction.queue.is_(None), Interaction.queue.not_in(list(self._queues)))
            due.append(and_(others, Recording.sealed_at < at - timedelta(days=self._days)))
        return or_(*due) if due else None

    def held(self) -> ColumnElement[bool]:
        """See Kind."""
        return holds.of_interaction()

    def shred(self, session: Session, ids: Sequence[str]) -> None:
        """Files first, then the keys; the audit says why a file is not there."""
        query = select(Recording).where(Recording.id.in_(ids))
        recordings = session.scalars(query).all()
        for row in recordings:
            self._remove(row.path)
            audit.record(session, None, SHRED, "recording", row.id)
        vault.destroy(session, None, [row.call_id for row in recordings])


class Transcripts:
    """What was said, by the end of its call: every revision, corrections, the text index."""

    name = "transcripts"

    def __init__(self, rules: Rules) -> None:
        self._days = rules.transcripts

    @property
    def id(self) -> InstrumentedAttribute[Any]:
        """See Kind."""
        return Interaction.call_id

    def ids(self) -> Select[Any]:
        """See Kind."""
        said = select(Utterance.call_id).where(Utterance.call_id == Interaction.call_id)
        return select(Interaction.call_id).where(said.exists())

    def due(self, at: datetime) -> ColumnElement[bool] | None:
        """See Kind."""
        if self._days is None:
            return None
        return Interaction.ended_at < at - timedelta(days=self._days)

    def held(self) -> ColumnElement[bool]:
        """See Kind."""
        return holds.of_interaction()

    def shred(self, session: Session, ids: Sequence[str]) -> None:
        """See Kind."""
        texts.transcripts(session, ids)


class Complaints:
    """The texts of complaints that were closed, by their closing; figures keep counting them."""

    name = "complaints"

    def __init__(self, rules: Rules) -> None:
        self._days = rules.complaints

    @property
    def id(self) -> InstrumentedAttribute[Any]:
        """See Kind."""
        return Complaint.id

    def ids(self) -> Select[Any]:
        """See Kind."""
        return select(Complaint.id).where(Complaint.stage == "closed")

    def due(self, at: datetime) -> ColumnElement[bool] | None:
        """See Kind."""
        if self._days is None:
            return None
        return Complaint.closed_at < at - timedelta(days=self._days)

    def held(self) -> ColumnElement[bool]:
        """See Kind."""
        return holds.of_customer_or_interaction(Complaint.customer_id, Complaint.interaction_id)

    def shred(self, session: Session, ids: Sequence[str]) -> None:
        """See Kind."""
        texts.complaints(session, ids)


class Messages:
    """Mails and text messages, by the day that they were written."""

    name = "messages"

    def __init__(self, rules: Rules) -> None:
        self._days = rules.messages

    @property
    def id(self) -> InstrumentedAttribute[Any]:
        """See Kind."""
        return Message.id

    def ids(self) -> Select[Any]:
        """See Kind."""
        return select(Message.id).where(Message.state != "waiting")

    def due(self, at: datetime) -> ColumnElement[bool] | None:
        """See Kind."""
        if self._days is None:
            return None
        return Message.created_at < at - timedelta(days=self._days)

    def held(self) -> ColumnElement[bool]:
        """See Kind."""
        born = select(Complaint.interaction_id).where(Complaint.id == Message.complaint_id)
        its = born.correlate(Message).scalar_subquery()
        return holds.of_customer_or_interaction(Message.customer_id, its)

    def shred(self, session: Session, ids: Sequence[str]) -> None:
        """See Kind."""
        texts.messages(session, Message.id.in_(ids))


def kinds(rules: Rules, remove: Callable[[str], None]) -> list[Kind]:
    """All of them, in the order in which they are looked at."""
    return [Recordings(rules, remove), Transcripts(rules), Complaints(rules), Messages(rules)]


def counted(query: Select[Any]) -> Select[int]:
    """How many rows that query has."""
    return select(func.count()).select_from(query.order_by(None).subquery())
