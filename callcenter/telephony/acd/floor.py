"""The floor: who is there, who waits, and who gets whom. In memory, no I/O, time passed in.

Every method returns what changed, so that the caller can commit it as facts before anybody
hears of it. Calls wait first come, first served in each queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field

from callcenter.config import Queue
from callcenter.errors import CallGone, NotFound
from callcenter.events import AgentStateName, Device
from callcenter.telephony.acd import agent as machine
from callcenter.telephony.acd.agent import AgentState
from callcenter.telephony.acd.routing import (
    DECLINED_SECONDS,
    STRATEGIES,
    Candidate,
    Waiting,
    pick,
)

DEFER_SECONDS = 1.5
"""So long an agent is left to an older call that waits at another node."""


@dataclass(slots=True)
class Seat:
    """An agent who is signed in. `phone` is the extension of their desk phone, if they have one;
    `device` what they talk by."""

    agent: str
    username: str
    extension: str | None
    language: str
    state: AgentState
    device: Device = "browser"
    phone: str | None = None
    node: str = ""  # of the other telephony node whose agent this is now; "" = ours or nobody's


@dataclass(frozen=True, slots=True)
class Change:
    """An agent's state before and after."""

    agent: str
    before: AgentState
    after: AgentState


@dataclass(frozen=True, slots=True)
class Offer:
    """Ring `agent` for `call`, for at most `ring_seconds`."""

    call: str
    agent: str
    queue: str
    ring_seconds: float
    change: Change


