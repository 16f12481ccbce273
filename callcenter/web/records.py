"""From the CRM's rows to the shapes of the API: the only module that knows both.

Functions take an open session and return plain data for the views of `shapes`. Names of
people and customers are gathered in one query a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.audit import queries as audit_queries
from callcenter.crm.complaints import queries as complaint_queries
from callcenter.crm.customers import operations as customer_operations
from callcenter.crm.customers import queries as customer_queries
from callcenter.crm.customers.models import Customer
from callcenter.crm.customers.operations import PhoneIn
from callcenter.crm.disclosures import queries as disclosure_queries
from callcenter.crm.interactions import operations as interaction_operations
from callcenter.crm.interactions import queries as interaction_queries
from callcenter.crm.interactions.models import CallQuality, Interaction, Recording
from callcenter.crm.paging import Page
from callcenter.crm.phrases.queries import calls_marked
from callcenter.crm.text import visible
from callcenter.crm.users import queries as user_queries
from callcenter.errors import NotFound
from callcenter.web.context import services

Row = dict[str, Any]


def _region() -> str:
    return services().settings.site.region


def _page(page: Page[Any], items: Sequence[Any]) -> Row:
    return {"items": list(items), "next": page.next}


# --- People --------------------------------------------------------------------------------


def people(session: Session, ids: Iterable[str | None]) -> dict[str | None, Row]:
    """Id → {id, username, name} of these users."""
    wanted = {one for one in ids if one}
    return {
        user.id: {"id": user.id, "username": user.username, "name": user.name}
        for user in user_queries.by_ids(session, wanted)
    }


def users(session: Session, limit: int, cursor: str | None) -> Row:
    """Accounts by name."""
    page = user_queries.page(session, limit=limit, cursor=cursor)
    return _page(page, page.items)


def audit(session: Session, limit: int, cursor: str | None) -> Row:
    """The audit, newest first."""
    page = audit_queries.page(session, limit=limit, cursor=cursor)
    return _page(page, page.items)


def disclosures(session: Session, limit: int, cursor: str | None) -> Row:
    """What was opened with a reason, newest first."""
    page = disclosure_queries.page(session, limit=limit, cursor=cursor)
    named = people(session, [one.who for one in page.items])
    fields = ("id", "kind", "object", "reason", "opened_at", "until")
    items = [
        {**{name: getattr(one, name) for name in fields}, "who": named.get(one.who)}
        for one in page.items
    ]
    return _page(page, items)


# --- Customers -----------------------------------------------------------------------------


def brief(customer: Customer, open_complaints: int = 0) -> Row:
    """A customer, as much as a pop needs."""
    return {
        "id": customer.id,
        "name": visible(customer.name),
        "kind": customer.kind,
        "language": customer.language,
        "tier": customer.tier,
        "open_complaints": open_complaints,
    }


def _full(customer: Customer, open_complaints: int) -> Row:
    return {
        **brief(customer, open_complaints),
        "name": customer.name,  # to be edited: as it was written
        "emails": customer.emails,
        "address": customer.address,
        "notes": customer.notes,
        "phones": list(customer.phones),
        "version": customer.version,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
    }


def briefs(session: Session, ids: Iterable[str | None]) -> dict[str | None, Row]:
    """Id → customer in brief, with the count of open complaints."""
    wanted = {one for one in ids if one}
    if not wanted:
        return {}
    counts = complaint_queries.open_counts(session, wanted)
    found = customer_queries.by_ids(session, wanted)
    return {id_: brief(row, counts.get(id_, 0)) for id_, row in found.items()}


def customers(session: Session, q: str | None, limit: int, cursor: str | None) -> Row:
    """Customers by name."""
    page = customer_queries.page(session, q=q, region=_region(), limit=limit, cursor=cursor)
    counts = complaint_queries.open_counts(session, [row.id for row in page.items])
    return _page(page, [_full(row, counts.get(row.id, 0)) for row in page.items])


def customer(session: Session, id: str) -> Row:
    """One customer."""
    row = customer_operations.get_or_raise(session, id)
    return _full(row, complaint_queries.open_counts(session, [id]).get(id, 0))


def create_customer(session: Session, fields: Row, by: str) -> Row:
    """A new customer."""
    phones = [PhoneIn(**phone) for phone in fields.pop("phones")]
    row = customer_operations.create(session, region=_region(), phones=phones, by=by, **fields)
    return _full(row, 0)


def change_customer(session: Session, id: str, changes: Row, version: int | None, by: str) -> Row:
    """A changed customer."""
    row = customer_operations.get_or_raise(session, id)
    phones = changes.pop("phones", None)
    typed = None if phones is None else [PhoneIn(**phone) for phone in phones]
    changes = {name: value for name, value in changes.items() if _may_be_none(name, value)}
    customer_operations.change(
        session, row, region=_region(), version=version, phones=typed, **changes
    )
    return customer(session, id)


def _may_be_none(name: str, value: Any) -> bool:
    return value is not None or name in ("language", "tier")


def matches(session: Session, phone: str | None, region: str) -> list[Row]:
    """Who may be calling, best first, each with its reason."""
    found = customer_queries.match(session, phone, region)
    counts = complaint_queries.open_counts(session, [one.customer.id for one in found])
    return [
        {
            "customer": brief(one.customer, counts.get(one.customer.id, 0)),
            "reason": one.reason,
            "score": one.score,
        }
        for one in found
    ]


# --- Interactions --------------------------------------------------------------------------


# fmt: off
_COPIED = (
    "id", "call_id", "channel", "direction", "queue", "line", "language", "from_number",
    "from_name", "to_number", "diverted_from", "verstat", "outcome", "detail", "disposition",
    "notes", "draft",
    "started_at", "answered_at", "ended_at", "wait_seconds", "talk_seconds", "wrapped_at",
    "closed_at", "handled_at", "policy", "consent", "pauses",
    "recording_state", "transcript_state", "version",
)
# fmt: on


def _interactions(session: Session, rows: Sequence[Interaction]) -> list[Row]:
    named = people(session, [one for row in rows for one in (*row.talked, row.owner)])
    known = briefs(session, [row.customer_id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in _COPIED},
            "from_name": visible(row.from_name or "") or None,
            "agent": named.get(row.agent),
            "participants": [named[one.agent] for one in row.participants if one.agent in named],
            "owner": named.get(row.owner),
            "customer": known.get(row.customer_id),
        }
        for row in rows
    ]


def interaction_rows(session: Session, rows: Sequence[Interaction]) -> list[Row]:
    """These interactions, in their order."""
    return _interactions(session, rows)


_PERSONAL = {"from_name": None, "diverted_from": None, "customer": None, "notes": "", "draft": None}


def discreet(shown: Row) -> Row:
    """An interaction without what tells who the customer is or what they wanted."""
    number = "to_number" if shown["direction"] == "outbound" else "from_number"
    hidden = {name: nothing for name, nothing in _PERSONAL.items() if name in shown}
    return {**shown, **hidden, number: _masked(shown[number])}


def _masked(number: str | None) -> str | None:
    """The last two digits: enough to tell two calls apart."""
    return f"…{number[-2:]}" if number else None


_MEASURED = tuple(
    column.key
    for column in CallQuality.__table__.columns
    if column.key not in ("call_id", "measured_at", "agent")
)


def interactions(session: Session, filters: Row, limit: int, cursor: str | None) -> Row:
    """Interactions, newest first."""
    handled, mark = filters.pop("handled", None), filters.pop("mark", None)
    filters["calls"] = calls_marked(mark) if mark else None
    narrowed = interaction_queries.Filters(**filters, unhandled=handled is False)
    page = interaction_queries.page(session, narrowed, limit=limit, cursor=cursor)
    return _page(page, _interactions(session, page.items))


def interaction_row(session: Session, id: str) -> Interaction:
    """The row, for a permission check. Raises NotFound."""
    return interaction_operations.get_or_raise(session, id)


def interaction(session: Session, id: str) -> Row:
    """One interaction, with the quality of its sound."""
    return _with_quality(session, interaction_row(session, id))


def _with_quality(session: Session, row: Interaction) -> Row:
    measured = interaction_queries.quality_of(session, row)
    named = people(session, [one.agent for one in measured])
    quality = [
        {**{name: getattr(one, name) for name in _MEASURED}, "agent": named.get(one.agent)}
        for one in measured
    ]
    return {**_interactions(session, [row])[0], "quality": quality}


def change_interaction(
    session: Session, row: Interaction, changes: Row, version: int | None, by: str
) -> Row:
    """A changed interaction; a disposition after the call's end closes it."""
    row = session.merge(row)
    draft = changes.pop("draft", None)
    if changes.pop("handled", None):
        interaction_operations.mark_handled(session, row, by=by)
    if draft is not None:
        saved = interaction_operations.save_draft(session, row, draft, version=version)
        version = None if version is None else saved
    customer_given = "customer" in changes
    if customer_given:
        interaction_operations.assign_customer(session, row, changes.pop("customer"))
    fields = {name: value for name, value in changes.items() if value is not None}
    if "disposition" in fields and row.ended_at is not None:
        interaction_operations.close(session, row, by=by, version=version, **fields)
    elif fields:
        interaction_operations.change(session, row, by=by, version=version, **fields)
    return _with_quality(session, row)


