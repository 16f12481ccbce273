"""A call that came to us: its INVITE, its dialog and the session (RFC 3261 13.3, 14.2, 15).

A call of ours (`telephony.sip.outgoing`) is the same from its answer on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from callcenter.errors import SipFailure, SipSyntaxError
from callcenter.telephony.ports import Address, Codec, MediaDescription, SipEnd
from callcenter.telephony.sip import offer_answer
from callcenter.telephony.sip.actions import Acknowledged, Ended, Flow, MediaChanged
from callcenter.telephony.sip.client import NonInviteClient
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.headers import Via
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.offer_answer import NothingInCommon, Origin, Terms
from callcenter.telephony.sip.responses import (
    ALLOW,
    SUPPORTED,
    Fields,
    build,
    contact,
    record_routes,
)
from callcenter.telephony.sip.sdp import SessionDescription, parse_sdp
from callcenter.telephony.sip.server import InviteServer
from callcenter.telephony.sip.timers import T1, T2, Timed
from callcenter.telephony.sip.transaction import MAGIC_COOKIE, Layer

OFFERED = (Codec.PCMU, Codec.PCMA)  # by preference, where the offer is ours


class CallState(Enum):
    """Where a call is."""

    PROCEEDING = "proceeding"  # no final response yet
    ACCEPTED = "accepted"  # 200 sent, ACK awaited
    CONFIRMED = "confirmed"
    CLOSING = "closing"  # hung up by us before the ACK: BYE must wait for it (RFC 3261 15)
    ENDED = "ended"


@dataclass(frozen=True)
class Core:
    """What a call needs of the user agent it belongs to."""

    layer: Layer
    token: Callable[[], str]
    forget: Callable[[InviteUsage], None]
    remember: Callable[[InviteUsage], None]  # its dialog has another name now
    terms: Callable[[Flow], Terms] = lambda flow: Terms()


class InviteUsage(Timed):
    """One caller. The user agent feeds it requests; the application rings, answers, ends it."""

    def __init__(
        self, core: Core, transaction: InviteServer, flow: Flow, offer: SessionDescription | None
    ) -> None:
        invite = transaction.request
        self._set_up(core, invite, Dialog.of_invite(invite, core.token()), flow)
        self._transaction = transaction  # the peer's latest INVITE
        self._offer = offer

    def _set_up(self, core: Core, invite: Request, dialog: Dialog, flow: Flow) -> None:
        """What calls in both directions have."""
        super().__init__(core.layer.agenda)
        self.invite = invite
        self.dialog = dialog
        self.flow = flow
        self.state = CallState.PROCEEDING
        self.media: MediaDescription | None = None
        self._core = core
        self._emit = core.layer.emit
        self._origin = Origin(int(core.token(), 16) % 2**62)
        self._local = flow.local
        self._terms = core.terms(flow)
        self._acknowledged = False
        self._told: MediaDescription | None = None  # what the application knows of `media`
        self._interval = T1

    # --- what the application asks for --------------------------------------------------------

    def ring(self, now: float) -> None:
        """180 Ringing; nothing once the call was answered or is over."""
        if self.state is CallState.PROCEEDING:
            self._respond(180, now)

    def answer(self, local: Address, now: float) -> None:
        """200 with our description of the session at `local`. Raises SipFailure."""
        if self.state is not CallState.PROCEEDING:
            raise SipFailure("The caller is gone.")
        self._local = local
        try:
            self._accept(self._describe(self._offer), now)
            self._told = self.media
        except NothingInCommon as error:
            self.reject(488, now)
            raise SipFailure(error.detail) from None

    def reject(self, status: int, now: float, fields: Fields = (), end: SipEnd = "refused") -> None:
        """A final refusal; nothing once the call was answered or is over."""
        if self.state is CallState.PROCEEDING:
            self._respond(status, now, fields)
            self._end(end)

    def hang_up(self, now: float) -> None:
        """603 before the answer, BYE after it (RFC 3261 15.1.1)."""
        if self.state is CallState.PROCEEDING:
            self.reject(603, now, end="hung_up")
        elif self.state is CallState.ACCEPTED:
            self.state = CallState.CLOSING
            self._emit(Ended(self, "hung_up"))
        elif self.state is CallState.CONFIRMED:
            self._bye(now)
            self._end("hung_up")

    # --- what the peer asks for ---------------------------------------------------------------

    def acknowledge(self, ack: Request, now: float) -> None:
        """The ACK of a 200; with an answer in it where the offer was ours (RFC 3261 13.2.2.4)."""
        waiting = self.state in (CallState.ACCEPTED, CallState.CLOSING)
        if not waiting or ack.cseq.number != self._transaction.request.cseq.number:
            return
        self.stop("200", "ACK")
        if self.state is CallState.CLOSING:
            self._bye(now)
            self._end(None)
            return
        self.state = CallState.CONFIRMED
        if self.media is None and not self._conclude(ack.body):
            self._bye(now)
            self._end("failed")
            return
        self._tell_acknowledged()

    def cancelled(self, now: float) -> None:
        """The caller gave up: 487 (RFC 3261 9.2)."""
        self.reject(487, now, end="cancelled")

    def bye(self, now: float) -> None:
        """The peer hung up; the 200 is sent. A pending INVITE gets 487 (RFC 3261 15.1.2)."""
        if self.state is CallState.PROCEEDING:
            self.cancelled(now)
        else:
            self._end(None if self.state is CallState.CLOSING else "bye")

    def modify(
        self, transaction: InviteServer, offer: SessionDescription | None, now: float
    ) -> None:
        """A re-INVITE: answer its offer, or offer again where it has none (RFC 3261 14.2)."""
        if refusal := self._not_now():
            transaction.respond(build(transaction.request, *refusal), now)
            return
        before = self.media
        try:
            body = self._describe(offer)
        except NothingInCommon:
            self.media = before  # the session goes on as it was
            transaction.respond(build(transaction.request, 488, self.dialog.local_tag), now)
            return
        self.dialog.refresh(transaction.request)
        self._transaction = transaction
        self._accept(body, now)
        self._tell_media()

    def update(self, request: Request, offer: SessionDescription | None, now: float) -> Response:
        """The answer to an UPDATE (RFC 3311 5.2): like a re-INVITE, but settled at once.

        Before our 200 an offer has to wait: ours to the INVITE's is not out yet.
        """
        tag, fields = self.dialog.local_tag, (contact(self.flow, self.invite), ALLOW)
        if self.state is CallState.CLOSING:
            return build(request, 481, tag)
        if offer is None:
            self.dialog.refresh(request)
            return build(request, 200, tag, fields)
        if refusal := self._not_now():
            return build(request, *refusal)
        before = self.media
        try:
            body = self._describe(offer)
        except NothingInCommon:
            self.media = before
            return build(request, 488, tag)
        self.dialog.refresh(request)
        self._tell_media()
        return build(request, 200, tag, fields, body)

    def moved(self, flow: Flow) -> None:
        """Requests of ours follow the way on which the peer's last request came."""
        self.flow = replace(flow, local=replace(flow.local, host=self.flow.local.host))

    # --- within ------------------------------------------------------------------------------

    def expire(self, timer: str, now: float) -> None:
        """Repeat the 200 until its ACK, and give up after 64*T1 (RFC 3261 13.3.1.4)."""
        if timer == "200":
            self._transaction.repeat()
            self._interval = min(2 * self._interval, T2)
            self.start("200", now + self._interval)
            return
        self.stop("200")
        self._bye(now)
        self._end(None if self.state is CallState.CLOSING else "no_ack")

    def _not_now(self) -> tuple[int, str, Fields] | None:
        """Why a re-INVITE cannot be taken up at the moment (RFC 3261 14.2, RFC 3264 4)."""
        tag = self.dialog.local_tag
        if self.state is CallState.PROCEEDING:
            return 500, tag, (("Retry-After", "5"),)
        if self.state is CallState.CLOSING:
            return 481, tag, ()
        ours_unanswered = self.state is CallState.ACCEPTED and self.media is None
        return (491, tag, ()) if ours_unanswered else None

    def _describe(self, offer: SessionDescription | None) -> bytes:
        """Our answer to `offer`, or an offer of ours; `media` is then still open."""
        if offer is None:
            self.media = None
            description = offer_answer.offer(self._local, self._origin, OFFERED, self._terms)
        else:
            agreement = offer_answer.answer(offer, self._local, self._origin, self._terms)
            self.media = self._signalled(agreement.media)
            description = agreement.answer
        self._origin = self._origin.next()
        return bytes(description)

    def _conclude(self, body: bytes) -> bool:
        """Take the answer to our offer from an ACK; False when there is no usable one."""
        try:
            media = offer_answer.conclude(parse_sdp(body), self._local, self._terms)
            self.media = self._signalled(media)
        except (SipSyntaxError, NothingInCommon):
            return False
        return True

    def _signalled(self, media: MediaDescription) -> MediaDescription:
        return replace(media, signalling=self.flow.remote.host)

    def _tell_acknowledged(self) -> None:
        assert self.media is not None
        if not self._acknowledged:
            self._acknowledged = True
            self._told = self.media
            self._emit(Acknowledged(self, self.media))
        self._tell_media()

    def _tell_media(self) -> None:
        if self.media is not None and self.media != self._told:
            self._told = self.media
            self._emit(MediaChanged(self, self.media))

    def _accept(self, body: bytes, now: float) -> None:
        """Send 200 and repeat it until the ACK comes."""
        self._respond(200, now, (ALLOW, SUPPORTED), body)
        self.state = CallState.ACCEPTED
        self._interval = T1
        self.start("200", now + T1)
        self.start("ACK", now + 64 * T1)

    def _respond(self, status: int, now: float, fields: Fields = (), body: bytes = b"") -> None:
        request = self._transaction.request
        if status < 300:
            fields = (*record_routes(request), contact(self.flow, self.invite), *fields)
        response: Response = build(request, status, self.dialog.local_tag, fields, body)
        self._transaction.respond(response, now)

    def _bye(self, now: float) -> None:
        """BYE along the dialog; nobody waits for its answer (RFC 3261 15.1.1)."""
        local, layer = self.flow.local, self._core.layer
        parameters = (("rport", None), ("branch", MAGIC_COOKIE + self._core.token()))
        via = Via(self.flow.transport, local.host, local.port, parameters)
        bye = self.dialog.request("BYE", via)
        bye.set_body(b"")
        NonInviteClient(layer, bye, self.flow, lambda response, at: None).opened().begin(now)

    def _end(self, reason: SipEnd | None) -> None:
        """Over. `reason` is None when the application was told already."""
        self.state = CallState.ENDED
        self.stop(*tuple(self.running))
        self._core.forget(self)
        if reason is not None:
            self._emit(Ended(self, reason))
