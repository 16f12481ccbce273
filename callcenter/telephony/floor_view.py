"""The floor as the wallboard and the agents' pages are shown it; agents' changes as facts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from callcenter.bus import Answer
from callcenter.events import AgentStateChanged, Fact, WrapUpEnded
from callcenter.telephony.acd.floor import Change, Floor, Seat, serves
from callcenter.telephony.shared_floor import Clock


def queue_view(floor: Floor, name: str, clock: Clock) -> Answer:
    """A queue: who waits in it at any node, and who serves it."""
    queue = floor.queues[name]
    waits = [
        clock.loop - one.since for one in (*floor.waiting, *floor.elsewhere) if one.queue == name
    ]
    staff = [seat for seat in floor.seats.values() if serves(queue, seat.username)]
    return {
        "name": name,
        "waiting": len(waits),
        "longest_wait_seconds": round(max(waits, default=0.0), 1),
        "agents": sum(seat.state.name != "offline" for seat in staff),
        "available": sum(seat.state.name == "available" for seat in staff),
    }


def agent_view(floor: Floor, seat: Seat, clock: Clock) -> Answer:
    """An agent: the state, since when (UTC, RFC 3339), and whether they can be heard."""
    state = seat.state
    return {
        "agent": seat.agent,
        "username": seat.username,
        "state": state.name,
        "reason": state.reason,
        "since": _text(clock.to_wall(state.since)),
        "until": _text(clock.to_wall(state.until)),
        "call": state.call,
        "next": state.next,
        "audio": floor.has_audio(seat.agent),
        "device": seat.device,
        "phone": seat.phone,
    }


def state_facts(changes: Iterable[Change], clock: Clock) -> list[Fact]:
    """What these changes are for the log; one that nobody could notice is nothing."""
    facts: list[Fact] = []
    for change in changes:
        before, after = change.before, change.after
        if (before.name, before.until) == (after.name, after.until):
            continue
        if before.name == "wrap_up" and after.name != "wrap_up" and before.call:
            timed_out = before.until is not None and before.until <= clock.loop
            by: Literal["timeout", "agent"] = "timeout" if timed_out else "agent"
            facts.append(WrapUpEnded(call=before.call, agent=change.agent, by=by))
        facts.append(
            AgentStateChanged(
                agent=change.agent,
                state=after.name,
                previous=before.name,
                reason=after.reason,
                call=after.call,
                until=clock.to_wall(after.until),
            )
        )
    return facts


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
