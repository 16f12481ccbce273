"""Desk phones on real sockets: where they are is kept on disk, and the way to each is found."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
import structlog

from callcenter.config import Phone, Sip
from callcenter.errors import ConfigError, StartError
from callcenter.telephony.adapters.sip_outgoing import NativeOutboundCall, Outgoing
from callcenter.telephony.adapters.sip_registrations import Listener, Listeners
from callcenter.telephony.adapters.sip_stream import StreamListener
from callcenter.telephony.places import Places
from callcenter.telephony.ports import Address, Caller, InboundCall
from callcenter.telephony.sip.actions import Action, Flow, PhoneMoves
from callcenter.telephony.sip.digest import MD5, SHA256, Authenticator, Demand, Login
from callcenter.telephony.sip.headers import NameAddr
from callcenter.telephony.sip.outgoing import Invitation
from callcenter.telephony.sip.registrar import Binding, Bindings, Phones, callable_uri
from callcenter.telephony.sip.responses import PRODUCT
from callcenter.telephony.sip.sources import Sources
from callcenter.telephony.sip.uri import Uri

LOOK_SECONDS = 1.0
_LOGGER = structlog.get_logger()


class Store(Protocol):
    """Where places are kept; methods block. See `places.PlaceStore`."""

    def keep(self, extension: str, places: Places) -> None:
        """These are its places now."""

    def kept(self) -> dict[str, Places]:
        """What an earlier process kept."""

    def elsewhere(self) -> dict[str, Places]:
        """What other nodes keep."""


class RegisteringCore(Protocol):
    """The core's part: see `UserAgent`."""

    def places(self, extension: str, now: float) -> Bindings:
        """Where that phone can be called."""

    def adopt(self, elsewhere: dict[str, Bindings]) -> None:
        """Where phones are registered with other nodes."""

    def restore(self, extension: str, bindings: Bindings, now: float) -> list[Action]:
        """Where it was registered with an earlier process."""

    def kept(self, moves: PhoneMoves, good: bool, now: float) -> list[Action]:
        """It is on disk, or could not be brought there."""


