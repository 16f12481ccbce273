"""Escalation: what is late is told to the role that the settings name, once a step.

Everything is in the database: a process that is killed between two rounds, or runs twice, tells
nobody twice and forgets nobody.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from callcenter import log
from callcenter.bus import Bus
from callcenter.crm.complaints import queries
from callcenter.crm.complaints.clocks import Clock, Rules, clock, level
from callcenter.crm.complaints.models import SYSTEM, Complaint, ComplaintChange
from callcenter.events import ComplaintEscalated, LogAdvanced, now

ROUND = 200  # complaints in one transaction


class Watch:
    """The jobs process's look at the clocks, every few seconds."""

    def __init__(self, engine: Engine, bus: Bus, rules: Rules) -> None:
        self._engine, self._bus, self._rules = engine, bus, rules

    def round(self) -> int:
        """Escalate what is late; returns how many steps were taken."""
        with Session(self._engine) as session, session.begin():
            told = escalate(session, self._rules, now())
        if told:
            end = log.EventLog(self._engine).end()
            self._bus.publish(LogAdvanced(position=end))
        return len(told)


def escalate(session: Session, rules: Rules, at: datetime) -> list[ComplaintEscalated]:
    """Note every step that is due at that moment and append its fact; commit afterwards."""
    if not rules.escalate:
        return []
    query = select(Complaint).where(queries.late(at), Complaint.escalation < len(rules.escalate))
    told = []
    for one in session.scalars(query.order_by(Complaint.due_at).limit(ROUND)):
        shows = clock(one.stage, one.acknowledge_due_at, one.due_at, rules, at)
        for step in range(one.escalation + 1, level(shows, rules, at) + 1):
            if fact := _take(session, one, step, shows, rules, at):
                told.append(fact)
    return told


def _take(
    session: Session, complaint: Complaint, step: int, clock: Clock, rules: Rules, at: datetime
) -> ComplaintEscalated | None:
    """None where somebody else took that step meanwhile."""
    mine = session.execute(
        update(Complaint)
        .where(Complaint.id == complaint.id, Complaint.escalation == step - 1)
        .values(escalation=step)
        .execution_options(synchronize_session=False)
    )
    if not mine.rowcount:  # type: ignore[attr-defined]
        return None
    role = rules.escalate[step - 1][1]
    session.add(
        ComplaintChange(
            complaint_id=complaint.id,
            field="escalation",
            before=str(step - 1),
            after=str(step),
            why=role,
            by=SYSTEM,
            at=at,
        )
    )
    assert clock.due is not None
    fact = ComplaintEscalated(
        complaint=complaint.id,
        code=complaint.code,
        level=step,
        role=role,
        owner=complaint.owner,
        awaited=clock.awaited or "",
        due=clock.due,
    )
    log.append_within(session.connection(), fact)
    return fact
