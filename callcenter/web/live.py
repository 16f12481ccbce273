"""The only module that emits to browsers; every payload is declared here.

Events marked durable get a `seq` per agent: `stage()` puts them into the agent's outbox in
the transaction that applies the fact, `deliver()` emits them after its commit. Whoever was
away asks for them with `resume` and tells them apart by `seq`. Everything else is worth
something only now: a lost caption is repaired by the transcript, a lost floor by the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, ClassVar, Literal

import structlog
from flask_socketio import SocketIO
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from callcenter import events, log
from callcenter.crm import pop
from callcenter.crm.agents import operations as outbox
from callcenter.crm.agents import queries as outboxes
from callcenter.crm.complaints import incidents
from callcenter.crm.complaints import queries as complaints
from callcenter.crm.customers import phones
from callcenter.crm.interactions import queries as interactions
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.phrases import queries as phrases
from callcenter.crm.text import visible
from callcenter.crm.users import queries as users
from callcenter.crm.users.models import User
from callcenter.errors import NotFound
from callcenter.events import (
    AgentStateName,
    Consent,
    ConsultationEnd,
    Fact,
    LegName,
    OutboxAdvanced,
    Outcome,
    RecordingState,
    RecordPolicy,
    Verstat,
)
from callcenter.log import Entry
from callcenter.web import records
from callcenter.web.context import Services
from callcenter.web.hearers import Hearers, hearers
from callcenter.web.permissions import Permission, Scope, may_hear, scope_of
from callcenter.web.shapes import CallView, MatchView, Moment, PersonView

FLOOR_ROOM = "floor"
INCIDENTS_SHOWN = 3
ALARM_ROOM = "alarms"
LEAD_ROOM = "lead"  # those who watch over calls out and over what is opened with a reason
_LOGGER = structlog.get_logger()


class Payload(BaseModel):
    """What an event carries: nothing undeclared leaves."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    event: ClassVar[str]


class CallerShape(Payload):
    """Who calls, as far as the line says; `country` is ISO 3166.

    `diverted_from` is the number that was dialled before the call was diverted to us; `verstat`
    what the network found of the caller's number.
    """

    event = ""
    number: str | None
    name: str | None
    country: str | None
    withheld: bool
    diverted_from: str | None = None
    verstat: Verstat | None = None


class IncidentShape(Payload):
    """Trouble that several customers have: what to tell the next one who calls."""

    event = ""
    id: str
    cause: str
    product: str
    title: str
    advice: str
    complaints: int


class Ringing(Payload):
    """Durable. A call rings at this agent: the pop. `asked_by`: a colleague's call, who asks."""

    event = "call.ringing"
    call: CallView
    caller: CallerShape
    matches: list[MatchView]
    incidents: list[IncidentShape] = []
    queue: str | None
    policy: RecordPolicy | None
    interaction: str | None
    attempt: int
    wait_seconds: float
    asked_by: PersonView | None = None


class Dialling(Payload):
    """Durable. This agent calls somebody: `caller` is who is called, `matches` who that may be."""

    event = "call.dialling"
    call: CallView
    caller: CallerShape
    matches: list[MatchView]
    queue: str | None
    policy: RecordPolicy | None
    interaction: str | None


class Updated(Payload):
    """Durable. The call changed: answered, held, resumed, offered to somebody else."""

    event = "call.updated"
    call: CallView
    interaction: str | None
    reason: str | None = None


class Kept(Payload):
    """Durable. Whether the call's sound is kept now; `resumes_at` ends a pause by itself."""

    event = "call.recording"
    call: str
    recording: RecordingState
    consent: Consent | None
    resumes_at: Moment | None


class Consulted(Payload):
    """Durable. A colleague is asked beside the call: to whose call it is, and to the colleague.

    `state`: it rings there, the two talk (the customer does not hear them), the colleague waits
    while the agent is with the customer (`held`), all three talk (`joined`), or it is over
    (`ended`), for that `reason`. Somebody at a `number` outside (E.164) is no `colleague`.
    """

    event = "call.consultation"
    call: str
    state: Literal["ringing", "talking", "held", "joined", "ended"]
    agent: PersonView
    colleague: PersonView | None
    number: str | None = None
    reason: ConsultationEnd | None = None


