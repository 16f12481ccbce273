"""SIP over TCP and TLS (RFC 3261 18, 26.3.1): one listening socket and its connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from callcenter.errors import StartError
from callcenter.telephony.ports import Address
from callcenter.telephony.sip.sources import normal_host
from callcenter.telephony.sip.stream import PONG, Signal, StreamFramer

CLOSE_GRACE = 1.0  # seconds that peers have to take what was written at the end

_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may cost us; seconds and octets."""

    per_source: int = 100  # connections; a proxy in front needs one, SIPp one a call
    in_all: int = 2000
    message: float = 10.0  # from a message's first octet to its last, and for the handshake
    idle: float = 900.0  # without any octet; the pings of RFC 5626 come every two minutes
    unsent: int = 256 * 1024  # octets that wait because the peer does not read


Received = Callable[["StreamListener", bytes, Address], None]
Admits = Callable[[str], bool]
Proven = Callable[[str, ssl.SSLObject], bool]


class StreamListener:
    """One TCP or TLS socket. `received` gets every message and raises nothing.

    `admits` is asked about the source before anything is read from it, before the handshake too;
    `carries` whether a call needs the connection to that peer, which may then be silent for long;
    `proven` whether the certificate it shows is the one that source should have.
    """

    def __init__(
        self,
        url: str,
        received: Received,
        admits: Admits,
        carries: Callable[[Address], bool] = lambda peer: False,
        security: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        proven: Proven = lambda host, secured: True,
    ) -> None:
        self.url = url
        self.transport_name = "TLS" if security else "TCP"
        self.bound: Address
        self.limits = limits or Limits()
        self.received = received
        self.connections: dict[Address, Connection] = {}
        self._admits = admits
        self.carries = carries
        self.proven = proven
        self._security = security
        self._sources: Counter[str] = Counter()  # connections of each, in handshake too
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Bind and accept. Raises OSError."""
        six = ":" in host
        self._socket = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if six else socket.AF_INET,
            backlog=128,
            dualstack_ipv6=six and socket.has_dualstack_ipv6(),
        )
        self._socket.setblocking(False)
        name = self._socket.getsockname()
        self.bound = Address(name[0], name[1])
        self._accepting = self._run(self._accept())

    async def reach(
        self, peer: Address, security: ssl.SSLContext | None = None, name: str | None = None
    ) -> None:
        """Connect to that peer, unless it is connected. Raises OSError, which ssl's errors are."""
        if peer in self.connections:
            return
        more: dict[str, Any] = {}
        if security:
            more = {"server_hostname": name, "ssl_handshake_timeout": self.limits.message}
        _, connection = await asyncio.wait_for(
            asyncio.get_running_loop().create_connection(
                lambda: Connection(self),
                peer.host,
                peer.port,
                ssl=security,
                **more,
            ),
            self.limits.message,
        )
        if connection.closed.done():
            raise OSError("the certificate is not the one that the settings name")
        self._run(_until(connection.closed))

    def send(self, data: bytes, to: Address) -> None:
        """Write to that peer's connection; without one the message is lost."""
        if connection := self.connections.get(to):
            connection.write(data)

    def host_towards(self, peer: Address) -> str:
        """Our address as that peer reached it."""
        connection = self.connections.get(peer)
        return connection.local.host if connection else self.bound.host

    async def close(self) -> None:
        """Close the socket and every connection, once what was written is out."""
        self._accepting.cancel()
        for connection in list(self.connections.values()):
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_GRACE)
        self._socket.close()
        for connection in list(self.connections.values()):
            connection.abort()
        for task in self._tasks:
            task.cancel()

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        if self.connections.get(connection.peer) is connection:
            del self.connections[connection.peer]

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, name = await loop.sock_accept(self._socket)
            except OSError as error:  # no descriptors, or the peer is gone already
                _LOGGER.warning("sip connection not accepted", error=error.strerror)
                await asyncio.sleep(0.1)
                continue
            host = normal_host(name[0])
            if not self._has_room(host) or not self._admits(host):
                accepted.close()
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._run(self._take(accepted, host))

    def _has_room(self, host: str) -> bool:
        limits = self.limits
        return self._sources[host] < limits.per_source and self._sources.total() < limits.in_all

    async def _take(self, accepted: socket.socket, host: str) -> None:
        """Shake hands, then let the connection live until it is closed."""
        self._sources[host] += 1
        timeout = self.limits.message if self._security else None
        try:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self),
                accepted,
                ssl=self._security,
                ssl_handshake_timeout=timeout,
            )
            await connection.closed
        except (OSError, ssl.SSLError) as error:
            accepted.close()
            _LOGGER.info("sip connection not secured", src=host, reason=type(error).__name__)
        finally:
            self._sources[host] -= 1
            if not self._sources[host]:
                del self._sources[host]


class Connection(asyncio.Protocol):
    """One peer's connection: octets in, messages out to the listener's `received`."""

    def __init__(self, listener: StreamListener) -> None:
        self._listener = listener
        self._framer = StreamFramer()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._begun: float | None = None  # when the message began that is not complete
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: Any) -> None:
        """Take part in the listener's sending."""
        self._transport: asyncio.Transport = transport
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.peer = Address(normal_host(peer[0]), peer[1])
        self.local = Address(normal_host(local[0]), local[1])
        secured = transport.get_extra_info("ssl_object")
        if secured and not self._listener.proven(self.peer.host, secured):
            _LOGGER.warning("SECURITY sip", src=self.peer.host, reason="wrong certificate")
            transport.abort()
            self.closed.set_result(None)
            return
        self._listener.connections[self.peer] = self
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Hand each complete message on; answer pings; close what cannot be framed."""
        if self.closed.done():
            return
        for item in self._framer.feed(data):
            if item is Signal.PING:
                self.write(PONG)
            elif item is Signal.BROKEN:
                self._transport.close()
                return
            else:
                self._listener.received(self._listener, item, self.peer)
                self._begun = None
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the listener."""
        if self._timer:
            self._timer.cancel()
        self._listener.forget(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def write(self, data: bytes) -> None:
        """Send; a peer that does not read is cut off."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._listener.limits.unsent:
            self._transport.abort()

    def close(self) -> None:
        """Close after what was written is out."""
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def _watch(self) -> None:
        """A message that has begun must end soon; a silent connection may stay longer."""
        now, limits = self._loop.time(), self._listener.limits
        if self._timer:
            self._timer.cancel()
        if self._framer.waiting:
            self._begun = now if self._begun is None else self._begun
            deadline = self._begun + limits.message
        else:
            self._begun, deadline = None, now + limits.idle
        self._timer = self._loop.call_at(deadline, self._overdue)

    def _overdue(self) -> None:
        if self._begun is None and self._listener.carries(self.peer):
            self._watch()
        else:
            self._transport.abort()


async def _until(closed: asyncio.Future[None]) -> None:
    await closed


def server_security(
    certificate: Path, key: Path, client_ca: Path | None, trunks: Iterable[Path] = ()
) -> ssl.SSLContext:
    """TLS 1.2 or newer with our certificate; with `client_ca` peers must show one of its own.

    `trunks` are authorities of single trunks: a certificate of theirs may be shown then.

    Raises StartError.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        for authority in trunks:
            context.load_verify_locations(authority)
            context.verify_mode = context.verify_mode or ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise StartError(f"sip.tls: the certificates cannot be used ({reason}).") from error
    return context
