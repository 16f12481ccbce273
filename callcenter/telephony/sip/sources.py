"""Which addresses belong to which trunk, or to desk phones; everybody else gets silence."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

LOG_EVERY = 60.0  # seconds between two log lines about one stranger
KEPT_SOURCES = 1000  # strangers remembered for that
PHONES = "desk phones"  # what stands for a trunk's name in limits; no trunk can be named so


class Sources:
    """Which addresses belong to which trunk, and which strangers were logged lately.

    `phones` are extensions with the networks that they may register from.
    """

    def __init__(
        self,
        trunks: Iterable[tuple[str, list[str]]],
        phones: Iterable[tuple[str, list[str]]] = (),
    ) -> None:
        self._networks = _networks(trunks)
        self._phones = _networks(phones)
        self._registrars: dict[str, str] = {}  # address → name
        self._logged: dict[str, float] = {}

    def learn(self, name: str, hosts: Iterable[str]) -> None:
        """A registrar of ours has these addresses now: its calls are welcome like a trunk's."""
        kept = {host: known for host, known in self._registrars.items() if known != name}
        self._registrars = kept | {normal_host(host): name for host in hosts}

    def trunk(self, host: str) -> str | None:
        """The trunk that this address belongs to (a registrar is one), None for a stranger."""
        address = _literal(host)
        named = next((name for network, name in self._networks if address in network), None)
        return named or self._registrars.get(str(address))

    def phone(self, host: str, extension: str | None = None) -> bool:
        """Whether that desk phone, or any, may register from this address."""
        address = _literal(host)
        return any(
            address in network and extension in (None, name) for network, name in self._phones
        )

    def named(self, host: str) -> str | None:
        """The trunk, PHONES for other places of desk phones, None for a stranger."""
        return self.trunk(host) or (PHONES if self.phone(host) else None)

    def worth_a_line(self, host: str, now: float) -> bool:
        """Whether a stranger was not logged for a minute."""
        if now - self._logged.get(host, -LOG_EVERY) < LOG_EVERY:
            return False
        if len(self._logged) >= KEPT_SOURCES:
            self._logged.clear()
        self._logged[host] = now
        return True


def _networks(
    named: Iterable[tuple[str, list[str]]],
) -> list[tuple[IPv4Network | IPv6Network, str]]:
    return [(ip_network(host, strict=False), name) for name, hosts in named for host in hosts]


def normal_host(host: str) -> str:
    """An IP literal without zone, an IPv4-mapped one as IPv4 (RFC 4291 2.5.5.2)."""
    return str(_literal(host))


@lru_cache(maxsize=1024)
def _literal(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
