"""How the sound of one call was carried: a measurement per party, told as a fact at its end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from callcenter.events import CallQualityMeasured, Fact, LegName
from callcenter.telephony.ports import MediaLeg, QualityMeter


@dataclass(slots=True)
class _Running:
    part: int
    agent: str | None
    meter: QualityMeter


class CallQuality:
    """Measures the customer's leg once and each agent's for their part of the call."""

    def __init__(self, call: str) -> None:
        self._call = call
        self._running: dict[LegName, _Running] = {}
        self._parts: dict[LegName, int] = {}

    def begin(self, name: LegName, leg: MediaLeg, agent: str | None = None) -> None:
        """From now on; nothing where that party is measured already."""
        if name not in self._running:
            self._parts[name] = self._parts.get(name, 0) + 1
            self._running[name] = _Running(self._parts[name], agent, leg.measure())

    def finish(self, *names: LegName) -> list[Fact]:
        """What was measured of these parties, whose part is over."""
        facts: list[Fact] = []
        for name in names:
            running = self._running.pop(name, None)
            if running is not None:
                measured = dataclasses.asdict(running.meter.read())
                facts.append(
                    CallQualityMeasured(
                        call=self._call,
                        leg=name,
                        part=running.part,
                        agent=running.agent,
                        **measured,
                    )
                )
        return facts