class Ended(Payload):
    """Durable. The call is over, for this agent at least (`transferred`, `consulted`)."""

    event = "call.ended"
    call: str
    reason: Outcome | Literal["transferred", "consulted"]
    by: str
    interaction: str | None
    talk_seconds: float = 0.0


class StateChanged(Payload):
    """Durable. This agent's state; `until` is the end of wrap-up, `next` what follows a call."""

    event = "agent.state"
    agent: str
    state: AgentStateName
    previous: AgentStateName
    reason: str | None
    since: Moment
    until: Moment | None
    next: AgentStateName | None = None
    call: str | None


class MissedChanged(Payload):
    """Durable. The list of missed calls changed; `count` wait for this agent."""

    event = "missed.changed"
    count: int
    interaction: str | None


class Escalated(Payload):
    """Durable. A complaint is late: to its owner and the role of that step."""

    event = "complaint.escalated"
    complaint: str
    code: str
    level: int
    awaited: str
    due: Moment


class PhraseSaid(Payload):
    """Durable. A phrase that supervisors listen for was said; `t0` in seconds from the answer."""

    event = "phrase.said"
    call: str
    interaction: str
    list: str
    name: str
    severity: Literal["note", "warning", "urgent"]
    leg: LegName
    phrase: str
    t0: float


class Caption(Payload):
    """What is being said; the same `id` grows until it is final. Seconds from the answer.

    To the agent of the call, and to a colleague whom they ask while that one is there.
    """

    event = "caption"
    call: str
    leg: LegName
    kind: Literal["partial", "final"]
    id: str
    text: str
    t0: float
    t1: float
    masks: list[str]


class FloorShape(Payload):
    """Queues and agents now."""

    event = "floor"
    queues: list[dict[str, Any]]
    agents: list[dict[str, Any]]


class Notice(Payload):
    """Something a person should know: audio-lost, telephony-down, telephony-up, text.

    `resources` carries all alarms that are on now (none: all is well again); it is told to
    supervisors and administrators only: [{"node", "resource", "percent"}].
    """

    event = "notice"
    node: str = ""
    kind: Literal[
        "audio-lost",
        "audio-ready",
        "telephony-up",
        "not-answering",
        "sign-in-locked",
        "resources",
        "outbound-half",
        "disclosure",
        "text",
    ]
    text: str = ""
    alarms: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class Staged:
    """A durable event that leaves after the commit."""

    agent: str
    seq: int
    event: str
    payload: dict[str, Any]


def agent_room(agent: str) -> str:
    """Every tab of one agent."""
    return f"agent:{agent}"


def wire(payload: Payload) -> dict[str, Any]:
    """The payload as JSON types."""
    return payload.model_dump(mode="json", by_alias=True)


