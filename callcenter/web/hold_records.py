"""Legal holds as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from callcenter.crm.holds import operations, queries
from callcenter.crm.holds.models import Kind, LegalHold
from callcenter.web.records import Row, people

_COPIED = ("id", "kind", "object", "reason", "set_at", "released_at", "release_reason")


def page(session: Session, kind: Kind, object: str, limit: int, cursor: str | None) -> Row:
    """The holds of one customer or call. Raises NotFound."""
    operations.exists_or_raise(session, kind, object)
    found = queries.page(session, kind, object, limit=limit, cursor=cursor)
    return {"items": _shown(session, found.items), "next": found.next}


def put(
    session: Session, kind: Kind, object: str, reason: str, by: str, address: str | None
) -> Row:
    """A new hold."""
    hold = operations.put(session, kind, object, reason=reason, by=by, address=address)
    return _shown(session, [hold])[0]


def release(session: Session, id: str, reason: str, by: str, address: str | None) -> Row:
    """A hold that ended."""
    hold = operations.release(session, id, reason=reason, by=by, address=address)
    return _shown(session, [hold])[0]


def _shown(session: Session, holds: Sequence[LegalHold]) -> list[Row]:
    named = people(session, [one for hold in holds for one in (hold.set_by, hold.released_by)])
    return [
        {
            **{name: getattr(hold, name) for name in _COPIED},
            "set_by": named.get(hold.set_by),
            "released_by": named.get(hold.released_by),
        }
        for hold in holds
    ]
