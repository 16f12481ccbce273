"""What the core asks of its surroundings: octets to send, and events for whoever takes calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from callcenter.telephony.ports import Address, MediaDescription, SipEnd

if TYPE_CHECKING:
    from callcenter.telephony.sip.incoming import InviteUsage
    from callcenter.telephony.sip.message import Request
    from callcenter.telephony.sip.outgoing import OutgoingUsage
    from callcenter.telephony.sip.refer import Referral
    from callcenter.telephony.sip.registrar import Binding
    from callcenter.telephony.sip.registration import Registration
    from callcenter.telephony.sip.server import NonInviteServer
    from callcenter.telephony.sip.usage import CallUsage


@dataclass(frozen=True, slots=True)
class Flow:
    """The way to a peer: which listener of ours, our address as the peer sees it, and its own."""

    listener: str
    local: Address
    remote: Address
    transport: str = "UDP"

    @property
    def reliable(self) -> bool:
        """Whether the transport repeats lost packets itself (RFC 3261 17: timers become 0)."""
        return self.transport != "UDP"


@dataclass(frozen=True, slots=True)
class Send:
    """Send these octets along that flow."""

    data: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """A new caller; 100 Trying is among the same actions.

    `replaces` is the call whose place this one is to take (RFC 3891), `phone` the extension of
    the desk phone that calls and has proven it; "" for a trunk's call.
    """

    call: InviteUsage
    replaces: CallUsage | None = None
    phone: str = ""


@dataclass(frozen=True, slots=True)
class AgreedEarly:
    """The caller answered the offer of our 183: `media` is agreed before the call is answered."""

    call: InviteUsage
    media: MediaDescription


@dataclass(frozen=True, slots=True)
class Progressed:
    """A call of ours got a provisional response; `media` where there is early sound (183)."""

    call: OutgoingUsage
    status: int
    media: MediaDescription | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A call of ours was answered, and the ACK is out."""

    call: OutgoingUsage
    media: MediaDescription


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The ACK of the 200 that answered the call is here; `media` is what is agreed."""

    call: CallUsage
    media: MediaDescription


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """A re-INVITE or UPDATE was agreed to: hold, resume, another codec or address (RFC 3261 14)."""

    call: CallUsage
    media: MediaDescription


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key and the peer tells so by INFO."""

    call: CallUsage
    digit: str


@dataclass(frozen=True, slots=True)
class Referred:
    """A trusted peer wants the call moved (REFER); 202 is among the same actions."""

    call: CallUsage
    referral: Referral


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over; said once for every call in either direction."""

    call: CallUsage
    reason: SipEnd


@dataclass(frozen=True, slots=True)
class Suspicious:
    """A message that speaks against its source, which got the answer it deserves."""

    source: str
    reason: Literal["malformed", "digest", "stranger"]


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A registration of ours stands differently."""

    registration: Registration


@dataclass(frozen=True, slots=True)
class PhoneMoves:
    """A desk phone registers: these are its places once they are kept (`UserAgent.kept`)."""

    extension: str
    bindings: tuple[Binding, ...]
    request: Request
    transaction: NonInviteServer


@dataclass(frozen=True, slots=True)
class PhoneMoved:
    """A desk phone is in other places now, or in none."""

    extension: str


Event = (
    IncomingInvite
    | AgreedEarly
    | Acknowledged
    | Progressed
    | Answered
    | MediaChanged
    | DigitPressed
    | Referred
    | Ended
)
Action = Send | Suspicious | RegistrationChanged | PhoneMoves | PhoneMoved | Event