def transcript(session: Session, row: Interaction) -> Row:
    """What was said."""
    items = interaction_queries.transcript(session, row)
    return {"state": row.transcript_state, "items": list(items)}


def recording_of(session: Session, row: Interaction) -> Row:
    """The recording of an interaction. Raises NotFound until it is sealed."""
    found = interaction_queries.recording_of(session, row)
    if found is None:
        raise NotFound("there is no sealed recording of this contact")
    return recording_view(found, row)


def recording(session: Session, id: str) -> tuple[Recording, Interaction]:
    """The recording and the interaction it belongs to. Raises NotFound."""
    found = interaction_queries.recording(session, id)
    if found is None:
        raise NotFound("no such thing")
    return found


def recording_view(row: Recording, interaction: Interaction) -> Row:
    """A recording's metadata."""
    address = f"/api/v1/recordings/{row.id}"
    return {
        "id": row.id,
        "interaction": interaction.id,
        "call_id": row.call_id,
        "format": row.format,
        "seconds": row.seconds,
        "size": row.file_size,
        "sha256": row.file_sha256,
        "legs": row.legs,
        "interrupted": row.interrupted,
        "problem": row.problem,
        "created_at": row.sealed_at,
        "audio": f"{address}/audio",
        "peaks": f"{address}/peaks",
    }


def dispositions(session: Session) -> list[Any]:
    """What an agent may choose."""
    return list(interaction_queries.dispositions(session))
