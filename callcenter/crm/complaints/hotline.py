"""Where a complaint stands, for somebody who has a telephone only: see StatusDirectory.

As at the portal, code and number together are what only the customer has. The number may be the
one that calls; whoever guesses is slowed down per code and per caller.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints import status
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import Stage
from callcenter.crm.users import operations as tries
from callcenter.crm.users import queries as waits

DIGITS = 4
_OF_CALLER = 7  # digits of the caller's number that have to fit


class Hotline:
    """One for the process; its methods are called by any thread and may wait for the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stage(
        self, keys: str, digits: str, caller: str | None
    ) -> Stage | Literal["digits", "unknown", "later"]:
        """See StatusDirectory."""
        name, where = f"phone:{keys[:16]}", _place(caller)
        with Session(self._engine) as session, session.begin():
            if waits.delay(session, name, where):
                return "later"
            end = digits or (caller or "")[-_OF_CALLER:]
            found = _found(session, keys, end) if len(end) >= DIGITS else None
            if found:
                tries.forget_failures(session, name)
                return found
            if not digits:
                return "digits"
            tries.note_failure(session, name, where)
            return "unknown"


def _found(session: Session, keys: str, digits: str) -> Stage | None:
    """The one complaint with these keys whose customer has such a number."""
    codes = session.scalars(select(Complaint.code).where(Complaint.keys == keys).limit(50))
    known = [status.look_up(session, code, digits) for code in codes]
    fitting = [one for one in known if one]
    return fitting[0].stage if len(fitting) == 1 else None


def _place(caller: str | None) -> str | None:
    """Under which tries of a caller are counted; the number itself is not kept."""
    return f"phone:{hashlib.sha256(caller.encode()).hexdigest()[:16]}" if caller else None
