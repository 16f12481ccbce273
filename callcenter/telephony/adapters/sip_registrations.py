"""Registrations of ours on real sockets: finding the registrar, telling how they stand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from callcenter.config import Registration as RegistrationSettings
from callcenter.config import Sip
from callcenter.telephony.adapters.sip_stream import StreamListener
from callcenter.telephony.adapters.sip_udp import UdpListener
from callcenter.telephony.ports import Address
from callcenter.telephony.sip.actions import Action, Flow
from callcenter.telephony.sip.digest import MD5, SHA256, Login
from callcenter.telephony.sip.registration import Account, Registration, Standing
from callcenter.telephony.sip.sources import Sources

RESOLVE_AGAIN = 60.0  # seconds between look-ups of a registrar that is not reached

Listener = UdpListener | StreamListener
Listeners = dict[str, Listener]

_LOGGER = structlog.get_logger()


class RegisteringCore(Protocol):
    """The core's part: see `UserAgent`. What comes back is to be carried out."""

    def registration(self, account: Account) -> Registration:
        """A registration of ours, not begun yet."""

    def register(self, registration: Registration, flow: Flow, now: float) -> list[Action]:
        """Begin it, or go on along another flow."""

    def unregister(self, registration: Registration, now: float) -> list[Action]:
        """End it."""


class Registrations:
    """Every account of `sip.registrations`; `perform` carries out what the core asks for."""

    def __init__(
        self,
        settings: Sip,
        core: RegisteringCore,
        sources: Sources,
        listeners: Listeners,
        perform: Callable[[Iterable[Action]], None],
    ) -> None:
        self._settings = settings
        self._core = core
        self._sources = sources
        self._listeners = listeners
        self._perform = perform
        self._accounts: dict[str, tuple[RegistrationSettings, Registration]] = {}
        for account in settings.registrations:
            self._accounts[account.name] = account, core.registration(_account(account))
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin each; the listeners are bound."""
        self._loop = asyncio.get_running_loop()
        for name in self._accounts:
            self._run(self._register(name))

    def stop(self) -> None:
        """Say goodbye to each registrar that knows us."""
        for task in self._tasks:
            task.cancel()
        for _, registration in self._accounts.values():
            self._perform(self._core.unregister(registration, self._loop.time()))

    def describe(self) -> dict[str, dict[str, str]]:
        """{name: {"state", "detail"}}."""
        return {
            name: {"state": registration.standing.value, "detail": registration.detail}
            for name, (_, registration) in self._accounts.items()
        }

    def way(self, name: str) -> tuple[Flow, Account] | None:
        """Where calls by that registration go, and as whom; None while it is not registered."""
        found = self._accounts.get(name)
        if found is None or found[1].standing is not Standing.REGISTERED or not found[1].flow:
            return None
        return found[1].flow, found[1].account

    async def _register(self, name: str) -> None:
        """Find the registrar, welcome its calls, register there along a listener of ours."""
        settings, registration = self._accounts[name]
        while not (found := await self._find(settings.registrar)):
            registration.detail = "The registrar's name is not found, or no listener reaches it."
            registration.standing = Standing.UNREACHABLE
            await asyncio.sleep(RESOLVE_AGAIN)
        listener, addresses = found
        self._sources.learn(name, [address.host for address in addresses])
        host = self._settings.advertised_host or listener.host_towards(addresses[0])
        flow = Flow(listener.url, Address(host, listener.bound.port), addresses[0])
        self._perform(self._core.register(registration, flow, self._loop.time()))

    async def _find(self, registrar: str) -> tuple[UdpListener, list[Address]] | None:
        """The registrar's addresses that one of our UDP listeners can reach, and that listener."""
        parts = urlsplit(f"//{registrar}")
        try:
            rows = await self._loop.getaddrinfo(
                parts.hostname, parts.port or 5060, type=socket.SOCK_DGRAM
            )
        except OSError:
            return None
        for listener in self._listeners.values():
            six = ":" in listener.bound.host
            hosts = [(str(row[4][0]), int(row[4][1])) for row in rows]
            reached = [Address(*place) for place in hosts if (":" in place[0]) == six]
            if isinstance(listener, UdpListener) and reached:
                return listener, reached
        return None

    def note(self, registration: Registration) -> None:
        """Tell the log; a registrar that does not answer may have another address by now."""
        name, standing = registration.account.name, registration.standing
        _LOGGER.info(
            "sip registration",
            registration=name,
            state=standing.value,
            detail=registration.detail,
        )
        if standing is Standing.UNREACHABLE:
            self._run(self._look_again(name))

    async def _look_again(self, name: str) -> None:
        settings, registration = self._accounts[name]
        while registration.standing is Standing.UNREACHABLE:
            await asyncio.sleep(RESOLVE_AGAIN)
            found = await self._find(settings.registrar)
            remote = found[1][0] if found else None
            if remote and registration.flow and remote != registration.flow.remote:
                await self._register(name)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _account(settings: RegistrationSettings) -> Account:
    login = Login(settings.username or settings.user, settings.secret())
    algorithms = (SHA256, "SHA-512-256", *((MD5,) if settings.algorithm == "md5" else ()))
    return Account(
        settings.name, settings.registrar, settings.user, login, algorithms, settings.expires
    )