class Live:
    """Stages, delivers, emits. `connected()` names the agents who have a browser now."""

    def __init__(self, parts: Services, socketio: SocketIO) -> None:
        self._parts = parts
        self._socketio = socketio
        self._hearers = Hearers(parts)
        self._staged: list[Staged] = []
        self._in_order = threading.Lock()
        self._resumed: dict[str, int] = {}  # browser → newest seq it got with `resume`
        self._sent: dict[str, int] = {}  # agent with a browser here → newest seq it was sent
        self.connected: Callable[[], set[str]] = set

    # --- Durable events ----------------------------------------------------------------------

    def begin(self) -> None:
        """A new fact: forget what a failed one had staged."""
        self._staged = []

    def stage(self, session: Session, entry: Entry) -> None:
        """Put what the fact means for agents into their outboxes, in the caller's transaction."""
        staging = _STAGING.get(type(entry.fact))
        if staging is None:
            return
        for agent, payload, call in staging(self, session, entry.fact):
            body = wire(payload)
            seq = outbox.push(session, agent, payload.event, body, call)
            self._staged.append(Staged(agent, seq, payload.event, body))

    def deliver(self, entry: Entry) -> None:
        """After the commit: emit what the fact staged, and its caption."""
        staged, self._staged = self._staged, []
        with self._in_order:
            for one in staged:
                self._send(one)
                self._count(one.event, entry.fact.at)
        if isinstance(entry.fact, events.UtteranceHeard) and entry.fact.revision == 1:
            self.caption(entry.fact, "final", everywhere=True)
        self._hearers.follow(entry.fact)
        if staged and not self._parts.alone:
            agents = sorted({one.agent for one in staged})
            self._parts.bus.publish(OutboxAdvanced(agents=agents, call=entry.fact.subject))

    # --- Where several web processes run: each sends its own browsers what is in the outboxes ----

    def joins(self, agent: str) -> None:
        """A browser of that agent is here; what is older comes with `resume`."""
        if self._parts.alone:
            return
        with self._in_order, self._parts.reading() as session:
            self._sent.setdefault(agent, outboxes.last_seq(session, agent))

    def leaves(self, agent: str) -> None:
        """No browser of that agent is here any more."""
        with self._in_order:
            self._sent.pop(agent, None)

    def moved(self, told: OutboxAdvanced) -> None:
        """Who talks in that call may have changed."""
        if told.call:
            self._hearers.forget(told.call)

    def catch_up(self) -> None:
        """Send what the process that applies facts has stored since; also what it died over."""
        with self._in_order, self._parts.reading() as session:
            newest = outboxes.last_seqs(session, self._sent)
            for agent, seq in newest.items():
                if seq <= self._sent[agent]:
                    continue
                for event in outboxes.after(session, agent, self._sent[agent]):
                    self._send(Staged(agent, event.seq, event.event, event.payload))

    def resend(self, sid: str, agent: str, last_seq: int) -> int:
        """Send an agent's browser what it missed, as it was; returns how many."""
        with self._in_order:
            with self._parts.reading() as session:
                missed = outboxes.after(session, agent, last_seq)
            for one in missed:
                payload = {**one.payload, "seq": one.seq}
                self._socketio.emit(one.event, payload, to=sid, ignore_queue=True)
            if missed:
                self._resumed[sid] = missed[-1].seq
        return len(missed)

    def forget(self, sid: str) -> None:
        """That browser is gone."""
        self._resumed.pop(sid, None)

    def _send(self, one: Staged) -> None:
        """To every tab but those that got it with `resume`, between its commit and now."""
        if not self._parts.alone:
            if self._sent.get(one.agent, one.seq) >= one.seq:
                return  # nobody here, or sent already
            self._sent[one.agent] = one.seq
        has_it = [sid for sid, seq in list(self._resumed.items()) if seq >= one.seq]
        payload = {**one.payload, "seq": one.seq}
        room = agent_room(one.agent)
        self._socketio.emit(one.event, payload, to=room, skip_sid=has_it, ignore_queue=True)

    def _count(self, event: str, at: datetime) -> None:
        metrics = self._parts.metrics
        if event == Ringing.event:
            metrics.pops.inc()
        metrics.push.labels(event).observe(max(0.0, (events.now() - at).total_seconds()))

    # --- Ephemeral events --------------------------------------------------------------------

    def caption(
        self,
        heard: events.CaptionHeard | events.UtteranceHeard,
        kind: Literal["partial", "final"],
        *,
        everywhere: bool = False,
    ) -> None:
        """To those of `Hearers` only. Every process hears signals, one applies facts: that one
        sends `everywhere`, through Socket.IO's message queue."""
        payload = wire(_caption(heard.call, heard.utterance, kind, heard))
        for agent in self._hearers.of(heard.call):
            room = agent_room(agent)
            self._socketio.emit(Caption.event, payload, to=room, ignore_queue=not everywhere)

    def captions(self, call: str, agent: str) -> list[dict[str, Any]]:
        """The finished captions of a call so far, as they were sent, for somebody of `Hearers`.

        Raises NotFound for everybody else. For a colleague, who has no way to the transcript.
        """
        with self._parts.reading() as session:
            row = interactions.by_call(session, call)
            if row is None or agent not in hearers(session, call):
                raise NotFound("you take no part in such a call")
            said = interactions.transcript(session, row)
            return [wire(_caption(call, one.id, "final", one)) for one in said]

    def floor(self, queues: list[dict[str, Any]], agents: list[dict[str, Any]]) -> None:
        """To everybody who may see the floor."""
        payload = FloorShape(queues=queues, agents=agents)
        self._socketio.emit(payload.event, wire(payload), to=FLOOR_ROOM, ignore_queue=True)

    def notice(
        self,
        kind: Any,
        *,
        agent: str | None = None,
        text: str = "",
        room: str | None = None,
        node: str = "",
        everywhere: bool = False,
    ) -> None:
        """To one agent, to a room, or to everybody; `everywhere`: also at other web processes."""
        payload = Notice(kind=kind, text=text, node=node)
        to = agent_room(agent) if agent else room
        self._socketio.emit(payload.event, wire(payload), to=to, ignore_queue=not everywhere)

    def everybody(self, session: Session) -> set[str]:
        """Agents who have a browser now, here or at another web process."""
        if self._parts.alone:
            return self.connected()
        return {agent for agent, _ in outboxes.presences(session)}

    def alarms(self, *, to: str = "") -> None:
        """What runs short, to everybody who looks after it, or to one browser."""
        payload = Notice(kind="resources", alarms=self._parts.short())
        room = to or ALARM_ROOM
        self._socketio.emit(payload.event, wire(payload), to=room, ignore_queue=True)


