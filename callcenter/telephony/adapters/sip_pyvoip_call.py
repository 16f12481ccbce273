"""One caller of the pyVoIP backend: pyVoIP's call, and the dialog and ACK that it does not keep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from callcenter.errors import SipFailure
from callcenter.telephony.adapters.sip_pyvoip_phone import Call
from callcenter.telephony.ports import (
    Address,
    Caller,
    InboundCall,
    MediaDescription,
    Referral,
    SipEnd,
)
from callcenter.telephony.sip import farewell, offer_answer
from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.client import NonInviteClient
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.headers import Via
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.offer_answer import NothingInCommon, Origin
from callcenter.telephony.sip.responses import Fields, build, contact, record_routes
from callcenter.telephony.sip.sdp import SessionDescription
from callcenter.telephony.sip.server import InviteServer, NonInviteServer
from callcenter.telephony.sip.timers import T1, T2, Timed
from callcenter.telephony.sip.transaction import MAGIC_COOKIE, Layer

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
ALLOW = ("Allow", ", ".join(METHODS))


class Owner(Protocol):
    """What a call needs of its backend."""

    layer: Layer

    def now(self) -> float:
        """The loop's time."""

    def token(self) -> str:
        """A fresh hexadecimal string."""

    def settle(self) -> None:
        """Timers may have changed."""

    def forget(self, call: PyVoipCall) -> None:
        """The dialog is over."""


