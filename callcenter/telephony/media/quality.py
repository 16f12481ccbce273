"""How well sound is carried: loss and jitter (RFC 3550 A.3, A.8), and an estimate of the MOS."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.telephony.media.rows import Cell, Maybe, Row
from callcenter.telephony.media.rtcp import Block
from callcenter.telephony.media.rtp import distance
from callcenter.telephony.ports import SAMPLE_RATE

JUMP = SAMPLE_RATE * 2
"""A timestamp so far from the clock belongs to another stream."""
_UNITS_A_MS = SAMPLE_RATE / 1000


class Reception:
    """One stream after the other as it comes in; `ssrc` is None before the first packet.

    `received` counts every packet, also repeated ones (RFC 3550 A.3); jitter is in timestamp
    units. A new SSRC begins a new stream; the sums of those before are kept.
    """

    ssrc = Maybe("ssrc")
    received = Cell[int]("received")
    jitter = Cell[float]("jitter")
    jitter_most = Cell[float]("jitter_most")
    _highest = Cell[int]("extended")  # sequence number of this stream, as _first
    _transit = Maybe("transit")
    _rested = Cell[bool]("rested")

    def __init__(self, row: Row | None = None) -> None:
        self.row = row or Row()
        self._first = 0
        self._before = 0  # packets expected of earlier streams
        self._of_before = 0  # and received of them
        self._told = (0, 0)  # expected and received at the last report

    @property
    def expected(self) -> int:
        """Packets that should have come, of all streams."""
        return self._before + self._of_stream()

    @property
    def highest(self) -> int:
        """The extended highest sequence number of the present stream (RFC 3550 A.1)."""
        return self._highest & 0xFFFFFFFF

    def take(self, sequence: int, ssrc: int) -> None:
        """A packet of any payload type came."""
        if ssrc != self.ssrc or self._rested:
            self._begin(sequence, ssrc)
        else:
            ahead = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
            if ahead > 0:
                self._highest += ahead
            elif self._highest + ahead < self._first:
                self._first = self._highest + ahead  # the first ones came in the wrong order
        self.received += 1

    def timed(self, timestamp: int, arrival: float) -> None:
        """A packet of sound came at `arrival` (timestamp units of our clock): RFC 3550 A.8."""
        transit = int(arrival) - timestamp
        before, self._transit = self._transit, transit
        if before is None:
            return
        change = abs(distance(transit, before, 32))
        if change < JUMP:
            self.jitter += (change - self.jitter) / 16
            if self.jitter > self.jitter_most:
                self.jitter_most = self.jitter

    def rest(self) -> None:
        """Packets are passed over unread until the next that is taken: none of them is lost."""
        self._rested = True

    def paused(self) -> None:
        """The sender's clock may stand still now (keys, comfort noise): no jitter over that."""
        self._transit = None

    def block(self, last_sr: int, delay: int) -> Block | None:
        """What we report of the stream (RFC 3550 A.3), None before there is one."""
        if self.ssrc is None:
            return None
        expected, received = self._of_stream(), self.received - self._of_before
        asked, came = expected - self._told[0], received - self._told[1]
        self._told = expected, received
        missing = max(asked - came, 0)
        fraction = min(missing * 256 // asked, 255) if asked > 0 else 0
        lost = expected - received
        return Block(self.ssrc, fraction, lost, self.highest, int(self.jitter), last_sr, delay)

    def _of_stream(self) -> int:
        return 0 if self.ssrc is None else self._highest - self._first + 1

    def _begin(self, sequence: int, ssrc: int) -> None:
        self._before, self._of_before = self.expected, self.received
        if ssrc == self.ssrc:  # after a rest: the count of roll-overs goes on
            sequence = self._highest + (sequence - self._highest & 0xFFFF)
        else:
            self.jitter = 0.0
        self.ssrc, self._first, self._highest = ssrc, sequence, sequence
        self._transit, self._told, self._rested = None, (0, 0), False


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the counters of a leg stand; two of them make a measurement."""

    at: float
    expected: int
    received: int
    duplicates: int
    late: int
    sent: int
    remote_expected: int | None
    remote_lost: int | None


def loss(lost: int, expected: int) -> float:
    """The share that is lost, 0 to 1."""
    return min(max(lost, 0) / expected, 1.0) if expected > 0 else 0.0


def milliseconds(units: float) -> float:
    """Timestamp units at 8 kHz as milliseconds."""
    return units / _UNITS_A_MS


_R0 = 93.2  # ITU-T G.107 with its default values, without delay and loss
_ROBUST = 25.1  # Bpl of G.711 with concealment (ITU-T G.113 appendix I); Ie is 0
_ECHO_FREE = 177.3  # ms: more delay than this is felt


def mean_opinion(loss: float, delay_ms: float) -> float:
    """The MOS (1 to 4.41) that ITU-T G.107 estimates for G.711 with concealment.

    `loss`: share of packets that are not played, 0 to 1, taken as random (BurstR = 1); `delay_ms`
    one way, from mouth to ear. Simplified: R = 93.2 - Id - Ie,eff with
    Ie,eff = 95 * Ppl / (Ppl + 25.1) (G.107 7.4) and, for Id, the two straight lines of Cole and
    Rosenbluth (2001): 0.024 d + 0.11 (d - 177.3) above 177.3 ms.
    """
    percent = 100 * loss
    rating = _R0 - 95 * percent / (percent + _ROBUST) - 0.024 * delay_ms
    rating -= 0.11 * max(delay_ms - _ECHO_FREE, 0.0)
    if rating <= 0:
        return 1.0
    return max(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1.0)
