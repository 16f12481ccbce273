"""The shapes that cross the API and the sockets, as pydantic models.

`In` models take a person's input and refuse unknown keys; `View` models are what we show:
every field is always there. Times are RFC 3339 UTC, ids UUIDv7 strings, durations seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from callcenter.events import (
    AgentStateName,
    Consent,
    LegName,
    Outcome,
    RecordingState,
    RecordPolicy,
    Verstat,
)

Text = Annotated[str, Field(max_length=200)]
LongText = Annotated[str, Field(max_length=20_000)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
RoleName = Literal["agent", "supervisor", "manager", "admin", "auditor"]
LanguageName = Literal["fa", "he", "en"]


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    if any(0xD800 <= ord(character) < 0xE000 for character in value):
        raise ValueError("contains half a character (a lone surrogate)")
    return value


CleanText = Annotated[Text, AfterValidator(_no_nul)]
CleanLongText = Annotated[LongText, AfterValidator(_no_nul)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1024, strip_whitespace=False)]
"""As it was typed: blanks around it belong to it."""
Named = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_nul)]


def _utc(value: Any) -> Any:
    """SQLite forgets the zone of what it stores; everything stored is UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


Moment = Annotated[datetime, BeforeValidator(_utc)]


def _all_required(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema.get("properties", {}))


class In(BaseModel):
    """Input: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class View(BaseModel):
    """Output: read from attributes, every field always present."""

    model_config = ConfigDict(
        from_attributes=True, populate_by_name=True, json_schema_extra=_all_required
    )


T = TypeVar("T")


class Page(View, Generic[T]):
    """A page of a list; `next` is the cursor of the following page, null at the end."""

    items: list[T]
    next: str | None = None


class PageQuery(In):
    """`?limit=&cursor=`."""

    limit: int = Field(50, ge=1, le=200, description="rows on a page")
    cursor: str | None = Field(None, max_length=500, description="`next` of the page before")


class FieldError(View):
    """One field that was refused."""

    field: str
    detail: str


class Problem(View):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


# --- People --------------------------------------------------------------------------------


class UserView(View):
    """A person who works with the system; an agent's id is the user's."""

    id: str
    username: str
    name: str
    role: RoleName
    extension: str | None = None
    language: LanguageName | None = None


class AccessView(View):
    """The door is open until then."""

    until: Moment


class OpenSessionView(View):
    """A browser that is signed in; `id` opens nothing."""

    id: str
    address: str | None
    method: Literal["password", "totp", "recovery", "oidc", "passkey"]
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment


class OpenSessions(View):
    """Newest first; `current` is the id of the one that asks, where it is among them."""

    items: list[OpenSessionView]
    current: str | None = None


class PersonView(View):
    """A user, in brief."""

    id: str
    username: str
    name: str


# --- Customers -----------------------------------------------------------------------------


class PhoneView(View):
    """A number of a customer: as typed, and canonical as E.164 with its extension."""

    id: str
    number: str
    region: str
    label: str
    e164: str
    extension: str | None = None


class CustomerBrief(View):
    """A customer, as much as a list or a pop needs."""

    id: str
    name: str
    kind: str
    language: str | None = None
    tier: str | None = None
    open_complaints: int = 0


class CustomerView(CustomerBrief):
    """A customer's record."""

    emails: list[str] = []
    address: str = ""
    notes: str = ""
    phones: list[PhoneView] = []
    version: int = 1
    created_at: Moment
    updated_at: Moment


class MatchView(View):
    """A customer who may be the caller, and why."""

    customer: CustomerBrief
    reason: str
    score: float


# --- Interactions --------------------------------------------------------------------------


class CallQualityView(View):
    """How one party's sound was carried. Packets are counted, times are milliseconds.

    `remote_…` and `round_trip_ms` are what the party's own RTCP says; null where it sent none.
    """

    leg: LegName
    part: int = Field(description="counts the agents of a call that was passed on, from 1")
    agent: PersonView | None = None
    seconds: float
    codec: str
    received: int
    lost: int = Field(description="packets that never came")
    late: int = Field(description="packets that came after their sound was due")
    jitter_ms: float = Field(description="RFC 3550 6.4.1, at the end")
    jitter_max_ms: float
    sent: int
    remote_lost: int | None = None
    remote_jitter_ms: float | None = None
    round_trip_ms: float | None = None
    mos: float | None = Field(None, description="of what the party says, 1 to 4.41 (ITU-T G.107)")
    remote_mos: float | None = Field(None, description="of what the party hears")


