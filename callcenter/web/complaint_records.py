"""From the rows of the complaint desk to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.complaints import figures as desk_figures
from callcenter.crm.complaints import incidents, operations, queries
from callcenter.crm.complaints.clocks import clock
from callcenter.crm.complaints.desk import Desk
from callcenter.crm.complaints.models import Complaint, ComplaintChange, ComplaintTransition
from callcenter.crm.complaints.stages import Step, check
from callcenter.crm.interactions import queries as interaction_queries
from callcenter.crm.messages import queries as message_queries
from callcenter.crm.users import queries as user_queries
from callcenter.errors import Invalid
from callcenter.events import LogAdvanced, now
from callcenter.log import EventLog
from callcenter.web.context import Services
from callcenter.web.records import briefs, people

Row = dict[str, Any]

# fmt: off
_COPIED = (
    "id", "code", "stage", "subject", "description", "severity", "decision", "told_by", "product",
    "queue", "wanted", "safety", "impact", "complexity", "cause", "corrective", "remedy",
    "accepted", "escalation", "reopened", "acknowledged_at", "decided_at", "told_at", "closed_at",
    "version", "created_at", "updated_at",
)
# fmt: on


def rows(session: Session, complaints: Sequence[Complaint], desk: Desk) -> list[Row]:
    """These complaints, in their order."""
    involved = [row.owner for row in complaints]
    named = people(session, involved + [t.by for row in complaints for t in row.transitions])
    known = briefs(session, [row.customer_id for row in complaints])
    at = now()
    return [
        {
            **{name: getattr(row, name) for name in _COPIED},
            "interaction": row.interaction_id,
            "due": row.due_at,
            "overdue": queries.is_overdue(row),
            "clock": clock(row.stage, row.acknowledge_due_at, row.due_at, desk.rules, at),
            "remedy_cost": _money(row.remedy_cents),
            "incident": row.incident_id,
            "owner": named.get(row.owner),
            "customer": known.get(row.customer_id),
            "quotes": [_quote(one, row) for one in row.quotes],
            "history": [stage_change(one, named) for one in row.transitions],
        }
        for row in complaints
    ]


def _money(cents: int | None) -> float | None:
    return None if cents is None else cents / 100


def _quote(one: Any, row: Complaint) -> Row:
    copied = {name: getattr(one, name) for name in ("utterance", "leg", "text", "t0", "t1")}
    return {**copied, "interaction": one.interaction_id or row.interaction_id}


def stage_change(one: ComplaintTransition, named: dict[str | None, Row]) -> Row:
    """One step of a complaint's way."""
    return {
        "at": one.at,
        "by": named.get(one.by),
        "from_stage": one.from_stage,
        "to_stage": one.to_stage,
        "note": one.note,
    }


def page(session: Session, filters: Row, limit: int, cursor: str | None, desk: Desk) -> Row:
    """Complaints, newest first."""
    found = queries.page(session, **filters, limit=limit, cursor=cursor)
    return {"items": rows(session, found.items, desk), "next": found.next}


def board(session: Session, owner: str | None, desk: Desk) -> Row:
    """Every stage with its complaints, the most urgent first."""
    columns = queries.board(session, owner=owner)
    shown = iter(rows(session, [card for column in columns for card in column.cards], desk))
    return {
        "columns": [
            {
                "stage": column.stage,
                "count": column.count,
                "items": [next(shown) for _ in column.cards],
            }
            for column in columns
        ]
    }


def row_of(session: Session, id: str) -> Complaint:
    """The row, for a permission check. Raises NotFound."""
    return operations.get_or_raise(session, id)


def detail(session: Session, row: Complaint, desk: Desk) -> Row:
    """One complaint with its changes, contacts and messages."""
    contacts = _contacts(session, row)
    named = people(session, [one.by for one in row.changes] + [c["agent"] for c in contacts])
    messages = message_queries.of_complaint(session, row.id)
    return {
        **rows(session, [row], desk)[0],
        "changes": [_field_change(one, named) for one in row.changes],
        "calls": [{**one, "agent": named.get(one["agent"])} for one in contacts],
        "messages": list(messages),
    }


def _field_change(one: ComplaintChange, named: dict[str | None, Row]) -> Row:
    copied = {name: getattr(one, name) for name in ("at", "field", "before", "after", "why")}
    return {**copied, "by": named.get(one.by)}


