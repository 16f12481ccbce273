"""SIP over UDP (RFC 3261 18): one listening socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from callcenter.telephony.ports import Address
from callcenter.telephony.sip.sources import normal_host

KEPT_PEERS = 1000  # peers whose way to us is remembered


Received = Callable[["UdpListener", bytes, Address], None]


class UdpListener(asyncio.DatagramProtocol):
    """One UDP socket. `received` is handed every datagram and must not raise."""

    transport_name = "UDP"

    def __init__(self, url: str, received: Received) -> None:
        self.url = url
        self._received = received
        self._towards: dict[str, str] = {}

    def connection_made(self, transport: Any) -> None:
        """Note where it is bound."""
        self.transport: asyncio.DatagramTransport = transport
        name = transport.get_extra_info("sockname")
        self.bound = Address(name[0], name[1])
        self._ipv6 = ":" in name[0]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand it on; `received` raises nothing."""
        self._received(self, data, Address(normal_host(addr[0]), addr[1]))

    def error_received(self, exc: Exception) -> None:
        """ICMP errors: the transactions' timers see to it that nothing waits for ever."""

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; what cannot be sent is lost, as any datagram may be."""
        host = f"::ffff:{to.host}" if self._ipv6 and ":" not in to.host else to.host
        with suppress(OSError):
            self.transport.sendto(data, (host, to.port))

    async def close(self) -> None:
        """Close the socket."""
        self.transport.close()

    def host_towards(self, peer: Address) -> str:
        """Our address as that peer reaches it: the bound one, else the one routes lead from."""
        if not ip_address(self.bound.host).is_unspecified:
            return self.bound.host
        if peer.host not in self._towards:
            if len(self._towards) > KEPT_PEERS:
                self._towards.clear()
            self._towards[peer.host] = _route_from(peer)
        return self._towards[peer.host]


def _route_from(peer: Address) -> str:
    """The address that packets to `peer` leave from; a connected UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in peer.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((peer.host, peer.port or 5060))
        return normal_host(probe.getsockname()[0])