def _caption(call: str, id: str, kind: Literal["partial", "final"], said: Any) -> Caption:
    """Of a signal or fact of speech, or of a line of the transcript."""
    return Caption(
        call=call,
        leg=said.leg,
        kind=kind,
        id=id,
        text=said.text,
        t0=said.t0,
        t1=said.t1,
        masks=said.masks,
    )


# --- What a fact means for whom ------------------------------------------------------------

Told = list[tuple[str, Payload, str | None]]


def call_view(row: Interaction, state: str, agent: str | None) -> CallView:
    """The `call` object of the contract."""
    return CallView(
        id=row.call_id or "",
        state=state,
        direction=row.direction,
        from_=row.from_number,
        from_name=visible(row.from_name or "") or None,
        to=row.to_number or "",
        queue=row.queue,
        language=row.language,
        started_at=row.started_at,
        answered_at=row.answered_at,
        agent=agent,
        interaction=row.id,
        consent=row.consent,
        recording=row.recording_now,
        resumes_at=row.resumes_at,
    )


def _other(
    live: Live, session: Session, row: Interaction, number: str | None, name: str | None
) -> tuple[CallerShape, list[MatchView]]:
    """The customer's side: its number, and who that may be."""
    region = row.region or live._parts.settings.site.region
    known = phones.canonical(number, region)
    shape = CallerShape(
        number=known.e164 if known else number,
        name=visible(name or "") or None,
        country=known.region if known else None,
        withheld=number is None,
        diverted_from=_e164(row.diverted_from, region),
        verstat=row.verstat,
    )
    matches = [
        MatchView.model_validate(
            {
                "customer": records.brief(card.customer, card.open_complaints),
                "reason": card.reason,
                "score": card.score,
            }
        )
        for card in pop.cards(session, number, region)
    ]
    return shape, matches


def _rang(live: Live, session: Session, fact: events.CallRang) -> Told:
    """A call that an agent places; callers are told with the offer."""
    row = interactions.by_call(session, fact.call)
    if row is None or fact.agent is None:
        return []
    caller, matches = _other(live, session, row, row.to_number, None)
    payload = Dialling(
        call=call_view(row, "dialling", fact.agent),
        caller=caller,
        matches=matches,
        queue=row.queue,
        policy=row.policy,
        interaction=row.id,
    )
    return [(fact.agent, payload, fact.call)]


