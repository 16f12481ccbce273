"""Our own SIP core on UDP, TCP and TLS sockets: the `SipBackend` named "native".

All protocol is in `telephony.sip`; this file has the sockets, the clock, the one timer and the
list of addresses that may send to us.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog

from callcenter.config import Sip, Trunk
from callcenter.errors import SipFailure, StartError
from callcenter.telephony.adapters.sip_outgoing import NativeOutboundCall, Outgoing, proven
from callcenter.telephony.adapters.sip_phones import NativePhones, Store, admitted
from callcenter.telephony.adapters.sip_registrations import Listener, Listeners, Registrations
from callcenter.telephony.adapters.sip_stream import StreamListener, server_security
from callcenter.telephony.adapters.sip_udp import UdpListener
from callcenter.telephony.ports import (
    Address,
    Caller,
    DialogCall,
    InboundCall,
    MediaDescription,
    OutboundCall,
    Referral,
    SipEnd,
)
from callcenter.telephony.sip import farewell
from callcenter.telephony.sip.actions import (
    Acknowledged,
    Action,
    AgreedEarly,
    DigitPressed,
    Ended,
    Event,
    Flow,
    IncomingInvite,
    MediaChanged,
    PhoneMoved,
    PhoneMoves,
    Referred,
    RegistrationChanged,
    Send,
    Suspicious,
)
from callcenter.telephony.sip.dialog import DialogId
from callcenter.telephony.sip.digest import MD5, SHA256, Authenticator, Demand, Login
from callcenter.telephony.sip.guard import Guard, Limits
from callcenter.telephony.sip.identity import caller_of
from callcenter.telephony.sip.incoming import InviteUsage
from callcenter.telephony.sip.outgoing import OutgoingUsage
from callcenter.telephony.sip.refer import Referral as CoreReferral
from callcenter.telephony.sip.responses import PRODUCT
from callcenter.telephony.sip.sdes import SrtpPolicy
from callcenter.telephony.sip.session_timer import Policy
from callcenter.telephony.sip.sources import Sources
from callcenter.telephony.sip.usage import CallUsage
from callcenter.telephony.sip.useragent import UserAgent

RETRY_AFTER = 10  # seconds: told to callers over `sip.max_calls`
STOP_GRACE = 2.0  # seconds that BYEs of ours may take at the end


_LOGGER = structlog.get_logger()


class NativeSipBackend:
    """Listens on every address of `sip.listen`. Belongs to the thread of the running loop."""

    def __init__(
        self, settings: Sip, places: Store | None = None, *, neighbours: bool = False
    ) -> None:
        """`places`: where desk phones' registrations are kept; None: nowhere. `neighbours`: other
        nodes keep theirs there, too, and their phones are rung from here."""
        self._settings = settings
        self._authenticators = {
            trunk.name: Authenticator(_demand(trunk), _token)
            for trunk in settings.trunks
            if trunk.auth.username
        }
        timers = Policy(settings.session_expires, settings.session_min_se)
        self._sources = Sources(
            ((trunk.name, trunk.hosts) for trunk in settings.trunks),
            ((phone.extension, phone.hosts) for phone in settings.phones),
        )
        self._core = UserAgent(
            _token,
            self._authenticator,
            self._srtp,
            self._may_transfer,
            timers,
            admitted(settings, self._sources, _token),
            lambda source: self._sources.trunk(source) is not None,
        )
        self._guard = Guard(self._sources, Limits(**settings.limits.model_dump()), _report)
        self._calls: dict[CallUsage, NativeCall | NativeOutboundCall] = {}
        self._listeners: Listeners = {}
        self._timer: asyncio.TimerHandle | None = None
        self._registrations = Registrations(
            settings, self._core, self._sources, self._listeners, self._perform
        )
        self._outgoing = Outgoing(
            settings, self._core, self._sources, self._listeners, self._registrations, self._place
        )
        self._outgoing.hang_up = lambda usage: self.do(self._core.hang_up, usage)
        self.phones = NativePhones(
            settings,
            self._core,
            self._listeners,
            self._outgoing,
            self._perform,
            places,
            neighbours=neighbours,
        )
        self._on_call: Callable[[InboundCall], None] = lambda call: call.reject(503)

    async def start(self, on_call: Callable[[InboundCall], None]) -> None:
        """Bind the sockets. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        self._on_call = on_call
        _demand_literal(self._settings.advertised_host)
        try:
            for url in self._settings.listen:
                await self._listen(url)
            await self.phones.start()
        except BaseException:
            await self._close()
            raise
        self._registrations.start()

    async def stop(self) -> None:
        """Wait a little for answers to our last requests, then close the sockets."""
        self._registrations.stop()
        deadline = self._loop.time() + STOP_GRACE
        while self._core.unanswered() and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await self.phones.stop()
        await self._close()

    async def to_number(self, e164: str, trunk: str) -> OutboundCall:
        """See `Dialler`."""
        return await self._outgoing.to_number(e164, trunk)

    @property
    def ignored(self) -> int:
        """Datagrams and connections of unlisted sources."""
        return self._guard.counts["source is of no trunk"]

    def describe(self) -> dict[str, Any]:
        """For the health report: see `SipBackend.describe`."""
        now = asyncio.get_running_loop().time()
        registrations = self._registrations.describe()
        refused, banned = dict(self._guard.counts), self._guard.banned(now)
        about = {"refused": refused, "banned": banned, "registrations": registrations}
        return about | {"phones": self.phones.describe()}

    async def say_goodbye(self, memo: dict[str, Any]) -> None:
        """See `SipBackend.say_goodbye`; from the listener that the dialog came to."""
        kept = farewell.read_memo(memo)
        flow = kept.flow
        listener = self._listeners.get(flow.listener) or next(
            (one for one in self._listeners.values() if one.transport_name == flow.transport), None
        )
        if listener is None:
            raise SipFailure("no listener is left that the dialog came to")
        local = Address(flow.local.host, listener.bound.port)
        kept = replace(kept, flow=replace(flow, listener=listener.url, local=local))
        answered: asyncio.Future[int | None] = self._loop.create_future()
        self._perform(self._core.say_goodbye(kept, self._loop.time(), answered.set_result))
        status = await answered
        _LOGGER.info("sip dialog of an earlier process ended", answer=status)

    def active(self) -> int:
        """How many dialogs are open."""
        return self._core.active()

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the ports that were free where the settings say 0."""
        return [listener.bound for listener in self._listeners.values()]

    # --- sockets -----------------------------------------------------------------------------

    async def _listen(self, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
        try:
            if parts.scheme == "udp":
                _, listener = await self._loop.create_datagram_endpoint(
                    lambda: UdpListener(url, self._datagram), local_addr=(host, port)
                )
                self._listeners[url] = listener
            else:
                security = self._security(url) if parts.scheme == "tls" else None
                stream = StreamListener(
                    url, self._datagram, self._admits, self._carries, security, proven=self._proven
                )
                await stream.start(host, port)
                self._listeners[url] = stream
        except OSError as error:
            raise StartError(f"sip.listen: {url} cannot be bound ({error.strerror}).") from error
        bound = self._listeners[url].bound
        _LOGGER.info("sip listening", transport=parts.scheme, host=bound.host, port=bound.port)

    def _security(self, url: str) -> ssl.SSLContext:
        tls = self._settings.tls
        if tls.certificate is None or tls.key is None:
            raise StartError(f"sip.listen: {url} needs sip.tls.certificate and sip.tls.key.")
        authorities = [trunk.tls.ca for trunk in self._settings.trunks if trunk.tls.ca]
        return server_security(tls.certificate, tls.key, tls.client_ca, authorities)

    def _proven(self, host: str, secured: ssl.SSLObject) -> bool:
        """Whether the certificate is the one that the source's trunk should show."""
        peer = self._settings.peer(self._sources.trunk(host) or "")
        return not isinstance(peer, Trunk) or proven(peer.tls, secured)

    async def _close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for listener in self._listeners.values():
            await listener.close()
        self._listeners.clear()

    def _datagram(self, listener: Listener, data: bytes, source: Address) -> None:
        """Nothing that comes in here may end the listener."""
        try:
            self._received(listener, data, source)
        except Exception as error:
            _log_failure("datagram not handled", error)

    def _received(self, listener: Listener, data: bytes, source: Address) -> None:
        """One message: the guard first, then the core (the order is in `sip.guard`)."""
        now = self._loop.time()
        if self._guard.admit(source.host, now) is None:
            return
        host = self._settings.advertised_host or listener.host_towards(source)
        local = Address(host, listener.bound.port)
        flow = Flow(listener.url, local, source, listener.transport_name)
        self._perform(self._core.receive(data, flow, now))

    def _admits(self, host: str) -> bool:
        """Whether connections from there are taken."""
        return self._guard.listed(host, self._loop.time()) is not None

    def _carries(self, peer: Address) -> bool:
        """Whether a call is up, or a desk phone registered, whose way leads to that peer."""
        called = any(usage.flow.remote == peer for usage in self._calls)
        return called or self.phones.carries(peer)

    def _authenticator(self, source: str) -> Authenticator | None:
        return self._authenticators.get(self._sources.trunk(source) or "")

    def _srtp(self, source: str) -> SrtpPolicy:
        return self._settings.srtp_of(self._sources.trunk(source) or "")

    def _may_transfer(self, source: str) -> bool:
        return self._settings.may_transfer(self._sources.trunk(source) or "")

    def _suspect(self, what: Suspicious) -> None:
        guard = self._guard
        notes = {"digest": guard.failed, "malformed": guard.malformed, "stranger": guard.strange}
        notes[what.reason](what.source, self._loop.time())

    # --- the core ----------------------------------------------------------------------------

    def _perform(self, actions: Iterable[Action]) -> None:
        """Send what is to be sent, tell what is to be told, in that order; set the timer."""
        for action in actions:
            if isinstance(action, Send):
                self._send(action)
            elif isinstance(action, Suspicious):
                self._suspect(action)
            elif isinstance(action, RegistrationChanged):
                self._registrations.note(action.registration)
            elif isinstance(action, PhoneMoves):
                self.phones.move(action)
            elif isinstance(action, PhoneMoved):
                self.phones.moved(action.extension)
            else:
                self._tell(action)
        self._set_timer()

    def _send(self, action: Send) -> None:
        if listener := self._listeners.get(action.flow.listener):
            listener.send(action.data, action.flow.remote)

    def _tell(self, event: Event) -> None:
        if isinstance(event, IncomingInvite):
            self._begin(event.call, event.replaces, event.phone)
        elif call := self._calls.get(event.call):
            if isinstance(event, Referred):
                call.refer(NativeReferral(self, self._core, event.referral))
                return
            call.take(event)
            if isinstance(event, Ended):
                del self._calls[event.call]

    def _begin(self, usage: InviteUsage, replaces: CallUsage | None, phone: str) -> None:
        if self._core.active() > self._settings.max_calls:
            _LOGGER.warning("call refused: sip.max_calls reached", limit=self._settings.max_calls)
            self.do(self._core.reject, usage, 503, retry_after=RETRY_AFTER)
            return
        source = usage.flow.remote.host
        trunk = self._sources.trunk(source) or ""
        caller = caller_of(usage.invite, trusted=self._settings.trusts(trunk))
        call = NativeCall(self, self._core, usage, trunk, caller)
        self._calls[usage] = call
        replaced = self._calls.get(replaces) if replaces else None
        try:
            if isinstance(replaced, NativeOutboundCall):
                call.reject(603)  # only an agent's click joins anybody to a call of ours
            elif replaced:
                replaced.make_way(call)
            elif phone:
                self.phones.call(phone, call)
            else:
                self._on_call(call)
        except Exception as error:
            _log_failure("call not taken", error)
            call.reject(500)

    def _place(self, call: NativeOutboundCall, usage: OutgoingUsage) -> None:
        """A call of ours begins."""
        self._calls[usage] = call
        self.do(self._core.invite, usage)

    def do(
        self, action: Callable[..., list[Action]], subject: object, *args: Any, **kw: Any
    ) -> None:
        """Let the core act on a call now. Raises SipFailure as the core does."""
        now = self._loop.time()
        try:
            self._perform(action(subject, *args, now, **kw))
        except SipFailure:
            self._perform(self._core.poll(now))
            raise

    def _set_timer(self) -> None:
        """One timer for all of SIP; one that stands earlier than needed may stay."""
        deadline = self._core.next_deadline()
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            self._perform(self._core.poll(self._loop.time()))
        except Exception as error:
            _log_failure("timer not handled", error)
            self._set_timer()


