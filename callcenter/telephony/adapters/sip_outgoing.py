"""Calls of ours on real sockets: which way they go, as whom, and what is told of them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import structlog

from callcenter.config import Credentials, PeerTls, Registration, Sip, Trunk
from callcenter.errors import SipFailure
from callcenter.telephony.adapters.sip_registrations import Listener, Listeners, Registrations
from callcenter.telephony.adapters.sip_stream import StreamListener
from callcenter.telephony.numbers import written
from callcenter.telephony.ports import Address, MediaDescription, Referral, SipEnd
from callcenter.telephony.sip import farewell
from callcenter.telephony.sip.actions import (
    Answered,
    DigitPressed,
    Ended,
    Event,
    Flow,
    MediaChanged,
    Progressed,
)
from callcenter.telephony.sip.digest import MD5, SHA256, Login
from callcenter.telephony.sip.headers import NameAddr
from callcenter.telephony.sip.outgoing import Invitation, OutgoingUsage
from callcenter.telephony.sip.sources import Sources
from callcenter.telephony.sip.uri import Uri, hostport
from callcenter.telephony.sip.useragent import UserAgent

RESOLVE_SECONDS = 5.0
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}

_LOGGER = structlog.get_logger()


class Outgoing:
    """Finds the way of a call; `place` lets the core begin it."""

    def __init__(
        self,
        settings: Sip,
        core: UserAgent,
        sources: Sources,
        listeners: Listeners,
        registrations: Registrations,
        place: Callable[[NativeOutboundCall, OutgoingUsage], None],
    ) -> None:
        self._settings = settings
        self.core = core
        self._sources = sources
        self._listeners = listeners
        self._registrations = registrations
        self.place = place
        self.hang_up: Callable[[OutgoingUsage], None]

    async def to_number(self, e164: str, trunk: str) -> NativeOutboundCall:
        """See `Dialler`."""
        if self.core.active() >= self._settings.max_calls:
            raise SipFailure("As many calls as sip.max_calls allows are up.")
        peer = self._settings.peer(trunk)
        if isinstance(peer, Trunk) and peer.server:
            return await self._by_trunk(e164, peer, peer.server)
        if isinstance(peer, Registration):
            return self._by_registration(e164, peer)
        raise SipFailure(f"{trunk} is no trunk with a server and no registration.")

    async def _by_trunk(self, e164: str, trunk: Trunk, server: str) -> NativeOutboundCall:
        flow = await self._flow(trunk, server)
        user = self._written(e164, trunk)
        shown = trunk.plan.caller_id
        who = shown or trunk.login.username or "anonymous"
        caller = _address(who, hostport(flow.local.host, None))
        login = _login(trunk.login, trunk.login.username)
        return self._call(f"sip:{user}@{server}", caller, login, trunk.login, flow, shown)

    def _by_registration(self, e164: str, account: Registration) -> NativeOutboundCall:
        way = self._registrations.way(account.name)
        if way is None:
            raise SipFailure(f"The registration {account.name} does not stand at the moment.")
        flow, known = way
        user, shown = self._written(e164, account), account.plan.caller_id
        caller = _address(shown or account.user, known.domain)
        target = f"sip:{user}@{known.domain}"
        return self._call(target, caller, known.login, account, flow, shown)

    def _call(
        self,
        target: str,
        caller: NameAddr,
        login: Login | None,
        credentials: Credentials,
        flow: Flow,
        shown: str | None,
    ) -> NativeOutboundCall:
        algorithms = (SHA256, "SHA-512-256", *((MD5,) if credentials.algorithm == "md5" else ()))
        invitation = Invitation(secrets.token_hex(16), target, caller, login, algorithms)
        return NativeOutboundCall(self, invitation, flow, shown)

    def _written(self, e164: str, peer: Trunk | Registration) -> str:
        return written(e164, peer.plan.numbers, peer.region or "", peer.plan.prefix)

    async def _flow(self, trunk: Trunk, server: str) -> Flow:
        """The way to a trunk's server, connected where the transport needs that."""
        parts = urlsplit(f"//{server}")
        port = parts.port or PORTS[trunk.transport]
        addresses = await _resolved(parts.hostname or "", port)
        self._sources.learn(trunk.name, [address.host for address in addresses])
        for address in addresses:
            if listener := self._listener(trunk.transport, address):
                await self._reach(listener, address, trunk, parts.hostname or "")
                host = self._settings.advertised_host or listener.host_towards(address)
                here = Address(host, listener.bound.port)
                return Flow(listener.url, here, address, listener.transport_name)
        raise SipFailure(f"sip.listen has no {trunk.transport}:// that reaches {trunk.name}.")

    def _listener(self, transport: str, address: Address) -> Listener | None:
        for url, listener in self._listeners.items():
            fits = url.startswith(f"{transport}://")
            if fits and (":" in listener.bound.host) == (":" in address.host):
                return listener
        return None

    async def _reach(self, listener: Listener, address: Address, trunk: Trunk, name: str) -> None:
        if not isinstance(listener, StreamListener):
            return
        try:
            security = client_security(trunk.tls) if trunk.transport == "tls" else None
            await listener.reach(address, security, name if security else None)
        except (OSError, TimeoutError) as error:
            _LOGGER.warning("trunk not reached", trunk=trunk.name, error=type(error).__name__)
            raise SipFailure(f"The trunk {trunk.name} cannot be connected to.") from error


