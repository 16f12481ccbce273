"""What may be changed in a complaint, and how each value is checked and shown in the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.complaints.models import (
    LEVELS,
    REMEDIES,
    SEVERITIES,
    Cause,
    Incident,
    Level,
    Remedy,
    Severity,
)
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.text import checked
from callcenter.errors import Invalid

MOST_CENTS = 10**15


def severity(value: str) -> Severity:
    """One of SEVERITIES. Raises Invalid."""
    found: Severity = _one_of("severity", value, SEVERITIES)
    return found


def check(session: Session, field: str, value: Any) -> Any:
    """The value as it is stored. Invalid for a field that cannot be changed or a bad value."""
    if field not in CHECKS:
        raise Invalid(f"{field} cannot be changed", {field: "cannot be changed"})
    return CHECKS[field](session, value)


def shown(value: Any) -> str | None:
    """A value as the history keeps it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one_of(field: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        listed = ", ".join(known)
        raise Invalid(f"{field} is one of {listed}", {field: f"must be one of {listed}"})
    return value


def _text(field: str, most: int, *, needed: bool = False) -> Callable[[Session, Any], str]:
    return lambda _session, value: checked(field, value or "", most=most, needed=needed)


def _level(field: str) -> Callable[[Session, Any], Level | None]:
    return lambda _session, value: None if value is None else _one_of(field, value, LEVELS)


def _remedy(_session: Session, value: Any) -> Remedy | None:
    found: Remedy | None = None if value is None else _one_of("remedy", value, REMEDIES)
    return found


def _cents(_session: Session, value: Any) -> int | None:
    if value is not None and not 0 <= value <= MOST_CENTS:
        raise Invalid("no remedy costs that", {"remedy_cost": "must be between 0 and 10¹³"})
    return None if value is None else int(value)


def _cause(session: Session, value: Any) -> str | None:
    if value is not None and session.get(Cause, value) is None:
        raise Invalid("there is no such cause", {"cause": "is no cause of the list"})
    return None if value is None else str(value)


def _incident(session: Session, value: Any) -> str | None:
    if value is not None and session.get(Incident, value) is None:
        raise Invalid("there is no such incident", {"incident": "is no incident's id"})
    return None if value is None else str(value)


CHECKS: dict[str, Callable[[Session, Any], Any]] = {
    "subject": _text("subject", 200, needed=True),
    "description": _text("description", 200_000),
    "wanted": _text("wanted", 20_000),
    "product": _text("product", 200),
    "corrective": _text("corrective", 20_000),
    "severity": lambda _session, value: severity(value),
    "impact": _level("impact"),
    "complexity": _level("complexity"),
    "safety": lambda _session, value: bool(value),
    "owner": lambda _session, value: value,
    "due_at": lambda _session, value: value,
    "remedy": _remedy,
    "remedy_cents": _cents,
    "cause": _cause,
    "incident_id": _incident,
    "customer_id": lambda session, value: customer_or_raise(session, value).id,
}
