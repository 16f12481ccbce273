"""A call in a dialog, whoever began it: its session, its timers, its end (RFC 3261 14, 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import MediaDescription, SipEnd
from callcenter.telephony.sip.actions import Acknowledged, Ended, Flow, MediaChanged, Send
from callcenter.telephony.sip.client import InviteClient, NonInviteClient, Outcome
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.headers import Via
from callcenter.telephony.sip.message import Message, Request, Response
from callcenter.telephony.sip.negotiation import Negotiation
from callcenter.telephony.sip.offer_answer import NothingInCommon, Terms
from callcenter.telephony.sip.responses import (
    ALLOW,
    SDP,
    SUPPORTED,
    Fields,
    build,
    contact,
    record_routes,
)
from callcenter.telephony.sip.sdp import SessionDescription
from callcenter.telephony.sip.server import InviteServer
from callcenter.telephony.sip.session_timer import USUAL, Policy, SessionTimer, too_small
from callcenter.telephony.sip.timers import T1, T2, Timed
from callcenter.telephony.sip.transaction import MAGIC_COOKIE, Layer

GLARE = 2.0  # seconds at most until a refresh that met one of the peer's is tried again (14.1)


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
    forget: Callable[[CallUsage], None]
    remember: Callable[[CallUsage], None]  # its dialog has another name now
    timers: Policy = USUAL
    terms: Callable[[Flow], Terms] = lambda flow: Terms()


class CallUsage(Timed):
    """What both kinds of calls share once there is a dialog.

    The user agent feeds it the peer's requests; the application ends it.
    """

    def __init__(self, core: Core, flow: Flow, dialog: Dialog, *, secure: bool = False) -> None:
        super().__init__(core.layer.agenda)
        self.dialog = dialog
        self.flow = flow
        self.state = CallState.PROCEEDING
        self.negotiation = Negotiation(flow, int(core.token(), 16) % 2**62, core.terms(flow))
        self.session_timer = SessionTimer(
            core.layer.agenda, core.timers, self._refresh, self._expired
        )
        self.may_transfer = False  # whatever may be said of the peer's address
        self.referred = 0  # REFERs that were taken
        self._core = core
        self._emit = core.layer.emit
        self._secure = secure
        self._allows: frozenset[str] = frozenset()
        self._transaction: InviteServer | None = None  # of the peer's latest INVITE
        self._inviting = False  # a re-INVITE of ours is under way
        self._acknowledged = False
        self._told: MediaDescription | None = None  # what the application knows of `media`
        self._interval = T1

    @property
    def media(self) -> MediaDescription | None:
        """What is agreed; None before anything is."""
        return self.negotiation.media

    @property
    def contact(self) -> tuple[str, str]:
        """Where requests of this dialog reach us."""
        return contact(self.flow, secure=self._secure)

    # --- what the application asks for --------------------------------------------------------

    def hang_up(self, now: float) -> None:
        """BYE, after the ACK (RFC 3261 15.1.1)."""
        if self.state is CallState.ACCEPTED:
            self.state = CallState.CLOSING
            self._emit(Ended(self, "hung_up"))
        elif self.state is CallState.CONFIRMED:
            self._bye(now)
            self._end("hung_up")

    # --- what the peer asks for ---------------------------------------------------------------

    def acknowledge(self, ack: Request, now: float) -> None:
        """The ACK of a 200; with an answer in it where the offer was ours (RFC 3261 13.2.2.4)."""
        if self.state not in (CallState.ACCEPTED, CallState.CLOSING) or not self._transaction:
            return
        if ack.cseq.number != self._transaction.request.cseq.number:
            return
        self.stop("200", "ACK")
        if self.state is CallState.CLOSING:
            self._bye(now)
            self._end(None)
            return
        self.state = CallState.CONFIRMED
        if self.negotiation.unanswered and not self._conclude(ack.body):
            self._bye(now)
            self._end("failed")
            return
        self._tell_acknowledged()

    def bye(self, now: float) -> None:
        """The peer hung up; the 200 is sent."""
        self._end(None if self.state is CallState.CLOSING else "bye")

    def modify(
        self, transaction: InviteServer, offer: SessionDescription | None, now: float
    ) -> None:
        """A re-INVITE: answer its offer, or offer again where it has none (RFC 3261 14.2)."""
        refusal = self._not_yet() or self._not_now() or self._too_small(transaction.request)
        if refusal:
            transaction.respond(build(transaction.request, *refusal), now)
            return
        try:
            body = self.negotiation.offer() if offer is None else self.negotiation.answer(offer)
        except NothingInCommon:  # the session goes on as it was
            transaction.respond(build(transaction.request, 488, self.dialog.local_tag), now)
            return
        self.heed(transaction.request)
        self._transaction = transaction
        self._accept(body, now)
        if offer is not None:
            self._tell_media()

    def update(self, request: Request, offer: SessionDescription | None, now: float) -> Response:
        """The answer to an UPDATE (RFC 3311 5.2): like a re-INVITE, but settled at once."""
        tag = self.dialog.local_tag
        if self.state is CallState.CLOSING:
            return build(request, 481, tag)
        refusal = self._too_small(request) or (self._not_now() if offer else None)
        if refusal:
            return build(request, *refusal)
        try:
            body = self.negotiation.answer(offer) if offer else b""
        except NothingInCommon:
            return build(request, 488, tag)
        self.heed(request)
        if offer:
            self._tell_media()
        fields: Fields = (self.contact, ALLOW, SUPPORTED)
        if self.state is not CallState.PROCEEDING:
            fields = (*fields, *self.session_timer.grant(request, now))
        return build(request, 200, tag, fields, body)

    def moved(self, flow: Flow) -> None:
        """Requests of ours follow the way on which the peer's last request came."""
        self.flow = replace(flow, local=replace(flow.local, host=self.flow.local.host))

    def heed(self, message: Message) -> None:
        """Take the peer's target and what it can from a request or a 2xx of it."""
        self.dialog.refresh(message)
        if methods := message.headers.values("Allow"):
            self._allows = frozenset(method.upper() for method in methods)

    # --- requests of ours ---------------------------------------------------------------------

    def ask(
        self,
        method: str,
        now: float,
        outcome: Outcome = lambda response, at: None,
        fields: Fields = (),
        body: bytes = b"",
    ) -> None:
        """A request of ours within the dialog; `fields` name the type of the body."""
        request = self._request(method, fields, body)
        NonInviteClient(self._core.layer, request, self.flow, outcome).opened().begin(now)

    def _request(self, method: str, fields: Fields, body: bytes) -> Request:
        request = self.dialog.request(method, self._via())
        for name, value in fields:
            request.headers.add(name, value)
        request.set_body(body)
        return request

    def _via(self) -> Via:
        here = self.flow.local
        parameters = (("rport", None), ("branch", MAGIC_COOKIE + self._core.token()))
        return Via(self.flow.transport, here.host, here.port, parameters)

    def _bye(self, now: float) -> None:
        """BYE along the dialog; nobody waits for its answer (RFC 3261 15.1.1)."""
        self.ask("BYE", now)

    # --- the session timer (RFC 4028 10) ------------------------------------------------------

    def _refresh(self, now: float) -> None:
        """UPDATE where the peer takes it, a re-INVITE that changes nothing where not."""
        if self.state is not CallState.CONFIRMED or self._inviting or not self.negotiation.settled:
            self.session_timer.later(GLARE, now)
            return
        fields = (self.contact, ALLOW, SUPPORTED, *self.session_timer.propose())
        if "UPDATE" in self._allows:
            self.ask("UPDATE", now, self._refreshed, fields)
        else:
            self._reinvite(fields, now)

    def _reinvite(self, fields: Fields, now: float) -> None:
        """The session as it is, offered once more."""
        body = self.negotiation.offer_again()
        request = self._request("INVITE", (*fields, ("Content-Type", SDP)), body)
        self._inviting = True

        def heard(response: Response | None, at: float) -> None:
            if response is not None and response.status < 200:
                return
            if response is not None and response.status < 300:
                self._acknowledge_ours(request)
            if self._inviting:  # else: a repeated 200
                self._inviting = False
                self._reinvited(response, at)

        InviteClient(self._core.layer, request, self.flow, heard).opened().begin(now)

    def _acknowledge_ours(self, invite: Request) -> None:
        """The ACK of a 2xx to our re-INVITE (RFC 3261 13.2.2.4); again for each repetition."""
        ack = self.dialog.ack(invite, self._via())
        ack.set_body(b"")
        self._emit(Send(bytes(ack), self.flow))

    def _reinvited(self, response: Response | None, now: float) -> None:
        if self.state is CallState.ENDED:
            return
        self.negotiation.withdraw()
        if response is not None and response.status < 300:
            self._conclude(response.body)  # what cannot be read changes nothing
            self._tell_media()
        self._refreshed(response, now)

    def _refreshed(self, response: Response | None, now: float) -> None:
        """How the refresh went; without a word, or where the peer knows no call, it is over."""
        if self.state is CallState.ENDED or (response is not None and response.status < 200):
            return
        if response is None or response.status in (408, 481):
            self._expired(now)
        elif response.status < 300:
            self.heed(response)
            self.session_timer.agreed(response, now)
        elif response.status == 422 and self.session_timer.longer(response):
            self._refresh(now)
        elif response.status == 491:
            share = int(self._core.token(), 16) % 100 / 100
            self.session_timer.later(GLARE * share, now)

    def _expired(self, now: float) -> None:
        """Nobody refreshed the session: BYE (RFC 4028 10)."""
        self._bye(now)
        self._end(None if self.state is CallState.CLOSING else "expired")

    # --- within ------------------------------------------------------------------------------

    def expire(self, timer: str, now: float) -> None:
        """Repeat the 200 until its ACK, and give up after 64*T1 (RFC 3261 13.3.1.4)."""
        if timer == "200":
            assert self._transaction is not None
            self._transaction.repeat()
            self._interval = min(2 * self._interval, T2)
            self.start("200", now + self._interval)
            return
        self.stop("200")
        self._bye(now)
        self._end(None if self.state is CallState.CLOSING else "no_ack")

    def _not_yet(self) -> tuple[int, str, Fields] | None:
        """A re-INVITE while the first INVITE has no final response (RFC 3261 14.2)."""
        if self.state is not CallState.PROCEEDING:
            return None
        return 500, self.dialog.local_tag, (("Retry-After", "5"),)

    def _not_now(self) -> tuple[int, str, Fields] | None:
        """Why an offer cannot be taken up at the moment (RFC 3261 14.2, RFC 3264 4)."""
        tag = self.dialog.local_tag
        if self.state is CallState.CLOSING:
            return 481, tag, ()
        if self._inviting or self.negotiation.unanswered:
            return 491, tag, ()
        return None

    def _too_small(self, request: Request) -> tuple[int, str, Fields] | None:
        fields = too_small(request, self._core.timers)
        return None if fields is None else (422, self.dialog.local_tag, fields)

    def _conclude(self, body: bytes) -> bool:
        """Take the answer to our offer; False when there is no usable one."""
        try:
            self.negotiation.conclude(body)
        except (SipSyntaxError, NothingInCommon):
            return False
        return True

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
        assert self._transaction is not None
        granted = self.session_timer.grant(self._transaction.request, now)
        self._respond(200, now, (ALLOW, SUPPORTED, *granted), body)
        self.state = CallState.ACCEPTED
        self._interval = T1
        self.start("200", now + T1)
        self.start("ACK", now + 64 * T1)

    def _respond(self, status: int, now: float, fields: Fields = (), body: bytes = b"") -> None:
        assert self._transaction is not None
        self._transaction.respond(self._response(status, fields, body), now)

    def _response(self, status: int, fields: Fields = (), body: bytes = b"") -> Response:
        """A response to the peer's latest INVITE."""
        assert self._transaction is not None
        request = self._transaction.request
        if status < 300:
            fields = (*record_routes(request), self.contact, *fields)
        return build(request, status, self.dialog.local_tag, fields, body)

    def _end(self, reason: SipEnd | None) -> None:
        """Over. `reason` is None when the application was told already."""
        self.state = CallState.ENDED
        self.stop(*tuple(self.running))
        self.session_timer.end()
        self._core.forget(self)
        if reason is not None:
            self._emit(Ended(self, reason))
