"""What can happen to a call in progress, as it arrives in the call's mailbox."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Literal

from callcenter.errors import CallGone
from callcenter.events import Command, Consent, Outcome
from callcenter.telephony.acd.floor import Offer
from callcenter.telephony.ports import DialogCall, InboundCall, MediaDescription, Referral, SipEnd


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """The dialog is over from the caller's side; another may have taken its place by then."""

    how: SipEnd
    dialog: DialogCall


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The caller's phone wants its media otherwise: hold, resume, another address."""

    wish: MediaDescription


@dataclass(frozen=True, slots=True)
class Referred:
    """Somebody who may transfer wants the call moved (REFER): the caller's side or the agent's."""

    referral: Referral


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another dialog is to take the caller's place (Replaces)."""

    inbound: InboundCall


@dataclass(frozen=True, slots=True)
class Alerted:
    """The phone that we call rings; `early` is sound that its network plays meanwhile."""

    early: MediaDescription | None


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The phone that we call was answered."""

    media: MediaDescription


@dataclass(frozen=True, slots=True)
class PhonePickedUp:
    """The agent's desk phone was answered; `dialog` says at which of its places."""

    dialog: DialogCall
    media: MediaDescription


@dataclass(frozen=True, slots=True)
class PhoneAlerted:
    """A phone outside that an agent asks rings; `early` is sound that its network plays."""

    dialog: DialogCall
    early: MediaDescription | None


@dataclass(frozen=True, slots=True)
class PhoneLeft:
    """The agent's desk phone hung up, declined, or cannot be reached."""

    dialog: DialogCall
    how: SipEnd


@dataclass(frozen=True, slots=True)
class PhoneMedia:
    """The agent's desk phone wants its media otherwise: hold, resume, another address."""

    dialog: DialogCall
    wish: MediaDescription


@dataclass(frozen=True, slots=True)
class PhoneReferred:
    """The agent's desk phone wants the call moved (REFER)."""

    dialog: DialogCall
    referral: Referral


@dataclass(frozen=True, slots=True)
class PhoneCalls:
    """The agent's desk phone calls somebody beside the call: a colleague, before a transfer."""

    inbound: InboundCall


@dataclass(frozen=True, slots=True)
class Offered:
    """The floor found an agent."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class Asked:
    """An agent clicked; `reply` gets the call's view or the refusal."""

    command: Command
    reply: asyncio.Future[dict[str, Any]]

    def grant(self, view: dict[str, Any]) -> None:
        """Done: the call looks like this now. A second answer changes nothing."""
        with contextlib.suppress(asyncio.InvalidStateError):
            self.reply.set_result(view)

    def refuse(self, refusal: Exception) -> None:
        """Not done, and why."""
        with contextlib.suppress(asyncio.InvalidStateError):
            self.reply.set_exception(refusal)


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's browser has been away for longer than the grace time."""

    agent: str


@dataclass(frozen=True, slots=True)
class Consented:
    """The customer was asked whether the call may be recorded; the answer to question `number`."""

    consent: Consent
    number: int


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed a key of the telephone."""

    key: str


@dataclass(frozen=True, slots=True)
class SaidAll:
    """Prompts of that number came to their end, or others took their place."""

    number: int


@dataclass(frozen=True, slots=True)
class PauseOver:
    """The recording may have been paused for as long as it may."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The system goes down; calls have had their time to drain."""


# What the step that a call is in looks at.
Step = (
    Alerted
    | Pressed
    | SaidAll
    | PickedUp
    | PhonePickedUp
    | PhoneAlerted
    | PhoneLeft
    | Referred
    | Offered
    | Asked
    | AgentLost
    | Consented
)
Happening = (
    CallerLeft
    | MediaChanged
    | PhoneMedia
    | PhoneReferred
    | PhoneCalls
    | Replaced
    | PauseOver
    | Stop
    | Step
)
PhoneStep = PhonePickedUp | PhoneAlerted | PhoneLeft | PhoneMedia | PhoneReferred


def refuse_rest(mailbox: asyncio.Queue[Happening]) -> list[Offer]:
    """The call is over: whoever asked is told so. Returns the offers nobody heard of."""
    unheard = []
    while not mailbox.empty():
        match mailbox.get_nowait():
            case Asked() as asked:
                asked.refuse(CallGone("the call is over"))
            case Offered(offer):
                unheard.append(offer)
            case Referred(referral) | PhoneReferred(_, referral):
                referral.report(481)
            case Replaced(inbound):
                inbound.reject(481)
            case PhoneCalls(inbound):
                inbound.reject(480)
    return unheard


class Over(Exception):
    """The call ends here, for this reason. Raised by any step, caught once in run_call."""

    def __init__(
        self, reason: Outcome, by: Literal["customer", "agent", "system"], detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason, self.by, self.detail = reason, by, detail