def _alerted(live: Live, session: Session, fact: events.CalleeAlerted) -> Told:
    row = interactions.by_call(session, fact.call)
    agent = row.agent if row else None
    return _updated(session, fact.call, "alerting", agent, agent, None)


def _offered(live: Live, session: Session, fact: events.AgentOffered) -> Told:
    row = interactions.by_call(session, fact.call)
    if row is None:
        return []
    payload = _ringing(live, session, row, fact, fact.agent, fact.queue, fact.attempt)
    return [(fact.agent, payload, fact.call)]


def _ringing(
    live: Live,
    session: Session,
    row: Interaction,
    fact: events.AgentOffered | events.ConsultationOffered,
    agent: str,
    queue: str | None,
    attempt: int,
) -> Ringing:
    """The pop, whose call it is `agent`'s."""
    outbound = row.direction == "outbound"  # passed on by the agent who placed it
    caller, matches = _other(
        live, session, row, row.to_number if outbound else row.from_number, row.from_name
    )
    view = call_view(row, "ringing", agent)
    if not live._parts.alone:
        view.node = log.node_of(session.connection(), fact.call)
    return Ringing(
        call=view,
        caller=caller,
        matches=matches,
        incidents=_incidents(session),
        queue=queue,
        policy=row.policy,
        interaction=row.id,
        attempt=attempt,
        wait_seconds=max(0.0, (fact.at - row.started_at).total_seconds()),
    )


def _e164(written: str | None, region: str) -> str | None:
    """A number as it is shown, where it is one."""
    number = phones.canonical(written, region)
    return number.e164 if number else written


def _incidents(session: Session) -> list[IncidentShape]:
    """The newest open ones: the caller may have the same trouble."""
    return [
        IncidentShape(
            id=one.incident.id,
            cause=one.incident.cause,
            product=one.incident.product,
            title=one.incident.title,
            advice=one.incident.advice,
            complaints=one.complaints,
        )
        for one in incidents.listed(session, is_open=True, limit=INCIDENTS_SHOWN)
    ]


def _updated(
    session: Session, call: str, state: str, agent: str | None, to: str | None, why: str | None
) -> Told:
    row = interactions.by_call(session, call)
    if row is None or to is None:
        return []
    view = call_view(row, state, agent)
    return [(to, Updated(call=view, interaction=row.id, reason=why), call)]


def _declined(live: Live, session: Session, fact: events.AgentDeclined) -> Told:
    """The offer is over for this agent; a caller who is gone comes as `call.ended`."""
    if fact.reason == "caller_gone":
        return []
    return _updated(session, fact.call, "queued", None, fact.agent, fact.reason)


def _answered(live: Live, session: Session, fact: events.CallAnswered) -> Told:
    return _updated(session, fact.call, "talking", fact.agent, fact.agent, None)


def _held(live: Live, session: Session, fact: events.CallHeld) -> Told:
    return _talk(session, fact.call, "held", fact.by)


def _resumed(live: Live, session: Session, fact: events.CallResumed) -> Told:
    return _talk(session, fact.call, "talking", fact.by)


def _talk(session: Session, call: str, state: str, by: str) -> Told:
    row = interactions.by_call(session, call)
    agent = row.agent if row else None
    return _updated(session, call, state, agent, agent, by)


def _kept(live: Live, session: Session, fact: Any) -> Told:
    row = interactions.by_call(session, fact.call)
    if row is None or row.agent is None:
        return []
    payload = Kept(
        call=fact.call,
        recording=row.recording_now,
        consent=row.consent,
        resumes_at=row.resumes_at,
    )
    return [(row.agent, payload, fact.call)]


