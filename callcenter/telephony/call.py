"""The state machine of a call: pure. Facts in, the call's present state out.

queued → ringing → talking ⇄ held → ended          beside it: a colleague who is asked
   ↑________|  declined, no answer      every state → ended
dialling → alerting → talking …         a call of ours
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from callcenter.errors import Conflict
from callcenter.events import (
    AgentDeclined,
    AgentOffered,
    CallAnswered,
    CalleeAlerted,
    CallEnded,
    CallerReplaced,
    CallHeld,
    CallQueued,
    CallRang,
    CallResumed,
    CallTransferred,
    ConferenceBegan,
    Consent,
    ConsentSettled,
    ConsultationAnswered,
    ConsultationEnded,
    ConsultationHeld,
    ConsultationOffered,
    ConsultationResumed,
    Fact,
    LegName,
    RecordingFailed,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    RecordingState,
)

CallState = Literal["queued", "ringing", "dialling", "alerting", "talking", "held", "ended"]

AskedState = Literal["ringing", "talking", "held", "joined"]


@dataclass(frozen=True, slots=True)
class Consultation:
    """A colleague who was asked beside the call: it rings there, the two talk, the colleague waits
    while the agent is with the customer (`held`), or all three talk."""

    colleague: str | None
    state: AskedState = "ringing"
    number: str | None = None
    """Outside (E.164), where it is no colleague."""

    def view(self) -> dict[str, str]:
        """Without what it is not."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its facts tell it."""

    id: str
    direction: str
    from_number: str | None
    to_number: str
    started_at: datetime
    state: CallState = "queued"
    queue: str | None = None
    agent: str | None = None
    answered_at: datetime | None = None
    offers: int = 0
    held_by: frozenset[LegName] = frozenset()
    consent: Consent | None = None
    recording: RecordingState = "off"
    sound: bool = True
    """False: the disk refused it."""
    consultation: Consultation | None = None
    resumes_at: datetime | None = None
    """When a paused recording goes on by itself."""

    def view(self) -> dict[str, Any]:
        """The shape that browsers know (contract: `call`)."""
        return {
            "id": self.id,
            "state": self.state,
            "direction": self.direction,
            "from": self.from_number,
            "to": self.to_number,
            "queue": self.queue,
            "started_at": self.started_at.isoformat(),
            "answered_at": self.answered_at.isoformat() if self.answered_at else None,
            "agent": self.agent,
            "consent": self.consent,
            "recording": self.recording,
            "consultation": self.consultation.view() if self.consultation else None,
            "resumes_at": self.resumes_at.isoformat() if self.resumes_at else None,
        }


def begin(fact: CallRang) -> Call:
    """The call that this fact starts."""
    return Call(
        id=fact.call,
        direction=fact.direction,
        from_number=fact.from_number,
        to_number=fact.to_number,
        started_at=fact.at,
        state="dialling" if fact.direction == "outbound" else "queued",
        agent=fact.agent,
    )


def evolve(call: Call, fact: Fact) -> Call:
    """The call after `fact`. Raises Conflict when the fact cannot happen in this state."""
    _demand(call.state != "ended", call, fact)
    match fact:
        case CallQueued():
            return replace(call, state="queued", queue=fact.queue, agent=None)
        case AgentOffered():
            _demand(call.state == "queued", call, fact)
            return replace(call, state="ringing", agent=fact.agent, offers=fact.attempt)
        case AgentDeclined():
            _demand(call.state == "ringing", call, fact)
            return replace(call, state="queued", agent=None)
        case CalleeAlerted():
            _demand(call.state in ("dialling", "alerting"), call, fact)
            return replace(call, state="alerting")
        case CallAnswered():
            _demand(call.state in ("ringing", "dialling", "alerting"), call, fact)
            return replace(
                call, state="talking", agent=fact.agent, answered_at=call.answered_at or fact.at
            )
        case CallHeld():
            _demand(call.state in ("talking", "held"), call, fact)
            return replace(call, state="held", held_by=call.held_by | {fact.by})
        case CallResumed():
            _demand(call.state == "held", call, fact)
            holders = call.held_by - {fact.by}
            return replace(call, state="held" if holders else "talking", held_by=holders)
        case CallTransferred(outside=str()):
            _demand(call.state in ("talking", "held"), call, fact)
            holders = call.held_by - {"agent"}
            state: CallState = "held" if holders else "talking"
            return replace(call, state=state, agent=None, held_by=holders, consultation=None)
        case CallTransferred():
            _demand(call.state in ("talking", "held"), call, fact)
            return replace(call, state="queued", agent=None, held_by=frozenset(), consultation=None)
        case CallerReplaced():
            return replace(call, from_number=fact.from_number)
        case CallEnded():
            return replace(call, state="ended", consultation=None)
    return _consulted(call, fact)


def _consulted(call: Call, fact: Fact) -> Call:
    """Who is asked beside it now."""
    asked = call.consultation
    match fact:
        case ConsultationOffered():
            _demand(call.state in ("talking", "held") and asked is None, call, fact)
            whom = Consultation(fact.colleague or None, number=fact.number)
            return replace(call, consultation=whom)
        case ConsultationAnswered():
            return _moved(call, fact, ("ringing",), "talking")
        case ConsultationHeld():
            return _moved(call, fact, ("talking",), "held")
        case ConsultationResumed():
            return _moved(call, fact, ("held",), "talking")
        case ConferenceBegan():
            return _moved(call, fact, ("talking", "held"), "joined")
        case ConsultationEnded():
            _demand(asked is not None, call, fact)
            return replace(call, consultation=None)
    return _kept(call, fact)


def _moved(call: Call, fact: Fact, since: tuple[AskedState, ...], to: AskedState) -> Call:
    """Whoever is asked is at another state than one of `since`."""
    asked = call.consultation
    _demand(asked is not None and asked.state in since, call, fact)
    assert asked is not None
    return replace(call, consultation=replace(asked, state=to))


def _kept(call: Call, fact: Fact) -> Call:
    """Whether its sound is kept now."""
    match fact:
        case ConsentSettled(consent=consent):
            return replace(call, consent=consent)
        case RecordingStarted():
            return replace(call, recording="running")
        case RecordingResumed():
            state: RecordingState = "running" if call.sound else "failed"
            return replace(call, recording=state, resumes_at=None)
        case RecordingPaused():
            return replace(call, recording="paused", resumes_at=fact.resumes_at)
        case RecordingFailed():
            return replace(call, recording="failed", sound=False)
    return call


def _demand(true: bool, call: Call, fact: Fact) -> None:
    if not true:
        raise Conflict(f"{type(fact).__name__} cannot happen to a call that is {call.state}")
