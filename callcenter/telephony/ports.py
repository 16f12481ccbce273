"""What telephony needs of the outside, as protocols; `bootstrap` fills them with adapters.

Each port has a real adapter in `telephony/adapters/`, a scripted twin in `telephony/fakes.py`,
and one contract test in `tests/telephony/` that both pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from callcenter.errors import RecordingError
from callcenter.events import LegName, Verstat

# --- Sound -----------------------------------------------------------------------------------

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
FRAME_SECONDS = 0.020
FRAME_MILLISECONDS = 20


class Codec(Enum):
    """G.711; the value is the static RTP payload type (RFC 3551)."""

    PCMU = 0
    PCMA = 8

    @property
    def silence(self) -> int:
        """The byte of digital silence."""
        return 0xFF if self is Codec.PCMU else 0xD5


G722 = 9
"""The static payload type of G.722 (RFC 3551): translated to and from G.711 where it comes in."""

BrowserCodec = Literal["pcmu", "opus"]
"""What a browser's connection carries; Opus is translated to and from PCMU where it comes in."""


class Suite(Enum):
    """What protects SRTP, by its name in SDP (RFC 4568 6.2, RFC 7714 14.2)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"

    @property
    def key_bytes(self) -> int:
        """Octets of master key and master salt together."""
        return 28 if self is Suite.AEAD_AES_128_GCM else 30


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key and salt of each direction: `ours` protects what we send."""

    suite: Suite
    ours: bytes = field(repr=False)
    theirs: bytes = field(repr=False)


class Direction(Enum):
    """Who sends, as seen by the party that states it (RFC 3264)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Address:
    """Host (literal IP) and port of a UDP endpoint."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """What the peer wants: where its sound goes and in which form (from its SDP).

    `direction` is the peer's own. `ptime`: milliseconds in a packet that it gets, a multiple of
    10 from 10 to 60. `telephone_event` is the payload type of RFC 4733 digits, None when not
    offered. `rtcp` is where its RTCP is (RFC 3605), None: one port above its sound;
    `rtcp_mux`: RTCP goes with the sound (RFC 5761). `srtp` is None where the sound is plain.
    `signalling` is the host that its signalling comes from: NAT gives sound the same.
    `g722`: its packets hold G.722, which is translated to and from `codec` where they come and go.
    """

    address: Address
    codec: Codec
    direction: Direction = Direction.SENDRECV
    ptime: int = 20
    telephone_event: int | None = None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    srtp: SrtpKeys | None = None
    signalling: str | None = None
    g722: bool = False


@dataclass(frozen=True, slots=True)
class LegQuality:
    """How one party's sound was carried. Packets are counted; times are in milliseconds.

    `lost` never came, `late` came after its sound was due; `jitter` as of RFC 3550. What the
    party itself says of what it hears (`remote_…`, `round_trip_ms`) is None where it sent no RTCP.
    `mos`: 1 to 4.41 (ITU-T G.107), of what the party says; `remote_mos` of what it hears.
    """

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


class QualityMeter(Protocol):
    """A measurement that runs."""

    def read(self) -> LegQuality:
        """What was measured until now."""


class FrameSink(Protocol):
    """Receives a leg's sound: runs of 160-byte G.711 frames placed on the call's clock."""

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """`position` in samples from the tap's start; one frame or several in a row, those of
        a tenth of a second at a time as a rule. Gaps are simply not written."""


class MediaLeg(Protocol):
    """One party's sound: a telephone's RTP or a browser's WebRTC connection."""

    @property
    def name(self) -> str:
        """For logs: no number, no person."""

    @property
    def codec(self) -> Codec:
        """What this leg sends and receives."""

    @property
    def alive_at(self) -> float:
        """Loop time of the last packet that came from the party."""

    def measure(self) -> QualityMeter:
        """Begin to measure how the party's sound is carried."""

    def close(self) -> None:
        """Give the port back; the leg is silent from now on."""


class RtpLeg(MediaLeg, Protocol):
    """A telephone's leg on a UDP port of ours."""

    @property
    def local(self) -> Address:
        """Where the telephone sends its sound to."""

    def connect(self, remote: MediaDescription) -> None:
        """Take the peer's address and codec; again after a re-INVITE."""