def _asked(live: Live, session: Session, fact: events.ConsultationOffered) -> Told:
    """The colleague sees who the customer is, and who asks; the note stays whose call it is."""
    row = interactions.by_call(session, fact.call)
    if row is None:
        return []
    now = _consulted(session, fact, "ringing")
    if not fact.colleague:  # somebody outside, who sees nothing
        return [(fact.agent, now, fact.call)]
    pop = _ringing(live, session, row, fact, fact.colleague, row.queue, 1)
    pop.asked_by = now.agent
    pop.interaction = pop.call.interaction = None
    return [(fact.colleague, pop, fact.call), (fact.agent, now, fact.call)]


def _asked_talks(live: Live, session: Session, fact: events.ConsultationAnswered) -> Told:
    now = _consulted(session, fact, "talking")
    if not fact.colleague:
        return [(fact.agent, now, fact.call)]
    taken = _updated(session, fact.call, "talking", fact.colleague, fact.colleague, "consulted")
    for _, payload, _ in taken:
        assert isinstance(payload, Updated)
        payload.interaction = payload.call.interaction = None
    return [(fact.colleague, now, fact.call), *taken, (fact.agent, now, fact.call)]


def _asked_waits(live: Live, session: Session, fact: events.ConsultationHeld) -> Told:
    return _both(session, fact, "held")


def _asked_again(live: Live, session: Session, fact: events.ConsultationResumed) -> Told:
    return _both(session, fact, "talking")


def _joined(live: Live, session: Session, fact: events.ConferenceBegan) -> Told:
    return _both(session, fact, "joined")


def _both(session: Session, fact: Any, state: str, reason: ConsultationEnd | None = None) -> Told:
    """To the colleague, where it is one, and to whose call it is."""
    now = _consulted(session, fact, state, reason)
    return [(one, now, fact.call) for one in (fact.colleague, fact.agent) if one]


def _asked_no_more(live: Live, session: Session, fact: events.ConsultationEnded) -> Told:
    """Who has the call now is told of it by the facts that follow."""
    told = _both(session, fact, "ended", fact.reason)
    if fact.colleague and fact.reason != "handed_over":
        over = Ended(call=fact.call, reason="consulted", by="agent", interaction=None)
        told.insert(1, (fact.colleague, over, fact.call))
    return told


def _consulted(
    session: Session, fact: Any, state: str, reason: ConsultationEnd | None = None
) -> Consulted:
    colleague = fact.colleague or None
    return consultation(
        session, fact.call, state, fact.agent, colleague, reason, number=fact.number
    )


def consultation(
    session: Session,
    call: str,
    state: str,
    agent: str,
    colleague: str | None,
    reason: ConsultationEnd | None = None,
    *,
    number: str | None = None,
) -> Consulted:
    """How it stands with a colleague who is asked, with the names of both, or with a number."""
    names = records.people(session, [one for one in (agent, colleague) if one])
    blank = {"username": "", "name": ""}
    return Consulted.model_validate(
        {
            "call": call,
            "state": state,
            "agent": names.get(agent, {"id": agent, **blank}),
            "colleague": names.get(colleague, {"id": colleague, **blank}) if colleague else None,
            "number": number,
            "reason": reason,
        }
    )


def _replaced(live: Live, session: Session, fact: events.CallerReplaced) -> Told:
    row = interactions.by_call(session, fact.call)
    agent = row.agent if row else None
    return _updated(session, fact.call, "talking", agent, agent, "replaced")


def _transferred(live: Live, session: Session, fact: events.CallTransferred) -> Told:
    row = interactions.by_call(session, fact.call)
    if row is None:
        return []
    told = _updated(session, fact.call, "queued", fact.to_agent, fact.from_agent, "transferred")
    over = Ended(call=fact.call, reason="transferred", by="agent", interaction=row.id)
    return [*told, (fact.from_agent, over, fact.call)]


def _ended(live: Live, session: Session, fact: events.CallEnded) -> Told:
    row = interactions.by_call(session, fact.call)
    if row is None:
        return []
    over = Ended(
        call=fact.call,
        reason=fact.reason,
        by=fact.by,
        interaction=row.id,
        talk_seconds=fact.talk_seconds,
    )
    talked = fact.agent or (row.agent if row.answered_at else None)
    told: Told = [(one, over, fact.call) for one in {talked or row.last_offered} if one]
    if fact.reason in ("abandoned", "missed"):
        told += _missed(live, session, row)
    return told


