"""Deadlines in working days: over Nowruz, Yom Kippur, the clock change, and the site's own days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.config import Site
from callcenter.crm import workdays
from callcenter.crm.workdays import Workdays

TEHRAN, JERUSALEM = ZoneInfo("Asia/Tehran"), ZoneInfo("Asia/Jerusalem")


def iran(**calendar: Any) -> Workdays:
    return workdays.of(Site(region="IR", timezone="Asia/Tehran", calendar=calendar))


def israel(**calendar: Any) -> Workdays:
    return workdays.of(Site(region="IL", timezone="Asia/Jerusalem", calendar=calendar))


def due(calendar: Workdays, start: datetime, days: int) -> date:
    end = calendar.deadline(start, days)
    local = end.astimezone(calendar.zone)
    assert (local.hour, local.minute, end.tzinfo) == (23, 59, UTC)
    return local.date()


def test_the_week_in_iran_ends_on_wednesday_and_in_israel_on_thursday() -> None:
    week = [date(2026, 11, day) for day in range(21, 28)]  # Saturday to Friday, no holiday
    assert [iran().works(day) for day in week] == [True] * 5 + [False, False]
    assert [israel().works(day) for day in week] == [False] + [True] * 5 + [False]


def test_a_deadline_over_nowruz() -> None:
    """1 to 4 Farvardin 1406, 12 and 13 Farvardin are free: 21 to 24 March, 1 and 2 April 2027."""
    tuesday = datetime(2027, 3, 16, 10, 0, tzinfo=TEHRAN)  # 25 Esfand 1405
    assert due(iran(), tuesday, 1) == date(2027, 3, 17)
    # Thursday and Friday, oil nationalisation on Saturday 20, Nowruz Sunday 21 to Wednesday 24,
    # Thursday and Friday again: the second working day is Saturday 27.
    assert due(iran(), tuesday, 2) == date(2027, 3, 27)
    # 28 29 30 31; 1 and 2 April are Islamic Republic and Nature Day; 3 April is the (computed)
    # martyrdom of Imam Sadiq; 4 5 6 7, then the weekend, 10.
    assert due(iran(), tuesday, 10) == date(2027, 4, 7)
    assert due(iran(), tuesday, 11) == date(2027, 4, 10)


def test_nowruz_follows_the_jalali_calendar_also_in_a_leap_year() -> None:
    assert not iran().works(date(2025, 3, 24))  # 4 Farvardin 1404; 1403 is a leap year
    assert iran().works(date(2025, 3, 25))
    assert iran().works(date(2024, 3, 24)) is True  # 5 Farvardin 1403, a Sunday


def test_moving_islamic_days_are_free() -> None:
    assert not iran().works(date(2026, 6, 24))  # Tasu'a 1448, a Wednesday
    assert due(iran(), datetime(2026, 6, 23, 9, 0, tzinfo=TEHRAN), 1) == date(2026, 6, 27)


def test_a_deadline_over_yom_kippur() -> None:
    """Yom Kippur 5787 is Monday 21 September 2026; Sukkot begins on Saturday 26."""
    thursday = datetime(2026, 9, 17, 12, 0, tzinfo=JERUSALEM)
    assert due(israel(), thursday, 1) == date(2026, 9, 20)
    assert due(israel(), thursday, 2) == date(2026, 9, 22)
    # The eve can be made free by the company.
    assert due(israel(closed=["2026-09-20"]), thursday, 1) == date(2026, 9, 22)


def test_rosh_hashanah_and_the_weekend_in_one() -> None:
    thursday = datetime(2026, 9, 10, 12, 0, tzinfo=JERUSALEM)  # 12 and 13 September: 1, 2 Tishrei
    assert due(israel(), thursday, 1) == date(2026, 9, 14)


def test_the_day_of_receipt_does_not_count_and_is_the_sites_not_utc() -> None:
    late = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)  # already Monday 00:30 in Tehran
    assert due(iran(), late, 1) == date(2026, 11, 24)
    early = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)  # still Sunday 23:30
    assert due(iran(), early, 1) == date(2026, 11, 23)
    assert due(iran(), early, 0) == date(2026, 11, 22)


def test_a_deadline_over_a_clock_change_is_still_the_end_of_the_local_day() -> None:
    """Israel goes to summer time on Friday 27 March 2026, 02:00: that week has 167 hours."""
    start = datetime(2026, 3, 26, 12, 0, tzinfo=JERUSALEM)
    end = israel().deadline(start, 1)
    assert end.astimezone(JERUSALEM).isoformat() == "2026-03-29T23:59:59+03:00"
    assert start.utcoffset() == timedelta(hours=2)


def test_the_sites_own_days_win_over_the_tables() -> None:
    calendar = iran(closed=["2026-11-24"], open=["2026-11-26"])
    assert not calendar.works(date(2026, 11, 24))
    assert calendar.works(date(2026, 11, 26))  # a Thursday


def test_a_country_without_tables_and_none_have_weekends_only() -> None:
    bare = workdays.of(Site(region="IR", calendar={"country": "none"}))
    assert bare.works(date(2027, 3, 22))
    assert bare.country is None


@pytest.mark.parametrize("calendar", [iran(), israel()], ids=["iran", "israel"])
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    days=st.integers(1, 40),
)
def test_a_deadline_is_a_working_day_and_counts_back(
    calendar: Workdays, start: datetime, days: int
) -> None:
    end = calendar.deadline(start, days)
    assert calendar.works(calendar.local_day(end))
    assert calendar.between(start, end) == days
    assert calendar.deadline(start, days + 1) > end


def test_a_calendar_without_working_days_ends_the_search() -> None:
    never = Workdays(zone=TEHRAN, weekdays=frozenset())
    assert never.deadline(datetime(2026, 1, 1, tzinfo=UTC), 3).date() == date(2026, 1, 4)
