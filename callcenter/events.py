"""The vocabulary: facts, signals and commands that cross process borders.

*Facts* are past tense and durable: appended to the event log before anybody hears of them.
*Signals* are ephemeral: a lost one is repaired by the next or by a fact.
*Commands* are imperative and answered: sent to one service by `Bus.request`.

Times (`at`) are UTC. `call`, `agent`, `complaint` … are ids: UUIDv7 strings (RFC 9562).
`t0`, `t1` are seconds from the answer. `leg` is "customer" or "agent".
Adding a fact: CONTRIBUTING.md, "Add a fact".
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

LegName = Literal["agent", "customer"]
Outcome = Literal[
    "completed",
    "abandoned",
    "missed",
    "rejected",
    "interrupted",
    "failed",
    # of calls out only:
    "busy",
    "no_answer",
    "cancelled",
]
AgentStateName = Literal[
    "available",
    "ringing",
    "on_call",
    "wrap_up",
    "break",
    "training",
    "back_office",
    "not_answering",
    "offline",
]
Device = Literal["browser", "phone"]  # what an agent talks by
Verstat = Literal["passed", "failed", "none"]  # of a number, by the network (STIR/SHAKEN)
RecordPolicy = Literal["never", "on_demand", "ask", "always"]
Consent = Literal["given", "declined", "not_asked"]
RecordingState = Literal["off", "running", "paused", "failed"]
"""`failed`: the disk refused the sound; what is said may be written down all the same."""
ConsultationEnd = Literal[
    "declined",
    "no_answer",
    "unreachable",
    "left",
    "returned",
    "handed_over",
    "call_over",
    "limit",
]
SwapTarget = Literal["customer", "colleague"]
PauseCause = Literal["button", "api", "form", "policy"]
RecordingAction = Literal["start", "stop", "pause", "resume"]


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


# --- Facts ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that happened. Never changed, never taken back."""

    at: datetime = field(default_factory=now)

    @property
    def subject(self) -> str | None:
        """The id of the call this fact belongs to, if it belongs to one."""
        return getattr(self, "call", None)


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRang(Fact):
    """A caller's INVITE was taken. `from_number` is as received; None when withheld.

    `diverted_from` is the first number that diverted the call to us.
    Outbound: `agent` dials `to_number` (E.164); `from_number` is what the called side sees.
    """

    call: str
    direction: Literal["inbound", "outbound"] = "inbound"
    from_number: str | None
    from_name: str | None
    to_number: str
    line: str
    trunk: str
    region: str
    language: str
    policy: RecordPolicy
    node: str
    sip_call_id: str
    diverted_from: str | None = None
    verstat: Verstat | None = None
    agent: str | None = None
    queue: str | None = None  # that it is for; it may be asked something before it waits there