class InteractionView(View):
    """One contact: a call (or mail, visit, portal message)."""

    id: str
    call_id: str | None = None
    channel: str
    direction: str
    queue: str | None = None
    line: str | None = None
    language: str | None = None
    from_number: str | None = None
    from_name: str | None = None
    to_number: str | None = None
    diverted_from: str | None = Field(None, description="the first number that diverted the call")
    verstat: Verstat | None = Field(None, description="of from_number, as the network found it")
    agent: PersonView | None = None
    participants: list[PersonView] = Field([], description="who talked, in this order")
    customer: CustomerBrief | None = None
    owner: PersonView | None = None
    outcome: Outcome | None = None
    detail: str = ""
    disposition: str | None = None
    notes: str = ""
    draft: str | None = Field(None, description="notes that are typed but not yet saved")
    started_at: Moment
    answered_at: Moment | None = None
    ended_at: Moment | None = None
    wait_seconds: float | None = None
    talk_seconds: float | None = None
    wrapped_at: Moment | None = None
    closed_at: Moment | None = Field(None, description="when somebody closed it")
    handled_at: Moment | None = Field(None, description="when a missed call was dealt with")
    policy: RecordPolicy | None = Field(None, description="as it was when the call rang")
    consent: Consent | None = Field(None, description="of the caller, where the policy is ask")
    pauses: list[list[float | None]] = Field(
        [], description="[from, to] in seconds from the answer: nothing of them was kept"
    )
    recording_state: Literal["none", "running", "sealed", "failed"] = "none"
    transcript_state: Literal["none", "live", "pending", "done"] = "none"
    quality: list[CallQualityView] = Field(
        [], description="how the sound was carried, by party; of one interaction only, not in lists"
    )
    version: int = Field(1, description="send it back with a change; 409 when it is old")


class UtteranceView(View):
    """What one side said; times are seconds from the answer."""

    id: str
    leg: LegName
    text: str
    t0: float
    t1: float
    masks: list[str] = Field([], description="what each ▇▇▇▇ of the text was: card, national_id …")
    revision: int
    language: str | None = None


class TranscriptView(View):
    """The text of a call in the order in which it was spoken."""

    state: str
    items: list[UtteranceView]


class LegView(View):
    """Where a leg is in the file: channel 0 is left; offset and length in seconds."""

    channel: int
    offset: float
    seconds: float


class RecordingView(View):
    """A sealed recording."""

    id: str
    interaction: str | None = None
    call_id: str
    format: str
    seconds: float
    size: int
    sha256: str
    legs: dict[str, LegView]
    interrupted: bool = False
    problem: str | None = Field(None, description="what is missing, e.g. truncated: no space")
    created_at: Moment
    audio: str = Field(description="address of the sound, with Range requests")
    peaks: str = Field(description="address of the waveform")


class PeaksView(View):
    """The waveform: `rate` values a second, 0…255, of each leg."""

    rate: float
    seconds: float
    channels: dict[str, list[int]]


# --- Complaints ----------------------------------------------------------------------------

Stage = Literal[
    "received",
    "acknowledged",
    "assessing",
    "investigating",
    "responded",
    "communicated",
    "closed",
    "appealed",
    "reopened",
]
Severity = Literal["low", "normal", "high", "critical"]
Level = Literal["low", "normal", "high"]
Remedy = Literal[
    "none", "apology", "explanation", "correction", "repair", "replacement", "refund", "discount"
]


class QuoteView(View):
    """An utterance that a complaint quotes, as it was when it was quoted."""

    utterance: str | None = None
    leg: LegName
    text: str
    t0: float
    t1: float
    interaction: str | None = Field(None, description="where it was said")


class StageChangeView(View):
    """One step of a complaint's way."""

    at: Moment
    by: PersonView | None = None
    from_stage: str | None = None
    to_stage: str
    note: str = ""


class ClockView(View):
    """What a complaint waits for, until when, and how many working days are left."""

    awaited: Literal["acknowledge", "decide", "tell"] | None = None
    due: Moment | None = None
    state: Literal["done", "on_time", "soon", "overdue"]
    days: int = Field(0, description="working days left; negative: so many too late")


class ComplaintView(View):
    """A complaint and how far it is (ISO 10002)."""

    id: str
    code: str
    stage: str
    customer: CustomerBrief | None = None
    interaction: str | None = None
    subject: str
    description: str = ""
    severity: str
    owner: PersonView | None = None
    due: Moment | None = None
    overdue: bool = Field(
        False, description="the receipt or the answer is due and the customer waits for it"
    )
    clock: ClockView
    decision: str | None = None
    told_by: str | None = None
    product: str = ""
    queue: str | None = None
    wanted: str = Field("", description="what the customer asks for")
    safety: bool = Field(False, description="somebody may get hurt")
    impact: Level | None = None
    complexity: Level | None = None
    cause: str | None = Field(None, description="id of a cause")
    corrective: str = Field("", description="what is done so that it does not happen again")
    remedy: Remedy | None = None
    remedy_cost: float | None = Field(None, description="in `complaints.currency`")
    accepted: bool | None = Field(None, description="whether the customer takes the decision")
    incident: str | None = None
    escalation: int = Field(0, description="steps of `complaints.escalate` taken")
    reopened: int = 0
    acknowledged_at: Moment | None = None
    decided_at: Moment | None = None
    told_at: Moment | None = None
    closed_at: Moment | None = None
    quotes: list[QuoteView] = []
    history: list[StageChangeView] = []
    version: int = 1
    created_at: Moment
    updated_at: Moment


