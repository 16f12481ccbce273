"""Who is listened to, before anything is read: source, bans, rate.

The whole order of checks per message (cheapest first, nothing is parsed for strangers):

    source   in no trunk, no phone's network → silence    guard
    ban      failed too often lately → silence            guard
    rate     too many messages → silence                  guard
    size     too large → 513                              parser
    parse    malformed → 400 and the like                 parser
    method   not allowed here → 405, 501                  inspection
    digest   not proven, where the trunk demands it → 401 digest
             (a desk phone's REGISTER and INVITE always)
    route    no such number → 404                         the application
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callcenter.telephony.sip.sources import Sources

KEPT_SOURCES = 10_000  # sources remembered in each table
WINDOW = 60.0  # seconds within which failures add up
BURST = 2.0  # seconds' worth of messages that may come at once


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages a second, failures within a minute (0: no ban), seconds of a ban."""

    source_rate: float = 1000.0
    trunk_rate: float = 2000.0
    failures: int = 20
    malformed: int = 200
    ban_seconds: float = 600.0


class Guard:
    """`report` is told source and reason, once a minute per source and at the start of a ban."""

    def __init__(
        self, sources: Sources, limits: Limits, report: Callable[[str, str], None]
    ) -> None:
        self.sources = sources
        self.counts: Counter[str] = Counter()  # messages passed over or refused, by reason
        self._limits = limits
        self._report = report
        self._sources_rate = Buckets(limits.source_rate)
        self._trunks_rate = Buckets(limits.trunk_rate)
        self._failures = Tally(limits.failures)
        self._malformed = Tally(limits.malformed)
        self._bans: dict[str, float] = {}

    def admit(self, host: str, now: float) -> str | None:
        """The trunk (or PHONES) that a message from there belongs to; None: say nothing."""
        trunk = self.listed(host, now)
        if trunk is None:
            return None
        if not self._sources_rate.take(host, now) or not self._trunks_rate.take(trunk, now):
            self._pass_over(host, "too many messages", now)
            return None
        return trunk

    def listed(self, host: str, now: float) -> str | None:
        """The trunk of a source that is not banned; for connections, which cost no message."""
        trunk = self.sources.named(host)
        if trunk is None:
            self.strange(host, now)
        elif self._banned(host, now):
            self._pass_over(host, "banned", now)
            return None
        return trunk

    def strange(self, host: str, now: float) -> None:
        """Nobody that may speak to us, or a phone's network before the phone is registered."""
        self._pass_over(host, "source is of no trunk", now)

    def failed(self, host: str, now: float) -> None:
        """A digest was wrong."""
        self._count(host, "wrong digest", self._failures, now)

    def malformed(self, host: str, now: float) -> None:
        """A message was no SIP, or bad SIP."""
        self._count(host, "malformed message", self._malformed, now)

    def banned(self, now: float) -> int:
        """How many sources are banned."""
        return sum(end > now for end in self._bans.values())

    def _count(self, host: str, reason: str, tally: Tally, now: float) -> None:
        self._pass_over(host, reason, now)
        if tally.reached(host, now):
            _make_room(self._bans)
            self._bans[host] = now + self._limits.ban_seconds
            self._report(host, f"banned for {self._limits.ban_seconds:.0f} s: {reason}")

    def _pass_over(self, host: str, reason: str, now: float) -> None:
        self.counts[reason] += 1
        if self.sources.worth_a_line(host, now):
            self._report(host, reason)

    def _banned(self, host: str, now: float) -> bool:
        end = self._bans.get(host)
        if end is not None and end <= now:
            del self._bans[host]
            end = None
        return end is not None


class Buckets:
    """Token buckets: `rate` a second each, `BURST` seconds' worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full = max(1.0, rate * BURST)
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, at that time

    def take(self, key: str, now: float) -> bool:
        """Whether there is a token left for `key`; takes it."""
        if key not in self._buckets:
            _make_room(self._buckets)
        tokens, since = self._buckets.get(key, (self._full, now))
        tokens = min(self._full, tokens + (now - since) * self._rate)
        self._buckets[key] = max(0.0, tokens - 1 if tokens >= 1 else tokens), now
        return tokens >= 1


class Tally:
    """Counts per source within `WINDOW`; at `limit` it starts anew. A limit of 0 is never met."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, tuple[int, float]] = {}  # how many, since when

    def reached(self, key: str, now: float) -> bool:
        """Count one; whether that makes it `limit`."""
        if key not in self._counts:
            _make_room(self._counts)
        count, since = self._counts.get(key, (0, now))
        count, since = (1, now) if now - since > WINDOW else (count + 1, since)
        if count == self._limit:
            self._counts.pop(key, None)
            return True
        self._counts[key] = count, since
        return False


def _make_room(table: dict[str, Any]) -> None:
    """Forget who was noted first."""
    if len(table) >= KEPT_SOURCES:
        del table[next(iter(table))]
