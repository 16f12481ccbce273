"""A customer's timeline in the shapes of the API: contacts and complaints, newest first."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm import timeline as timeline_queries
from callcenter.crm.complaints import queries as complaint_queries
from callcenter.crm.complaints.models import Complaint, ComplaintTransition
from callcenter.crm.customers import operations as customer_operations
from callcenter.crm.interactions.models import Interaction
from callcenter.web import complaint_records, records
from callcenter.web.context import services

Row = dict[str, Any]


def timeline(session: Session, id: str, limit: int, cursor: str | None) -> Row:
    """Interactions of every channel and complaints, newest first."""
    customer_operations.get_or_raise(session, id)
    page = timeline_queries.page(session, id, limit=limit, cursor=cursor)
    rows = [one.record for one in page.items]
    calls = records.interaction_rows(session, [row for row in rows if isinstance(row, Interaction)])
    steps = [row for row in rows if isinstance(row, ComplaintTransition)]
    opened = {row.id: row for row in rows if isinstance(row, Complaint)}
    missing = {step.complaint_id for step in steps} - set(opened)
    opened |= complaint_queries.by_ids(session, missing)
    shown = {
        row["id"]: row
        for row in [
            *calls,
            *complaint_records.rows(session, list(opened.values()), services().desk),
        ]
    }
    named = records.people(session, [step.by for step in steps])
    return {
        "items": [_moment(one, shown, named) for one in page.items],
        "next": page.next,
    }


def _moment(one: timeline_queries.Moment, shown: Row, named: dict[str | None, Row]) -> Row:
    row, item = one.record, {"kind": one.kind, "at": one.at}
    if isinstance(row, Interaction):
        return {**item, "interaction": shown[row.id]}
    if isinstance(row, Complaint):
        return {**item, "complaint": shown[row.id]}
    return {
        **item,
        "complaint": shown[row.complaint_id],
        "change": complaint_records.stage_change(row, named),
    }
