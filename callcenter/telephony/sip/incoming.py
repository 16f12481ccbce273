"""A call that came to us, up to its answer (RFC 3261 13.3, RFC 3262, RFC 3960)."""

from __future__ import annotations

from callcenter.errors import SipFailure
from callcenter.telephony.ports import Address, MediaDescription, SipEnd
from callcenter.telephony.sip import reliable
from callcenter.telephony.sip.actions import AgreedEarly, Flow
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.offer_answer import NothingInCommon
from callcenter.telephony.sip.reliable import Provisionals
from callcenter.telephony.sip.responses import ALLOW, Fields, build
from callcenter.telephony.sip.sdp import SessionDescription
from callcenter.telephony.sip.server import InviteServer
from callcenter.telephony.sip.usage import CallState, CallUsage, Core


class InviteUsage(CallUsage):
    """One caller. The application rings, lets hear, answers or refuses."""

    def __init__(
        self, core: Core, transaction: InviteServer, flow: Flow, offer: SessionDescription | None
    ) -> None:
        self.invite = transaction.request
        dialog = Dialog.of_invite(self.invite, core.token())
        super().__init__(core, flow, dialog, secure=self.invite.target.scheme == "sips")
        self._transaction: InviteServer = transaction
        self.heed(self.invite)
        self._offer = offer  # the caller's, until it is answered
        self._early = False  # our description is out in a provisional response
        self._answer_waits = False  # for the PRACK of such a one (RFC 3262 3)
        self._reliably = reliable.wish_of(self.invite)
        self._provisionals = Provisionals(
            core.layer.agenda,
            transaction,
            1 + int(core.token(), 16) % (2**31 - 1),
            self._unconfirmed,
        )

    # --- what the application asks for --------------------------------------------------------

    def ring(self, now: float) -> None:
        """180 Ringing; nothing once the call was answered or is over.

        Neither where it would have to carry an offer of ours (RFC 3262 5): then the application
        may let the caller hear something, see `early`.
        """
        if self.state is not CallState.PROCEEDING or self._answer_waits:
            return
        if self._reliably == "no" or (self._reliably == "may" and self._owes_offer()):
            self._respond(180, now)
        elif not self._owes_offer():
            self._provisionals.send(self._response(180, (ALLOW,)), now)

    def early(self, local: Address, now: float) -> MediaDescription | None:
        """183 with our description at `local`: what is played is heard before the answer.

        What is agreed; None where that comes with a PRACK (`AgreedEarly`) or where it cannot be
        done: no offer of the caller's, and no way to make one of ours reliably. Raises SipFailure.
        """
        if self.state is not CallState.PROCEEDING:
            raise SipFailure("The caller is gone.")
        if self._reliably == "no" and self._owes_offer():
            return None
        self.negotiation.local = local
        body = self._describe(now)
        self._early = True
        if self._reliably == "no":
            self._respond(183, now, (ALLOW,), body)
        else:
            self._provisionals.send(self._response(183, (ALLOW,), body), now)
        self._told = self.media
        return self.media

    def answer(self, local: Address, now: float) -> None:
        """200 with our description of the session at `local`. Raises SipFailure."""
        if self.state is not CallState.PROCEEDING:
            raise SipFailure("The caller is gone.")
        if self._early and not self._provisionals.acknowledged:
            self._answer_waits = True
            return
        self._answer(local, now)

    def reject(self, status: int, now: float, fields: Fields = (), end: SipEnd = "refused") -> None:
        """A final refusal; nothing once the call was answered or is over."""
        if self.state is CallState.PROCEEDING:
            self._respond(status, now, fields)
            self._end(end)

    def hang_up(self, now: float) -> None:
        """603 before the answer, BYE after it (RFC 3261 15.1.1)."""
        if self.state is CallState.PROCEEDING:
            self.reject(603, now, end="hung_up")
        else:
            super().hang_up(now)

    # --- what the peer asks for ---------------------------------------------------------------

    def cancelled(self, now: float) -> None:
        """The caller gave up: 487 (RFC 3261 9.2)."""
        self.reject(487, now, end="cancelled")

    def bye(self, now: float) -> None:
        """The peer hung up; the 200 is sent. A pending INVITE gets 487 (RFC 3261 15.1.2)."""
        if self.state is CallState.PROCEEDING:
            self.cancelled(now)
        else:
            super().bye(now)

    def prack(self, request: Request, offer: SessionDescription | None, now: float) -> Response:
        """The answer to a PRACK (RFC 3262 3, 5): it may answer our offer or make a new one.

        `go_on` is to be called once that answer is sent.
        """
        tag = self.dialog.local_tag
        if not self._provisionals.acknowledge(request, now):
            return build(request, 481, tag)
        if self.negotiation.unanswered:
            return self._agreed_early(request, now)
        if offer is None:
            return build(request, 200, tag)
        if not self._early:
            return build(request, 488, tag)  # the INVITE's offer has no answer yet
        try:
            body = self.negotiation.answer(offer)
        except NothingInCommon:
            return build(request, 488, tag)
        self._tell_media()
        return build(request, 200, tag, (), body)

    def go_on(self, now: float) -> None:
        """What waited for a PRACK: the next provisional response, or else the answer."""
        if self.state is not CallState.PROCEEDING:
            return
        self._provisionals.go_on(now)
        if self._answer_waits and self._provisionals.acknowledged:
            self._answer(self.negotiation.local, now)

    # --- within ------------------------------------------------------------------------------

    def _agreed_early(self, prack: Request, now: float) -> Response:
        """The answer to the offer of our provisional response."""
        tag = self.dialog.local_tag
        if not self._conclude(prack.body):
            self.reject(488, now, end="failed")
            return build(prack, 488, tag)
        assert self.media is not None
        self._told = self.media
        self._emit(AgreedEarly(self, self.media))
        return build(prack, 200, tag)

    def _answer(self, local: Address, now: float) -> None:
        """The 200. Described reliably already, it needs no body (RFC 6337 2.1)."""
        if self._early:
            body = b"" if self._reliably != "no" else self.negotiation.description
        else:
            self.negotiation.local = local
            body = self._describe(now)
        self._provisionals.end()
        self._answer_waits = False
        self._accept(body, now)
        self._told = self.media

    def _owes_offer(self) -> bool:
        """Whether the first reliable response of ours would have to be an offer."""
        return self._offer is None and self.media is None and not self._early

    def _describe(self, now: float) -> bytes:
        """Our answer to the caller's offer, else an offer. Raises SipFailure, with 488 sent."""
        if self._early:
            return self.negotiation.description
        try:
            if self._offer is None:
                return self.negotiation.offer()
            return self.negotiation.answer(self._offer)
        except NothingInCommon as error:
            self.reject(488, now)
            raise SipFailure(error.detail) from None

    def _not_now(self) -> tuple[int, str, Fields] | None:
        """Before the answer an offer has to wait until ours, made early, is settled (RFC 3311)."""
        if self.state is CallState.PROCEEDING and not (
            self._early and self.negotiation.settled and self._provisionals.acknowledged
        ):
            return 500, self.dialog.local_tag, (("Retry-After", "5"),)
        return super()._not_now()

    def _unconfirmed(self, now: float) -> None:
        """No PRACK for 64*T1: the INVITE is refused (RFC 3262 3)."""
        if self.state is CallState.PROCEEDING:
            self.reject(504, now, end="no_ack")

    def _end(self, reason: SipEnd | None) -> None:
        self._provisionals.end()
        super()._end(reason)