@dataclass(slots=True)
class Floor:
    """Seats and queues of this telephony process."""

    queues: dict[str, Queue]
    has_audio: Callable[[str], bool] = lambda agent: True
    brings_audio: bool = False  # a browser brings its sound to the node whose call rings
    seats: dict[str, Seat] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    elsewhere: list[Waiting] = field(default_factory=list)  # calls that wait at other nodes
    _deferred: dict[str, float] = field(default_factory=dict)  # to which of them, since when

    # --- Several nodes ---

    def others_wait(self, calls: Iterable[Waiting]) -> None:
        """The calls that wait at other nodes now."""
        self.elsewhere = sorted(calls, key=lambda one: one.since)
        still = {one.call for one in self.elsewhere}
        self._deferred = {call: at for call, at in self._deferred.items() if call in still}

    def give_back(self, offer: Offer) -> None:
        """Another node was faster; its agent's state follows when it is read."""
        if self.rings_at(offer.call, offer.agent):
            self.seats[offer.agent].state = offer.change.before

    def survive(self, seats: Iterable[Seat], now: float) -> list[Change]:
        """The node of these agents' calls died, and the calls with it: they are free again."""
        changes = []
        for seat in seats:
            before, seat.state = seat.state, machine.survived(seat.state, now)
            changes.append(Change(seat.agent, before, seat.state))
        return changes

    # --- Seats ---

    def seat(self, seat: Seat, now: float) -> list[Change]:
        """The agent's browser is there. A known agent keeps the state."""
        if known := self.seats.get(seat.agent):
            known.username, known.extension = seat.username, seat.extension
            known.language = seat.language
            known.device, known.phone = seat.device, seat.phone
            return []
        before = seat.state
        seat.state = _resumed(before, now)
        self.seats[seat.agent] = seat
        return [] if seat.state.name == before.name else [Change(seat.agent, before, seat.state)]

    def unseat(self, agent: str, now: float) -> list[Change]:
        """The agent is gone: offline. A call they are in is the caller's business to end."""
        seat = self.seats.pop(agent, None)
        if seat is None or seat.state.name == "offline":
            return []
        return [Change(agent, seat.state, AgentState(since=now))]

    def state_of(self, agent: str) -> AgentState:
        """Raises NotFound for an agent who is not signed in."""
        return self._seat(agent).state

    def seat_of(self, agent: str) -> Seat:
        """Raises NotFound for an agent who is not signed in."""
        return self._seat(agent)

    def phone_of(self, agent: str) -> str | None:
        """The extension of the desk phone that the agent talks by; None: by the browser."""
        seat = self.seats.get(agent)
        return seat.phone if seat and seat.device == "phone" else None

    def seat_called(self, name: str) -> Seat | None:
        """Whom colleagues dial by that: extension, user name or desk phone's extension."""
        seats = self.seats.values()
        called = (one for one in seats if name in (one.extension, one.username, one.phone))
        return next(called, None) if name else None

    def choose(
        self, agent: str, name: AgentStateName, reason: str | None, now: float
    ) -> list[Change]:
        """The agent (or a supervisor) sets the state."""
        return self._move(agent, lambda state: machine.choose(state, name, reason, now))

    def extend_wrap_up(self, agent: str, seconds: float) -> list[Change]:
        """More time for the work after the call."""
        return self._move(agent, lambda state: machine.extend_wrap_up(state, seconds))

    def end_due_wrap_ups(self, now: float) -> list[Change]:
        """Every wrap-up whose time is over ends."""
        due = [
            seat.agent
            for seat in self.seats.values()
            if seat.state.until is not None and seat.state.until <= now and not seat.node
        ]
        return [
            change
            for agent in due
            for change in self._move(agent, lambda state: machine.end_wrap_up(state, now))
        ]

    def next_due(self) -> float | None:
        """When the next wrap-up ends."""
        return min(
            (seat.state.until for seat in self.seats.values() if seat.state.until is not None),
            default=None,
        )

    # --- Calls ---

    def enqueue(
        self, call: str, queue: str, now: float, *, first: bool = False, only: str | None = None
    ) -> int:
        """The call waits; returns its place from 1.

        `first`: before all others, it waited already. `only`: for this agent, if they take it.
        """
        place = Waiting(call, queue, now, only=only, first=first)
        self.waiting.insert(0 if first else len(self.waiting), place)
        return [one.call for one in self.waiting if one.queue == queue].index(call) + 1

    def leave(self, call: str) -> None:
        """The call waits no more."""
        self.waiting = [one for one in self.waiting if one.call != call]

    def offers(self, now: float) -> list[Offer]:
        """Pair waiting calls, oldest first, with available agents, and let those ring."""
        found = []
        ringing, free = self._ringing_calls(), self._free_seats()
        for one in self.waiting:
            if one.call in ringing:
                continue
            if one.only is not None and not self._may_come(one.only):
                one.only = None  # took another call or left meanwhile: anybody may have it
            queue = self.queues[one.queue]
            promised = self._promised(one, free, now)
            candidates = self._candidates(free, queue, one.only, promised)
            agent = pick(one, candidates, STRATEGIES[queue.strategy], now)
            if agent is None:
                continue
            if agent in one.tried:
                one.tried.clear()
            found.append(self._offer(one, agent, queue, now))
        return found

    def standings(self, call: str, chosen: str | None = None) -> dict[str, str]:
        """Agent → why the waiting call does not ring there now, `chosen` left out.

        The name of a state that takes no calls; `tried`: did not take it in this round; `no_audio`:
        could not be heard; `not_in_queue`: free, but serves other queues; `reserved`: it waits for
        another agent; `less_idle`: free, but somebody else was so for longer; `available`.
        """
        one = next((one for one in self.waiting if one.call == call), None)
        if one is None:
            return {}
        found = {
            seat.agent: self._standing(one, seat, chosen)
            for seat in self.seats.values()
            if seat.agent != chosen
        }
        return {agent: why for agent, why in found.items() if why is not None}

    def _standing(self, one: Waiting, seat: Seat, chosen: str | None) -> str | None:
        free = seat.state.name == "available"
        if not serves(self.queues[one.queue], seat.username):
            return "not_in_queue" if free else None
        if not free:
            return seat.state.name
        if one.only not in (None, seat.agent):
            return "reserved"
        if seat.agent in one.tried:
            return "tried"
        if not self.has_audio(seat.agent):
            return "no_audio"
        return "less_idle" if chosen else "available"

    def decline(self, call: str, agent: str, now: float, *, unanswered: bool) -> list[Change]:
        """The agent did not take the call: it goes on to the next one.

        To one who declined it (was there, and said no) it does not come back at once.
        """
        limit = 1 << 30
        for one in self.waiting:
            if one.call == call:
                one.tried.add(agent)
                if not unanswered:
                    one.declined[agent] = now + DECLINED_SECONDS
                one.only = None
                limit = self.queues[one.queue].unanswered_limit
        return self.stop_ringing(agent, now, unanswered=unanswered, limit=limit)

    def forget_declined(self, now: float) -> bool:
        """Who declined a call long enough ago may hear it again; True when there is such a one."""
        over = [
            (one, agent)
            for one in self.waiting
            for agent, until in one.declined.items()
            if until <= now
        ]
        for one, agent in over:
            del one.declined[agent]
        return bool(over)

    def stop_ringing(
        self, agent: str, now: float, *, unanswered: bool = False, limit: int = 1 << 30
    ) -> list[Change]:
        """The offer is over; the agent need not be there any more."""
        if agent not in self.seats:
            return []
        return self._move(
            agent,
            lambda state: machine.stop_ringing(state, now, unanswered=unanswered, limit=limit),
        )

    def withdraw(self, call: str, now: float) -> list[Change]:
        """The call is over: it neither waits nor rings anywhere any more."""
        self.leave(call)
        ringing = [
            seat.agent
            for seat in self.seats.values()
            if seat.state.call == call and seat.state.name == "ringing"
        ]
        return [change for agent in ringing for change in self.stop_ringing(agent, now)]

    def answer(self, call: str, agent: str, now: float) -> list[Change]:
        """The agent took the call. Raises CallGone when it does not ring there any more."""
        if not self.rings_at(call, agent):
            raise CallGone("this call does not ring at you any more")
        self.leave(call)
        return self._move(agent, lambda state: machine.answer(state, now))

    def dial(self, call: str, agent: str, now: float) -> list[Change]:
        """The agent calls somebody. Raises NotFound, or Conflict where they are busy."""
        return self._move(agent, lambda state: machine.dial(state, call, now))

    def ask(self, call: str, agent: str, now: float) -> list[Change]:
        """Whose call it is asks this colleague: it rings there. Raises NotFound, Conflict."""
        return self._move(agent, lambda state: machine.ring(state, call, now))

    def undo_ask(self, call: str, agent: str, now: float) -> None:
        """It did not begin after all; whatever else the agent does by now stays."""
        if self.rings_at(call, agent) and not self.seats[agent].node:
            self.stop_ringing(agent, now)

    def undo_dial(self, call: str, agent: str, now: float) -> None:
        """It did not begin after all; whatever else the agent does by now stays."""
        seat = self.seats.get(agent)
        if seat is not None and not seat.node and seat.state.call == call:
            self.finish_call(agent, now, wrap_up=0)

    def finish_call(self, agent: str, now: float, *, wrap_up: float) -> list[Change]:
        """The talk is over; the agent need not be there any more."""
        if agent not in self.seats:
            return []
        return self._move(agent, lambda state: machine.finish_call(state, now, wrap_up=wrap_up))

    def rings_at(self, call: str, agent: str) -> bool:
        """Whether this call rings at this agent now."""
        seat = self.seats.get(agent)
        return seat is not None and seat.state.name == "ringing" and seat.state.call == call

    def _promised(self, one: Waiting, free: Sequence[Seat], now: float) -> set[str]:
        """Agents whom older calls of other nodes will get; a node that tarries loses its turn."""
        promised: set[str] = set()
        for older in self.elsewhere:
            if one.first or older.since >= one.since or older.queue not in self.queues:
                continue
            queue = self.queues[older.queue]
            candidates = self._candidates(free, queue, older.only, promised)
            agent = pick(older, candidates, STRATEGIES[queue.strategy], now)
            if agent and now - self._deferred.setdefault(older.call, now) < DEFER_SECONDS:
                promised.add(agent)
        return promised

    def _ringing_calls(self) -> set[str | None]:
        return {seat.state.call for seat in self.seats.values() if seat.state.name == "ringing"}

    def _free_seats(self) -> list[Seat]:
        return [seat for seat in self.seats.values() if seat.state.name == "available"]

    def _may_come(self, agent: str) -> bool:
        """Whether the agent is free, or will be in a moment where another call is declined."""
        seat = self.seats.get(agent)
        return seat is not None and seat.state.name in ("available", "ringing")

    def _candidates(
        self, free: Iterable[Seat], queue: Queue, only: str | None, promised: Set[str]
    ) -> list[Candidate]:
        """Of those who were free when the round began: an offer of the round changes that."""
        return [
            Candidate(seat.agent, seat.state.idle_since or 0.0, self.has_audio(seat.agent))
            for seat in free
            if seat.state.name == "available"
            and seat.agent not in promised
            and (seat.agent == only if only else serves(queue, seat.username))
        ]

    def _offer(self, one: Waiting, agent: str, queue: Queue, now: float) -> Offer:
        (change,) = self._move(agent, lambda state: machine.ring(state, one.call, now))
        return Offer(one.call, agent, one.queue, queue.ring_seconds, change)

    # --- Inside ---

    def _seat(self, agent: str) -> Seat:
        seat = self.seats.get(agent)
        if seat is None:
            raise NotFound("this agent is not signed in")
        return seat

    def _move(self, agent: str, step: Callable[[AgentState], AgentState]) -> list[Change]:
        seat = self._seat(agent)
        before = seat.state
        seat.state = step(before)
        return [] if seat.state == before else [Change(agent, before, seat.state)]


def serves(queue: Queue, username: str) -> bool:
    """Whether calls of the queue may ring at this agent."""
    return "*" in queue.agents or username in queue.agents


def _resumed(known: AgentState, now: float) -> AgentState:
    """The state of an agent whose telephony process was started anew during the shift."""
    blank = AgentState(since=now)
    if known.name in ("available", "ringing", "on_call", "wrap_up"):
        return machine.choose(blank, "available", None, now)
    if known.name in machine.CHOSEN:
        return machine.choose(blank, known.name, known.reason, now)
    return blank
