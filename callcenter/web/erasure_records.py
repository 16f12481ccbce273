"""Erasures as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from callcenter.crm.erasures import operations, queries
from callcenter.crm.erasures.models import Erasure
from callcenter.web.records import Row, people

_COPIED = (
    "id", "customer_id", "state", "reason", "asked_at", "run_at", "done", "total", "waits_for",
    "done_at",
)  # fmt: skip


def page(session: Session, customer: str | None, limit: int, cursor: str | None) -> Row:
    """The erasures of one customer, or all."""
    found = queries.page(session, customer=customer, limit=limit, cursor=cursor)
    return {"items": _shown(session, found.items), "next": found.next}


def ask(session: Session, customer: str, reason: str, by: str, address: str | None) -> Row:
    """A new one."""
    made = operations.ask(session, customer, reason=reason, by=by, address=address)
    return _shown(session, [made])[0]


def run(session: Session, id: str, by: str, address: str | None) -> Row:
    """One that is running now."""
    return _shown(session, [operations.run(session, id, by=by, address=address)])[0]


def withdraw(session: Session, id: str, reason: str, by: str, address: str | None) -> Row:
    """One that is not to be done."""
    found = operations.withdraw(session, id, reason=reason, by=by, address=address)
    return _shown(session, [found])[0]


def _shown(session: Session, erasures: Sequence[Erasure]) -> list[Row]:
    named = people(session, [one for row in erasures for one in (row.asked_by, row.run_by)])
    return [
        {
            **{name: getattr(row, name) for name in _COPIED},
            "asked_by": named.get(row.asked_by or ""),
            "run_by": named.get(row.run_by or ""),
        }
        for row in erasures
    ]
