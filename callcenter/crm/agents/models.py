"""Tables of the agents' outbox and of their last known states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import ID, Base
from callcenter.events import AgentStateName, now

_BIG = BigInteger().with_variant(Integer, "sqlite")


class AgentEvent(Base):
    """Something an agent's browser has to be told, in the order of `seq`."""

    __tablename__ = "agent_events"
    __table_args__ = (Index("ix_agent_events_call", "call"),)

    agent: Mapped[str] = mapped_column(ID, primary_key=True)
    seq: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    call: Mapped[str | None] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime | None]


class AgentOutbox(Base):
    """The last `seq` given to an agent; it never goes back, also when old events are removed."""

    __tablename__ = "agent_outboxes"

    agent: Mapped[str] = mapped_column(ID, primary_key=True)
    last_seq: Mapped[int] = mapped_column(_BIG)


class AgentState(Base):
    """The last state the log told of an agent; `position` is the fact's place in the log."""

    __tablename__ = "agent_states"

    agent: Mapped[str] = mapped_column(ID, primary_key=True)
    state: Mapped[AgentStateName] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(200))
    call: Mapped[str | None] = mapped_column(ID)
    since: Mapped[datetime]
    position: Mapped[int] = mapped_column(_BIG)


class AgentPresence(Base):
    """An agent's browser is connected to this web process (where there are several)."""

    __tablename__ = "agent_presences"

    agent: Mapped[str] = mapped_column(ID, primary_key=True)
    web: Mapped[str] = mapped_column(String(64), primary_key=True)
