"""Who gets the next call: strategies, pure functions over what is known now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent who could be rung now. `idle_since` in monotonic seconds."""

    agent: str
    idle_since: float
    has_audio: bool


DECLINED_SECONDS = 10.0
"""How long a call does not come back to an agent who declined it, also where nobody else is."""


@dataclass(slots=True)
class Waiting:
    """A call in a queue. `tried` are the agents who did not take it in this round, `declined`
    those who clicked it away, with the moment from which it may ring at them again.

    `only` is the agent it was transferred to, until that one does not take it. `first`: it waited
    before, and goes before all others.
    """

    call: str
    queue: str
    since: float
    tried: set[str] = field(default_factory=set)
    declined: dict[str, float] = field(default_factory=dict)
    only: str | None = None
    first: bool = False


Strategy = Callable[[Sequence[Candidate]], Candidate | None]


def longest_idle(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one who waits longest for a call; one who cannot be heard only if nobody else can."""
    return min(candidates, key=lambda one: (not one.has_audio, one.idle_since), default=None)


STRATEGIES: dict[str, Strategy] = {"longest_idle": longest_idle}


def pick(
    waiting: Waiting, candidates: Iterable[Candidate], strategy: Strategy, now: float
) -> str | None:
    """The agent to ring for this call, or None. Whoever did not take it comes after everybody
    else, and whoever declined it not before `DECLINED_SECONDS` are over: others may come free."""
    present = [one for one in candidates if waiting.declined.get(one.agent, now) <= now]
    fresh = [one for one in present if one.agent not in waiting.tried]
    chosen = strategy(fresh or present)
    return chosen.agent if chosen else None