class NativePhones:
    """Every phone of `sip.phones`: the port `Phones`. Belongs to the event loop's thread."""

    def __init__(
        self,
        settings: Sip,
        core: RegisteringCore,
        listeners: Listeners,
        outgoing: Outgoing,
        perform: Callable[[Iterable[Action]], None],
        store: Store | None,
        *,
        neighbours: bool = False,
    ) -> None:
        self._neighbours = neighbours and store is not None
        self._settings, self._core, self._listeners = settings, core, listeners
        self._outgoing, self._perform, self._store = outgoing, perform, store
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="phones")
        self._keeping: set[asyncio.Task[None]] = set()
        self._told: dict[str, bool] = {}
        self._looking: asyncio.Task[None] | None = None
        self._on_change: Callable[[str, bool], None] = lambda extension, reachable: None
        self._on_call: Callable[[str, InboundCall], None] = lambda extension, call: call.reject(403)

    # --- the port ---------------------------------------------------------------------------

    def reachable(self, extension: str) -> bool:
        """Whether a call would get somewhere."""
        return bool(self._ways(extension))

    def ring(self, extension: str, caller: Caller) -> list[NativeOutboundCall]:
        """A call to each place of the phone; nothing is sent yet."""
        return [self._call(one, flow, caller) for one, flow in self._ways(extension)]

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Called with extension and whether it can be reached, when that changed."""
        self._on_change = handler

    def on_call(self, handler: Callable[[str, InboundCall], None]) -> None:
        """Called with extension and call, when a phone calls."""
        self._on_call = handler

    # --- the backend's part -----------------------------------------------------------------

    def call(self, extension: str, call: InboundCall) -> None:
        """That phone calls, and has proven that it is that one."""
        self._on_call(extension, call)

    async def start(self) -> None:
        """Take up what an earlier process kept; the listeners are bound. Raises StartError."""
        self._loop = asyncio.get_running_loop()
        if self._store is None or not self._settings.phones:
            return
        kept = await self._loop.run_in_executor(self._writer, self._store.kept)
        known = {phone.extension for phone in self._settings.phones}
        for extension in known & kept.keys():
            found = [self._read(place) for place in kept[extension]]
            bindings = tuple(one for one in found if one is not None)
            self._perform(self._core.restore(extension, bindings, self._loop.time()))
            self._told[extension] = self.reachable(extension)
        if self._neighbours:
            await self._look()
            self._looking = self._loop.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._keeping:
            await asyncio.wait(self._keeping)
        self._writer.shutdown(wait=True)

    def move(self, moves: PhoneMoves) -> None:
        """Keep it on disk, then let the core answer."""
        task = self._loop.create_task(self._keep(moves))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    def moved(self, extension: str) -> None:
        """Tell whoever wants to know, unless it only registered again."""
        reachable = self.reachable(extension)
        if self._told.get(extension, False) is reachable:
            return
        self._told[extension] = reachable
        _LOGGER.info("desk phone", extension=extension, registered=reachable)
        self._on_change(extension, reachable)

    def carries(self, peer: Address) -> bool:
        """Whether a phone is called along the connection to that peer."""
        return any(
            flow.remote == peer
            for phone in self._settings.phones
            for _, flow in self._ways(phone.extension)
        )

    def describe(self) -> dict[str, dict[str, Any]]:
        """{extension: {"places", "seconds"}}: their transports, the longest registration's time."""
        now, found = self._loop.time(), {}
        for phone in self._settings.phones:
            ways = self._ways(phone.extension)
            left = max((one.expires - now for one, _ in ways), default=0.0)
            places = [flow.transport for _, flow in ways]
            found[phone.extension] = {"places": places, "seconds": round(left)}
        return found

    # --- inside -----------------------------------------------------------------------------

    async def _keep(self, moves: PhoneMoves) -> None:
        good = True
        if self._store is not None:
            places = [self._write(binding) for binding in moves.bindings]
            try:
                await self._loop.run_in_executor(
                    self._writer, self._store.keep, moves.extension, places
                )
            except Exception as error:
                good = False
                _LOGGER.error("desk phone's place not kept", error=type(error).__name__)
        self._perform(self._core.kept(moves, good, self._loop.time()))

    async def _keep_looking(self) -> None:
        """A phone of another node can be rung from here within a second."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception as error:  # what was known stays until it expires
                _LOGGER.warning("other nodes' phones not read", error=type(error).__name__)

    async def _look(self) -> None:
        """Along a connection a phone is reached by its own node only; datagrams go from here."""
        assert self._store is not None
        rows = await self._loop.run_in_executor(self._writer, self._store.elsewhere)
        found: dict[str, Bindings] = {}
        for extension in {phone.extension for phone in self._settings.phones} & rows.keys():
            places = (self._read(place) for place in rows[extension])
            ours = (self._from_here(one) for one in places if one is not None)
            found[extension] = tuple(one for one in ours if one is not None)
        self._core.adopt(found)
        for phone in self._settings.phones:
            self.moved(phone.extension)

    def _from_here(self, binding: Binding) -> Binding | None:
        """The same place, along a listener of ours; None where none leads there."""
        if binding.flow.reliable:
            return None
        other = ":" in binding.flow.remote.host
        for name, listener in self._listeners.items():
            if not isinstance(listener, StreamListener) and (":" in listener.bound.host) is other:
                return replace(binding, flow=replace(binding.flow, listener=name))
        return None

    def _ways(self, extension: str) -> list[tuple[Binding, Flow]]:
        """Its places that can be reached now: a connection that is gone leads nowhere."""
        found = []
        for one in self._core.places(extension, self._loop.time()):
            listener = self._listeners.get(one.flow.listener)
            if listener is None:
                continue
            remote = one.flow.remote
            if isinstance(listener, StreamListener) and remote not in listener.connections:
                continue
            found.append((one, replace(one.flow, local=self._here(listener, remote))))
        return found

    def _here(self, listener: Listener, remote: Address) -> Address:
        host = self._settings.advertised_host or listener.host_towards(remote)
        return Address(host, listener.bound.port)

    def _call(self, binding: Binding, flow: Flow, caller: Caller) -> NativeOutboundCall:
        user = quote(caller.number or "anonymous", safe="+*#-._~")
        host = flow.local.host
        place = f"[{host}]" if ":" in host else host
        shown = NameAddr(Uri("sip", userinfo=user, host=place), caller.name)
        target = callable_uri(binding.contact)
        invitation = Invitation(secrets.token_hex(16), target, shown, may_transfer=True)
        return NativeOutboundCall(self._outgoing, invitation, flow, None)

    def _write(self, binding: Binding) -> dict[str, Any]:
        """As JSON types; the end by the wall's clock."""
        plain: dict[str, Any] = msgspec.to_builtins(binding)
        return plain | {"expires": time.time() + binding.expires - self._loop.time()}

    def _read(self, place: dict[str, Any]) -> Binding | None:
        try:
            known = msgspec.convert(place, type=Binding)
        except msgspec.ValidationError:
            _LOGGER.warning("a desk phone's place cannot be read")
            return None
        return replace(known, expires=known.expires - time.time() + self._loop.time())


def admitted(settings: Sip, sources: Sources, token: Callable[[], str]) -> Phones | None:
    """Who may register, None where nobody may. Raises StartError."""
    if not settings.phones:
        return None
    demands = [_demand(phone) for phone in settings.phones]
    limits = settings.registrar
    return Phones(
        Authenticator(demands[0], token, *demands[1:]),
        sources.phone,
        limits.min_expires,
        limits.max_expires,
        limits.contacts,
    )


def _demand(phone: Phone) -> Demand:
    if phone.algorithm == "md5":
        _LOGGER.warning("phone may sign in with MD5, which is broken", extension=phone.extension)
    try:
        login = Login(phone.extension, phone.secret())
    except ConfigError as error:
        raise StartError(f"sip.phones: {error.detail}") from error
    if not login.password:
        raise StartError(f"sip.phones: the password of {phone.extension} is empty.")
    return Demand(login, PRODUCT, (MD5 if phone.algorithm == "md5" else SHA256,))
