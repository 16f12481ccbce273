"""From the rows of the list of recordings to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.recordings import queries
from callcenter.crm.recordings.models import SavedView
from callcenter.crm.recordings.queries import Filters, Recorded
from callcenter.crm.text import visible
from callcenter.web.records import briefs, people

Row = dict[str, Any]
# fmt: off
_COPIED = (
    "started_at", "direction", "from_number", "from_name", "to_number", "line", "queue",
    "outcome", "language",
)
# fmt: on


def recordings(
    session: Session,
    filters: Filters,
    *,
    visible_to: Sequence[str] | None,
    measured: bool,
    limit: int,
    cursor: str | None,
) -> Row:
    """Recordings, newest first; `measured`: with what is known of the conversation."""
    page = queries.page(session, filters, visible_to=visible_to, limit=limit, cursor=cursor)
    return {"items": _recorded(session, page.items, measured), "next": page.next}


def views(session: Session, me: str) -> Row:
    """Saved views by name."""
    return {"items": _views(session, queries.views(session, me), me)}


def view(session: Session, row: SavedView, me: str) -> Row:
    """One saved view."""
    return _views(session, [row], me)[0]


def _recorded(session: Session, rows: Sequence[Recorded], measured: bool) -> list[Row]:
    named = people(session, [one.interaction.agent for one in rows])
    known = briefs(session, [one.interaction.customer_id for one in rows])
    return [
        {
            **{name: getattr(one.interaction, name) for name in _COPIED},
            "from_name": visible(one.interaction.from_name or "") or None,
            "id": one.recording.id,
            "interaction": one.interaction.id,
            "seconds": one.recording.seconds,
            "interrupted": one.recording.interrupted,
            "agent": named.get(one.interaction.agent),
            "customer": known.get(one.interaction.customer_id),
            "agent_share": one.agent_share if measured else None,
        }
        for one in rows
    ]


def _views(session: Session, rows: Sequence[SavedView], me: str) -> list[Row]:
    named = people(session, [row.owner for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in ("id", "name", "filters", "shared")},
            "owner": named.get(row.owner),
            "mine": row.owner == me,
        }
        for row in rows
    ]
