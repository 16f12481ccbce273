"""Figures: percentiles, what is aimed at, the table on the terminal and the JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Unit = Literal["ms", "% of a core", "%"]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, linear between neighbours.

    Hyndman and Fan's type 7, as numpy's default. NaN of no values.
    """
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True)
class Figure:
    """One row: what was measured how often, and at most how much is aimed at (None: no aim)."""

    name: str
    unit: Unit
    values: tuple[float, ...]
    aim: float | None = None

    @property
    def p50(self) -> float:
        """The median."""
        return percentile(self.values, 0.5)

    @property
    def p95(self) -> float:
        """What one in twenty exceeds."""
        return percentile(self.values, 0.95)

    @property
    def verdict(self) -> str:
        """Whether the aim is met: by p95, by the median only, or not."""
        if self.aim is None or not self.values:
            return ""
        if self.p95 <= self.aim:
            return "met"
        return "median only" if self.p50 <= self.aim else "missed"


@dataclass
class Report:
    """All figures of one measurement, and what they were measured on."""

    title: str
    machine: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, name: str, unit: Unit, values: Sequence[float], aim: float | None = None
    ) -> Figure:
        """One row more."""
        self.figures.append(Figure(name, unit, tuple(values), aim))
        return self.figures[-1]

    def show(self, console: Console) -> None:
        """Print the header, the table and the notes."""
        console.print(self.title, style="bold", highlight=False)
        console.print(_header(self.machine), highlight=False)
        table = Table("figure", "unit")
        for name in ("n", "p50", "p95", "aim"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("")
        for one in self.figures:
            aim = "" if one.aim is None else f"≤ {one.aim:g}"
            count = str(len(one.values))
            table.add_row(
                one.name, one.unit, count, _number(one.p50), _number(one.p95), aim, one.verdict
            )
        console.print(table)
        for note in self.notes:
            console.print(f"· {note}", highlight=False)

    def write(self, path: Path) -> None:
        """Write everything, single values included, as JSON."""
        rows = [
            {
                "name": one.name,
                "unit": one.unit,
                "count": len(one.values),
                "p50": _or_none(one.p50),
                "p95": _or_none(one.p95),
                "aim": one.aim,
                "verdict": one.verdict,
                "values": one.values,
            }
            for one in self.figures
        ]
        known = {"title": self.title, "machine": self.machine, "notes": self.notes}
        text = json.dumps({**known, "figures": rows}, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def _header(machine: dict[str, Any]) -> str:
    return "  ".join(f"{key} {value}" for key, value in machine.items())


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
