"""Putting events into an agent's outbox, noting what was seen, folding states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from callcenter.crm.agents.models import AgentEvent, AgentOutbox, AgentPresence, AgentState
from callcenter.crm.db import insert_or
from callcenter.events import AgentStateChanged, now


def push(
    session: Session, agent: str, event: str, payload: dict[str, Any], call: str | None = None
) -> int:
    """Store an event for the agent's browser; returns its `seq`, one above the last.

    Emit it only after the commit. The counter's row is locked until then, so that a higher
    `seq` never becomes visible before a lower one.
    """
    count = insert_or(session, AgentOutbox.__table__).values(agent=agent, last_seq=1)
    seq: int = session.execute(
        count.on_conflict_do_update(
            index_elements=["agent"], set_={"last_seq": AgentOutbox.last_seq + 1}
        ).returning(AgentOutbox.last_seq)
    ).scalar_one()
    session.execute(
        insert(AgentEvent).values(agent=agent, seq=seq, event=event, payload=payload, call=call)
    )
    return seq


def mark_seen(session: Session, agent: str, seq: int) -> bool:
    """The agent's eye saw the event; False where it is unknown or was seen before."""
    result = session.execute(
        update(AgentEvent)
        .where(AgentEvent.agent == agent, AgentEvent.seq == seq, AgentEvent.seen_at.is_(None))
        .values(seen_at=now())
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def note_state(session: Session, position: int, fact: AgentStateChanged) -> None:
    """Keep the state that stands latest in the log."""
    values = {
        "state": fact.state,
        "reason": fact.reason,
        "call": fact.call,
        "since": fact.at,
        "position": position,
    }
    put = insert_or(session, AgentState.__table__).values(agent=fact.agent, **values)
    session.execute(
        put.on_conflict_do_update(
            index_elements=["agent"], set_=values, where=AgentState.position < position
        )
    )


def note_presence(session: Session, web: str, new: set[str], gone: set[str]) -> None:
    """These agents' browsers came to, or left, that web process."""
    if gone:
        mine = AgentPresence.web == web, AgentPresence.agent.in_(gone)
        session.execute(delete(AgentPresence).where(*mine))
    for agent in new:
        row = insert_or(session, AgentPresence.__table__).values(agent=agent, web=web)
        session.execute(row.on_conflict_do_nothing())


def forget_web(session: Session, web: str) -> None:
    """That web process is gone, and every browser that it had."""
    session.execute(delete(AgentPresence).where(AgentPresence.web == web))


def sweep(session: Session, *, before: datetime) -> None:
    """Remove events older than that moment; no browser resumes so late."""
    session.execute(delete(AgentEvent).where(AgentEvent.created_at < before))
