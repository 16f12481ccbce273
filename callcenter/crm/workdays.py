"""Working days of the site: which days count, and when a number of them is over.

Holidays come from the tables of `holidays` (PyPI): Nowruz by the Jalali calendar, the moving
Islamic days as they were announced (later years as computed, which the moon may shift by a day),
Jewish days by the Hebrew calendar. What a country decides at short notice stands in
`site.calendar.closed` and `open`, which win.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

from callcenter.config import WEEKDAYS, Site

_END_OF_DAY = time(23, 59, 59)
_WEEKS: dict[str, tuple[str, ...]] = {
    "IR": ("sat", "sun", "mon", "tue", "wed"),
    "IL": ("sun", "mon", "tue", "wed", "thu"),
}
_USUAL = ("mon", "tue", "wed", "thu", "fri")
_LONGEST = 3_660  # days looked ahead: a calendar without any working day ends the search


@dataclass(frozen=True, slots=True)
class Workdays:
    """A calendar: working weekdays (0 is Monday), a country's holidays, the site's exceptions."""

    zone: ZoneInfo
    weekdays: frozenset[int]
    country: str | None = None
    closed: frozenset[date] = frozenset()
    open: frozenset[date] = frozenset()

    def works(self, day: date) -> bool:
        """Whether people work on that day."""
        if day in self.open or day in self.closed:
            return day in self.open
        return day.weekday() in self.weekdays and day not in _holidays(self.country, day.year)

    def local_day(self, moment: datetime) -> date:
        """The day that it is for the site at that moment."""
        return moment.astimezone(self.zone).date()

    def deadline(self, start: datetime, days: int) -> datetime:
        """The end (UTC) of the `days`-th working day after the day of `start`.

        The day of `start` does not count, so that an hour late in the evening costs nobody a day;
        0 is the end of that day, or of the next working one.
        """
        first = self.local_day(start)
        if days <= 0 and self.works(first):
            return self._end_of(first)
        left = max(days, 1)
        for day in self._from(first):
            left -= self.works(day)
            if not left:
                return self._end_of(day)
        return self._end_of(first + timedelta(days=max(days, 1)))

    def between(self, start: datetime, end: datetime) -> int:
        """Working days after the day of `start` up to that of `end`; 0 when it is earlier."""
        first, last = self.local_day(start), self.local_day(end)
        span = (last - first).days
        return sum(self.works(first + timedelta(days=n)) for n in range(1, span + 1))

    def _from(self, day: date) -> Iterator[date]:
        return (day + timedelta(days=n) for n in range(1, _LONGEST))

    def _end_of(self, day: date) -> datetime:
        return datetime.combine(day, _END_OF_DAY, self.zone).astimezone(UTC)


@cache
def _holidays(country: str | None, year: int) -> frozenset[date]:
    if country is None:
        return frozenset()
    return frozenset(holidays.country_holidays(country, years=year))


def of(site: Site) -> Workdays:
    """The calendar that the settings describe."""
    chosen = site.calendar
    region = chosen.country or site.region
    known = region in holidays.list_supported_countries()
    week = chosen.workdays or _WEEKS.get(region, _USUAL)
    return Workdays(
        zone=ZoneInfo(site.timezone),
        weekdays=frozenset(WEEKDAYS.index(day) for day in week),
        country=region if known else None,
        closed=frozenset(chosen.closed),
        open=frozenset(chosen.open),
    )
