"""Opening one thing for a while ("break-glass"), in one transaction with its line in the audit."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.disclosures.models import Disclosure, Kind
from callcenter.crm.text import checked
from callcenter.events import now

LASTS = timedelta(minutes=30)


def disclose(
    session: Session,
    *,
    who: str,
    opened_by: str,
    kind: Kind,
    object: str,
    reason: str,
    address: str | None,
) -> Disclosure:
    """Open it to the session with token hash `opened_by` for `LASTS`. Raises Invalid."""
    moment = now()
    made = Disclosure(
        who=who,
        session=opened_by,
        kind=kind,
        object=object,
        reason=checked("reason", reason, most=200, needed=True),
        opened_at=moment,
        until=moment + LASTS,
    )
    session.add(made)
    audit.record(session, who, "break_glass", kind, object, reason=made.reason, address=address)
    return made
