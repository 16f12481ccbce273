"""What an agent's browser missed, and the agents' last known states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.agents.models import AgentEvent, AgentOutbox, AgentPresence, AgentState

MOST = 500


def after(
    session: Session, agent: str, last_seq: int, *, limit: int = MOST
) -> Sequence[AgentEvent]:
    """The agent's events behind `last_seq`, oldest first: the newest `limit` of them."""
    query = (
        select(AgentEvent)
        .where(AgentEvent.agent == agent, AgentEvent.seq > last_seq)
        .order_by(AgentEvent.seq.desc())
        .limit(limit)
    )
    return list(reversed(session.scalars(query).all()))


def last_seq(session: Session, agent: str) -> int:
    """The highest `seq` given to the agent, 0 before the first."""
    query = select(AgentOutbox.last_seq).where(AgentOutbox.agent == agent)
    return session.scalar(query) or 0


def last_seqs(session: Session, agents: Iterable[str]) -> dict[str, int]:
    """Agent → the highest `seq` given, in one query; who got none yet is not in it."""
    query = select(AgentOutbox.agent, AgentOutbox.last_seq)
    rows = session.execute(query.where(AgentOutbox.agent.in_(set(agents))))
    return {row.agent: row.last_seq for row in rows}


def presences(session: Session) -> list[tuple[str, str]]:
    """(agent, web process) for every agent who has a browser there."""
    rows = session.execute(select(AgentPresence.agent, AgentPresence.web))
    return [(row.agent, row.web) for row in rows]


def pop_of(session: Session, agent: str, call: str) -> AgentEvent | None:
    """The last pop of that call for that agent: was it sent, was it seen?"""
    query = select(AgentEvent).where(
        AgentEvent.call == call,
        AgentEvent.agent == agent,
        AgentEvent.event.in_(("call.ringing", "call.dialling")),
    )
    return session.scalar(query.order_by(AgentEvent.seq.desc()).limit(1))


def unseen(session: Session, agent: str) -> int:
    """How many pops the agent has not seen."""
    query = select(func.count()).where(
        AgentEvent.agent == agent,
        AgentEvent.event == "call.ringing",
        AgentEvent.seen_at.is_(None),
    )
    return session.scalar(query) or 0


def states(session: Session) -> Sequence[AgentState]:
    """Every agent's last state in the log."""
    return session.scalars(select(AgentState).order_by(AgentState.agent)).all()


def state_of(session: Session, agent: str) -> AgentState | None:
    """One agent's last state in the log."""
    return session.get(AgentState, agent)
