"""One leg's side of RTCP (RFC 3550 section 6): what it reports and what it is told.

`now` is the loop's time, `wall` seconds since 1970 that go on evenly with it; no clock here.
"""

from __future__ import annotations

import random
import secrets
from typing import Protocol

from callcenter.telephony.media.quality import Reception
from callcenter.telephony.media.rtcp import Goodbye, Report, Sender, compound, parse
from callcenter.telephony.media.rtp import PacketWriter

_INTERVAL = 5.0  # seconds, for two parties the shortest (RFC 3550 6.2)
_COMPENSATION = 1.21828  # e - 3/2 (RFC 3550 6.3.1)
_SINCE_1900 = 2_208_988_800
_LONGEST_TRIP = 10.0


class Wire(Protocol):
    """A transport that translates: how the party sees what is counted here in samples."""

    @property
    def units(self) -> int:
        """Units of its RTP clock in one sample of ours."""

    def timestamp(self, ours: int) -> int:
        """That RTP timestamp of what we send, on its clock."""

    def octets(self, ours: int) -> int:
        """Of payload that it was sent, where `ours` were made."""


class Reports:
    """What goes to the party in RTCP, and what its own reports say of what it hears."""

    def __init__(self, reception: Reception, writer: PacketWriter) -> None:
        self._reception = reception
        self._writer = writer
        self.cname = secrets.token_urlsafe(12)  # RFC 7022: a new one each time, of nobody
        self.wire: Wire | None = None
        """None where packets go as they are made."""
        self.due = 0.0
        """Loop time of the next report."""
        self.round_trip: float | None = None
        """Seconds there and back, as last measured."""
        self.remote_jitter: int | None = None
        """In samples."""
        self.remote_lost: int | None = None
        self.remote_expected: int | None = None
        """Packets that were sent until the party's last report."""
        self.ended = False
        """The party said goodbye in RTCP; that ends no call, signalling does."""
        self._told_packets = 0  # sent until our last report
        self._last_sr = 0  # the middle of the NTP time in the party's last SR
        self._last_sr_at = 0.0

    def schedule(self, now: float, *, first: bool = False) -> None:
        """When the next report is due: at random around the interval (RFC 3550 6.3.1)."""
        interval = _INTERVAL / 2 if first else _INTERVAL
        chance = random.uniform(0.5, 1.5)  # noqa: S311 - spread, no secret
        self.due = now + interval * chance / _COMPENSATION

    def write(self, now: float, wall: float, position: int, *, bye: bool = False) -> bytes:
        """The next compound: SR where something was sent since the last, else RR.

        `position` is the present on the plane's clock, in samples.
        """
        writer = self._writer
        sender = None
        if writer.packets != self._told_packets:
            self._told_packets = writer.packets
            time, octets = writer.timestamp(position), writer.octets
            if self.wire is not None:
                time, octets = self.wire.timestamp(time), self.wire.octets(octets)
            sender = Sender(_ntp(wall), time, writer.packets & _WORD, octets & _WORD)
        since = int((now - self._last_sr_at) * 65536) if self._last_sr else 0
        block = self._reception.block(self._last_sr, min(max(since, 0), _WORD))
        if block is not None and self.wire is not None:
            block = block._replace(jitter=block.jitter * self.wire.units)
        report = Report(writer.ssrc, sender, (block,) if block else ())
        return compound(report, self.cname, bye=bye)

    def take(self, data: bytes | memoryview, now: float, wall: float) -> bool:
        """A compound of the party's came; False when it is none."""
        parts = parse(data)
        for part in parts or ():
            if isinstance(part, Report):
                self._reported(part, now, wall)
            elif isinstance(part, Goodbye):
                self.ended = self.ended or self._reception.ssrc in part.ssrcs
        return parts is not None

    def _reported(self, report: Report, now: float, wall: float) -> None:
        if report.sender is not None:
            self._last_sr, self._last_sr_at = report.sender.ntp >> 16 & _WORD, now
        for block in report.blocks:
            if block.ssrc != self._writer.ssrc:
                continue
            units = self.wire.units if self.wire is not None else 1
            self.remote_jitter, self.remote_lost = block.jitter // units, block.lost
            self.remote_expected = self._writer.packets
            if block.last_sr:
                units = (_ntp(wall) >> 16) - block.last_sr - block.delay & _WORD
                if units < _LONGEST_TRIP * 65536:
                    self.round_trip = units / 65536


_WORD = 0xFFFFFFFF


def _ntp(wall: float) -> int:
    """Seconds since 1900 in 32.32 bits (RFC 3550 section 4)."""
    return int((wall + _SINCE_1900) * 2**32) & 0xFFFFFFFFFFFFFFFF