class PyVoipCall(Timed):
    """An `InboundCall`: pyVoIP decides what is said, this sees to it that it arrives."""

    def __init__(
        self,
        owner: Owner,
        transaction: InviteServer,
        flow: Flow,
        offer: SessionDescription,
        trunk: str,
        caller: Caller,
    ) -> None:
        super().__init__(owner.layer.agenda)
        self.invite = transaction.request
        self.dialog = Dialog.of_invite(self.invite, owner.token())
        self.flow = flow
        self.voip: Call
        self._owner, self._offer, self._trunk, self._caller = owner, offer, trunk, caller
        self._pending: dict[str, InviteServer | NonInviteServer] = {}
        self._accepted = transaction  # the INVITE whose 200 was or will be acknowledged
        self._origin = Origin(int(owner.token(), 16) % 2**62)
        self._local = flow.local
        self._media: MediaDescription | None = None
        self._closing = False  # hung up before the ACK: BYE must wait for it (RFC 3261 15)
        self._interval = T1
        self._ended: asyncio.Future[SipEnd] = asyncio.get_running_loop().create_future()
        self._on_media: Callable[[MediaDescription], None] = lambda media: None
        self._on_digit: Callable[[str], None] = lambda digit: None
        self.expect(transaction)

    # --- the port ----------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """The name under which pyVoIP knows the call."""
        return self.dialog.local_tag

    @property
    def sip_call_id(self) -> str:
        """The Call-ID header."""
        return self.invite.call_id

    @property
    def caller(self) -> Caller:
        """From, without what the caller wants withheld."""
        return self._caller

    @property
    def request_user(self) -> str:
        """The number that was dialled."""
        return self.invite.target.user or ""

    @property
    def trunk(self) -> str:
        """Name of the trunk or registration in the settings."""
        return self._trunk

    @property
    def local_host(self) -> str:
        """The address of ours that the peer reached."""
        return self.flow.local.host

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the dialog is over; may be awaited by many and cancelled by none."""
        return asyncio.shield(self._ended)

    @property
    def over(self) -> bool:
        """Whether the application knows that it is over."""
        return self._ended.done()

    def ring(self) -> None:
        """180 Ringing."""
        if self.voip.rings and not self.over:
            self.voip.ring()

    async def early(self, local: Address) -> MediaDescription | None:
        """None: pyVoIP words no 183. Raises SipFailure when the caller is gone."""
        if self.over or not self.voip.rings:
            raise SipFailure("The caller is gone.")
        return None

    async def answer(self, local: Address) -> MediaDescription:
        """200 with our description of the session. Raises SipFailure."""
        if self.over or not self.voip.rings:
            raise SipFailure("The caller is gone.")
        self._local = local
        try:
            agreement = self._agree(self._offer)
        except NothingInCommon as error:
            self.reject(488)
            raise SipFailure(error.detail) from None
        self.voip.accept(bytes(agreement.answer), local.port)
        return agreement.media

    def memo(self) -> dict[str, Any] | None:
        """See `InboundCall.memo`."""
        return farewell.memo_of(self.dialog, self.flow)

    def reject(self, status: int, *, retry_after: int | None = None) -> None:
        """A final refusal; 486 in pyVoIP's words, which knows no other."""
        fields: Fields = () if retry_after is None else (("Retry-After", str(retry_after)),)
        self._refuse(status, "refused", fields)

    def hang_up(self) -> None:
        """BYE by pyVoIP's `hangup`, after the ACK; 603 before the answer."""
        if self.over:
            return
        if self.voip.rings:
            self._refuse(603, "hung_up")
        elif "ACK" in self.running:
            self._closing = True
            self._end("hung_up")
        else:
            self.voip.hangup()
            self._end("hung_up")
            self._owner.forget(self)

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with the peer's new wish after a re-INVITE."""
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called once per key that comes by INFO."""
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Never called: REFER gets 405."""

    def on_replace(self, handler: Callable[[InboundCall], None]) -> None:
        """Never called: a call that requires Replaces gets 420."""

    # --- what the peer asks for ---------------------------------------------------------------

    def expect(self, transaction: InviteServer | NonInviteServer) -> None:
        """pyVoIP is about to be handed this request: its responses belong to it."""
        self._pending[str(transaction.request.cseq)] = transaction

    def cancelled(self) -> None:
        """487 to the INVITE (RFC 3261 9.2)."""
        self._refuse(487, "cancelled")

    def left(self) -> None:
        """BYE; a pending INVITE gets 487 (RFC 3261 15.1.2)."""
        if self.voip.rings:
            self.cancelled()
            return
        self._end("bye")
        self._owner.forget(self)

    def refusal_of_change(self) -> tuple[int, Fields] | None:
        """Why a re-INVITE cannot be taken up at the moment (RFC 3261 14.2)."""
        if self._closing:
            return 481, ()
        return (500, (("Retry-After", "5"),)) if self.voip.rings else None

    def change(self, transaction: InviteServer, offer: SessionDescription) -> MediaDescription:
        """What a re-INVITE agrees to; pyVoIP is to answer it next. Raises NothingInCommon."""
        agreement = self._agree(offer)
        self.voip.description = bytes(agreement.answer)
        self.dialog.refresh(transaction.request)
        self.expect(transaction)
        return agreement.media

    def changed(self, media: MediaDescription) -> None:
        """Tell the application, where there is news."""
        if media != self._media:
            self._media = media
            self._on_media(media)

    def pressed(self, digit: str) -> None:
        """A key by INFO."""
        self._on_digit(digit)

    def acknowledge(self, ack: Request) -> None:
        """The ACK of a 200."""
        if "ACK" not in self.running or ack.cseq.number != self._accepted.request.cseq.number:
            return
        self.stop("200", "ACK")
        if self._closing:
            self.bye()

    def expire(self, timer: str, now: float) -> None:
        """Repeat the 200 until its ACK, and give up after 64*T1 (RFC 3261 13.3.1.4)."""
        if timer == "200":
            self._accepted.repeat()
            self._interval = min(2 * self._interval, T2)
            self.start("200", now + self._interval)
            return
        self.stop("200")
        self._end("no_ack")
        self.bye()

    # --- what pyVoIP says ---------------------------------------------------------------------

    def write(self, status: int, cseq: str, body: bytes = b"", fields: Fields = ()) -> None:
        """A response in the header fields of its request, along the way that this came."""
        transaction = self._pending.get(cseq)
        if transaction is None:
            return
        request, now = transaction.request, self._owner.now()
        if status < 300 and request.method == "INVITE":
            fields = (*record_routes(request), contact(self.flow, secure=False), ALLOW, *fields)
        response: Response = build(request, status, self.dialog.local_tag, fields, body)
        transaction.respond(response, now)
        if status < 200:
            return
        del self._pending[cseq]
        if status < 300 and isinstance(transaction, InviteServer):
            self._await_ack(transaction, now)
        self._owner.settle()

    def bye(self) -> None:
        """BYE along the dialog, repeated until it is answered; the call is forgotten."""
        local = self.flow.local
        parameters = (("rport", None), ("branch", MAGIC_COOKIE + self._owner.token()))
        bye = self.dialog.request(
            "BYE", Via(self.flow.transport, local.host, local.port, parameters)
        )
        bye.set_body(b"")
        client = NonInviteClient(self._owner.layer, bye, self.flow, lambda response, at: None)
        client.opened().begin(self._owner.now())
        self._owner.forget(self)

    # --- within ------------------------------------------------------------------------------

    def _agree(self, offer: SessionDescription) -> offer_answer.Agreement:
        agreement = offer_answer.answer(offer, self._local, self._origin)
        told = replace(agreement.media, signalling=self.flow.remote.host)
        agreement = replace(agreement, media=told)
        self._origin = self._origin.next()
        if self._media is None:
            self._media = agreement.media
        return agreement

    def _refuse(self, status: int, end: SipEnd, fields: Fields = ()) -> None:
        if self.over or not self.voip.rings:
            return
        if status == 486:
            self.voip.busy()
        else:
            self.write(status, str(self.invite.cseq), fields=fields)
        self.voip.over()
        self._end(end)
        self._owner.forget(self)

    def _await_ack(self, transaction: InviteServer, now: float) -> None:
        self._accepted, self._interval = transaction, T1
        self.start("200", now + T1)
        self.start("ACK", now + 64 * T1)

    def _end(self, reason: SipEnd) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
