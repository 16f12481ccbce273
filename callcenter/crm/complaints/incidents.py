"""Incidents: several complaints of one cause. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm.complaints.clocks import Rules
from callcenter.crm.complaints.models import (
    SYSTEM,
    Cause,
    Complaint,
    ComplaintChange,
    Incident,
)
from callcenter.crm.complaints.stages import OPEN_STAGES
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import IncidentClosed, IncidentOpened, now


@dataclass(frozen=True, slots=True)
class Counted:
    """An incident and how many complaints it has."""

    incident: Incident
    complaints: int


def get_or_raise(session: Session, incident: str) -> Incident:
    """The incident with that id, else NotFound."""
    found = session.get(Incident, incident)
    if found is None:
        raise NotFound("there is no such incident")
    return found


def open_incident(
    session: Session,
    *,
    cause: str,
    by: str,
    product: str = "",
    title: str = "",
    advice: str = "",
    complaints: Iterable[str] = (),
) -> Incident:
    """Open one by hand, with these complaints; Conflict where one of that cause is open."""
    if session.get(Cause, cause) is None:
        raise Invalid("there is no such cause", {"cause": "is no cause of the list"})
    if _open_of(session, cause, product):
        raise Conflict("there is an open incident of this cause already: add to that one")
    incident = _open(session, cause, product, by)
    incident.title = checked("title", title, most=200)
    incident.advice = checked("advice", advice, most=2_000)
    for one in session.scalars(select(Complaint).where(Complaint.id.in_(set(complaints)))):
        join(session, one, incident, by=by)
    session.flush()
    return incident


def look(session: Session, complaint: Complaint, rules: Rules) -> Incident | None:
    """After its cause was set: join the open incident of that cause, or make one.

    `rules.incident_size` open complaints of the same cause and product that came in within
    `rules.incident_days` are one. Returns the incident it belongs to now.
    """
    if complaint.cause is None or complaint.incident_id or not rules.incident_size:
        return None
    incident = _open_of(session, complaint.cause, complaint.product)
    alike = _alike(session, complaint, rules)
    if incident is None:
        if len(alike) < rules.incident_size:
            return None
        incident = _open(session, complaint.cause, complaint.product, SYSTEM)
    for one in [*alike, complaint]:
        join(session, one, incident, by=SYSTEM)
    session.flush()
    return incident


def join(session: Session, complaint: Complaint, incident: Incident, *, by: str) -> None:
    """The complaint belongs to the incident; noted in its history."""
    if complaint.incident_id == incident.id:
        return
    note = ComplaintChange(
        field="incident_id", before=complaint.incident_id, after=incident.id, by=by, why=""
    )
    complaint.incident_id = incident.id
    complaint.changes.append(note)


def change(
    session: Session,
    incident: Incident,
    *,
    title: str | None = None,
    advice: str | None = None,
    version: int | None = None,
) -> Incident:
    """What agents read."""
    if version is not None and version != incident.version:
        raise Conflict("somebody changed this incident meanwhile: load it again")
    if title is not None:
        incident.title = checked("title", title, most=200)
    if advice is not None:
        incident.advice = checked("advice", advice, most=2_000)
    incident.version += 1
    session.flush()
    return incident


def close(session: Session, incident: Incident, *, by: str, why: str) -> Incident:
    """The cause is dealt with: `why` says how. Agents see it no more; its complaints go on."""
    if incident.closed_at is not None:
        raise Conflict("this incident is closed already")
    incident.closing = checked("closing", why, most=20_000, needed=True)
    incident.closed_at, incident.closed_by = now(), by
    incident.version += 1
    without = Complaint.incident_id == incident.id, Complaint.corrective == ""
    session.execute(update(Complaint).where(*without).values(corrective=incident.closing))
    session.flush()
    fact = IncidentClosed(incident=incident.id, cause=incident.cause, by=by)
    log.append_within(session.connection(), fact)
    return incident


def listed(session: Session, *, is_open: bool | None = None, limit: int = 200) -> Sequence[Counted]:
    """Incidents with the number of their complaints, newest first."""
    count = (
        select(func.count())
        .where(Complaint.incident_id == Incident.id)
        .correlate(Incident)
        .scalar_subquery()
    )
    query = select(Incident, count).order_by(Incident.opened_at.desc(), Incident.id.desc())
    if is_open is not None:
        over = Incident.closed_at.is_(None)
        query = query.where(over if is_open else ~over)
    return [Counted(row[0], row[1]) for row in session.execute(query.limit(limit))]


def _open_of(session: Session, cause: str, product: str) -> Incident | None:
    query = select(Incident).where(
        Incident.cause == cause, Incident.product == product, Incident.closed_at.is_(None)
    )
    return session.scalars(query.limit(1)).first()


def _alike(session: Session, complaint: Complaint, rules: Rules) -> list[Complaint]:
    query = select(Complaint).where(
        Complaint.cause == complaint.cause,
        Complaint.product == complaint.product,
        Complaint.incident_id.is_(None),
        Complaint.stage.in_(OPEN_STAGES),
        Complaint.created_at >= now() - timedelta(days=rules.incident_days),
    )
    return list(session.scalars(query))


def _open(session: Session, cause: str, product: str, by: str) -> Incident:
    incident = Incident(cause=cause, product=product, opened_by=by)
    session.add(incident)
    session.flush()
    fact = IncidentOpened(incident=incident.id, cause=cause, by=by)
    log.append_within(session.connection(), fact)
    return incident


def size(session: Session, incident: str) -> int:
    """How many complaints the incident has."""
    query = select(func.count()).where(Complaint.incident_id == incident)
    return session.scalar(query) or 0
