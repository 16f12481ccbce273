"""Whether an agent may call a number now: pure. Whatever is not allowed is denied.

The order of checks: set up at all, a number in use, denied prefix, allowed prefix, costly kind,
night, limits of the agent, limits of the day. Every refusal is an error with its own sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from callcenter.config import Outbound
from callcenter.errors import OutboundDenied, OutboundLimit, OutboundNight, OutboundOff
from callcenter.events import (
    CallAnswered,
    CallEnded,
    CallRang,
    ConsultationAnswered,
    ConsultationEnded,
    ConsultationOffered,
    Fact,
)
from callcenter.telephony.numbers import Dialled


@dataclass(frozen=True, slots=True)
class Used:
    """What was used of a day: calls begun, seconds talked."""

    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Half of a limit is used. `agent` is None for the limit of everybody."""

    agent: str | None
    what: str
    used: float
    limit: float


@dataclass(slots=True)
class _Placed:
    """A call of today, or a number that was asked beside one."""

    agent: str
    begun: datetime
    answered: datetime | None = None
    seconds: float | None = None

    def talked(self, now: datetime) -> float:
        if self.seconds is not None:
            return self.seconds
        return max(0.0, (now - self.answered).total_seconds()) if self.answered else 0.0

    def end(self, at: datetime) -> None:
        """It is over; the first end counts."""
        if self.seconds is None:
            self.seconds = self.talked(at)


COUNTED: tuple[type[Fact], ...] = (
    CallRang,
    CallAnswered,
    CallEnded,
    ConsultationOffered,
    ConsultationAnswered,
    ConsultationEnded,
)
"""The facts that a `Ledger` reads."""


class Ledger:
    """The calls out of one day, by the site's clock; fed with facts, in any order, repeatedly."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._placed: dict[str, _Placed] = {}
        self._beside: dict[str, set[str]] = {}  # call → numbers asked beside it, by their ids
        self._told: set[tuple[str | None, str]] = set()
        self._day = datetime.min.date()

    def midnight(self, now: datetime) -> datetime:
        """When today began."""
        here = now.astimezone(self._zone)
        return here.replace(hour=0, minute=0, second=0, microsecond=0)

    def note(self, facts: Iterable[Fact]) -> None:
        """Take what happened."""
        for fact in facts:
            if isinstance(fact, CallRang) and fact.direction == "outbound" and fact.agent:
                self._placed.setdefault(fact.call, _Placed(fact.agent, fact.at))
            elif isinstance(fact, CallAnswered) and (placed := self._placed.get(fact.call)):
                placed.answered = placed.answered or fact.at
            elif isinstance(fact, CallEnded) and (placed := self._placed.get(fact.call)):
                placed.seconds = fact.talk_seconds
            self._note_beside(fact)

    def _note_beside(self, fact: Fact) -> None:
        """A number that is asked during a call; handed over to it, it lasts as long as the call."""
        match fact:
            case ConsultationOffered(outside=str(id)):
                self._placed.setdefault(id, _Placed(fact.agent, fact.at))
                self._beside.setdefault(fact.call, set()).add(id)
            case ConsultationAnswered(outside=str(id)) if placed := self._placed.get(id):
                placed.answered = placed.answered or fact.at
            case ConsultationEnded(outside=str(id)) if placed := self._placed.get(id):
                if fact.reason != "handed_over":
                    placed.end(fact.at)
            case CallEnded():
                for id in self._beside.pop(fact.call, ()):
                    if placed := self._placed.get(id):
                        placed.end(fact.at)

    def used(self, now: datetime, agent: str | None = None) -> Used:
        """By one agent, or by everybody, since midnight."""
        self._forget_yesterday(now)
        mine = [one for one in self._placed.values() if agent in (None, one.agent)]
        return Used(len(mine), sum(one.talked(now) for one in mine))

    def alarms(self, rules: Outbound, now: datetime) -> list[Alarm]:
        """Limits that are half used, each told once a day."""
        self._forget_yesterday(now)
        new = [one for one in self._halves(rules, now) if (one.agent, one.what) not in self._told]
        self._told |= {(one.agent, one.what) for one in new}
        return new

    def _halves(self, rules: Outbound, now: datetime) -> Iterator[Alarm]:
        for agent in (None, *sorted({one.agent for one in self._placed.values()})):
            for what, used, limit in _limits(rules, self.used(now, agent), agent):
                if used * 2 >= limit:
                    yield Alarm(agent, what, round(used, 1), limit)

    def _forget_yesterday(self, now: datetime) -> None:
        midnight = self.midnight(now)
        if midnight.date() != self._day:
            self._day, self._told = midnight.date(), set()
            self._placed = {id: one for id, one in self._placed.items() if one.begun >= midnight}


def demand_allowed(
    rules: Outbound | None, number: Dialled | None, agent: str, ledger: Ledger, now: datetime
) -> None:
    """Raises OutboundDenied (or one of its kinds) unless `agent` may call `number` at `now`."""
    if rules is None:
        raise OutboundOff("calls out are not set up here; an administrator can: sip.outbound")
    if number is None or not number.valid:
        raise OutboundDenied("this is no telephone number that is in use; look at its digits")
    if any(number.e164.startswith(prefix) for prefix in rules.deny):
        raise OutboundDenied("numbers that begin like this may not be called")
    if not any(number.e164.startswith(prefix) for prefix in rules.allow):
        raise OutboundDenied("numbers of that country or network may not be called from here")
    if number.costly and not rules.costly:
        raise OutboundDenied("premium, shared-cost and satellite numbers may not be called")
    if is_night(rules, ledger.midnight(now), now):
        raise OutboundNight("nobody is called at this time of day")
    for whose in (agent, None):
        _demand_left(rules, ledger.used(now, whose), whose)


def is_night(rules: Outbound, midnight: datetime, now: datetime) -> bool:
    """Whether `now` lies in the hours in which nobody is called; they may cross midnight."""
    if rules.night is None:
        return False
    start, end = map(time.fromisoformat, rules.night)
    clock = now.astimezone(midnight.tzinfo).time()
    return start <= clock < end if start <= end else clock >= start or clock < end


def longest(rules: Outbound, used: Used, everybody: Used) -> timedelta:
    """How long the next call may last: no longer than what is left of the day's minutes."""
    left = (
        rules.minutes_per_agent * 60 - used.seconds,
        rules.minutes_per_day * 60 - everybody.seconds,
        rules.call_minutes * 60.0,
    )
    return timedelta(seconds=max(1.0, min(left)))


def _demand_left(rules: Outbound, used: Used, agent: str | None) -> None:
    for what, spent, limit in _limits(rules, used, agent):
        if spent >= limit:
            whose = "your" if agent else "everybody's"
            raise OutboundLimit(f"{whose} {what} for calls out are used up for today")


def _limits(rules: Outbound, used: Used, agent: str | None) -> list[tuple[str, float, float]]:
    """(what, used, limit) of an agent, or of everybody."""
    calls, minutes = (
        (rules.calls_per_agent, rules.minutes_per_agent)
        if agent
        else (rules.calls_per_day, rules.minutes_per_day)
    )
    return [("calls", used.calls, calls), ("minutes", used.seconds / 60, minutes)]
