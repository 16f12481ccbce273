"""pyVoIP as one extension of a PBX: the `SipBackend` named "pyvoip".

Each datagram passes the guard and the parser of the native core before pyVoIP sees anything of
it; transactions, dialogs and the registration are the core's too, since pyVoIP has none of the
first two. What pyVoIP cannot do is refused by name here: docs/operations/pyvoip.md.
"""

from __future__ import annotations

import asyncio
import secrets
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from callcenter.config import Sip
from callcenter.errors import SipSyntaxError, StartError
from callcenter.telephony.adapters.sip_pyvoip_call import ALLOW, METHODS, PyVoipCall
from callcenter.telephony.adapters.sip_pyvoip_phone import Phone
from callcenter.telephony.adapters.sip_registrations import Listener, Listeners, Registrations
from callcenter.telephony.adapters.sip_udp import UdpListener
from callcenter.telephony.ports import Address, InboundCall
from callcenter.telephony.sip import farewell, offer_answer
from callcenter.telephony.sip.actions import Action, Flow, RegistrationChanged, Send
from callcenter.telephony.sip.client import NonInviteClient
from callcenter.telephony.sip.dialog import DialogId
from callcenter.telephony.sip.guard import Guard, Limits
from callcenter.telephony.sip.identity import caller_of
from callcenter.telephony.sip.info import ACCEPTED, digit_of
from callcenter.telephony.sip.inspection import KNOWN_METHODS, inspect
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.offer_answer import NothingInCommon, Origin
from callcenter.telephony.sip.parser import Malformed, parse
from callcenter.telephony.sip.registration import Account, Registration
from callcenter.telephony.sip.responses import ACCEPT, Fields, build, reply_flow, stamp
from callcenter.telephony.sip.sdp import parse_sdp
from callcenter.telephony.sip.server import InviteServer, NonInviteServer
from callcenter.telephony.sip.sources import Sources
from callcenter.telephony.sip.timers import Agenda
from callcenter.telephony.sip.transaction import (
    Layer,
    State,
    client_key,
    merge_key,
    server_key,
)

STOP_GRACE = 2.0  # seconds that BYEs of ours may take at the end
_LOGGER = structlog.get_logger()