@dataclass(frozen=True, kw_only=True, slots=True)
class CallQueued(Fact):
    """The call waits in `queue`; `position` 1 is next.

    `others`: agent → why the call did not ring there at that moment (`Floor.standings`).
    """

    call: str
    queue: str
    position: int
    others: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentOffered(Fact):
    """The call rings at `agent`; `attempt` counts offers of this call from 1.

    `others`: agent → why it did not ring there instead (`Floor.standings`).
    """

    call: str
    agent: str
    queue: str
    attempt: int
    others: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentDeclined(Fact):
    """The offer ended without an answer of this agent."""

    call: str
    agent: str
    reason: Literal["declined", "no_answer", "unreachable", "caller_gone"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CalleeAlerted(Fact):
    """The phone that we call rings. `early`: its network plays sound meanwhile."""

    call: str
    early: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CallAnswered(Fact):
    """The agent (outbound: the customer) answered; second 0 of captions and talk time.

    `wait_seconds` from CallRang.
    """

    call: str
    agent: str
    queue: str
    wait_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CallHeld(Fact):
    """The other side hears hold music; `by` says who put the call on hold."""

    call: str
    by: LegName


@dataclass(frozen=True, kw_only=True, slots=True)
class CallResumed(Fact):
    """Both talk again."""

    call: str
    by: LegName


@dataclass(frozen=True, kw_only=True, slots=True)
class CallTransferred(Fact):
    """The call went from one agent to another agent or queue."""

    call: str
    from_agent: str
    to_agent: str | None = None
    to_queue: str | None = None
    to_number: str | None = None  # outside (E.164): no agent has the call from then on
    outside: str | None = None  # the call out that it goes on in: `ConsultationOffered`


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultationOffered(Fact):
    """`agent`, whose call it is, asks `colleague`, where it rings; the customer is on hold.

    Or somebody at a `number` outside (E.164): `colleague` is empty then, here and in the facts
    that follow, and `outside` the id of that call out.
    """

    call: str
    agent: str
    colleague: str
    number: str | None = None
    outside: str | None = None
    trunk: str | None = None
    sip_call_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultationAnswered(Fact):
    """The two colleagues talk; the customer does not hear them."""

    call: str
    agent: str
    colleague: str
    number: str | None = None
    outside: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultationHeld(Fact):
    """The agent went back to the customer; the colleague hears music and waits."""

    call: str
    agent: str
    colleague: str
    number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultationResumed(Fact):
    """The two colleagues talk again; the customer does not hear them."""

    call: str
    agent: str
    colleague: str
    number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConferenceBegan(Fact):
    """The customer and both colleagues hear each other."""

    call: str
    agent: str
    colleague: str
    number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultationEnded(Fact):
    """The colleague's part is over, or (`handed_over`) the call is theirs: the transfer follows.

    `returned`: the agent goes on without them; `left`: they hung up; `call_over`: the call ended
    or went elsewhere; `limit`: a number outside, with which nobody may talk any longer.
    """

    call: str
    agent: str
    colleague: str
    reason: ConsultationEnd
    number: str | None = None
    outside: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallerReplaced(Fact):
    """Another dialog took the caller's place in the call (attended transfer): who talks now."""

    call: str
    from_number: str | None
    from_name: str | None
    trunk: str
    sip_call_id: str
    diverted_from: str | None = None
    verstat: Verstat | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UtteranceHeard(Fact):
    """One final utterance. `revision` 1 is live, 2 the second pass that replaces it.

    `masks`: what was taken out of the text, the kind of each ▇▇▇▇ in its order.
    """

    call: str
    utterance: str
    leg: LegName
    text: str
    t0: float
    t1: float
    language: str
    engine: str
    revision: int = 1
    masks: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechRedacted(Fact):
    """Something was said that may not be kept: it is masked in the text of `utterance`, and the
    leg's recording is to be silent from `t0` to `t1`. `kind`: card, national_id, or the name of a
    pattern in the settings."""

    call: str
    utterance: str
    leg: LegName
    kind: str
    t0: float
    t1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptPending(Fact):
    """The call cannot be transcribed now; it waits until a model or time is there."""

    call: str
    reason: Literal["no_model", "overload", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptCompleted(Fact):
    """Every utterance of `revision` is in the log; it is the text to show now."""

    call: str
    revision: int
    engine: str
    language: str
    utterances: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentSettled(Fact):
    """What the customer said to being recorded, where the policy is to ask.

    `not_asked`: there is no announcement in the call's language, or another took the customer's
    place; nothing is recorded from then on.
    """

    call: str
    consent: Consent


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingStarted(Fact):
    """The journal is open. `before_answer` seconds of it lie before second 0.

    `position`: seconds from the answer; nothing before it is kept (an agent started it then).
    """

    call: str
    before_answer: float = 0.0
    position: float = 0.0
    by: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingPaused(Fact):
    """From here on silence is written. `by` is an agent; `position` in seconds from the answer.

    `resumes_at`: when it goes on by itself, None where it was stopped for good. Once more with the
    same position: the pause lasts longer, or for good. `cause` policy: who speaks never agreed.
    """

    call: str
    by: str
    position: float
    resumes_at: datetime | None = None
    cause: PauseCause = "button"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingResumed(Fact):
    """From `position` on sound is written again. `by` is an agent, or "timeout"."""

    call: str
    by: str
    position: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingTruncated(Fact):
    """The disk did not take the rest of the sound; the call went on. `reason`: "no space", …"""

    call: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingSealed(Fact):
    """The sealed file is in place and verified. `path` is relative to `recordings_dir`.

    `legs` maps a leg's name to {"channel": 0|1, "offset": s, "seconds": s}. `problem` says what is
    missing of it, e.g. "truncated: no space".
    """

    call: str
    recording: str
    path: str
    format: Literal["opus", "flac", "wav"]
    seconds: float
    size: int
    sha256: str
    legs: dict[str, dict[str, float]]
    interrupted: bool = False
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingRedacted(Fact):
    """The sealed file was replaced by one that is silent at further `silences`: (leg, t0, t1).

    `sha256` and `size` are the new file's; its path is the same. `redaction`: the id of this.
    """

    call: str
    recording: str
    redaction: str
    sha256: str
    size: int
    silences: list[tuple[LegName, float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingFailed(Fact):
    """No sealed file will come of this call's journal."""

    call: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallQualityMeasured(Fact):
    """How one party's sound was carried, at the end of its part of the call.

    `part` counts the measurements of that leg from 1: after a transfer the next agent has their
    own. Packets are counted, times are milliseconds, `mos` is 1 to 4.41 by ITU-T G.107:
    of what the party says, `remote_mos` of what it hears (from its RTCP; None where it sent none).
    """

    call: str
    leg: LegName
    part: int = 1
    agent: str | None = None
    seconds: float
    codec: str
    received: int
    lost: int
    late: int
    jitter_ms: float
    jitter_max_ms: float
    sent: int
    remote_lost: int | None = None
    remote_jitter_ms: float | None = None
    round_trip_ms: float | None = None
    mos: float | None = None
    remote_mos: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallEnded(Fact):
    """The one end of a call. Seconds are from a monotonic clock. `by` hung up."""

    call: str
    reason: Outcome
    by: Literal["customer", "agent", "system"]
    detail: str = ""
    agent: str | None = None
    seconds: float = 0.0
    talk_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WrapUpEnded(Fact):
    """The agent finished the work after the call, or the time for it ran out."""

    call: str
    agent: str
    by: Literal["agent", "timeout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentStateChanged(Fact):
    """The agent went from `previous` to `state`; `call` where a call is the cause.

    `until` is when a wrap-up ends by itself.
    """

    agent: str
    state: AgentStateName
    previous: AgentStateName
    reason: str | None = None
    call: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplaintOpened(Fact):
    """A complaint was registered; `call` where it was born in one."""

    complaint: str
    code: str
    customer: str | None
    interaction: str | None
    by: str
    call: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplaintMoved(Fact):
    """A complaint went to another stage (ISO 10002); `by` is a user."""

    complaint: str
    code: str
    from_stage: str
    to_stage: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplaintCodeRead(Fact):
    """The customer heard the complaint's code from beginning to end; `by` let it be read out."""

    complaint: str
    call: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ComplaintEscalated(Fact):
    """A complaint is late: `level` 1 is the first step. `awaited`: acknowledge, decide, tell."""

    complaint: str
    code: str
    level: int
    role: str
    owner: str | None
    awaited: str
    due: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentOpened(Fact):
    """Several complaints have one cause; agents see it with the next caller."""

    incident: str
    cause: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentClosed(Fact):
    """The cause is dealt with."""

    incident: str
    cause: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhraseListChanged(Fact):
    """Somebody made or changed a list of phrases."""

    list: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhraseHeard(Fact):
    """A phrase of that list was said, in this call for the first time."""

    call: str
    list: str
    utterance: str
    t0: float


# --- Signals -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """Something worth knowing now and worthless later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogAdvanced(Signal):
    """The event log reached `position`; followers read from there."""

    position: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionHeard(Signal):
    """Partial text of an utterance that still grows; the same `utterance` ends as a fact.

    `masks` as in UtteranceHeard.
    """

    call: str
    utterance: str
    leg: LegName
    text: str
    t0: float
    t1: float
    masks: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioLegChanged(Signal):
    """The agent's WebRTC leg came or went, at that telephony node."""

    agent: str
    connected: bool
    node: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTold(Signal):
    """What a telephony node tells the others, every second and at each change.

    `waiting`: the calls that wait there, oldest first: {call, queue, since, only}, so that the
    oldest call gets the next agent wherever it waits. `audio`: the agents whose sound is there.
    """

    node: str
    waiting: list[dict[str, Any]]
    audio: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxAdvanced(Signal):
    """Events were stored for these agents: every web process sends its own browsers theirs."""

    agents: list[str]
    call: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FloorChanged(Signal):
    """Queues or agents changed; whoever shows them asks again (`DescribeFloor`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BusRejoined(Signal):
    """Told by a process's own bus alone: it was cut off, signals of that time are lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceStarted(Signal):
    """`service` (telephony, speech, web, jobs) is up and has forgotten what is not durable."""

    service: str
    node: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourcesSeen(Signal):
    """How much of what can run out is taken (0 … 1), said every few seconds by one process.

    `alarms` are those that are short. Resources: see `callcenter.resources`.
    """

    node: str
    shares: dict[str, float]
    alarms: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboundAlarm(Signal):
    """Half of a day's limit for calls out is used; `agent` is None for everybody's limit."""

    agent: str | None
    what: str
    used: float
    limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechStatus(Signal):
    """What the speech workers can do: language → engine in use, or the reason for none."""

    node: str
    engines: dict[str, str]
    missing: dict[str, str]
    legs: int
    pending: int


# --- Commands ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """An order to one service; answered with a dict or an error of the tree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeatAgent(Command):
    """The agent's browser is there (again). Repeating it changes nothing. → agent view

    `state` and `reason` are the last that were known; used only by a telephony process that
    has never seen the agent, because it was started anew. `device` is what the next call comes
    to; without a desk phone in the settings that is the browser.
    """

    agent: str
    username: str
    extension: str | None
    language: str
    state: AgentStateName = "offline"
    reason: str | None = None
    device: Device = "browser"


@dataclass(frozen=True, kw_only=True, slots=True)
class UnseatAgent(Command):
    """The agent signed out, or the last socket has been gone for the grace time."""

    agent: str
    reason: Literal["signed_out", "lost"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAgentState(Command):
    """The agent chose a state; during a call it is the state after it. → agent view"""

    agent: str
    state: AgentStateName
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OfferAudio(Command):
    """The browser's SDP offer for the agent's audio leg. → {"sdp": …, "type": "answer"}"""

    agent: str
    sdp: str
    type: Literal["offer"] = "offer"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerCall(Command):
    """The agent takes the call that rings at them. → call view"""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectCall(Command):
    """The agent declines the call that rings at them."""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldCall(Command):
    """The agent puts the customer on hold. → call view"""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeCall(Command):
    """The agent takes the customer back. → call view"""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferCall(Command):
    """The agent passes the call on to another agent or a queue, unannounced. → call view

    Or hands it over to whom they asked: the colleague, or `to_number` (E.164) outside.
    """

    call: str
    agent: str
    to_agent: str | None = None
    to_queue: str | None = None
    to_number: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultColleague(Command):
    """The agent asks a colleague, who is rung; the customer waits with music. → call view

    While the two talk, ResumeCall goes on without the colleague, TransferCall to the colleague
    hands the call over, BeginConference lets the customer hear both, SwapConsultation goes to the
    customer and back.
    """

    call: str
    agent: str
    colleague: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsultNumber(Command):
    """The same with somebody outside: the agent calls `to`, as people write numbers, beside the
    call; the rules and limits of DialNumber hold. → call view; OutboundDenied"""

    call: str
    agent: str
    to: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class BeginConference(Command):
    """The customer, the agent and the colleague who was asked talk together. → call view"""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapConsultation(Command):
    """The agent talks `to` the customer or to the colleague who was asked; whom they do not talk
    to hears music. Again: nothing changes. → call view"""

    call: str
    agent: str
    to: SwapTarget


@dataclass(frozen=True, kw_only=True, slots=True)
class PressKeys(Command):
    """The agent presses keys (0 to 9, *, #) for a machine at the other end, or at the number
    outside with which they are alone. → call view

    No fact comes of it: what is typed there may be a customer's number or a code.
    """

    call: str
    agent: str
    keys: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlRecording(Command):
    """The agent starts, stops, pauses or resumes what is kept of the call. → call view"""

    call: str
    agent: str
    action: RecordingAction
    cause: PauseCause = "button"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOutCode(Command):
    """The system says the code of `complaint` to the customer, twice and slowly. → call view"""

    call: str
    agent: str
    complaint: str
    code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HangUpCall(Command):
    """The agent ends the call."""

    call: str
    agent: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DialNumber(Command):
    """The agent calls somebody; `to` is as typed, `language` of the captions. → call view"""

    agent: str
    to: str
    language: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtendWrapUp(Command):
    """The agent needs more time after the call. → agent view"""

    agent: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribeFloor(Command):
    """→ {"queues": […], "agents": […], "calls": […]} as the telephony process sees them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribeHealth(Command):
    """→ {"ok": bool, "detail": str, …} of one service; also how readiness is asked."""


# --- Wire form -----------------------------------------------------------------------------

Message = Fact | Signal | Command


def _kinds(root: type[Any]) -> dict[str, type[Any]]:
    return {kind.__name__: kind for kind in root.__subclasses__()}


FACTS: dict[str, type[Fact]] = _kinds(Fact)
SIGNALS: dict[str, type[Signal]] = _kinds(Signal)
COMMANDS: dict[str, type[Command]] = _kinds(Command)
_ALL: dict[str, type[Any]] = {**FACTS, **SIGNALS, **COMMANDS}


def pack(message: Message) -> dict[str, Any]:
    """The message as plain JSON types, without its kind."""
    return {
        f.name: msgspec.to_builtins(getattr(message, f.name)) for f in dataclasses.fields(message)
    }


def unpack(kind: str, payload: dict[str, Any]) -> Any:
    """The message of that kind. Fields added since it was written take their default.

    Raises KeyError for an unknown kind and msgspec.ValidationError for a bad field.
    """
    return msgspec.convert(payload, type=_ALL[kind])
