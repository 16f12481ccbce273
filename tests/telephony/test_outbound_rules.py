"""Who may call whom, and when; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callcenter.config import Outbound
from callcenter.errors import OutboundDenied, OutboundLimit, OutboundNight, OutboundOff
from callcenter.events import CallAnswered, CallEnded, CallRang
from callcenter.telephony.numbers import dialled
from callcenter.telephony.outbound import Ledger, Used, demand_allowed, longest

NOON = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)  # 12:00 in Tehran


def rules(**more: Any) -> Outbound:
    return Outbound.model_validate({"trunk": "provider", "allow": ["+98", "+972"]} | more)


def ledger() -> Ledger:
    return Ledger("Asia/Tehran")


def rang(call: str, agent: str | None = "ali", at: datetime = NOON, **more: Any) -> CallRang:
    values: dict[str, Any] = {
        "direction": "outbound", "from_number": None, "from_name": None, "to_number": "+98912",
        "line": "", "trunk": "provider", "region": "IR", "language": "fa", "policy": "always",
        "node": "n", "sip_call_id": "x",
    }  # fmt: skip
    return CallRang(call=call, agent=agent, at=at, **(values | more))


def answered(call: str, at: datetime) -> CallAnswered:
    return CallAnswered(call=call, agent="ali", queue="support", wait_seconds=1, at=at)


def ended(call: str, seconds: float) -> CallEnded:
    return CallEnded(call=call, reason="completed", by="agent", talk_seconds=seconds)


def allowed(
    text: str, now: datetime = NOON, book: Ledger | None = None, agent: str = "ali", **more: Any
) -> None:
    demand_allowed(rules(**more), dialled(text, "IR"), agent, book or ledger(), now)


def test_without_the_section_nobody_calls_anybody() -> None:
    with pytest.raises(OutboundOff):
        demand_allowed(None, dialled("0912 123 4567", "IR"), "ali", ledger(), NOON)


def test_an_allowed_number_may_be_called() -> None:
    allowed("0912 123 4567")
    allowed("+972 50 234 5678")


@pytest.mark.parametrize(
    "text", ["+1 212 555 0123", "+882 13 000000", "112", "nonsense", "+98 12", "0098"]
)
def test_every_other_number_is_denied(text: str) -> None:
    with pytest.raises(OutboundDenied):
        allowed(text)


def test_a_denied_prefix_goes_before_an_allowed_one() -> None:
    with pytest.raises(OutboundDenied):
        allowed("0912 123 4567", deny=["+98912"])


def test_costly_numbers_need_their_own_permission() -> None:
    with pytest.raises(OutboundDenied, match="premium"):
        allowed("+972 1 900 123456")
    allowed("+972 1 900 123456", costly=True)


@pytest.mark.parametrize(
    ("hour", "minute", "night"),
    [(20, 59, False), (21, 0, True), (23, 59, True), (0, 0, True), (7, 59, True), (8, 0, False)],
)
def test_nobody_is_called_at_night_by_the_sites_clock(hour: int, minute: int, night: bool) -> None:
    moment = ledger().midnight(NOON) + timedelta(hours=hour, minutes=minute)
    if night:
        with pytest.raises(OutboundNight):
            allowed("0912 123 4567", moment.astimezone(UTC))
    else:
        allowed("0912 123 4567", moment.astimezone(UTC))


def test_the_night_may_lie_within_a_day_and_may_be_none() -> None:
    moment = ledger().midnight(NOON) + timedelta(hours=3)
    allowed("0912 123 4567", moment, night=None)
    allowed("0912 123 4567", moment, night=("01:00", "02:00"))
    with pytest.raises(OutboundNight):
        allowed("0912 123 4567", moment, night=("02:00", "04:00"))


def test_an_agents_calls_of_the_day_are_counted() -> None:
    book = ledger()
    book.note([rang("1"), rang("1"), rang("2"), rang("3", agent="sara")])
    assert book.used(NOON, "ali").calls == 2
    allowed("0912 123 4567", book=book, calls_per_agent=3)
    with pytest.raises(OutboundLimit, match="your calls"):
        allowed("0912 123 4567", book=book, calls_per_agent=2)
    with pytest.raises(OutboundLimit, match="everybody"):
        allowed("0912 123 4567", book=book, agent="new", calls_per_day=3)


def test_inbound_calls_and_yesterdays_calls_do_not_count() -> None:
    book = ledger()
    book.note([rang("in", direction="inbound"), rang("old", at=NOON - timedelta(days=1))])
    assert book.used(NOON) == Used(0, 0.0)


def test_minutes_count_while_the_call_lasts_and_are_exact_after_it() -> None:
    book = ledger()
    book.note([rang("1"), answered("1", NOON)])
    later = NOON + timedelta(minutes=10)
    assert book.used(later, "ali").seconds == 600
    with pytest.raises(OutboundLimit, match="your minutes"):
        allowed("0912 123 4567", later, book=book, minutes_per_agent=10)
    book.note([ended("1", 42.0)])
    assert book.used(later, "ali").seconds == 42.0


def test_half_of_a_limit_is_an_alarm_once_a_day() -> None:
    book, limits = ledger(), rules(calls_per_agent=4, calls_per_day=100)
    book.note([rang("1")])
    assert book.alarms(limits, NOON) == []
    book.note([rang("2")])
    (alarm,) = book.alarms(limits, NOON)
    assert (alarm.agent, alarm.what, alarm.used, alarm.limit) == ("ali", "calls", 2, 4)
    book.note([rang("3")])
    assert book.alarms(limits, NOON) == []
    tomorrow = NOON + timedelta(days=1)
    book.note([rang("4", at=tomorrow), rang("5", at=tomorrow)])
    assert [one.agent for one in book.alarms(limits, tomorrow)] == ["ali"]


def test_minutes_raise_the_alarm_too() -> None:
    book, limits = ledger(), rules(minutes_per_day=20, minutes_per_agent=1000)
    book.note([rang("1"), ended("1", 600.0)])
    assert [(one.agent, one.what) for one in book.alarms(limits, NOON)] == [(None, "minutes")]


def test_a_call_lasts_no_longer_than_what_is_left() -> None:
    limits = rules(minutes_per_agent=10, call_minutes=5, minutes_per_day=100)
    assert longest(limits, Used(), Used()) == timedelta(minutes=5)
    assert longest(limits, Used(1, 480.0), Used(1, 480.0)) == timedelta(minutes=2)
