"""The agent's state machine: pure, time passed in.

    offline ⇄ available ⇄ break | training | back_office | not_answering      (a person chooses)
              available → ringing → on_call → wrap_up → available              (the system)

During a call, and while it rings, a choice is kept as the state after it (`next`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from callcenter.errors import Conflict, Invalid
from callcenter.events import AgentStateName

CHOSEN: frozenset[AgentStateName] = frozenset(
    ("available", "break", "training", "back_office", "offline")
)
BUSY: frozenset[AgentStateName] = frozenset(("ringing", "on_call"))
OWNED: frozenset[AgentStateName] = BUSY | {"wrap_up"}
"""States in which an agent belongs to the telephony node of the call."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """What an agent is doing. Times are seconds of one monotonic clock.

    `idle_since` orders agents for longest-idle routing: the end of the last call, or the
    first moment of being available where there was none. `until` ends a wrap-up by itself.
    """

    name: AgentStateName = "offline"
    since: float = 0.0
    reason: str | None = None
    call: str | None = None
    next: AgentStateName | None = None
    next_reason: str | None = None
    until: float | None = None
    idle_since: float | None = None
    unanswered: int = 0


def choose(state: AgentState, name: AgentStateName, reason: str | None, now: float) -> AgentState:
    """A person sets the state. Raises Invalid for one that only the system sets."""
    if name not in CHOSEN:
        raise Invalid(f"{name} is set by the system, not by people")
    if state.name in BUSY:
        return replace(state, next=name, next_reason=reason)
    return _enter(state, name, now, reason=reason, unanswered=0)


def ring(state: AgentState, call: str, now: float) -> AgentState:
    """A call is offered. Raises Conflict when the agent is not available."""
    if state.name != "available":
        raise Conflict(f"the agent is {state.name}, not available")
    return _enter(state, "ringing", now, call=call)


def answer(state: AgentState, now: float) -> AgentState:
    """The agent took the call that rings."""
    if state.name != "ringing":
        raise Conflict("no call rings at this agent")
    return _enter(
        state, "on_call", now, call=state.call, next=state.next, next_reason=state.next_reason
    )


def dial(state: AgentState, call: str, now: float) -> AgentState:
    """The agent calls somebody: at once on a call, afterwards where they were."""
    if state.name in BUSY or state.name == "offline":
        raise Conflict(f"the agent is {state.name} and cannot call anybody")
    chosen = state.name in CHOSEN and state.name != "available"
    after = state.name if chosen else state.next
    why = state.reason if chosen else state.next_reason
    return _enter(state, "on_call", now, call=call, next=after, next_reason=why)


def stop_ringing(state: AgentState, now: float, *, unanswered: bool, limit: int) -> AgentState:
    """The offer ended without an answer; after `limit` unanswered ones: not answering."""
    if state.name != "ringing":
        return state
    missed = state.unanswered + 1 if unanswered else state.unanswered
    if missed >= limit:
        return _enter(state, "not_answering", now)
    after = replace(state, unanswered=missed)
    return _enter(after, state.next or "available", now, reason=state.next_reason)


def finish_call(state: AgentState, now: float, *, wrap_up: float) -> AgentState:
    """The talk is over: `wrap_up` seconds for the work after it, or none."""
    if state.name != "on_call":
        return state
    rested = replace(state, idle_since=now, unanswered=0)
    if wrap_up <= 0:
        return _enter(rested, state.next or "available", now, reason=state.next_reason)
    return _enter(
        rested,
        "wrap_up",
        now,
        call=state.call,
        until=now + wrap_up,
        next=state.next,
        next_reason=state.next_reason,
    )


def extend_wrap_up(state: AgentState, seconds: float) -> AgentState:
    """More time after the call. Raises Conflict outside a wrap-up."""
    if state.name != "wrap_up" or state.until is None:
        raise Conflict("there is no work after a call to extend")
    return replace(state, until=state.until + seconds)


def end_wrap_up(state: AgentState, now: float) -> AgentState:
    """The time after the call is over."""
    if state.name != "wrap_up":
        return state
    return _enter(state, state.next or "available", now, reason=state.next_reason)


def survived(state: AgentState, now: float) -> AgentState:
    """The node of the agent's call died, and the call with it: free again."""
    if state.name not in OWNED:
        return state
    return _enter(state, state.next or "available", now, reason=state.next_reason)


def _enter(
    state: AgentState,
    name: AgentStateName,
    now: float,
    *,
    reason: str | None = None,
    call: str | None = None,
    next: AgentStateName | None = None,
    next_reason: str | None = None,
    until: float | None = None,
    unanswered: int | None = None,
) -> AgentState:
    idle_since = state.idle_since
    if name == "available" and idle_since is None:
        idle_since = now
    if name == "offline":
        idle_since = None
    return AgentState(
        name=name,
        since=state.since if name == state.name else now,
        reason=reason,
        call=call,
        next=next,
        next_reason=next_reason,
        until=until,
        idle_since=idle_since,
        unanswered=state.unanswered if unanswered is None else unanswered,
    )