class NativeOutboundCall:
    """An `OutboundCall` of the core."""

    def __init__(
        self, place: Outgoing, invitation: Invitation, flow: Flow, shown: str | None
    ) -> None:
        self._place = place
        self._invitation = invitation
        self._flow = flow
        self._shown = shown
        self._usage: OutgoingUsage | None = None
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[SipEnd] = loop.create_future()
        self._agreed: asyncio.Future[MediaDescription] = loop.create_future()
        self._on_progress: Callable[[int, MediaDescription | None], None] = lambda status, media: (
            None
        )
        self._on_media: Callable[[MediaDescription], None] = lambda media: None
        self._on_digit: Callable[[str], None] = lambda digit: None
        self._on_refer: Callable[[Referral], None] = lambda referral: referral.report(603)

    @property
    def sip_call_id(self) -> str:
        """The Call-ID header."""
        return self._invitation.call_id

    @property
    def local_host(self) -> str:
        """The address of ours on that way."""
        return self._flow.local.host

    @property
    def shown(self) -> str | None:
        """The caller id of the settings."""
        return self._shown

    @property
    def status(self) -> int:
        """The last status that was heard."""
        return self._usage.status if self._usage else 0

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the call is over; may be awaited by many and cancelled by none."""
        return asyncio.shield(self._ended)

    async def invite(self, local: Address) -> MediaDescription:
        """INVITE; returns at the answer."""
        if self._ended.done():
            raise SipFailure("The call was given up.")
        self._usage = self._place.core.outgoing(self._invitation, self._flow, local)
        self._place.place(self, self._usage)
        await asyncio.wait((self._agreed, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._agreed.done():
            return self._agreed.result()
        raise SipFailure(f"The call was not answered ({self.status}).")

    def memo(self) -> dict[str, Any] | None:
        """See `InboundCall.memo`."""
        return farewell.memo_of(self._usage.dialog, self._usage.flow) if self._usage else None

    def hang_up(self) -> None:
        """CANCEL or BYE; before the INVITE nothing is sent at all."""
        if self._usage:
            self._place.hang_up(self._usage)
        elif not self._ended.done():
            self._ended.set_result("hung_up")

    def on_progress(self, handler: Callable[[int, MediaDescription | None], None]) -> None:
        """Called with each provisional status but 100."""
        self._on_progress = handler

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with the peer's new wish after a re-INVITE."""
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called once per key that comes by INFO."""
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Called with each REFER of one that may transfer."""
        self._on_refer = handler

    def refer(self, referral: Referral) -> None:
        """The called side wants the call moved."""
        try:
            self._on_refer(referral)
        except Exception as error:
            _LOGGER.error("call of ours: transfer not taken", error=type(error).__name__)

    def take(self, event: Event) -> None:
        """What the core tells of this call; a handler that fails ends nothing."""
        try:
            self._take(event)
        except Exception as error:
            _LOGGER.error("call of ours: event not taken", error=type(error).__name__)

    def _take(self, event: Event) -> None:
        match event:
            case Progressed():
                self._on_progress(event.status, event.media)
            case Answered() if not self._agreed.done():
                self._agreed.set_result(event.media)
            case MediaChanged():
                self._on_media(event.media)
            case DigitPressed():
                self._on_digit(event.digit)
            case Ended() if not self._ended.done():
                self._ended.set_result(event.reason)


def client_security(tls: PeerTls) -> ssl.SSLContext:
    """TLS 1.2 or newer towards a trunk. Raises OSError where a file cannot be read."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate and tls.key:
        context.load_cert_chain(tls.certificate, tls.key)
    if tls.names or tls.fingerprints:
        context.check_hostname = False  # `proven` looks at its names instead
    if tls.fingerprints and not tls.ca:
        context.verify_mode = ssl.CERT_NONE  # the fingerprint alone is the proof
    return context


def proven(tls: PeerTls, secured: ssl.SSLObject) -> bool:
    """Whether the peer's certificate is one that the settings name, if they name any."""
    if not tls.names and not tls.fingerprints:
        return True
    shown = secured.getpeercert(binary_form=True)
    if shown is None:
        return False
    known = {text.replace(":", "").lower() for text in tls.fingerprints}
    if hashlib.sha256(shown).hexdigest() in known:
        return True
    return bool(_names(secured.getpeercert() or {}) & {name.lower() for name in tls.names})


def _names(certificate: Any) -> set[str]:
    """Names that a verified certificate is for (RFC 5922 7.1): subjectAltName, else the subject."""
    wanted = ("DNS", "URI", "IP Address")
    named = {
        str(value).lower().removeprefix("sip:")
        for kind, value in certificate.get("subjectAltName", ())
        if kind in wanted
    }
    subject = (pair for group in certificate.get("subject", ()) for pair in group)
    return named or {str(value).lower() for kind, value in subject if kind == "commonName"}


def _login(settings: Credentials, username: str | None) -> Login | None:
    return Login(username, settings.secret()) if username else None


def _address(user: str, host: str) -> NameAddr:
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    return NameAddr(Uri("sip", userinfo=user, host=name, port=int(port) if port else None))


async def _resolved(host: str, port: int) -> list[Address]:
    """Its addresses. Raises SipFailure."""
    loop = asyncio.get_running_loop()
    try:
        rows = await asyncio.wait_for(
            loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), RESOLVE_SECONDS
        )
    except (OSError, TimeoutError) as error:
        raise SipFailure(f"The name {host} is not found.") from error
    return [Address(str(row[4][0]), int(row[4][1])) for row in rows]
