"""The desk in figures: what is open, how fast it moves, why customers complain.

Every figure says of how many complaints it is. Times are working days of the site's calendar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints import queries
from callcenter.crm.complaints.clocks import Rules
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import OPEN_STAGES

AGES = (2, 7, 14, 30)  # calendar days; the last group is older

_ROW = (
    Complaint.stage,
    Complaint.created_at,
    Complaint.due_at,
    Complaint.acknowledged_at,
    Complaint.decided_at,
    Complaint.severity,
    Complaint.cause,
    Complaint.product,
    Complaint.queue,
    Complaint.reopened,
    Complaint.remedy_cents,
)


@dataclass(frozen=True, slots=True)
class Time:
    """How long a step took, in working days; None where it was never taken."""

    count: int
    median: float | None
    ninety: int | None  # nine of ten took no longer
    in_time: float | None  # share within the days that are promised


@dataclass(frozen=True, slots=True)
class Group:
    """Complaints of one cause, product or queue; `cost_cents` of their remedies."""

    key: str | None
    count: int
    open: int
    reopened: int
    cost_cents: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Open ones now; everything else of those received in the period."""

    open: dict[str, list[int]]  # stage → complaints by age group
    overdue: int
    received: int
    reopened: int
    acknowledge: Time
    decide: Time
    causes: list[Group]
    products: list[Group]
    queues: list[Group]


def figures(
    session: Session, rules: Rules, at: datetime, *, since: datetime, until: datetime
) -> Figures:
    """The figures at that moment; `since` ≤ received < `until`."""
    now_open = session.execute(select(*_ROW).where(Complaint.stage.in_(OPEN_STAGES))).all()
    period = select(*_ROW).where(Complaint.created_at >= since, Complaint.created_at < until)
    rows = session.execute(period).all()
    return Figures(
        open=_by_age(now_open, at),
        overdue=session.scalar(select(func.count(Complaint.id)).where(queries.late(at))) or 0,
        received=len(rows),
        reopened=sum(row.reopened > 0 for row in rows),
        acknowledge=_time(rows, "acknowledged_at", rules, lambda _row: rules.acknowledge_days),
        decide=_time(rows, "decided_at", rules, lambda row: rules.decide_days[row.severity]),
        causes=_groups(rows, "cause"),
        products=_groups(rows, "product"),
        queues=_groups(rows, "queue"),
    )


def _by_age(rows: Iterable[Any], at: datetime) -> dict[str, list[int]]:
    found = {stage: [0] * (len(AGES) + 1) for stage in OPEN_STAGES}
    for row in rows:
        days = (at - row.created_at).days
        found[row.stage][sum(days > limit for limit in AGES)] += 1
    return {str(stage): counts for stage, counts in found.items()}


def _time(rows: Sequence[Any], field: str, rules: Rules, promised: Callable[[Any], int]) -> Time:
    taken = [
        (rules.calendar.between(row.created_at, end), promised(row))
        for row in rows
        if (end := getattr(row, field)) is not None
    ]
    if not taken:
        return Time(0, None, None, None)
    days = sorted(one for one, _ in taken)
    ninety = days[max(0, -(-9 * len(days) // 10) - 1)]
    return Time(
        count=len(days),
        median=float(median(days)),
        ninety=ninety,
        in_time=sum(took <= limit for took, limit in taken) / len(taken),
    )


def _groups(rows: Iterable[Any], field: str) -> list[Group]:
    count: Counter[str | None] = Counter()
    still_open: Counter[str | None] = Counter()
    reopened: Counter[str | None] = Counter()
    cost: Counter[str | None] = Counter()
    for row in rows:
        key = getattr(row, field) or None
        count[key] += 1
        still_open[key] += row.stage != "closed"
        reopened[key] += row.reopened > 0
        cost[key] += row.remedy_cents or 0
    return [
        Group(key, number, still_open[key], reopened[key], cost[key])
        for key, number in sorted(count.items(), key=lambda item: (-item[1], item[0] or ""))
    ]
