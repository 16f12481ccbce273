"""A measurement of one leg: how its sound was carried between two moments."""

from __future__ import annotations

from collections.abc import Callable

from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.quality import loss, mean_opinion, milliseconds
from callcenter.telephony.ports import FRAME_MILLISECONDS, LegQuality

_FEWEST = 50  # packets: from less than a second nothing is concluded


class Meter:
    """Runs from its making on."""

    def __init__(self, leg: Leg, clock: Callable[[], float]) -> None:
        self._leg, self._clock = leg, clock
        leg.reception.jitter_most = leg.reception.jitter
        self._start = leg.counts(clock())

    def read(self) -> LegQuality:
        """What was measured until now."""
        leg, before, now = self._leg, self._start, self._leg.counts(self._clock())
        reports = leg.reports
        expected = now.expected - before.expected
        received = now.received - before.received - (now.duplicates - before.duplicates)
        late = now.late - before.late
        lost = max(expected - received, 0)
        jitter = reports.remote_jitter
        return LegQuality(
            seconds=round(now.at - before.at, 1),
            codec=leg.carried_as or leg.codec.name,
            received=received,
            lost=lost,
            late=late,
            jitter_ms=round(milliseconds(leg.reception.jitter), 1),
            jitter_max_ms=round(milliseconds(leg.reception.jitter_most), 1),
            sent=now.sent - before.sent,
            remote_lost=self._remote_lost(),
            remote_jitter_ms=None if jitter is None else round(milliseconds(jitter), 1),
            round_trip_ms=_rounded(reports.round_trip),
            mos=self._opinion(lost + late, expected),
            remote_mos=self._remote_opinion(),
        )

    def _remote_lost(self) -> int | None:
        now = self._leg.counts(self._clock())
        if now.remote_lost is None:
            return None
        return max(now.remote_lost - (self._start.remote_lost or 0), 0)

    def _opinion(self, missing: int, expected: int) -> float | None:
        if expected < _FEWEST:
            return None
        return round(mean_opinion(loss(missing, expected), self._delay()), 2)

    def _remote_opinion(self) -> float | None:
        """The same for what the party hears, from its own reports."""
        now, lost = self._leg.counts(self._clock()), self._remote_lost()
        if lost is None or now.remote_expected is None:
            return None
        expected = now.remote_expected - (self._start.remote_expected or 0)
        if expected < _FEWEST:
            return None
        return round(mean_opinion(loss(lost, expected), self._delay()), 2)

    def _delay(self) -> float:
        """Milliseconds one way: half the round trip, one packet, the playout."""
        trip = self._leg.reports.round_trip or 0.0
        return trip * 500 + FRAME_MILLISECONDS + self._leg.playout_milliseconds


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
