"""An agent calls somebody: may they, by which way, and how much of the day is used.

The one place from which telephony calls a number. `agent` comes from the signed-in session of a
browser or an API token, never from a caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import structlog

from callcenter.bus import Answer, Bus
from callcenter.config import Line, Outbound
from callcenter.database import AWAY
from callcenter.errors import (
    Conflict,
    NoAudioLeg,
    OutboundDenied,
    PhoneAway,
    SipFailure,
    Unavailable,
)
from callcenter.events import DialNumber, OutboundAlarm
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.telephony.callee import CalleeSide
from callcenter.telephony.desk import Desk, WayOut
from callcenter.telephony.numbers import Dialled, dialled
from callcenter.telephony.outbound import COUNTED, Ledger, demand_allowed, longest
from callcenter.telephony.outgoing import OutgoingSession, run_outgoing_call
from callcenter.telephony.ports import Dialler, MediaLeg, OutboundCall
from callcenter.telephony.session import AUDIO_PATIENCE, Session

Live = Callable[[Session, Coroutine[Any, Any, None]], None]

_LOGGER = structlog.get_logger()


class Placing:
    """One telephony process's calls out. One at a time is checked and begun: limits hold."""

    def __init__(self, desk: Desk, log: EventLog, bus: Bus, dialler: Dialler | None) -> None:
        self._desk, self._log, self._bus, self._dialler = desk, log, bus, dialler
        self._ledger = Ledger(desk.settings.site.timezone)
        self._position: int | None = None  # of the log, as far as the ledger knows it
        self._one_at_a_time = asyncio.Lock()

    async def dial(self, command: DialNumber, live: Live) -> Answer:
        """Check, find the way, begin; the call's view. Raises what the agent should read."""
        async with self._one_at_a_time:
            session = await self._begin(command)
        live(session, self._course(session))
        assert session.call is not None
        return session.call.view()

    async def _course(self, session: OutgoingSession) -> None:
        await run_outgoing_call(session)
        await self.raise_alarms()

    async def beside(self, agent: str, to: str, begin: Callable[[WayOut], Awaitable[None]]) -> None:
        """See Desk.place: a call out beside a call that the agent has."""
        async with self._one_at_a_time:
            rules, number, now = await self._allowed(agent, to)
            outbound = await self._way(number.e164, rules)
            used = self._ledger.used(now, agent), self._ledger.used(now)
            await begin(
                WayOut(
                    outbound, number.e164, rules.trunk, rules.ring_seconds, longest(rules, *used)
                )
            )
        with suppress(*AWAY):  # it has begun; they are looked at again when it is over
            await self.raise_alarms()

    async def _allowed(self, agent: str, to: str) -> tuple[Outbound, Dialled, datetime]:
        """The rules, the number and the moment of which they say so. Raises OutboundDenied."""
        rules, number = self._desk.settings.sip.outbound, dialled(to, self._region())
        await self._read_log()
        now = datetime.now(UTC)
        try:
            demand_allowed(rules, number, agent, self._ledger, now)
        except OutboundDenied as denied:
            _LOGGER.warning("SECURITY outbound", agent=agent, denied=denied.slug)
            raise
        assert rules is not None
        assert number is not None
        return rules, number, now

    async def _begin(self, command: DialNumber) -> OutgoingSession:
        agent = command.agent
        rules, number, now = await self._allowed(agent, command.to)
        leg = await self._leg(agent)
        outbound = await self._way(number.e164, rules)
        session = self._session(command, rules, leg, outbound, now)
        await session.begin(agent, number.e164, rules.trunk)
        await self.raise_alarms()
        return session

    def _session(
        self,
        command: DialNumber,
        rules: Outbound,
        leg: MediaLeg | None,
        outbound: OutboundCall,
        now: datetime,
    ) -> OutgoingSession:
        settings, desk = self._desk.settings, self._desk
        language = command.language or rules.language or settings.site.default_language
        line = Line(
            number=outbound.shown or "outbound",
            queue=rules.queue or settings.queues[0].name,
            record=rules.record,
        )
        return OutgoingSession(
            new_id(),
            CalleeSide(outbound, leg, desk.media, desk.sounds),
            line,
            desk,
            agent_leg=leg,
            region=self._region(),
            language=language,
            ring_seconds=rules.ring_seconds,
            longest=longest(rules, self._ledger.used(now, command.agent), self._ledger.used(now)),
        )

    async def _leg(self, agent: str) -> MediaLeg | None:
        """The agent's sound, None where their desk phone is to ring first; whoever is busy or
        cannot be heard calls nobody."""
        state = self._desk.floor.state_of(agent)
        if state.name in ("ringing", "on_call", "offline"):
            raise Conflict(f"you are {state.name.replace('_', ' ')} and cannot call anybody now")
        phone = self._desk.floor.phone_of(agent)
        if phone is not None:
            if not self._desk.phones.reachable(phone):
                raise PhoneAway("your desk phone is not registered; look whether it is on")
            return None
        ready = await self._desk.audio.ready(agent, AUDIO_PATIENCE)
        leg = self._desk.audio.leg(agent) if ready else None
        if leg is None:
            raise NoAudioLeg("your browser has no audio connection; check the microphone")
        return leg

    async def _way(self, e164: str, rules: Outbound) -> OutboundCall:
        if self._dialler is None:
            raise Unavailable("this telephone backend places no calls")
        try:
            return await self._dialler.to_number(e164, rules.trunk)
        except SipFailure as failure:
            _LOGGER.error("no way out", trunk=rules.trunk, reason=failure.detail)
            raise Unavailable("the telephone line cannot be reached at the moment") from failure

    def _region(self) -> str:
        settings = self._desk.settings
        rules = settings.sip.outbound
        return (rules and settings.sip.region_of(rules.trunk)) or settings.site.region

    # --- What is used ---

    async def _read_log(self) -> None:
        """Bring the ledger up to date; the log knows every node's calls."""
        entries = await asyncio.get_running_loop().run_in_executor(None, self._news)
        if entries:
            self._position = entries[-1].position
        self._ledger.note(entry.fact for entry in entries)

    def _news(self) -> list[Any]:
        if self._position is None:
            midnight = self._ledger.midnight(datetime.now(UTC))
            found = self._log.since(midnight.astimezone(UTC), *COUNTED)
            self._position = self._log.end() if not found else found[-1].position
            return found
        entries: list[Any] = []
        while more := self._log.of_kinds(
            *COUNTED, after=entries[-1].position if entries else self._position
        ):
            entries += more
        return entries

    async def raise_alarms(self) -> None:
        """Half of a limit: a line for the log's reader, a notice for those who lead."""
        rules = self._desk.settings.sip.outbound
        if rules is None:
            return
        await self._read_log()
        for alarm in self._ledger.alarms(rules, datetime.now(UTC)):
            _LOGGER.warning("SECURITY outbound", alarm="half of a limit is used", **asdict(alarm))
            self._bus.publish(OutboundAlarm(**asdict(alarm)))
