"""Symmetric RTP: send to where the sound really comes from, and listen to nobody else."""

from __future__ import annotations

from typing import Any

_PROBATION = 3  # packets from one source before it is locked
_CANDIDATES = 8  # sources that are looked at during probation
_NOBODY, _ANYBODY, _SAME_HOST, _TOLD = range(4)

Source = tuple[Any, ...]
"""A socket address as `recvfrom` gives it; host and port come first."""


class SourceLatch:
    """Which address a telephone's sound may come from and goes to.

    At first sound goes to the address of the SDP. What comes from there is the telephone. It may
    sit behind NAT, so another source counts too (RFC 4961): from the host that signals or that
    the SDP names at once, from anywhere else after three packets, which are not heard. Three
    packets lock a source: what others send is ignored ("RTPbleed"), except what comes from a
    place that is more credible; nobody can lock out the telephone by sending before it does.
    """

    def __init__(self) -> None:
        self._told: Source | None = None
        self._hosts: tuple[str, ...] = ()
        self.target: Source | None = None
        """Where to send to; None as long as nobody told."""
        self._rank = _NOBODY  # of the target
        self._locked = False
        self._packets: dict[Source, int] = {}

    @property
    def locked(self) -> bool:
        """Whether the target is the telephone for sure."""
        return self._locked

    @property
    def heard(self) -> bool:
        """Whether sound came from the target."""
        return self._rank > _NOBODY

    def tell(self, host: str, port: int, signalling: str | None = None) -> None:
        """The SDP's address and the host it came from. A new one opens the latch again, the same
        changes nothing."""
        told = (host, port)
        if told == self._told:
            return
        self._told = self.target = told
        self._hosts = (host, signalling or host)
        self._rank, self._locked = _NOBODY, False
        self._packets = {}

    def accepts(self, source: Source) -> bool:
        """Whether a packet from `source` counts; learns from it."""
        if self._locked and source == self.target:
            return True
        rank = self._credible(source)
        if rank <= _NOBODY or rank < self._rank or (self._locked and rank == self._rank):
            return False
        if rank == _TOLD:
            self.target, self._rank, self._locked = source, rank, True
            return True
        return self._on_probation(source, rank)

    def _credible(self, source: Source) -> int:
        if self._told is None:
            return _NOBODY
        if source[:2] == self._told:
            return _TOLD
        return _SAME_HOST if source[0] in self._hosts else _ANYBODY

    def _on_probation(self, source: Source, rank: int) -> bool:
        crowd = len(self._packets) >= _CANDIDATES and rank == _ANYBODY
        if crowd and source not in self._packets:
            return False
        count = self._packets[source] = self._packets.get(source, 0) + 1
        first = rank == _SAME_HOST and self._rank < rank
        if first or count >= _PROBATION:
            self.target, self._rank = source, rank
            self._locked = count >= _PROBATION
        return source == self.target and rank == self._rank
