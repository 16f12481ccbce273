"""Why did a call pop, or not: read from the log, the agents' outboxes and who may take calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.config import Settings
from callcenter.crm.agents.models import AgentEvent
from callcenter.crm.users.models import User
from callcenter.errors import NotFound
from callcenter.events import Fact
from callcenter.log import EventLog, utc

POP = "call.ringing"
TAKE_CALLS = ("agent", "supervisor")

Verdict = Literal[
    "seen",  # an agent's browser showed it and said so
    "unseen",  # it was sent; no browser said that it was seen
    "not_sent",  # it rang at an agent, but nothing was put into the outbox
    "gone_at_announcement",  # the caller heard that calls are recorded, and hung up
    "caller_gone",  # somebody was free, but the caller was gone first
    "nobody_available",  # agents of the queue were signed in, none was free
    "nobody_signed_in",  # no agent of the queue was signed in
    "waiting",  # the call still waits for its first offer
]


@dataclass(frozen=True, slots=True)
class Pop:
    """A pop in an agent's outbox."""

    agent: str
    seq: int
    sent_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened; `ms` since the call rang. `agent` is an id, `detail` a code."""

    code: str
    at: datetime
    ms: float
    agent: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An agent and this call: `reason` says why it popped there or did not.

    `offered`, or a reason of `Floor.standings`, or `not_signed_in`. `seq`, `sent_ms` and `seen_ms`
    are of the last pop.
    """

    agent: str
    reason: str
    seq: int | None = None
    sent_ms: float | None = None
    seen_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer."""

    call: str
    verdict: Verdict
    queue: str | None
    steps: list[Step] = field(default_factory=list)
    agents: list[Standing] = field(default_factory=list)

    @property
    def people(self) -> set[str]:
        """The ids of everybody in it."""
        ids = {step.agent for step in self.steps} | {one.agent for one in self.agents}
        return {one for one in ids if one is not None}


def diagnose(session: Session, log: EventLog, settings: Settings, call: str) -> Diagnosis:
    """Everything that is known of the call. Raises NotFound where the log has no such call."""
    facts = [entry.fact for entry in log.of_call(call)]
    if not any(isinstance(fact, events.CallRang) for fact in facts):
        raise NotFound("there is no such call in the log")
    queued = [fact.queue for fact in facts if isinstance(fact, events.CallQueued)]
    members = _members(session, settings, queued[-1]) if queued else []
    return explain(call, facts, _pops(session, call), members)


def explain(
    call: str, facts: Sequence[Fact], pops: Sequence[Pop], members: Iterable[str]
) -> Diagnosis:
    """The answer, from the call's facts in their order, its pops, and the queue's agents (ids)."""
    began = next(fact.at for fact in facts if isinstance(fact, events.CallRang))
    steps = sorted([*_told(facts, began), *_popped(pops, began)], key=lambda step: step.at)
    agents = _standings(facts, pops, members, began)
    queues = [fact.queue for fact in facts if isinstance(fact, events.CallQueued)]
    verdict = _verdict(facts, pops, agents)
    return Diagnosis(call, verdict, queues[-1] if queues else None, steps, agents)


def _told(facts: Sequence[Fact], began: datetime) -> list[Step]:
    steps = []
    for fact in facts:
        found: tuple[str, str | None, str] | None = None
        match fact:
            case events.CallRang():
                found = "rang", None, fact.line
            case events.CallQueued():
                found = "queued", None, fact.queue
            case events.AgentOffered():
                found = "offered", fact.agent, ""
            case events.AgentDeclined():
                found = "declined", fact.agent, fact.reason
            case events.CallAnswered():
                found = "answered", fact.agent, ""
            case events.CallTransferred():
                found = "transferred", fact.from_agent, fact.to_queue or ""
            case events.CallEnded():
                found = "ended", fact.agent, fact.reason
        if found:
            code, agent, detail = found
            steps.append(Step(code, fact.at, _ms(began, fact.at), agent, detail))
    return steps


def _popped(pops: Sequence[Pop], began: datetime) -> list[Step]:
    sent = [Step("sent", p.sent_at, _ms(began, p.sent_at), p.agent, str(p.seq)) for p in pops]
    return sent + [
        Step("seen", p.seen_at, _ms(began, p.seen_at), p.agent, str(p.seq))
        for p in pops
        if p.seen_at is not None
    ]


def _standings(
    facts: Sequence[Fact], pops: Sequence[Pop], members: Iterable[str], began: datetime
) -> list[Standing]:
    """Whom it rang at, in that order; then everybody else of the queue, with the last reason."""
    offered = [fact.agent for fact in facts if isinstance(fact, events.AgentOffered)]
    reasons: dict[str, str] = dict.fromkeys(offered, "offered")
    seen_others: dict[str, str] = {}
    for fact in facts:
        if isinstance(fact, events.CallQueued | events.AgentOffered):
            seen_others |= fact.others
    for agent, reason in seen_others.items():
        reasons.setdefault(agent, reason)
    for agent in members:
        reasons.setdefault(agent, "not_signed_in")
    found = {agent: Standing(agent, reason) for agent, reason in reasons.items()}
    for pop in pops:
        if pop.agent in found:
            found[pop.agent] = replace(
                found[pop.agent],
                seq=pop.seq,
                sent_ms=_ms(began, pop.sent_at),
                seen_ms=_ms(began, pop.seen_at) if pop.seen_at else None,
            )
    return list(found.values())


def _verdict(facts: Sequence[Fact], pops: Sequence[Pop], agents: list[Standing]) -> Verdict:
    reasons = {one.reason for one in agents}
    if any(pop.seen_at for pop in pops):
        return "seen"
    if pops:
        return "unseen"
    if "offered" in reasons:
        return "not_sent"
    if not any(isinstance(fact, events.CallEnded) for fact in facts):
        return "waiting"
    if not any(isinstance(fact, events.CallQueued) for fact in facts) and _asks(facts):
        return "gone_at_announcement"
    if reasons & {"available", "less_idle", "tried", "reserved"}:
        return "caller_gone"
    return "nobody_available" if reasons - _ABSENT else "nobody_signed_in"


def _asks(facts: Sequence[Fact]) -> bool:
    return any(
        isinstance(fact, events.CallRang) and fact.policy == "ask" and fact.direction == "inbound"
        for fact in facts
    )


_ABSENT = {"not_signed_in", "not_in_queue", "offline"}


def _pops(session: Session, call: str) -> list[Pop]:
    query = select(AgentEvent).where(AgentEvent.call == call, AgentEvent.event == POP)
    return [
        Pop(row.agent, row.seq, utc(row.created_at), utc(row.seen_at) if row.seen_at else None)
        for row in session.scalars(query.order_by(AgentEvent.created_at, AgentEvent.seq))
    ]


def _members(session: Session, settings: Settings, queue: str) -> list[str]:
    """Ids of everybody whom calls of that queue may ring at, as the settings stand now."""
    names = next((one.agents for one in settings.queues if one.name == queue), [])
    query = select(User.id, User.username).where(
        User.role.in_(TAKE_CALLS), User.disabled_at.is_(None)
    )
    rows = session.execute(query.order_by(User.username))
    return [row.id for row in rows if "*" in names or row.username in names]


def _ms(began: datetime, at: datetime) -> float:
    return round((utc(at) - utc(began)).total_seconds() * 1000, 1)
