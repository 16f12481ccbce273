"""Weeks as the site lives them: they begin with its first working day, by its own clock. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from callcenter.crm.workdays import Workdays

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Week:
    """From `since` up to `until` (UTC), which is the `since` of the next one."""

    first: date
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Weeks:
    """The calendar's weeks; `begins` is a weekday, 0 is Monday."""

    zone: ZoneInfo
    begins: int = 0

    def holding(self, moment: datetime) -> Week:
        """The week of that moment."""
        day = moment.astimezone(self.zone).date()
        return self._from(day - timedelta(days=(day.weekday() - self.begins) % 7))

    def last(self, count: int, moment: datetime) -> Sequence[Week]:
        """That many weeks up to the one of `moment`, the oldest first."""
        first = self.holding(moment).first
        return [self._from(first - WEEK * back) for back in reversed(range(count))]

    def _from(self, first: date) -> Week:
        return Week(first, self._midnight(first), self._midnight(first + WEEK))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def weeks_of(calendar: Workdays) -> Weeks:
    """The weeks of a site: they begin with the working day that follows a free one."""
    days = calendar.weekdays
    begins = [day for day in sorted(days) if (day - 1) % 7 not in days]
    return Weeks(calendar.zone, begins[0] if len(begins) == 1 else 0)
