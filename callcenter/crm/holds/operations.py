"""Setting and releasing holds, each in one transaction with its line in the audit."""

from __future__ import annotations

from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.holds.models import Kind, LegalHold
from callcenter.crm.interactions.operations import get_or_raise as interaction_or_raise
from callcenter.crm.text import checked
from callcenter.errors import Conflict, NotFound
from callcenter.events import now


def put(
    session: Session, kind: Kind, object: str, *, reason: str, by: str, address: str | None
) -> LegalHold:
    """Keep that customer or call until the hold is released. Raises NotFound, Invalid."""
    exists_or_raise(session, kind, object)
    hold = LegalHold(
        kind=kind,
        object=object,
        reason=checked("reason", reason, most=200, needed=True),
        set_by=by,
    )
    session.add(hold)
    session.flush()
    audit.record(session, by, "hold", kind, object, reason=hold.reason, address=address)
    return hold


def release(session: Session, id: str, *, reason: str, by: str, address: str | None) -> LegalHold:
    """End a hold. Raises NotFound, Invalid, and Conflict where it ended already."""
    hold = session.get(LegalHold, id)
    if hold is None:
        raise NotFound("there is no such hold")
    if hold.released_at is not None:
        raise Conflict("this hold was released already: load the page again")
    hold.release_reason = checked("reason", reason, most=200, needed=True)
    hold.released_at, hold.released_by = now(), by
    session.flush()
    audit.record(
        session, by, "release_hold", hold.kind, hold.object, reason=hold.release_reason,
        address=address,
    )  # fmt: skip
    return hold


def exists_or_raise(session: Session, kind: Kind, object: str) -> None:
    """Raises NotFound where there is no such customer or call."""
    if kind == "customer":
        customer_or_raise(session, object)
    else:
        interaction_or_raise(session, object)
