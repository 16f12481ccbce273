"""One floor for several telephony nodes: agents' states in the database, one owner at a time.

An agent whom a call rings, who talks or who does the work after it belongs to the node of that
call: only that node changes the state. A free agent belongs to nobody, and whoever changes the
state of one does it by compare-and-swap, in the transaction that appends the fact: the row must
still bear the version that the decision stood on (`acd/versions.py`). So two nodes that offer at
the same moment cannot both get an agent: the second one's facts do not come to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from callcenter.database import reading
from callcenter.errors import Conflict
from callcenter.log import utc
from callcenter.telephony.acd.agent import OWNED, AgentState
from callcenter.telephony.acd.floor import Seat
from callcenter.telephony.acd.versions import Draft, Drafts, Row, Version

metadata = MetaData()

floor_seats = Table(
    "floor_seats",
    metadata,
    Column("agent", String(36), primary_key=True),
    Column("username", String(64), nullable=False),
    Column("extension", String(16)),
    Column("language", String(8), nullable=False),
    Column("device", String(16), nullable=False),
    Column("phone", String(16)),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("call", String(36)),
    Column("next", String(16)),
    Column("next_reason", Text),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True)),
    Column("idle_since", DateTime(timezone=True)),
    Column("unanswered", Integer, nullable=False),
    Column("node", String(64), nullable=False),  # whose agent it is now; "" = nobody's
    Column("signed_in", Boolean, nullable=False),  # a row stays: versions never start anew
    Column("version", Integer, nullable=False),  # which is newer
    Column("stamp", String(36), nullable=False),  # what compare-and-swap compares
)


class SeatTaken(Conflict):
    """Another node changed this agent's state a moment ago."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The loop's clock beside the wall's, read together."""

    loop: float
    wall: datetime

    def to_wall(self, moment: float | None) -> datetime | None:
        """A moment of the loop as UTC."""
        return None if moment is None else self.wall + timedelta(seconds=moment - self.loop)

    def to_loop(self, moment: datetime | None) -> float | None:
        """A moment in UTC as one of the loop."""
        if moment is None:
            return None
        return self.loop + (utc(moment) - self.wall).total_seconds()


class SharedFloor:
    """The table of seats as one node uses it. It keeps nothing: versions come with the drafts."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine, self._node = engine, node

    def read(self, clock: Clock) -> list[Row]:
        """Every row, also of those who signed out; `seat.node` is set where another node has it."""
        return self._rows(select(floor_seats), clock)

    def of_node(self, node: str, clock: Clock) -> list[Row]:
        """The agents of that node, as our own."""
        return self._rows(select(floor_seats).where(floor_seats.c.node == node), clock, node)

    def write(self, connection: Connection, drafts: Drafts, clock: Clock) -> None:
        """Put these in the caller's transaction.

        Raises SeatTaken where a row is not any more what a draft stands on.
        """
        for agent in sorted(drafts):
            self._put(connection, agent, drafts[agent], clock)

    def _rows(self, query: Select[Any], clock: Clock, own: str | None = None) -> list[Row]:
        with reading(self._engine).connect() as connection:
            found = connection.execute(query).all()
        own = self._node if own is None else own
        return [_row_of(row, clock, own) for row in found]

    def _put(self, connection: Connection, agent: str, draft: Draft, clock: Clock) -> None:
        values = {
            **self._values(draft.seat, clock),
            "version": draft.new.number,
            "stamp": draft.new.stamp,
        }
        if draft.expected is None:
            self._insert(connection, {"agent": agent, **_NOBODY, **values})
            return
        as_read = (floor_seats.c.agent == agent) & (floor_seats.c.stamp == draft.expected.stamp)
        if not connection.execute(update(floor_seats).where(as_read).values(values)).rowcount:
            raise SeatTaken("the agent has just been given another call")

    def _insert(self, connection: Connection, values: dict[str, Any]) -> None:
        try:
            with connection.begin_nested():
                connection.execute(insert(floor_seats).values(values))
        except IntegrityError as error:
            raise SeatTaken("the agent was seated by another node") from error

    def _values(self, seat: Seat | None, clock: Clock) -> dict[str, Any]:
        if seat is None:
            return {"signed_in": False, "state": "offline", "call": None, "node": ""}
        state = seat.state
        return {
            "signed_in": True,
            "username": seat.username,
            "extension": seat.extension,
            "language": seat.language,
            "device": seat.device,
            "phone": seat.phone,
            "state": state.name,
            "reason": state.reason,
            "call": state.call,
            "next": state.next,
            "next_reason": state.next_reason,
            "since": clock.to_wall(state.since),
            "until": clock.to_wall(state.until),
            "idle_since": clock.to_wall(state.idle_since),
            "unanswered": state.unanswered,
            "node": self._node if state.name in OWNED else "",
        }


_NOBODY = {
    "username": "",
    "language": "",
    "device": "browser",
    "since": datetime.fromtimestamp(0, UTC),
    "unanswered": 0,
}
"""What the row of one who signed out needs besides, where there was none."""


def _row_of(row: Any, clock: Clock, own: str) -> Row:
    version = Version(row.version, row.stamp)
    if not row.signed_in:
        return Row(row.agent, None, version)
    ours = row.node == own
    return Row(row.agent, _seat(row, clock, "" if ours else row.node), version, ours)


def _seat(row: Any, clock: Clock, node: str) -> Seat:
    return Seat(
        agent=row.agent,
        username=row.username,
        extension=row.extension,
        language=row.language,
        device=row.device,
        phone=row.phone,
        state=AgentState(
            name=row.state,
            since=clock.to_loop(row.since) or clock.loop,
            reason=row.reason,
            call=row.call,
            next=row.next,
            next_reason=row.next_reason,
            until=clock.to_loop(row.until),
            idle_since=clock.to_loop(row.idle_since),
            unanswered=row.unanswered,
        ),
        node=node,
    )