class Sound(Protocol):
    """Something to play: G.711 µ-law frames of 160 bytes, endlessly or once."""

    def frame(self, index: int) -> bytes | None:
        """The frame with that index, None past the end."""


class MediaTap(Protocol):
    """A running tap; closing it twice changes nothing."""

    def close(self) -> None:
        """Stop delivering frames."""


class MediaPlane(Protocol):
    """The loop that moves all sound. Methods are called on the event loop's thread."""

    def open_rtp(self, host: str) -> RtpLeg:
        """A leg on a free even port of `host`. Raises NoFreePort."""

    def ports(self) -> tuple[int, int]:
        """How many RTP ports cannot be had now, and how many there are."""

    def bridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Let the two hear each other; replaces whatever either heard before."""

    def unbridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Both hear silence."""

    def mix(self, *legs: MediaLeg) -> MediaLeg:
        """A leg that says what all of these say, until it is closed; nobody hears by it."""

    def hear(self, leg: MediaLeg, other: MediaLeg) -> None:
        """Let `leg` hear `other`, which goes on hearing what it heard."""

    def play(self, leg: MediaLeg, sound: Sound) -> Awaitable[None]:
        """Let the leg hear `sound` instead; done at its end or when replaced."""

    def silence(self, leg: MediaLeg) -> None:
        """Let the leg hear silence."""

    def tap(self, leg: MediaLeg, sink: FrameSink, *, start: float) -> MediaTap:
        """Hand `sink` what the leg's party says; position 0 is loop time `start`."""

    def press(self, leg: MediaLeg, keys: str) -> None:
        """Let the party's telephone get these keys (0 to 9, *, #), one after the other."""

    def on_digit(self, leg: MediaLeg, handler: Callable[[str], None]) -> None:
        """Call `handler` once per key the party pressed (RFC 4733)."""


class AudioLegs(Protocol):
    """The agents' browser legs: one persistent WebRTC connection per signed-in agent."""

    async def negotiate(self, agent: str, sdp: str, type: str) -> str:
        """Answer the browser's offer (PCMU, every candidate inside). Raises Invalid.

        A new offer of the same agent replaces the connection under the same leg.
        """

    def leg(self, agent: str) -> MediaLeg | None:
        """The agent's leg, the same object over reconnections; None before the first offer."""

    def connected(self, agent: str) -> bool:
        """Whether sound can flow now."""

    async def ready(self, agent: str, patience: float, *, coming: bool = False) -> bool:
        """Whether sound can flow within `patience` seconds; False at once before any offer,
        unless one is `coming`."""

    async def close(self, agent: str) -> None:
        """The agent left: end the connection."""

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Call `handler(agent, connected)` when a connection comes up or is lost."""


# --- SIP -------------------------------------------------------------------------------------

SipEnd = Literal["cancelled", "bye", "no_ack", "refused", "hung_up", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as the trunk says. `number` is None when withheld.

    `diverted_from` is the first number that diverted the call; `verstat` what a trusted
    network found of the caller's number.
    """

    number: str | None
    name: str | None
    diverted_from: str | None = None
    verstat: Verstat | None = None


class Referral(Protocol):
    """A wish of a peer to have the call moved (REFER); it is told how that goes."""

    @property
    def user(self) -> str:
        """Whereto: the user part of the Refer-To URI."""

    @property
    def attended(self) -> bool:
        """Whether the call is to take the place of another one there."""

    def replaces(self, call: DialogCall) -> bool:
        """Whether `call` is the one whose place it is to take."""

    def report(self, status: int) -> None:
        """The status of the new target, as of an INVITE; 200 and above is the last word."""