def _contacts(session: Session, row: Complaint) -> list[Row]:
    ids = [row.interaction_id, *(one.interaction_id for one in row.calls)]
    found = interaction_queries.by_ids(session, [one for one in ids if one])
    return [
        {
            "interaction": contact.id,
            "born": contact.id == row.interaction_id,
            "at": contact.started_at,
            "channel": contact.channel,
            "direction": contact.direction,
            "agent": contact.agent,
            "recording": contact.recording_state == "sealed",
        }
        for contact in sorted(found, key=lambda one: one.started_at)
    ]


def register(parts: Services, fields: Row, quotes: list[str], by: str, desk: Desk) -> Row:
    """Register a complaint; the fact is in the log with it."""
    with parts.writing() as session:
        known_user(session, fields.get("owner"))
        row = desk.register(session, by=by, utterances=quotes, **fields)
        shown = detail(session, row, desk)
    announce(parts)
    return shown


def announce(parts: Services) -> None:
    """After the commit: followers read the log."""
    parts.bus.publish(LogAdvanced(position=EventLog(parts.engine).end()))


def known_user(session: Session, user: str | None) -> None:
    """Silent for a user's id and None. Raises Invalid."""
    if user is not None and user_queries.by_id(session, user) is None:
        raise Invalid("there is no such user", {"owner": "is no user's id"})


def change(
    session: Session, row: Complaint, changes: Row, version: int | None, by: str, desk: Desk
) -> Row:
    """A changed complaint. What a person may empty is emptied by null."""
    for shown, stored in (("due", "due_at"), ("incident", "incident_id")):
        if shown in changes:
            changes[stored] = changes.pop(shown)
    if "remedy_cost" in changes:
        cost = changes.pop("remedy_cost")
        changes["remedy_cents"] = None if cost is None else round(cost * 100)
    why = changes.pop("why", "")
    fields = {name: value for name, value in changes.items() if _may_be_none(name, value)}
    known_user(session, fields.get("owner"))
    desk.change(session, row, by=by, why=why, version=version, **fields)
    return detail(session, row, desk)


def _may_be_none(name: str, value: Any) -> bool:
    emptied = ("impact", "complexity", "cause", "remedy", "remedy_cents", "incident_id")
    return value is not None or name in emptied


def check_step(row: Complaint, step: Row) -> None:
    """Silent when the complaint may go there. Raises DecisionNotTold, Conflict, Invalid."""
    check(row.stage, Step(**step))


def move(session: Session, row: Complaint, step: Row, by: str, desk: Desk) -> Row:
    """The complaint at its next stage."""
    desk.move(session, row, Step(**step), by=by)
    return detail(session, row, desk)


# --- Incidents and figures -------------------------------------------------------------------


def incident_rows(session: Session, found: Sequence[incidents.Counted]) -> list[Row]:
    """These incidents, in their order."""
    whom = [one.incident for one in found]
    named = people(session, [p for one in whom for p in (one.opened_by, one.closed_by)])
    copied = ("id", "cause", "product", "title", "advice", "opened_at", "closed_at", "closing")
    return [
        {
            **{name: getattr(one.incident, name) for name in (*copied, "version")},
            "complaints": one.complaints,
            "opened_by": named.get(one.incident.opened_by),
            "closed_by": named.get(one.incident.closed_by),
        }
        for one in found
    ]


def incident(session: Session, id: str) -> Row:
    """One incident. Raises NotFound."""
    row = incidents.get_or_raise(session, id)
    return incident_rows(session, [incidents.Counted(row, incidents.size(session, id))])[0]


def figures(session: Session, since: datetime, until: datetime, desk: Desk, currency: str) -> Row:
    """The desk in figures."""
    found = desk_figures.figures(session, desk.rules, now(), since=since, until=until)
    copied = ("open", "overdue", "received", "reopened", "acknowledge", "decide")
    groups = ("causes", "products", "queues")
    return {
        **{name: getattr(found, name) for name in copied},
        **{name: [_group(one) for one in getattr(found, name)] for name in groups},
        "since": since,
        "until": until,
        "ages": list(desk_figures.AGES),
        "currency": currency,
    }


def _group(one: desk_figures.Group) -> Row:
    return {
        "key": one.key,
        "count": one.count,
        "open": one.open,
        "reopened": one.reopened,
        "cost": one.cost_cents / 100,
    }