class NativeCall:
    """An `InboundCall` of the core."""

    def __init__(
        self,
        backend: NativeSipBackend,
        core: UserAgent,
        usage: InviteUsage,
        trunk: str,
        caller: Caller,
    ) -> None:
        self._backend = backend
        self._core = core
        self._usage = usage
        self._trunk = trunk
        self._caller = caller
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[SipEnd] = loop.create_future()
        self._agreed: asyncio.Future[MediaDescription] = loop.create_future()
        self._on_media: Callable[[MediaDescription], None] = lambda media: None
        self._on_digit: Callable[[str], None] = lambda digit: None
        self._on_refer: Callable[[Referral], None] = lambda referral: referral.report(603)
        self._on_replace: Callable[[InboundCall], None] = lambda call: call.reject(603)
        self._progressed: asyncio.Future[MediaDescription] = loop.create_future()

    @property
    def sip_call_id(self) -> str:
        """The Call-ID header."""
        return self._usage.invite.call_id

    @property
    def dialog_id(self) -> DialogId:
        """Call-ID, our tag, the peer's."""
        return self._usage.dialog.id

    @property
    def caller(self) -> Caller:
        """From, without what the caller wants withheld."""
        return self._caller

    @property
    def request_user(self) -> str:
        """The number that was dialled."""
        return self._usage.invite.target.user or ""

    @property
    def trunk(self) -> str:
        """Name of the trunk in the settings."""
        return self._trunk

    @property
    def local_host(self) -> str:
        """The address of ours that the peer reached."""
        return self._usage.flow.local.host

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the dialog is over; may be awaited by many and cancelled by none."""
        return asyncio.shield(self._ended)

    def ring(self) -> None:
        """180 Ringing."""
        self._backend.do(self._core.ring, self._usage)

    async def early(self, local: Address) -> MediaDescription | None:
        """183; returns at once what is agreed, or after the PRACK where the offer is ours."""
        self._backend.do(self._core.early, self._usage, local)
        if self._usage.media is not None or not self._usage.negotiation.unanswered:
            return self._usage.media
        return await self._first(self._progressed)

    async def answer(self, local: Address) -> MediaDescription:
        """200; returns at once what is agreed, or after the ACK where the offer is ours."""
        self._backend.do(self._core.answer, self._usage, local)
        if self._usage.media is not None:
            return self._usage.media
        return await self._first(self._agreed)

    async def _first(self, agreed: asyncio.Future[MediaDescription]) -> MediaDescription:
        """What the peer answers to our offer."""
        await asyncio.wait((agreed, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if agreed.done():
            return agreed.result()
        raise SipFailure("The caller never agreed to a codec.")

    def memo(self) -> dict[str, Any] | None:
        """See `InboundCall.memo`."""
        return farewell.memo_of(self._usage.dialog, self._usage.flow)

    def reject(self, status: int, *, retry_after: int | None = None) -> None:
        """A final refusal."""
        self._backend.do(self._core.reject, self._usage, status, retry_after=retry_after)

    def hang_up(self) -> None:
        """BYE, or 603 before the answer."""
        self._backend.do(self._core.hang_up, self._usage)

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with the peer's new wish after a re-INVITE."""
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called once per key that comes by INFO."""
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Called with each REFER of a trusted trunk."""
        self._on_refer = handler

    def on_replace(self, handler: Callable[[InboundCall], None]) -> None:
        """Called with the call that is to take this one's place."""
        self._on_replace = handler

    def refer(self, referral: Referral) -> None:
        """The peer wants the call moved."""
        _guarded("transfer not taken", self._on_refer, referral)

    def make_way(self, call: NativeCall) -> None:
        """That call wants this one's place."""
        self._on_replace(call)

    def take(self, event: Event) -> None:
        """What the core tells of this call. A handler that fails costs nobody else anything."""
        match event:
            case AgreedEarly() if not self._progressed.done():
                self._progressed.set_result(event.media)
            case Acknowledged() if not self._agreed.done():
                self._agreed.set_result(event.media)
            case Ended() if not self._ended.done():
                self._ended.set_result(event.reason)
            case MediaChanged():
                _guarded("change of media not taken", self._on_media, event.media)
            case DigitPressed():
                _guarded("digit not taken", self._on_digit, event.digit)