def _missed(live: Live, session: Session, row: Interaction) -> Told:
    """The owner, and everybody who has a browser now where nobody owns it."""
    whom = {row.owner} if row.owner else live.everybody(session)
    return [
        (
            agent,
            MissedChanged(count=interactions.missed_count(session, agent), interaction=row.id),
            row.call_id,
        )
        for agent in sorted(one for one in whom if one)
    ]


def _state(live: Live, session: Session, fact: events.AgentStateChanged) -> Told:
    payload = StateChanged(
        agent=fact.agent,
        state=fact.state,
        previous=fact.previous,
        reason=fact.reason,
        since=fact.at,
        until=fact.until,
        call=fact.call,
    )
    return [(fact.agent, payload, fact.call)]


def _escalated(live: Live, session: Session, fact: events.ComplaintEscalated) -> Told:
    """To the owner, and to those of the role who may work on the complaint.

    Where they all are in other teams, to the whole role: somebody has to hear of it.
    """
    payload = Escalated(
        complaint=fact.complaint,
        code=fact.code,
        level=fact.level,
        awaited=fact.awaited,
        due=fact.due,
    )
    of_role = [user for user in users.everybody(session) if user.role == fact.role]
    row = complaints.by_ids(session, [fact.complaint]).get(fact.complaint)
    owners = complaints.concerned(row) if row else set()
    teams = {user.team for user in users.by_ids(session, owners) if user.team}
    nearest = [user for user in of_role if not teams or _works_for(user, teams)]
    whom = {user.id for user in nearest or of_role}
    return [(one, payload, None) for one in sorted(whom | ({fact.owner} if fact.owner else set()))]


def _works_for(user: User, teams: set[str]) -> bool:
    narrowed = scope_of(user.role, Permission.COMPLAINTS_WORK, user.team) is Scope.TEAM
    return not narrowed or user.team in teams


def _phrase(live: Live, session: Session, fact: events.PhraseHeard) -> Told:
    """To everybody who manages phrases and may hear the call."""
    row = interactions.by_call(session, fact.call)
    found = phrases.mark_of(session, fact.utterance, fact.list)
    if row is None or found is None:
        return []
    mark, one = found
    payload = PhraseSaid(
        call=fact.call,
        interaction=row.id,
        list=one.id,
        name=one.name,
        severity=one.severity,
        leg=mark.leg,
        phrase=mark.phrase,
        t0=mark.t0,
    )
    members = cache(partial(users.members, session))
    whom = (
        user.id
        for user in users.everybody(session)
        if scope_of(user.role, Permission.PHRASES_MANAGE) and may_hear(user, row.talked, members)
    )
    return [(user, payload, fact.call) for user in sorted(whom)]


_STAGING: dict[type[Fact], Callable[[Live, Session, Any], Told]] = {
    events.CallRang: _rang,
    events.CalleeAlerted: _alerted,
    events.AgentOffered: _offered,
    events.AgentDeclined: _declined,
    events.CallAnswered: _answered,
    events.CallHeld: _held,
    events.CallResumed: _resumed,
    events.CallTransferred: _transferred,
    events.ConsultationOffered: _asked,
    events.ConsultationAnswered: _asked_talks,
    events.ConsultationHeld: _asked_waits,
    events.ConsultationResumed: _asked_again,
    events.ConferenceBegan: _joined,
    events.ConsultationEnded: _asked_no_more,
    events.CallerReplaced: _replaced,
    events.CallEnded: _ended,
    events.ConsentSettled: _kept,
    events.RecordingStarted: _kept,
    events.RecordingFailed: _kept,
    events.RecordingPaused: _kept,
    events.RecordingResumed: _kept,
    events.AgentStateChanged: _state,
    events.ComplaintEscalated: _escalated,
    events.PhraseHeard: _phrase,
}
