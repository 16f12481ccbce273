"""A day as people write it: Jalali with Persian digits in Persian, Gregorian elsewhere."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from persiantools import digits
from persiantools.jdatetime import JalaliDate

_HEBREW = (
    "ינואר", "פברואר", "מרץ", "אפריל", "מאי", "יוני", "יולי", "אוגוסט", "ספטמבר", "אוקטובר",
    "נובמבר", "דצמבר",
)  # fmt: skip
_ENGLISH = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def day(moment: datetime, language: str, zone: ZoneInfo) -> str:
    """`۲ آذر ۱۴۰۵`, `23 בנובמבר 2026`, `23 November 2026`: the day it is in that zone."""
    local = moment.astimezone(zone).date()
    if language == "fa":
        jalali = JalaliDate.to_jalali(local)  # type: ignore[no-untyped-call]
        month = jalali.strftime("%B", locale="fa")
        return str(digits.en_to_fa(f"{jalali.day} {month} {jalali.year}"))
    if language == "he":
        return f"{local.day} ב{_HEBREW[local.month - 1]} {local.year}"
    return f"{local.day} {_ENGLISH[local.month - 1]} {local.year}"
