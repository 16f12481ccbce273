"""The user agent: datagrams and the time in, actions out (RFC 3261 8.2, 9.2, 12.2.2, 15.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Address
from callcenter.telephony.sip import farewell, offer_answer
from callcenter.telephony.sip.actions import (
    Action,
    Flow,
    IncomingInvite,
    PhoneMoves,
    Send,
    Suspicious,
)
from callcenter.telephony.sip.client import InviteClient, NonInviteClient
from callcenter.telephony.sip.dialog import DialogId
from callcenter.telephony.sip.digest import Authenticator, Proof
from callcenter.telephony.sip.farewell import Memo
from callcenter.telephony.sip.incoming import InviteUsage
from callcenter.telephony.sip.inspection import Refusal, inspect, refused_method
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.negotiation import OFFERED
from callcenter.telephony.sip.offer_answer import NothingInCommon, Origin, Terms
from callcenter.telephony.sip.outgoing import Invitation, OutgoingUsage
from callcenter.telephony.sip.parser import Malformed, parse
from callcenter.telephony.sip.refer import Referral, replaces_of
from callcenter.telephony.sip.registrar import Bindings, Phones, Registrar
from callcenter.telephony.sip.registration import Account, Registration
from callcenter.telephony.sip.responses import (
    ACCEPT,
    ALLOW,
    SUPPORTED,
    Fields,
    build,
    reply_flow,
    stamp,
)
from callcenter.telephony.sip.sdes import SrtpPolicy
from callcenter.telephony.sip.sdp import SessionDescription
from callcenter.telephony.sip.server import InviteServer, NonInviteServer
from callcenter.telephony.sip.session_timer import USUAL, Policy, too_small
from callcenter.telephony.sip.timers import Agenda
from callcenter.telephony.sip.transaction import (
    Key,
    Layer,
    State,
    Transaction,
    client_key,
    merge_key,
    server_key,
)
from callcenter.telephony.sip.usage import CallState, CallUsage, Core
from callcenter.telephony.sip.within import Within, offer_of


class UserAgent:
    """Takes and makes calls. Every method takes the time in seconds and returns what is to be done.

    `token` gives a fresh, unguessable, hexadecimal string: tags, branches and session ids.
    `authenticator` tells for a source who judges its credentials, None where none are needed;
    `srtp` whether its sound may or must be protected;
    `may_transfer` whether its REFER and Replaces are followed; `timers` are those of RFC 4028.
    `phones` may register, and call with the same password; besides them and whoever `calls_us` is
    true for nobody is answered.
    """

    def __init__(
        self,
        token: Callable[[], str],
        authenticator: Callable[[str], Authenticator | None] = lambda source: None,
        srtp: Callable[[str], SrtpPolicy] = lambda source: "never",
        may_transfer: Callable[[str], bool] = lambda source: False,
        timers: Policy = USUAL,
        phones: Phones | None = None,
        calls_us: Callable[[str], bool] = lambda source: True,
    ) -> None:
        self._token = token
        self._authenticator = authenticator
        self._srtp = srtp
        self._may_transfer = may_transfer
        self._calls_us = calls_us
        self._actions: list[Action] = []
        self._agenda = Agenda()
        self._layer = Layer(self._agenda, self._actions.append)
        self._core = Core(self._layer, token, self._forget, self._remember, timers, self._terms)
        self._registrar = Registrar(self._layer, token, phones) if phones else None
        self._within = Within(self._layer, self._actions.append, may_transfer)
        self._calls: dict[DialogId, CallUsage] = {}
        self._invited: dict[Key, InviteUsage] = {}  # by the key of their first INVITE

    def active(self) -> int:
        """How many calls are not over."""
        return sum(call.state is not CallState.CLOSING for call in self._calls.values())

    def unanswered(self) -> int:
        """How many requests of ours wait for their final response."""
        waiting = (State.CALLING, State.TRYING, State.PROCEEDING)
        return sum(client.state in waiting for client in self._layer.clients.values())

    def next_deadline(self) -> float | None:
        """When `poll` has something to do, None when only a datagram can bring work."""
        return self._agenda.next_deadline()

    def poll(self, now: float) -> list[Action]:
        """Let the timers fire that are due."""
        self._agenda.fire(now)
        return self._collect()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """Take one message. What is no SIP is passed over; bad SIP is answered (8.2)."""
        if not data.strip(b"\r\n"):
            return []  # a keep-alive (RFC 5626 4.4.1, RFC 3261 7.5)
        try:
            message = parse(data, streamed=flow.reliable)
        except Malformed as error:
            self._suspect(flow, "malformed")
            self._refuse_malformed(error, flow, now)
        except SipSyntaxError:
            self._suspect(flow, "malformed")
        else:
            self._take(message, flow, now)
        return self._collect()

    def ring(self, call: InviteUsage, now: float) -> list[Action]:
        """180 Ringing."""
        call.ring(now)
        return self._collect()

    def early(self, call: InviteUsage, local: Address, now: float) -> list[Action]:
        """183 that lets the caller hear us; see `InviteUsage.early`. Raises SipFailure."""
        call.early(local, now)
        return self._collect()

    def report(self, referral: Referral, status: int, now: float) -> list[Action]:
        """Tell the sender of a REFER how it goes on."""
        referral.report(status, now)
        return self._collect()

    def answer(self, call: InviteUsage, local: Address, now: float) -> list[Action]:
        """200; `local` is where our sound comes in. Raises SipFailure when the caller is gone."""
        call.answer(local, now)
        return self._collect()

    def reject(
        self, call: InviteUsage, status: int, now: float, *, retry_after: int | None = None
    ) -> list[Action]:
        """A final refusal; `retry_after` in seconds (RFC 3261 20.33)."""
        call.reject(
            status, now, () if retry_after is None else (("Retry-After", str(retry_after)),)
        )
        return self._collect()

    def hang_up(self, call: CallUsage, now: float) -> list[Action]:
        """End the call, whatever its state."""
        call.hang_up(now)
        return self._collect()

    def outgoing(self, invitation: Invitation, flow: Flow, local: Address) -> OutgoingUsage:
        """A call of ours along `flow`, its sound at `local`; nothing is sent before `invite`."""
        return OutgoingUsage(self._core, invitation, flow, local)

    def invite(self, call: OutgoingUsage, now: float) -> list[Action]:
        """Send the INVITE."""
        self._remember(call)
        call.begin(now)
        return self._collect()

    def say_goodbye(
        self, memo: Memo, now: float, done: Callable[[int | None], None]
    ) -> list[Action]:
        """BYE for a dialog of an earlier process; see `farewell.say`."""
        farewell.say(self._layer, self._token, memo, now, done)
        return self._collect()

    def registration(self, account: Account) -> Registration:
        """A registration of ours, not begun yet."""
        return Registration(self._layer, account, self._token)

    def register(self, registration: Registration, flow: Flow, now: float) -> list[Action]:
        """Begin it, or go on along another flow."""
        registration.begin(flow, now)
        return self._collect()

    def unregister(self, registration: Registration, now: float) -> list[Action]:
        """End it."""
        registration.remove(now)
        return self._collect()

    def places(self, extension: str, now: float) -> Bindings:
        """Where that desk phone can be called."""
        return self._registrar.ways(extension, now) if self._registrar else ()

    def adopt(self, elsewhere: dict[str, Bindings]) -> None:
        """Where desk phones are registered with other nodes."""
        if self._registrar:
            self._registrar.adopt(elsewhere)

    def restore(self, extension: str, bindings: Bindings, now: float) -> list[Action]:
        """Where it was registered with an earlier process."""
        if self._registrar:
            self._registrar.restore(extension, bindings, now)
        return self._collect()

    def kept(self, moves: PhoneMoves, good: bool, now: float) -> list[Action]:
        """What a desk phone's REGISTER changes is on disk, or could not be brought there."""
        if self._registrar:
            self._registrar.kept(moves, good, now)
        return self._collect()

    def _terms(self, flow: Flow) -> Terms:
        """What is wanted of the sound of a call along that flow."""
        return Terms(self._srtp(flow.remote.host), encrypted=flow.transport == "TLS")

    def _collect(self) -> list[Action]:
        actions = self._actions[:]
        self._actions.clear()
        return actions

    def _forget(self, call: CallUsage) -> None:
        self._calls.pop(call.dialog.id, None)
        if isinstance(call, InviteUsage):
            self._invited.pop(server_key(call.invite), None)

    def _remember(self, call: CallUsage) -> None:
        self._calls[call.dialog.id] = call

    # --- messages ----------------------------------------------------------------------------

    def _take(self, message: Request | Response, flow: Flow, now: float) -> None:
        if isinstance(message, Response):
            self._take_response(message, now)
            return
        stamp(message, flow)
        key = server_key(message)
        transaction = self._layer.servers.get(key)
        if transaction is not None:
            self._take_again(transaction, message, now)
        elif message.method == "ACK":
            self._acknowledge(message, now)
        elif self._strange(message, flow, now):
            self._suspect(flow, "stranger")
        else:
            self._take_new(message, reply_flow(message, flow), now)

    def _take_response(self, response: Response, now: float) -> None:
        """RFC 3261 17.1.3; a response that is nobody's is passed over."""
        transaction = self._layer.clients.get(client_key(response))
        if isinstance(transaction, NonInviteClient | InviteClient):
            transaction.receive(response, now)

    def _take_again(self, transaction: Transaction, request: Request, now: float) -> None:
        """A repetition, or the ACK of an INVITE."""
        assert isinstance(transaction, InviteServer | NonInviteServer)
        if transaction.receive(request, now):
            self._acknowledge(request, now)

    def _acknowledge(self, ack: Request, now: float) -> None:
        """The ACK of a 2xx belongs to the dialog; any other stray ACK is absorbed (17.2.1)."""
        if call := self._call_of(ack):
            call.acknowledge(ack, now)

    def _take_new(self, request: Request, flow: Flow, now: float) -> None:
        if request.method == "CANCEL":
            self._cancel(request, flow, now)
        elif request.to.tag is not None:
            self._take_within(request, flow, now)
        elif merge_key(request) in self._layer.servers:
            self._respond(request, flow, now, 482)  # it came on two ways (8.2.2.2)
        elif request.method == "REGISTER" and (registrar := self._registrar_for(flow)):
            registrar.take(request, flow, now)
        elif (
            refusal := refused_method(request)
            or self._unproven(request, flow, now)
            or inspect(request)
        ):
            self._respond(request, flow, now, refusal.status, refusal.fields)
        elif request.method == "INVITE":
            trunk = self._calls_us(flow.remote.host)
            phone = "" if trunk else request.from_.uri.user or ""
            self._invite(request, flow, now, phone)
        elif request.method == "OPTIONS":
            self._respond(request, flow, now, 200, (ALLOW, ACCEPT, SUPPORTED))
        elif request.method == "REFER":
            self._respond(request, flow, now, 403)  # to call somebody: nobody may ask that of us
        else:
            self._respond(request, flow, now, 481)  # BYE without a dialog (15.1.2)

    def _registrar_for(self, flow: Flow) -> Registrar | None:
        """The registrar where desk phones may register from there."""
        registrar = self._registrar
        return registrar if registrar and registrar.serves(flow.remote.host) else None

    def _strange(self, request: Request, flow: Flow, now: float) -> bool:
        """Whether silence is the answer: a phone's network has a word with us only to register,
        and once it did, or within its calls."""
        source = flow.remote.host
        if self._calls_us(source) or self._call_of(request):
            return False
        if self._registrar and self._registrar.knows(source, now):
            return False
        return request.method != "REGISTER" or not self._registrar_for(flow)

    def _unproven(self, request: Request, flow: Flow, now: float) -> Refusal | None:
        """401 where the trunk's requests need credentials (22.1, 22.2); a desk phone's call does.

        Not asked of ACK and CANCEL, which cannot be repeated with them, and not within dialogs:
        whoever knows our tag has shown them.
        """
        source = flow.remote.host
        if request.method == "INVITE" and not self._calls_us(source):
            registrar = self._registrar
            return registrar.refusal_of_call(request, flow, now) if registrar else Refusal(403)
        judge = self._authenticator(source)
        proof = judge.judge(request, source, now) if judge else Proof.RIGHT
        if judge is None or proof is Proof.RIGHT:
            return None
        if proof is Proof.WRONG:
            self._suspect(flow, "digest")
        return Refusal(401, judge.challenges(source, now, stale=proof is Proof.STALE))

    def _suspect(self, flow: Flow, reason: Literal["malformed", "digest", "stranger"]) -> None:
        self._actions.append(Suspicious(flow.remote.host, reason))

    # --- outside of dialogs ------------------------------------------------------------------

    def _invite(self, request: Request, flow: Flow, now: float, phone: str) -> None:
        """A new call, unless its offer cannot be taken (13.3.1)."""
        if fields := too_small(request, self._core.timers):
            self._respond(request, flow, now, 422, fields)
            return
        try:
            offer, terms = offer_of(request), self._terms(flow)
            if offer is not None:
                offer_answer.answer(offer, flow.local, Origin(0), terms)
            elif not terms.possible:
                offer_answer.offer(flow.local, Origin(0), OFFERED, terms)
            replaced, refusal = self._replaced(request, flow)
        except SipSyntaxError:
            self._respond(request, flow, now, 400)
            return
        except NothingInCommon:
            self._respond(request, flow, now, 488)
            return
        if refusal:
            self._respond(request, flow, now, refusal.status, refusal.fields)
        else:
            self._begin(request, flow, offer, replaced, phone)

    def _replaced(self, request: Request, flow: Flow) -> tuple[CallUsage | None, Refusal | None]:
        """The call that this INVITE is to replace, or why it may not (RFC 3891 3)."""
        wish = replaces_of(request)
        if wish is None:
            return None, None
        if not self._may_transfer(flow.remote.host):
            return None, Refusal(403)
        call = self._calls.get((wish.call_id, wish.local_tag, wish.remote_tag))
        if call is None or call.state in (CallState.PROCEEDING, CallState.ACCEPTED):
            return None, Refusal(481)  # not ours to replace before it is confirmed
        if call.state is not CallState.CONFIRMED:
            return None, Refusal(603)
        return (None, Refusal(486)) if wish.early_only else (call, None)

    def _begin(
        self,
        request: Request,
        flow: Flow,
        offer: SessionDescription | None,
        replaced: CallUsage | None,
        phone: str,
    ) -> None:
        transaction = InviteServer(self._layer, request, flow).opened()
        transaction.trying()
        call = InviteUsage(self._core, transaction, flow, offer)
        self._calls[call.dialog.id] = call
        self._invited[server_key(request)] = call
        self._actions.append(IncomingInvite(call, replaced, phone))

    def _cancel(self, request: Request, flow: Flow, now: float) -> None:
        """RFC 3261 9.2: 200 when the INVITE is known, whatever became of it; then 487 to it."""
        invite = server_key(request, "INVITE")
        if invite not in self._layer.servers:
            self._respond(request, flow, now, 481)
            return
        call = self._invited.get(invite)
        self._respond(request, flow, now, 200, tag=call.dialog.local_tag if call else None)
        if call:
            call.cancelled(now)

    # --- within dialogs ----------------------------------------------------------------------

    def _call_of(self, request: Request) -> CallUsage | None:
        tags = request.to.tag or "", request.from_.tag or ""
        return self._calls.get((request.call_id, *tags))

    def _take_within(self, request: Request, flow: Flow, now: float) -> None:
        """RFC 3261 12.2.2: no such dialog → 481, out of order → 500."""
        call = self._call_of(request)
        if call is None:
            self._respond(request, flow, now, 481)
        elif not call.dialog.in_order(request):
            self._respond(request, flow, now, 500)
        elif refusal := inspect(request):
            self._respond(request, flow, now, refusal.status, refusal.fields)
        else:
            call.moved(flow)
            self._within.take(call, request, flow, now)

    # --- responses ---------------------------------------------------------------------------

    def _respond(
        self,
        request: Request,
        flow: Flow,
        now: float,
        status: int,
        fields: Fields = (),
        *,
        tag: str | None = None,
    ) -> None:
        """A final response in a server transaction of its own."""
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        transaction = kind(self._layer, request, flow).opened()
        transaction.respond(build(request, status, tag or self._token(), fields), now)

    def _refuse_malformed(self, error: Malformed, flow: Flow, now: float) -> None:
        """Tell the sender without keeping state; an ACK and a response are never answered."""
        request = error.salvaged
        if not isinstance(request, Request) or request.method == "ACK":
            return
        source = flow.remote.host
        known = self._registrar is not None and self._registrar.knows(source, now)
        if request.headers.get("Via") is None or not (known or self._calls_us(source)):
            return
        try:
            stamp(request, flow)
            flow = reply_flow(request, flow)
        except SipSyntaxError:
            pass  # an unreadable Via: the packet's source it is
        response = build(request, error.answer, self._token())
        self._actions.append(Send(bytes(response), flow))
