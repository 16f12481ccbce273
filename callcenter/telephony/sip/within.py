"""Requests of the peer's within a dialog, each to what answers it (RFC 3261 12.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.actions import Action, DigitPressed, Flow, Referred
from callcenter.telephony.sip.incoming import InviteUsage
from callcenter.telephony.sip.info import ACCEPTED, digit_of
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.refer import Referral, target_of
from callcenter.telephony.sip.responses import ACCEPT, ALLOW, SUPPORTED, Fields, build
from callcenter.telephony.sip.sdp import SessionDescription, parse_sdp
from callcenter.telephony.sip.server import InviteServer, NonInviteServer
from callcenter.telephony.sip.transaction import Layer
from callcenter.telephony.sip.usage import CallState, CallUsage


@dataclass(frozen=True)
class Within:
    """`may_transfer` tells of a source whether its REFER is followed."""

    layer: Layer
    emit: Callable[[Action], None]
    may_transfer: Callable[[str], bool]

    def take(self, call: CallUsage, request: Request, flow: Flow, now: float) -> None:
        """Answer one request; its method is one of ours."""
        if request.method == "INVITE":
            self._reinvite(call, request, flow, now)
            return
        transaction = NonInviteServer(self.layer, request, flow).opened()
        respond = lambda response: transaction.respond(response, now)  # noqa: E731
        _METHODS[request.method](self, call, request, respond, now)

    def _reinvite(self, call: CallUsage, request: Request, flow: Flow, now: float) -> None:
        transaction = InviteServer(self.layer, request, flow).opened()
        try:
            offer = offer_of(request)
        except SipSyntaxError:
            transaction.respond(build(request, 400, call.dialog.local_tag), now)
            return
        call.modify(transaction, offer, now)

    def _bye(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        respond(_simple(call, request, 200))
        call.bye(now)

    def _options(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        respond(_simple(call, request, 200, (ALLOW, ACCEPT, SUPPORTED)))

    def _info(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        status, digit = digit_of(request)
        respond(_simple(call, request, status, ACCEPTED if status == 415 else ()))
        if digit is not None:
            self.emit(DigitPressed(call, digit))

    def _update(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        try:
            respond(call.update(request, offer_of(request), now))
        except SipSyntaxError:
            respond(_simple(call, request, 400))

    def _prack(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        if not isinstance(call, InviteUsage):
            respond(_simple(call, request, 481))  # the INVITE was ours
            return
        try:
            respond(call.prack(request, offer_of(request), now))
        except SipSyntaxError:
            respond(_simple(call, request, 400))
        call.go_on(now)

    def _refer(self, call: CallUsage, request: Request, respond: Respond, now: float) -> None:
        """403 for whom we do not trust, 400 for what names no target, else 202 (RFC 3515 2.4)."""
        if not (call.may_transfer or self.may_transfer(call.flow.remote.host)):
            respond(_simple(call, request, 403))
            return
        if call.state is not CallState.CONFIRMED:
            respond(_simple(call, request, 603))
            return
        try:
            target = target_of(request)
        except SipSyntaxError:
            respond(_simple(call, request, 400))
            return

        def notify(fields: Fields, body: bytes, outcome: Outcome, at: float) -> None:
            if call.state is not CallState.ENDED:
                call.ask("NOTIFY", at, outcome, (call.contact, *fields), body)

        call.referred += 1
        referral = Referral(request, target, notify, first=call.referred == 1)
        quiet: Fields = (("Refer-Sub", "false"),) if referral.silent else ()
        respond(_simple(call, request, 202, (call.contact, *quiet)))
        referral.report(100, now)  # RFC 3515 2.4.4: a first NOTIFY at once
        self.emit(Referred(call, referral))


Respond = Callable[[Response], None]
Outcome = Callable[[Response | None, float], None]

_METHODS = {
    "BYE": Within._bye,
    "INFO": Within._info,
    "OPTIONS": Within._options,
    "PRACK": Within._prack,
    "REFER": Within._refer,
    "UPDATE": Within._update,
}


def offer_of(request: Request) -> SessionDescription | None:
    """The description that a request carries, if any. Raises SipSyntaxError."""
    return parse_sdp(request.body) if request.body else None


def _simple(call: CallUsage, request: Request, status: int, fields: Fields = ()) -> Response:
    return build(request, status, call.dialog.local_tag, fields)
