"""The life of a call that an agent places: `run_outgoing_call()`, top to bottom.

The agent's leg is there first, a desk phone rings and is picked up before that: nothing is
dialled for somebody who cannot be heard. From the answer on it is a call like any other
(`telephony.session`): hold, transfer, recording, captions.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from callcenter.config import Line
from callcenter.errors import CallcenterError
from callcenter.events import CalleeAlerted, CallRang, Outcome
from callcenter.telephony.call import begin, evolve
from callcenter.telephony.callee import CalleeSide
from callcenter.telephony.desk import Desk
from callcenter.telephony.mailbox import (
    Alerted,
    CallerLeft,
    Over,
    PhoneLeft,
    PhonePickedUp,
    PickedUp,
)
from callcenter.telephony.phone import ring
from callcenter.telephony.ports import Caller, MediaDescription, MediaLeg, SipEnd
from callcenter.telephony.session import Session, to_the_end

PHONE_SECONDS = 30.0
"""How long the agent's own desk phone rings."""
_LOGGER = structlog.get_logger()

# What a final status of the called side means for the record (RFC 3261 21.4 to 21.6).
_OUTCOMES: dict[int, Outcome] = {
    403: "rejected",
    408: "no_answer",
    433: "rejected",
    480: "no_answer",
    486: "busy",
    487: "no_answer",
    600: "busy",
    603: "rejected",
    607: "rejected",
    608: "rejected",
}


async def run_outgoing_call(session: OutgoingSession) -> None:
    """From the agent's click to the one fact that ends the call; the agent is on it already."""
    async with to_the_end(session):
        agent = await session.wait_for_phone()
        await session.wait_for_answer()
        while True:
            await session.talk_with(agent)
            agent = await session.wait_for_agent()


class OutgoingSession(Session):
    """A call of an agent's. `ring_seconds` until it is given up, `longest` that they may talk.

    `agent_leg` is the agent's sound; None: their desk phone has to be picked up first.
    """

    def __init__(
        self,
        id: str,
        callee: CalleeSide,
        line: Line,
        desk: Desk,
        *,
        agent_leg: MediaLeg | None,
        region: str,
        language: str,
        ring_seconds: float,
        longest: timedelta,
    ) -> None:
        super().__init__(id, callee, line, desk, region=region, language=language)
        self.callee = callee
        self._agent_leg = agent_leg
        self._ring_seconds, self._longest = ring_seconds, longest
        self._inviting: asyncio.Task[None] | None = None

    async def begin(self, agent: str, to: str, trunk: str) -> None:
        """The agent is on the call and the call is a fact; nothing is sent yet.

        Raises Conflict where the agent is busy, and what the database raises.
        """
        changes = self.desk.floor.dial(self.id, agent, self._now())
        outbound = self.callee.outbound
        rang = CallRang(
            call=self.id,
            direction="outbound",
            agent=agent,
            from_number=outbound.shown,
            from_name=None,
            to_number=to,
            line=self.line.number,
            trunk=trunk,
            region=self.region,
            language=self.language,
            policy=self.keeping.policy,
            node=self.desk.node,
            sip_call_id=outbound.sip_call_id,
        )
        unasked = self.keeping.unasked()
        try:
            await self.desk.commit(rang, *unasked, *self.desk.state_facts(changes))
        except Exception:
            self.desk.floor.undo_dial(self.id, agent, self._now())
            raise
        self._rang, self.call, self.agent = rang, begin(rang), agent
        for fact in unasked:
            self.call = evolve(self.call, fact)
        self.keeping.prepare()

    async def wait_for_phone(self) -> str:
        """The agent's desk phone rings; returns the agent when it is picked up. At once in the
        browser."""
        assert self.agent is not None
        if self._agent_leg is not None:
            return self.agent
        shown = Caller(self._call.to_number, None)
        phone = ring(self.desk, self.agent, shown, self.mailbox.put_nowait)
        if not phone:
            raise Over("failed", "system", "the desk phone is not registered")
        try:
            deadline = self._now() + PHONE_SECONDS
            while self._phone is None:
                match await self._next(until=deadline):
                    case PhonePickedUp(dialog, media):
                        self._phone = phone.pick_up(dialog, media)
                    case PhoneLeft(dialog):
                        if why := phone.left(dialog):
                            raise Over("cancelled", "agent", f"the desk phone: {why}")
                    case None:
                        raise Over("cancelled", "agent", "the desk phone was not picked up")
                    case happening:
                        self._before_talk(happening, "your desk phone rings first")
        finally:
            phone.stop()
        self._agent_leg = self.callee.agent_leg = self._phone.leg
        self._pass_keys_on(self._phone)
        return self.agent

    async def wait_for_answer(self) -> None:
        """INVITE; the agent hears how far it got. Returns when the two talk."""
        outbound = self.callee.outbound
        outbound.on_progress(lambda status, early: self.mailbox.put_nowait(Alerted(early)))
        self._watcher = asyncio.create_task(self._watch(outbound))
        self._inviting = asyncio.create_task(self._invite())
        deadline = self._now() + self._ring_seconds
        while True:
            match await self._next(until=deadline):
                case PickedUp(media):
                    return await self._talk(media)
                case Alerted(early):
                    await self._alerted(early)
                case None:
                    raise Over("no_answer", "customer")
                case happening:
                    self._before_talk(happening, "nobody has answered yet")

    async def end(self, over: Over) -> None:
        """See Session."""
        self.callee.quiet()
        if self._inviting:
            self._inviting.cancel()
        await super().end(over)

    # --- Inside ---

    async def _invite(self) -> None:
        """The answer into the mailbox; a refusal comes there as `CallerLeft`, by the watcher."""
        try:
            self.mailbox.put_nowait(PickedUp(await self.callee.invite()))
        except CallcenterError as error:
            _LOGGER.info("call not answered", call=self.id, problem=error.slug)
            if not self.callee.outbound.status:
                self.mailbox.put_nowait(CallerLeft("failed", self.callee.outbound))

    async def _alerted(self, early: MediaDescription | None) -> None:
        self.callee.alert(early)
        if self._call.state == "dialling":
            await self._happened(CalleeAlerted(call=self.id, early=early is not None))

    async def _talk(self, media: MediaDescription) -> None:
        """Sound first, as with callers; where the policy is to ask, the announcement before."""
        assert self.agent is not None
        assert self._agent_leg is not None
        self.callee.picked_up(media)
        self._measure(self.agent, self._agent_leg)
        self._keep_dialog()
        if self.keeping.asks:
            await self._ask()
            self.keeping.prepare()
        self.callee.talk()
        await self._answered(self.agent, self.line.queue, self._agent_leg)

    def _caller_left(self, how: SipEnd) -> Over:
        if self._answered_at is not None:
            return super()._caller_left(how)
        if self.callee.answered:
            return Over("rejected", "customer", "hung up at the announcement")
        outcome = _OUTCOMES.get(self.callee.outbound.status, "failed")
        return Over(outcome, "customer", self.callee.reason)

    def _demand_sound(self) -> None:
        """Also: a call may not last for ever."""
        super()._demand_sound()
        if self._answered_at and self._now() - self._answered_at > self._longest.total_seconds():
            raise Over("completed", "system", "the time limit for calls out was reached")