class PyVoipSipBackend:
    """One UDP socket, one extension. Belongs to the thread of the running loop."""

    def __init__(self, settings: Sip) -> None:
        self.layer = Layer(Agenda(), self._emit)
        self._settings = settings
        self._sources = Sources((trunk.name, trunk.hosts) for trunk in settings.trunks)
        self._guard = Guard(self._sources, Limits(**settings.limits.model_dump()), _report)
        self._listeners: Listeners = {}
        self._calls: dict[str, PyVoipCall] = {}  # by the key that pyVoIP has for them
        self._dialogs: dict[DialogId, PyVoipCall] = {}
        account = settings.registrations[0].user if settings.registrations else "callcenter"
        self._phone = Phone(account, self, self._cancelled)
        self._registrations = Registrations(
            settings, _Registrar(self.layer), self._sources, self._listeners, self._perform
        )
        self._timer: asyncio.TimerHandle | None = None
        self._on_call: Callable[[InboundCall], None] = lambda call: call.reject(503)

    # --- the port ----------------------------------------------------------------------------

    async def start(self, on_call: Callable[[InboundCall], None]) -> None:
        """Bind the socket, then register where the settings name an account. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        self._on_call = on_call
        url = self._settings.listen[0]
        parts = urlsplit(url)
        try:
            _, listener = await self._loop.create_datagram_endpoint(
                lambda: UdpListener(url, self._datagram),
                local_addr=(parts.hostname or "", parts.port or 0),
            )
        except OSError as error:
            raise StartError(f"sip.listen: {url} cannot be bound ({error.strerror}).") from error
        self._listeners[url] = listener
        _LOGGER.info("sip listening", backend="pyvoip", host=listener.bound.host)
        self._registrations.start()
        self.settle()

    async def stop(self) -> None:
        """Deregister; wait a little for answers to our last requests, then close the socket."""
        self._registrations.stop()
        deadline = self._loop.time() + STOP_GRACE
        while self._unanswered() and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for listener in self._listeners.values():
            await listener.close()
        self._listeners.clear()

    async def say_goodbye(self, memo: dict[str, Any]) -> None:
        """See `SipBackend.say_goodbye`; the dialog is the core's, so pyVoIP has no part in it."""
        kept = farewell.read_memo(memo)
        (listener,) = self._listeners.values()
        local = Address(kept.flow.local.host, listener.bound.port)
        kept = replace(kept, flow=replace(kept.flow, listener=listener.url, local=local))
        answered: asyncio.Future[int | None] = self._loop.create_future()
        farewell.say(self.layer, _token, kept, self.now(), answered.set_result)
        self.settle()
        status = await answered
        _LOGGER.info("sip dialog of an earlier process ended", answer=status)

    def active(self) -> int:
        """How many dialogs are open."""
        return sum(not call.over for call in self._calls.values())

    def describe(self) -> dict[str, Any]:
        """For the health report: see `SipBackend.describe`."""
        refused, banned = dict(self._guard.counts), self._guard.banned(self.now())
        registrations = self._registrations.describe()
        return {"refused": refused, "banned": banned, "registrations": registrations}

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the port that was free where the settings say 0."""
        return [listener.bound for listener in self._listeners.values()]

    # --- what its calls need (Owner) ------------------------------------------------------------

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def token(self) -> str:
        """Tags, branches, session ids."""
        return _token()

    def forget(self, call: PyVoipCall) -> None:
        """The dialog is over."""
        call.stop(*tuple(call.running))
        self._phone.forget(call.key)
        self._calls.pop(call.key, None)
        self._dialogs.pop(call.dialog.id, None)
        self.settle()

    def settle(self) -> None:
        """One timer for all of SIP; one that stands earlier than needed may stay."""
        deadline = self.layer.agenda.next_deadline()
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            self.layer.agenda.fire(self.now())
        except Exception as error:
            _log_failure("timer not handled", error)
        self.settle()

    # --- what pyVoIP writes (Outlet) ------------------------------------------------------------

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        """A message of pyVoIP's: its status and body go out, its header fields do not."""
        message = parse(data)
        call = self._calls[message.call_id]
        if isinstance(message, Response):
            call.write(message.status, str(message.cseq), message.body)
        else:
            call.bye()  # the only request that pyVoIP makes in a call that came to us

    def setblocking(self, flag: bool) -> None:
        """Nothing blocks here."""

    # --- datagrams -----------------------------------------------------------------------------

    def _emit(self, action: Action) -> None:
        self._perform((action,))

    def _perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if listener := self._listeners.get(action.flow.listener):
                    listener.send(action.data, action.flow.remote)
            elif isinstance(action, RegistrationChanged):
                self._registrations.note(action.registration)
        self.settle()

    def _datagram(self, listener: Listener, data: bytes, source: Address) -> None:
        """Nothing that comes in here may end the listener."""
        try:
            self._received(listener, data, source)
        except Exception as error:
            _log_failure("datagram not handled", error)
        self.settle()

    def _received(self, listener: Listener, data: bytes, source: Address) -> None:
        trunk = self._guard.admit(source.host, self.now())
        if trunk is None or not data.strip(b"\r\n"):
            return
        host = self._settings.advertised_host or listener.host_towards(source)
        flow = Flow(listener.url, Address(host, listener.bound.port), source)
        try:
            message = parse(data)
        except SipSyntaxError as error:
            self._guard.malformed(source.host, self.now())
            if isinstance(error, Malformed):
                self._refuse_malformed(error, flow)
            return
        if isinstance(message, Response):
            client = self.layer.clients.get(client_key(message))
            if isinstance(client, NonInviteClient):
                client.receive(message, self.now())
        else:
            self._request(message, flow, trunk)

    def _refuse_malformed(self, error: Malformed, flow: Flow) -> None:
        request = error.salvaged
        if isinstance(request, Request) and request.method != "ACK" and request.headers.get("Via"):
            response = build(request, error.answer, _token())
            self._emit(Send(bytes(response), flow))  # an unreadable Via: the packet's source it is

    def _request(self, request: Request, flow: Flow, trunk: str) -> None:
        stamp(request, flow)
        transaction = self.layer.servers.get(server_key(request))
        call = self._dialogs.get((request.call_id, request.to.tag or "", request.from_.tag or ""))
        if isinstance(transaction, InviteServer | NonInviteServer):
            if transaction.receive(request, self.now()) and call:
                call.acknowledge(request)
        elif request.method == "ACK":
            if call:
                call.acknowledge(request)
        elif request.method == "CANCEL":
            self._cancel(request, reply_flow(request, flow))
        elif request.to.tag is not None:
            self._within(call, request, reply_flow(request, flow))
        elif merge_key(request) in self.layer.servers:
            self._respond(request, flow, 482)  # it came on two ways (RFC 3261 8.2.2.2)
        else:
            self._outside(request, reply_flow(request, flow), trunk)

    def _outside(self, request: Request, flow: Flow, trunk: str) -> None:
        if refusal := _refusal(request):
            self._respond(request, flow, *refusal)
        elif request.method == "OPTIONS":
            self._respond(request, flow, 200, (ALLOW, ACCEPT))
        elif request.method == "INVITE":
            self._invite(request, flow, trunk)
        else:
            self._respond(request, flow, 481)

    def _invite(self, request: Request, flow: Flow, trunk: str) -> None:
        """A new call: 100 at once, 486 when full, 488 without an offer that can be taken."""
        if self.active() >= self._settings.max_calls:
            _LOGGER.warning("call refused: sip.max_calls reached", limit=self._settings.max_calls)
            self._respond(request, flow, 486)
            return
        try:
            offer = parse_sdp(request.body)
            media = offer_answer.answer(offer, flow.local, Origin(0)).media
        except SipSyntaxError:
            self._respond(request, flow, 400 if request.body else 488)
            return
        except NothingInCommon:
            self._respond(request, flow, 488)
            return
        transaction = InviteServer(self.layer, request, flow).opened()
        transaction.trying()
        caller = caller_of(request, trusted=self._settings.trusts(trunk))
        call = PyVoipCall(self, transaction, flow, offer, trunk, caller)
        self._calls[call.key] = self._dialogs[call.dialog.id] = call
        self._phone.take(call.key, request, media)
        call.voip = self._phone.call_of(call.key)
        try:
            self._on_call(call)
        except Exception as error:
            _log_failure("call not taken", error)
            call.reject(500)

    def _cancel(self, request: Request, flow: Flow) -> None:
        """RFC 3261 9.2: 200 when the INVITE is known, whatever became of it."""
        invite = self.layer.servers.get(server_key(request, "INVITE"))
        if not isinstance(invite, InviteServer):
            self._respond(request, flow, 481)
            return
        ringing = [call for call in self._calls.values() if call.invite is invite.request]
        if not ringing:
            self._respond(request, flow, 200)
            return
        (call,) = ringing
        call.expect(NonInviteServer(self.layer, request, flow).opened())
        self._phone.take(call.key, request)

    def _cancelled(self, key: str) -> None:
        self._loop.call_soon(self._calls[key].cancelled)  # 200 to the CANCEL comes first

    # --- within dialogs ------------------------------------------------------------------------

    def _within(self, call: PyVoipCall | None, request: Request, flow: Flow) -> None:
        """RFC 3261 12.2.2: no such dialog → 481, out of order → 500."""
        if call is None:
            self._respond(request, flow, 481)
        elif not call.dialog.in_order(request):
            self._respond(request, flow, 500)
        elif refusal := _refusal(request):
            self._respond(request, flow, *refusal)
        elif request.method == "INVITE":
            self._reinvite(call, request, flow)
        elif request.method == "BYE":
            call.expect(NonInviteServer(self.layer, request, flow).opened())
            self._phone.take(call.key, request)
            call.left()
        elif request.method == "INFO":
            status, digit = digit_of(request)
            self._respond(request, flow, status, ACCEPTED if status == 415 else ())
            if digit is not None:
                call.pressed(digit)
        else:
            self._respond(request, flow, 200, (ALLOW, ACCEPT))

    def _reinvite(self, call: PyVoipCall, request: Request, flow: Flow) -> None:
        """pyVoIP's `renegotiate` answers; without an offer, or with a useless one: 488."""
        transaction = InviteServer(self.layer, request, flow).opened()
        refusal: tuple[int, Fields] | None = call.refusal_of_change()
        if refusal is None:
            try:
                media = call.change(transaction, parse_sdp(request.body))
            except SipSyntaxError:
                refusal = (400 if request.body else 488), ()
            except NothingInCommon:
                refusal = 488, ()
        if refusal is not None:
            tag = call.dialog.local_tag
            transaction.respond(build(request, refusal[0], tag, refusal[1]), self.now())
            return
        self._phone.take(call.key, request, media)
        try:
            call.changed(media)
        except Exception as error:
            _log_failure("change of media not taken", error)

    def _respond(self, request: Request, flow: Flow, status: int, fields: Fields = ()) -> None:
        """A final response in a server transaction of its own."""
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        transaction = kind(self.layer, request, flow).opened()
        transaction.respond(build(request, status, _token(), fields), self.now())

    def _unanswered(self) -> int:
        waiting = (State.TRYING, State.PROCEEDING)
        return sum(client.state in waiting for client in self.layer.clients.values())


