"""Symmetric RTP: send to where the sound really comes from, and listen to nobody else."""

from __future__ import annotations

from typing import Any

_PROBATION = 5  # packets from one source before it is locked
_CANDIDATES = 8  # sources that are looked at during probation

Source = tuple[Any, ...]
"""A socket address as `recvfrom` gives it; host and port come first."""


class SourceLatch:
    """Which address a telephone's sound may come from and goes to.

    At first sound goes to the address of the SDP. The telephone may sit behind NAT, so the
    first source that sends is taken instead (RFC 4961); what sent five packets, or one from
    the SDP's own address, is locked and packets from others are ignored ("RTPbleed").
    """

    def __init__(self) -> None:
        self._told: Source | None = None
        self._target: Source | None = None
        self._locked = False
        self._packets: dict[Source, int] = {}

    @property
    def target(self) -> Source | None:
        """Where to send to; None as long as nobody told."""
        return self._target

    def tell(self, host: str, port: int) -> None:
        """The SDP's address. A new one opens the latch again, the same changes nothing."""
        told = (host, port)
        if told == self._told:
            return
        self._told = self._target = told
        self._locked = False
        self._packets = {}

    def accepts(self, source: Source) -> bool:
        """Whether a packet from `source` counts; learns from it."""
        if self._locked:
            return source == self._target
        if self._told is None:
            return False
        if source[:2] == self._told:
            self._target, self._locked = source, True
            return True
        return self._on_probation(source)

    def _on_probation(self, source: Source) -> bool:
        if source not in self._packets and len(self._packets) >= _CANDIDATES:
            return False
        count = self._packets[source] = self._packets.get(source, 0) + 1
        if len(self._packets) == 1 or count >= _PROBATION:
            self._target, self._locked = source, count >= _PROBATION
        return source == self._target