class NativeReferral:
    """A `Referral` of the core."""

    def __init__(self, backend: NativeSipBackend, core: UserAgent, referral: CoreReferral) -> None:
        self._backend, self._core, self._referral = backend, core, referral

    @property
    def user(self) -> str:
        """The user part of the Refer-To URI."""
        return self._referral.user

    @property
    def attended(self) -> bool:
        """Whether Refer-To carries Replaces."""
        return self._referral.attended

    def replaces(self, call: DialogCall) -> bool:
        """Whether it names that dialog, by Call-ID and both tags."""
        named = self._referral.replaces
        if named is None or not isinstance(call, NativeCall):
            return False
        return call.dialog_id == (named.call_id, named.local_tag, named.remote_tag)

    def report(self, status: int) -> None:
        """NOTIFY; nothing after the last word."""
        self._backend.do(self._core.report, self._referral, status)


def _guarded(what: str, handler: Callable[..., None], *args: object) -> None:
    try:
        handler(*args)
    except Exception as error:
        _log_failure(what, error)


def _token() -> str:
    return secrets.token_hex(8)


def _demand(trunk: Trunk) -> Demand:
    """SHA-256, and MD5 after it where the trunk's settings ask for it."""
    if trunk.auth.algorithm == "md5":
        _LOGGER.warning("trunk may sign in with MD5, which is broken", trunk=trunk.name)
    algorithms = (SHA256, MD5) if trunk.auth.algorithm == "md5" else (SHA256,)
    login = Login(trunk.auth.username or "", trunk.auth.secret())
    return Demand(login, PRODUCT, algorithms, trunk.auth.qop)


def _report(source: str, reason: str) -> None:
    """The line that fail2ban reads; the guard sees to it that there are few."""
    _LOGGER.warning("SECURITY sip", src=source, reason=reason)


def _demand_literal(host: str | None) -> None:
    try:
        ip_address(host or "127.0.0.1")
    except ValueError:
        raise StartError(f"sip.advertised_host: {host} is no IP address.") from None


def _log_failure(what: str, error: Exception) -> None:
    """What broke and where, never the message: it may quote what people sent."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _LOGGER.error(what, error=type(error).__name__, where=f"{frame.filename}:{frame.lineno}")