class DialogCall(Protocol):
    """What calls in both directions have. Methods are called on the event loop's thread and never
    block."""

    @property
    def sip_call_id(self) -> str:
        """The Call-ID header, also before anything is sent."""

    @property
    def local_host(self) -> str:
        """The address of ours that the peer sees: for the SDP."""

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the dialog is over, whoever ended it and however."""

    def hang_up(self) -> None:
        """End it, whatever its state; `ended` follows."""

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with the peer's new wish after a re-INVITE (hold, resume, codec, address)."""

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called with each key that comes by SIP INFO."""

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Called when a peer that may transfer wants the call moved: a trusted trunk's caller, an
        agent's desk phone. Without a handler it is declined."""

    def memo(self) -> dict[str, Any] | None:
        """What a later process needs to end this dialog (`SipBackend.say_goodbye`), as JSON
        types; None where none could."""


class InboundCall(DialogCall, Protocol):
    """A caller's dialog; hung up before the answer it is refused (487 or 603)."""

    @property
    def caller(self) -> Caller:
        """From (or, on a trusted trunk, P-Asserted-Identity)."""

    @property
    def request_user(self) -> str:
        """The user part of the request URI: the number that was dialled."""

    @property
    def trunk(self) -> str:
        """Name of the trunk in the settings."""

    def ring(self) -> None:
        """180 Ringing."""

    async def early(self, local: Address) -> MediaDescription | None:
        """183 with our SDP: the caller hears us before the answer (RFC 3960). Once.

        None where the caller's telephone cannot have that; it hears its own ringing tone then.
        Raises SipFailure when the caller is gone.
        """

    async def answer(self, local: Address) -> MediaDescription:
        """200 with our SDP; returns what was agreed, after the ACK where the offer is ours.

        Raises SipFailure when the caller is gone or never acknowledges a late offer.
        """

    def reject(self, status: int, *, retry_after: int | None = None) -> None:
        """A final refusal, e.g. 486 or 503."""

    def on_replace(self, handler: Callable[[InboundCall], None]) -> None:
        """Called with the call that is to take this one's place (Replaces): it is to be answered,
        and this one hung up. Without a handler the new one is declined."""


class OutboundCall(DialogCall, Protocol):
    """A call of ours; hung up before the answer it is cancelled."""

    @property
    def shown(self) -> str | None:
        """The number that the called side sees; None where the peer decides."""

    @property
    def status(self) -> int:
        """The last SIP status that was heard, 0 before any."""

    async def invite(self, local: Address) -> MediaDescription:
        """INVITE with our SDP, once; returns at the answer what is agreed.

        Raises SipFailure when the call ends before that; `status` says why.
        """

    def on_progress(self, handler: Callable[[int, MediaDescription | None], None]) -> None:
        """Called with each provisional status but 100, and with its early sound if it has any."""


class Dialler(Protocol):
    """Who places our calls. Raises SipFailure where no way leads there; nothing is sent."""

    async def to_number(self, e164: str, trunk: str) -> OutboundCall:
        """A call to a telephone number by that trunk or registration of the settings."""


class Phones(Protocol):
    """Desk phones that register with us, by extension."""

    def reachable(self, extension: str) -> bool:
        """Whether that phone is registered and a way leads to it."""

    def ring(self, extension: str, caller: Caller) -> Sequence[OutboundCall]:
        """A call to each place where it is registered, none begun; `caller` is shown there."""

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Call `handler(extension, reachable)` when a phone registered or is gone."""

    def on_call(self, handler: Callable[[str, InboundCall], None]) -> None:
        """Call `handler(extension, call)` when a registered phone calls somebody by itself."""


class SipBackend(Protocol):
    """Who speaks SIP for us."""

    async def start(self, on_call: Callable[[InboundCall], None]) -> None:
        """Listen; `on_call` gets each new INVITE that a trunk may send and that has a codec
        of ours (or no SDP at all). 100 Trying is out already. Raises StartError."""

    async def stop(self) -> None:
        """Close the sockets after what is under way was sent."""

    async def say_goodbye(self, memo: dict[str, Any]) -> None:
        """BYE for a dialog of an earlier process, repeated until it is answered or given up.

        Raises SipFailure for a memo that cannot be used.
        """

    def active(self) -> int:
        """How many dialogs are open."""

    def describe(self) -> dict[str, Any]:
        """What the health report says of SIP: {"refused": {reason: messages}, "banned": sources,
        "registrations": {name: {"state": str, "detail": sentence or ""}},
        "phones": {extension: {"places": [transport, …], "seconds": left}}}."""


# --- Recording -------------------------------------------------------------------------------


class JournalLeg(FrameSink, Protocol):
    """The raw journal of one leg."""


class Journal(Protocol):
    """The crash-safe journal of one call; it is synced once a second."""

    def leg(self, name: LegName) -> JournalLeg:
        """Where that leg's frames go."""

    def sync(self, position: int) -> None:
        """Everything before sample `position` goes to the disk, gaps as silence. May block."""

    def pause(self, position: int) -> None:
        """From here on silence is written instead of sound."""

    def resume(self, position: int) -> None:
        """Sound is written again."""

    def close(self, position: int) -> None:
        """Write what is left up to `position` and mark the journal complete. May block."""

    def discard(self) -> None:
        """Remove the journal: the call was not answered. May block."""


