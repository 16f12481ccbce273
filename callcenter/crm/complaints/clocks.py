"""When a complaint must have moved, and who hears of it when it has not. Pure.

Two clocks: acknowledging (from receipt) and deciding (from receipt, anew from an appeal or
reopening). Both count working days of the site's calendar. The second one runs until the customer
was told: a decision that nobody heard of is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

from callcenter.config import Settings
from callcenter.crm import workdays
from callcenter.crm.complaints.stages import WAITING_STAGES, Stage
from callcenter.crm.workdays import Workdays

Awaited = Literal["acknowledge", "decide", "tell"]
State = Literal["done", "on_time", "soon", "overdue"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the desk. `escalate`: (working days after the deadline, role), in order."""

    calendar: Workdays
    acknowledge_days: int
    decide_days: Mapping[str, int]
    escalate: tuple[tuple[int, str], ...]
    incident_size: int
    incident_days: int

    def acknowledge_due(self, received: datetime) -> datetime:
        """When it must have been acknowledged."""
        return self.calendar.deadline(received, self.acknowledge_days)

    def decide_due(self, start: datetime, severity: str) -> datetime:
        """When the customer must have the answer."""
        return self.calendar.deadline(start, self.decide_days[severity])


@dataclass(frozen=True, slots=True)
class Clock:
    """What is awaited next and until when; `days` are working days left, negative when over."""

    awaited: Awaited | None
    due: datetime | None
    state: State
    days: int = 0


STOPPED = Clock(None, None, "done")


def clock(
    stage: Stage, acknowledge_due: datetime | None, due: datetime, rules: Rules, at: datetime
) -> Clock:
    """The clock that a card shows: the next deadline of the stage."""
    if stage not in WAITING_STAGES:
        return STOPPED
    if stage == "received" and acknowledge_due and acknowledge_due < due:
        return _running("acknowledge", acknowledge_due, rules, at)
    return _running("tell" if stage == "responded" else "decide", due, rules, at)


def _running(awaited: Awaited, due: datetime, rules: Rules, at: datetime) -> Clock:
    if due < at:
        return Clock(awaited, due, "overdue", -rules.calendar.between(due, at))
    left = rules.calendar.between(at, due)
    return Clock(awaited, due, "soon" if left <= 1 else "on_time", left)


def level(clock: Clock, rules: Rules, at: datetime) -> int:
    """How many steps of the escalation are due at that moment; 0 while it is in time."""
    if clock.due is None or clock.state != "overdue":
        return 0
    return sum(_reached(clock.due, days, rules, at) for days, _ in rules.escalate)


def _reached(due: datetime, days: int, rules: Rules, at: datetime) -> bool:
    return (rules.calendar.deadline(due, days) if days else due) < at


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings describe."""
    desk = settings.complaints
    steps = sorted(desk.escalate, key=lambda step: step.days)
    return Rules(
        calendar=workdays.of(settings.site),
        acknowledge_days=desk.acknowledge_days,
        decide_days=desk.decide_days.model_dump(),
        escalate=tuple((step.days, step.to) for step in steps),
        incident_size=desk.incident_size,
        incident_days=desk.incident_days,
    )


@cache
def usual() -> Rules:
    """Those of the defaults, for sample data."""
    return rules_of(Settings())
