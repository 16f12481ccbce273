"""RTP ports from a free list: bound before they are promised, cool before they are used again.

Each comes with the odd one above it, for RTCP.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable

from callcenter.errors import NoFreePort

COOL_SECONDS = 5.0
"""A port rests that long after its call: late packets of the old one reach nobody."""

_EXPEDITED = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS, 0xB8),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xB8),
}
"""DSCP EF (RFC 3246): routers that care let voice pass first."""


class PortPool:
    """Even UDP ports (RFC 3550 section 11) of a range: the longest unused comes first."""

    def __init__(
        self,
        first: int,
        last: int,
        *,
        cool_seconds: float = COOL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._range = (first, last)
        self._free = deque(range(first + first % 2, last + 1, 2))
        self._cooling: deque[tuple[float, int]] = deque()  # free from that moment on
        self._cool_seconds, self._clock = cool_seconds, clock
        self.size = len(self._free)

    def bind(self, host: str) -> tuple[socket.socket, socket.socket]:
        """Bound, non-blocking sockets for RTP and, one port above, RTCP.

        Raises NoFreePort when no pair can be had. A port that somebody else on this
        machine has is passed over and tried again later.
        """
        self._cool_down()
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                return _pair(family, host, port)
            except OSError:
                self._free.append(port)
        first, last = self._range
        raise NoFreePort(f"every RTP port from {first} to {last} is in use; widen sip.rtp_ports")

    def give_back(self, port: int) -> None:
        """The port may be used again, after a while."""
        self._cooling.append((self._clock() + self._cool_seconds, port))

    def used(self) -> int:
        """How many cannot be had now."""
        self._cool_down()
        return self.size - len(self._free)

    def _cool_down(self) -> None:
        now = self._clock()
        while self._cooling and self._cooling[0][0] <= now:
            self._free.append(self._cooling.popleft()[1])


def _pair(
    family: socket.AddressFamily, host: str, port: int
) -> tuple[socket.socket, socket.socket]:
    rtp = _bound(family, host, port)
    try:
        return rtp, _bound(family, host, port + 1)
    except OSError:
        rtp.close()
        raise


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    with contextlib.suppress(OSError):
        sock.setsockopt(*_EXPEDITED[family])
    return sock