class FieldChangeView(View):
    """A field that was changed: who, when, from, to, why. `by` null: the system."""

    at: Moment
    by: PersonView | None = None
    field: str
    before: str | None = None
    after: str | None = None
    why: str = ""


class MessageView(View):
    """A mail or text message to the customer; `problem` says why it was not taken yet."""

    channel: Literal["mail", "sms"]
    kind: str
    state: Literal["waiting", "sent", "failed"]
    attempts: int
    problem: str
    created_at: Moment
    sent_at: Moment | None = None


class ComplaintCallView(View):
    """A contact in which the complaint was talked about, the first one where it was born."""

    interaction: str
    born: bool
    at: Moment
    channel: str
    direction: str
    agent: PersonView | None = None
    recording: bool = Field(False, description="whether there is sound that this person may hear")


class ComplaintDetailView(ComplaintView):
    """A complaint with all that belongs to it."""

    changes: list[FieldChangeView] = []
    calls: list[ComplaintCallView] = []
    messages: list[MessageView] = []


class CauseView(View):
    """What can go wrong."""

    id: str
    label_fa: str
    label_he: str
    label_en: str


class IncidentView(View):
    """Several complaints of one cause."""

    id: str
    cause: str
    product: str = ""
    title: str = ""
    advice: str = Field("", description="what agents tell callers")
    complaints: int = 0
    opened_at: Moment
    opened_by: PersonView | None = Field(None, description="null: the system")
    closed_at: Moment | None = None
    closed_by: PersonView | None = None
    closing: str = ""
    version: int = 1


class ColumnView(View):
    """The complaints of one stage; `count` may be more than are shown."""

    stage: str
    count: int
    items: list[ComplaintView]


class BoardView(View):
    """All stages in their order."""

    columns: list[ColumnView]


class TimeView(View):
    """How long a step took, in working days."""

    count: int
    median: float | None = None
    ninety: int | None = Field(None, description="nine of ten took no longer")
    in_time: float | None = Field(None, description="share within the promised days, 0 to 1")


class GroupView(View):
    """Complaints of one cause, product or queue; `key` null: none was given."""

    key: str | None = None
    count: int
    open: int
    reopened: int
    cost: float


class FiguresView(View):
    """The desk in figures. `open` and `overdue` are now, the rest was received in the period."""

    since: Moment
    until: Moment
    ages: list[int] = Field(description="upper bounds of the age groups, calendar days")
    open: dict[str, list[int]]
    overdue: int
    received: int
    reopened: int
    acknowledge: TimeView
    decide: TimeView
    causes: list[GroupView]
    products: list[GroupView]
    queues: list[GroupView]
    currency: str


# --- The floor -----------------------------------------------------------------------------


class QueueView(View):
    """A queue now; `longest_wait_seconds` is the wait of the first in it."""

    name: str
    waiting: int = 0
    longest_wait_seconds: float = 0.0
    longest_seconds: float = 0.0
    available: int = 0
    agents: int = 0


class AgentView(View):
    """An agent now; `next` is the state that follows the call, `until` the end of wrap-up."""

    id: str
    agent: str
    username: str
    name: str
    state: AgentStateName
    reason: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    call: str | None = None
    next: AgentStateName | None = None
    audio: bool = False
    device: Literal["browser", "phone"] = "browser"
    phone: str | None = Field(None, description="extension of the agent's desk phone")


class DeskPhoneView(View):
    """A desk phone of the settings; registered where it has a place."""

    extension: str
    user: str
    places: list[str] = Field(description="UDP, TCP or TLS, for each place where it is registered")
    seconds: int = Field(description="left of its longest registration")


class CallView(View):
    """A call now. `state`: queued, ringing (at an agent), talking, held, ended.

    `node`: where the browser's sound has to be, where there are several telephony nodes.
    """

    id: str
    state: str
    direction: str
    from_: str | None = Field(None, alias="from")
    from_name: str | None = None
    to: str
    queue: str | None = None
    language: str | None = None
    started_at: Moment
    answered_at: Moment | None = None
    agent: str | None = None
    interaction: str | None = None
    consent: Consent | None = None
    recording: RecordingState = "off"
    resumes_at: Moment | None = Field(None, description="when a paused recording goes on by itself")
    node: str | None = None
