"""Asking for an export, and its way from waiting to expired."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.text import checked
from callcenter.crm.vault import operations as vault
from callcenter.errors import Conflict, Expired, NotFound
from callcenter.events import now

LASTS = timedelta(hours=24)
LEASE = timedelta(minutes=2)
"""So long nobody else takes an export up after the last call that was written."""
ATTEMPTS = 3


def ask(
    session: Session, customer: str, *, reason: str, by: str, address: str | None
) -> CustomerExport:
    """An export that `jobs` will make. Raises NotFound, Invalid, and Conflict while one waits."""
    customer_or_raise(session, customer)
    waiting = select(CustomerExport.id).where(
        CustomerExport.customer_id == customer, CustomerExport.state == "waiting"
    )
    if session.scalar(waiting.limit(1)) is not None:
        raise Conflict("an export of this customer is being made: wait until it is ready")
    export = CustomerExport(
        customer_id=customer,
        reason=checked("reason", reason, most=200, needed=True),
        asked_by=by,
    )
    session.add(export)
    session.flush()
    audit.record(session, by, "export", "customer", customer, reason=export.reason, address=address)
    return export


def get_or_raise(session: Session, export: str) -> CustomerExport:
    """The export with that id, else NotFound."""
    found = session.get(CustomerExport, export)
    if found is None:
        raise NotFound("there is no such export")
    return found


def ready_or_raise(export: CustomerExport) -> None:
    """Raises Conflict where there is no archive yet, Expired where there is none any more."""
    over = export.expires_at is not None and export.expires_at <= now()
    if export.state == "expired" or over:
        raise Expired("this export was kept for a day and is gone: ask for a new one")
    if export.state != "ready":
        raise Conflict("this export is not ready: wait, or ask for a new one if it failed")


def claim(session: Session, at: datetime) -> CustomerExport | None:
    """The oldest export that nobody makes, for the caller to make; None where there is none."""
    free = or_(CustomerExport.claimed_until.is_(None), CustomerExport.claimed_until < at)
    waiting = select(CustomerExport).where(CustomerExport.state == "waiting", free)
    found = session.scalar(waiting.order_by(CustomerExport.id).limit(1))
    if found is None:
        return None
    changed = cast(
        "CursorResult[Any]",
        session.execute(
            update(CustomerExport)
            .where(CustomerExport.id == found.id, free)
            .values(claimed_until=at + LEASE, attempts=CustomerExport.attempts + 1, done=0)
            .execution_options(synchronize_session=False)
        ),
    )
    session.refresh(found)
    return found if changed.rowcount == 1 else None


def progress(session: Session, export: str, done: int, total: int) -> None:
    """So many calls are in the archive; whoever makes it is alive."""
    values = {"done": done, "total": total, "claimed_until": now() + LEASE}
    session.execute(update(CustomerExport).where(CustomerExport.id == export).values(values))


def finish(session: Session, export: str, size: int) -> None:
    """The archive is on the disk."""
    row = session.get_one(CustomerExport, export)
    row.state, row.size, row.ready_at = "ready", size, now()
    row.expires_at, row.claimed_until = row.ready_at + LASTS, None
    audit.record(session, None, "export.ready", "customer", row.customer_id)


def fail(session: Session, export: str, at: datetime) -> bool:
    """It did not succeed, and is tried again later: → whether that was the last attempt."""
    row = session.get_one(CustomerExport, export)
    row.claimed_until = at + LEASE
    if row.attempts >= ATTEMPTS:
        row.state = "failed"
        vault.destroy(session, None, [row.id])
    return row.state == "failed"


def expired(session: Session, at: datetime, limit: int) -> list[str]:
    """Archives whose day is over."""
    over = select(CustomerExport.id).where(
        CustomerExport.state == "ready", CustomerExport.expires_at <= at
    )
    return list(session.scalars(over.order_by(CustomerExport.id).limit(limit)))


def expire(session: Session, exports: list[str]) -> None:
    """Their archives are removed: their keys go too."""
    vault.destroy(session, None, exports)
    mine = CustomerExport.id.in_(exports)
    session.execute(update(CustomerExport).where(mine).values(state="expired"))
