"""What a killed telephony process left: calls without an end, dialogs that nobody hung up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog

from callcenter.bus import Bus
from callcenter.events import CallAnswered, CallEnded, CallRang, CallTransferred, Fact, LogAdvanced
from callcenter.log import EventLog
from callcenter.telephony import dialogs
from callcenter.telephony.ports import SAMPLE_RATE, RecordingStore, SipBackend
from callcenter.telephony.writer import FactWriter

_LOGGER = structlog.get_logger()


class Aftermath:
    """Ends what nobody else will end any more."""

    def __init__(
        self,
        log: EventLog,
        bus: Bus,
        writer: FactWriter,
        recordings: RecordingStore,
        sip: SipBackend,
    ) -> None:
        self._log, self._bus, self._writer = log, bus, writer
        self._recordings, self._sip = recordings, sip

    async def end_calls_of(self, node: str) -> None:
        """Calls of that node that a kill left without an end get one now."""
        for call in await self._writer.run(self._log.open_calls, node):
            try:
                end = await self._writer.run(self._interruption_of, call)
            except Exception:  # one call that cannot be read must not keep the telephones silent
                _LOGGER.exception("an interrupted call could not be ended", call=call)
                continue
            if entry := await self._writer.run(self._log.append_end, end):
                self._bus.publish(LogAdvanced(position=entry.position))

    async def say_goodbyes(self, node: str) -> None:
        """BYE for every dialog that a kill of `node` left open: nobody listens to silence."""
        left = await self._writer.run(dialogs.left_open, self._log.engine, node)
        await asyncio.gather(*(self._say_goodbye(call, memo) for call, memo in left.items()))

    async def _say_goodbye(self, call: str, memo: dict[str, Any]) -> None:
        try:
            await self._sip.say_goodbye(memo)
        except Exception as error:
            _LOGGER.error("a dialog left open could not be ended", call=call, error=repr(error))
        self._writer.keep_dialog(call, None)

    def _interruption_of(self, call: str) -> CallEnded:
        facts = [entry.fact for entry in self._log.of_call(call)]
        return interruption(facts, self._recordings.last_position(call))


def interruption(facts: list[Fact], samples: int | None) -> CallEnded:
    """The end of a call that a kill cut off; its length is what the journal holds."""
    rang = next(fact for fact in facts if isinstance(fact, CallRang))
    answered = next((fact for fact in facts if isinstance(fact, CallAnswered)), None)
    last, talked = facts[-1].at, (samples or 0) / SAMPLE_RATE
    if answered:
        last = max(last, answered.at + timedelta(seconds=talked))
    return CallEnded(
        call=rang.call,
        reason="interrupted",
        by="system",
        detail="the telephony process was stopped in the middle",
        agent=_last_agent(facts),
        seconds=round((last - rang.at).total_seconds(), 3),
        talk_seconds=round(talked, 3),
    )


def _last_agent(facts: list[Fact]) -> str | None:
    """Who had the call at last; None where it waited."""
    agent = None
    for fact in facts:
        if isinstance(fact, CallAnswered):
            agent = fact.agent
        elif isinstance(fact, CallTransferred):
            agent = None
    return agent