class RecordingStore(Protocol):
    """Where journals are kept and become sealed files."""

    def open_journal(self, call: str, *, answered_position: int = 0) -> Journal:
        """A new journal. May block. Raises RecordingError."""

    def sync_all(self, due: Sequence[tuple[Journal, int]]) -> list[RecordingError | None]:
        """`Journal.sync` of many at once, each up to its position; what each of them raised. May
        block."""

    def last_position(self, call: str) -> int | None:
        """Samples in the call's journal that is not sealed yet, None where there is none."""


# --- Speech ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """Text of one stretch of speech; `t0`, `t1` in seconds of the leg's own sound.

    `words`: begin and end of each word of the text (parted at white space), as far as the
    recogniser knows them; else empty.
    """

    kind: Literal["partial", "final"]
    text: str
    t0: float
    t1: float
    words: tuple[tuple[float, float], ...] = ()


class Recogniser(Protocol):
    """One leg's ear. Fed 8 kHz 16-bit mono PCM; may be slow; used by one thread."""

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        """Take the next sound in order; yields what became known."""

    def finish(self) -> Iterator[Heard]:
        """No more sound: yields the rest."""


class RecogniserEngine(Protocol):
    """A loaded model: makes recognisers."""

    @property
    def name(self) -> str:
        """vosk, whisper …"""

    def recogniser(self, language: str) -> Recogniser:
        """A prewarmed recogniser. Raises ModelMissing."""


class Transcriber(Protocol):
    """A loaded model that transcribes whole recordings, after the call."""

    @property
    def name(self) -> str:
        """The model, for the record."""

    def transcribe(self, samples: NDArray[np.int16], language: str) -> Iterator[Heard]:
        """Final utterances of one leg, in order. `samples` are 8 kHz; the iterator may be left
        alone between two utterances, so that live work comes first."""


class SpeechLine(FrameSink, Protocol):
    """The way of one leg's frames to a speech worker; drops rather than blocks."""

    def close(self) -> None:
        """The leg's sound is over."""


class SpeechLink(Protocol):
    """The way from the media loop to the speech workers."""

    def open(self, call: str, leg: LegName, language: str) -> SpeechLine:
        """Start transcribing a leg. Never fails: without a worker frames go nowhere."""


# --- Callers ---------------------------------------------------------------------------------


StatusAnswer = Literal[
    "received",
    "acknowledged",
    "assessing",
    "investigating",
    "responded",
    "communicated",
    "closed",
    "appealed",
    "reopened",
    "digits",
    "unknown",
    "later",
]
"""The stage of a complaint; digits: the end of a telephone number is needed; unknown: there is none
for these; later: there were too many tries."""


class StatusDirectory(Protocol):
    """Where does this complaint stand? Filled from the CRM by bootstrap."""

    def stage(self, keys: str, digits: str, caller: str | None) -> StatusAnswer:
        """Of the complaint whose code has these keys. `digits`: what was entered of a number, ""
        before that; `caller`: the number that calls. May block."""


class CallerDirectory(Protocol):
    """Who owns this number? Filled from the CRM by bootstrap; for routing only."""

    def owner(self, number: str, region: str) -> str | None:
        """The id of the agent who looks after the caller, if there is one."""