class _Registrar:
    """The part of the core that `Registrations` needs; here its actions are carried out at once."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer

    def registration(self, account: Account) -> Registration:
        """A registration of ours, not begun yet."""
        return Registration(self._layer, account, _token)

    def register(self, registration: Registration, flow: Flow, now: float) -> list[Action]:
        """Begin it, or go on along another flow."""
        registration.begin(flow, now)
        return []

    def unregister(self, registration: Registration, now: float) -> list[Action]:
        """End it."""
        registration.remove(now)
        return []


def _refusal(request: Request) -> tuple[int, Fields] | None:
    """405, 420 and 501 for what pyVoIP has no part in, then what every request is asked about."""
    if request.method not in METHODS:
        return (405 if request.method in KNOWN_METHODS else 501), (ALLOW,)
    if required := request.headers.values("Require"):
        return 420, (("Unsupported", ", ".join(required)),)
    refusal = inspect(request)
    return (refusal.status, refusal.fields) if refusal else None


def _token() -> str:
    return secrets.token_hex(8)


def _report(source: str, reason: str) -> None:
    """The line that fail2ban reads; the guard sees to it that there are few."""
    _LOGGER.warning("SECURITY sip", src=source, reason=reason)


def _log_failure(what: str, error: Exception) -> None:
    """What broke and where, never the message: it may quote what people sent."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _LOGGER.error(what, error=type(error).__name__, where=f"{frame.filename}:{frame.lineno}")
