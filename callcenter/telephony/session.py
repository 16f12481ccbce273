"""The life of one call: `run_call()`, top to bottom.

A call is an actor with a mailbox. Whatever concerns it (the caller hangs up, an agent clicks,
the floor found an agent, the caller's phone changed its media) arrives there in one order and
is handled by the step the call is in; so no two of them can race.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from callcenter.config import Line
from callcenter.errors import CallGone, Conflict, NoAudioLeg, SipFailure
from callcenter.events import (
    AgentDeclined,
    AgentOffered,
    AnswerCall,
    CallAnswered,
    CallEnded,
    CallHeld,
    CallQueued,
    CallRang,
    CallResumed,
    CallTransferred,
    Command,
    Fact,
    HangUpCall,
    HoldCall,
    LegName,
    Outcome,
    RejectCall,
    ResumeCall,
    TransferCall,
)
from callcenter.telephony.acd.floor import Change, Offer
from callcenter.telephony.call import Call, begin, evolve
from callcenter.telephony.capture import Capture
from callcenter.telephony.desk import Desk
from callcenter.telephony.ports import (
    Direction,
    InboundCall,
    MediaDescription,
    MediaLeg,
    RtpLeg,
    SipEnd,
)

RINGBACK_SECONDS = 6.0
WATCH_SECONDS = 1.0

_LOGGER = structlog.get_logger()
Ender = Literal["customer", "agent", "system"]


# --- What arrives in the mailbox -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerLeft:
    """The dialog is over from the caller's side."""

    how: SipEnd


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The caller's phone wants its media otherwise: hold, resume, another address."""

    wish: MediaDescription


@dataclass(frozen=True, slots=True)
class Offered:
    """The floor found an agent."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class Asked:
    """An agent clicked; `reply` gets the call's view or the refusal."""

    command: Command
    reply: asyncio.Future[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent's browser has been away for longer than the grace time."""

    agent: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The system goes down; calls have had their time to drain."""


Happening = CallerLeft | MediaChanged | Offered | Asked | AgentLost | Stop


class Over(Exception):
    """The call ends here, for this reason. Raised by any step, caught once in run_call."""

    def __init__(self, reason: Outcome, by: Ender, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.by, self.detail = reason, by, detail


# --- The life of a call ----------------------------------------------------------------------


async def run_call(session: Session) -> None:
    """From INVITE to the one fact that ends it, whatever happens in between."""
    over = Over("failed", "system", "the call was not handled")
    try:
        await session.ring()
        await session.welcome()
        while True:
            agent = await session.wait_for_agent()
            await session.talk_with(agent)
    except Over as ending:
        over = ending
    except Exception as error:
        _LOGGER.exception("call failed", call=session.id)
        over = Over("failed", "system", type(error).__name__)
    finally:
        await session.end(over)


@dataclass(slots=True)
class Session:
    """One call in progress: its facts so far, its legs, its mailbox."""

    id: str
    inbound: InboundCall
    line: Line
    desk: Desk
    region: str
    language: str
    call: Call | None = None
    leg: RtpLeg | None = None
    agent: str | None = None
    agent_leg: MediaLeg | None = None
    capture: Capture | None = None
    media_wish: MediaDescription | None = None
    sip_answered: bool = False
    started: float = 0.0
    answered: float | None = None
    mailbox: asyncio.Queue[Happening] = field(default_factory=asyncio.Queue)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _entertainment: asyncio.Task[None] | None = None

    # --- Steps, in the order of a call's life ---

    async def ring(self) -> None:
        """The caller is known to us: commit, then 180."""
        self.started = self._now()
        self._listen()
        queue = self.line.queue
        rang = CallRang(
            call=self.id,
            from_number=self.inbound.caller.number,
            from_name=self.inbound.caller.name,
            to_number=self.inbound.request_user,
            line=self.line.number,
            trunk=self.inbound.trunk,
            region=self.region,
            language=self.language,
            policy=self.line.record,
            node=self.desk.node,
            sip_call_id=self.inbound.sip_call_id,
        )
        self.call = begin(rang)
        position = self.desk.floor.enqueue(self.id, queue, self.started)
        await self._happened(
            rang, CallQueued(call=self.id, queue=queue, position=position), first=True
        )
        self.inbound.ring()
        self.desk.distribute()

    async def welcome(self) -> None:
        """A line that answers early: 200 at once, ringback, then music."""
        if self.line.answer != "early":
            return
        await self._answer_sip()
        self._entertain()

    async def wait_for_agent(self) -> str:
        """In the queue, until an agent answers; returns that agent."""
        queue = self.desk.settings.queue(self._call.queue or self.line.queue)
        deadline = self._now() + queue.max_wait_seconds
        while True:
            match await self._next(until=deadline):
                case Offered(offer):
                    if await self._ring_at(offer):
                        return offer.agent
                    self.desk.distribute()
                case Asked(_, reply):
                    _refuse(reply, CallGone("this call does not ring at you any more"))
                case None:
                    raise Over("missed", "system", "nobody took the call in time")
                case _:
                    pass

    async def talk_with(self, agent: str) -> None:
        """The two talk until somebody hangs up (Over) or passes the call on (return)."""
        while True:
            match await self._next(until=self._now() + WATCH_SECONDS):
                case Asked(command, reply):
                    if await self._obey(command, reply):
                        return
                case AgentLost(lost) if lost == agent:
                    await self._back_to_queue(to_queue=self._call.queue)
                    return
                case None:
                    self._check_media()
                case _:
                    pass

    async def end(self, over: Over) -> None:
        """Everything is given back, then the end is a fact."""
        self.desk.floor.leave(self.id)
        self._hang_up(over)
        for task in self._tasks:
            task.cancel()
        if self._entertainment:
            self._entertainment.cancel()
        seconds = self._now() - self.started
        talked = self._now() - self.answered if self.answered is not None else 0.0
        facts: list[Fact] = []
        if self.capture:
            facts += await self.capture.close()
        self._release_legs()
        facts += [
            CallEnded(
                call=self.id,
                reason=over.reason,
                by=over.by,
                detail=over.detail,
                agent=self.agent,
                seconds=round(seconds, 3),
                talk_seconds=round(talked, 3),
            )
        ]
        facts += self.desk.state_facts(self._free_agent())
        await self.desk.commit(*facts)
        self._drain_mailbox()
        self.desk.distribute()
        _LOGGER.info("call ended", call=self.id, reason=over.reason, by=over.by)

    # --- Ringing at an agent ---

    async def _ring_at(self, offer: Offer) -> bool:
        """True when this agent answered."""
        if not self.desk.floor.rings_at(self.id, offer.agent):
            return False
        attempt = self._call.offers + 1
        await self._happened(
            AgentOffered(call=self.id, agent=offer.agent, queue=offer.queue, attempt=attempt),
            *self.desk.state_facts([offer.change]),
        )
        if self.capture is None and self.line.record == "always":
            self.capture = Capture(self.id, self.language, self.desk)
        deadline = self._now() + offer.ring_seconds
        try:
            while True:
                match await self._next(until=deadline):
                    case Asked(AnswerCall(agent=who), reply) if who == offer.agent:
                        if await self._answer(offer, reply):
                            return True
                    case Asked(RejectCall(agent=who), reply) if who == offer.agent:
                        reply.set_result(self._call.view())
                        await self._declined(offer.agent, "declined")
                        return False
                    case Asked(_, reply):
                        _refuse(reply, CallGone("this call does not ring at you"))
                    case AgentLost(lost) if lost == offer.agent:
                        await self._declined(offer.agent, "unreachable")
                        return False
                    case None:
                        await self._declined(offer.agent, "no_answer")
                        return False
                    case _:
                        pass
        except Over:
            changes = self.desk.floor.stop_ringing(offer.agent, self._now())
            gone = AgentDeclined(call=self.id, agent=offer.agent, reason="caller_gone")
            await self._happened(gone, *self.desk.state_facts(changes))
            raise

    async def _answer(self, offer: Offer, reply: asyncio.Future[dict[str, Any]]) -> bool:
        """Connect the two; False (and the refusal told) when this agent cannot be heard."""
        agent_leg = self.desk.audio.leg(offer.agent)
        if agent_leg is None or not self.desk.audio.connected(offer.agent):
            _refuse(reply, NoAudioLeg("your browser has no audio connection; check the microphone"))
            return False
        try:
            await self._answer_sip()
        except Over:
            _refuse(reply, CallGone("the caller hung up"))
            raise
        self._stop_entertainment()
        self.desk.media.bridge(self._leg, agent_leg)
        self.agent, self.agent_leg = offer.agent, agent_leg
        first = self.answered is None
        self.answered = self.answered or self._now()
        answered = CallAnswered(
            call=self.id,
            agent=offer.agent,
            queue=offer.queue,
            wait_seconds=round(self.answered - self.started, 3),
        )
        recorded = await self._start_capture(agent_leg, first=first)
        changes = self.desk.floor.answer(self.id, offer.agent, self._now())
        await self._happened(answered, *recorded, *self.desk.state_facts(changes))
        reply.set_result(self._call.view())
        return True

    async def _start_capture(self, agent_leg: MediaLeg, *, first: bool) -> list[Fact]:
        if self.capture is None:
            return []
        assert self.answered is not None
        if first:
            return await self.capture.start(self._leg, agent_leg, self.answered)
        self.capture.follow("agent", agent_leg)
        return []

    async def _declined(
        self, agent: str, reason: Literal["declined", "no_answer", "unreachable"]
    ) -> None:
        changes = self.desk.floor.decline(
            self.id, agent, self._now(), unanswered=reason != "declined"
        )
        declined = AgentDeclined(call=self.id, agent=agent, reason=reason)
        await self._happened(declined, *self.desk.state_facts(changes))

    # --- Talking ---

    async def _obey(self, command: Command, reply: asyncio.Future[dict[str, Any]]) -> bool:
        """Do what the agent clicked. True when this agent's part is over."""
        try:
            return await self._do(command, reply)
        except Over:
            _answer_with(reply, self._call.view())
            raise
        except Conflict as refusal:
            _refuse(reply, refusal)
            return False

    async def _do(self, command: Command, reply: asyncio.Future[dict[str, Any]]) -> bool:
        if getattr(command, "agent", None) != self.agent:
            raise CallGone("this call is not yours")
        match command:
            case HoldCall():
                await self._hold("agent")
            case ResumeCall():
                await self._resume("agent")
            case TransferCall():
                self._demand_target(command)
                await self._back_to_queue(to_queue=command.to_queue, to_agent=command.to_agent)
                _answer_with(reply, self._call.view())
                return True
            case HangUpCall():
                raise Over("completed", "agent")
            case AnswerCall():
                pass  # a second click on Answer: it is answered
            case _:
                raise Conflict("that cannot be done during a call")
        _answer_with(reply, self._call.view())
        return False

    async def _hold(self, by: LegName) -> None:
        if by in self._call.held_by:
            return
        await self._happened(CallHeld(call=self.id, by=by))
        if by == "agent" and self.agent_leg:
            self.desk.media.unbridge(self._leg, self.agent_leg)
            self.desk.media.play(self._leg, self.desk.sounds.music)

    async def _resume(self, by: LegName) -> None:
        if by not in self._call.held_by:
            return
        await self._happened(CallResumed(call=self.id, by=by))
        if by == "agent" and self.agent_leg:
            self.desk.media.bridge(self._leg, self.agent_leg)

    def _demand_target(self, command: TransferCall) -> None:
        """Raises Conflict where the transfer could not work."""
        floor = self.desk.floor
        if (command.to_agent is None) == (command.to_queue is None):
            raise Conflict("name either an agent or a queue to transfer to")
        if command.to_queue is not None and command.to_queue not in floor.queues:
            raise Conflict("there is no such queue")
        if command.to_agent is not None:
            seat = floor.seats.get(command.to_agent)
            if seat is None or seat.state.name != "available":
                raise Conflict("that agent is not available")

    async def _back_to_queue(self, *, to_queue: str | None, to_agent: str | None = None) -> None:
        """This agent's part is over; the caller waits, first in line, with music."""
        former = self.agent
        assert former is not None
        queue = to_queue or self._call.queue or self.line.queue
        if self.agent_leg:
            self.desk.media.unbridge(self._leg, self.agent_leg)
        if self.capture:
            self.capture.leave("agent")
        self.desk.media.play(self._leg, self.desk.sounds.music)
        changes = self._free_agent()
        self.agent, self.agent_leg = None, None
        position = self.desk.floor.enqueue(self.id, queue, self._now(), first=True, only=to_agent)
        await self._happened(
            CallTransferred(call=self.id, from_agent=former, to_agent=to_agent, to_queue=queue),
            CallQueued(call=self.id, queue=queue, position=position),
            *self.desk.state_facts(changes),
        )
        self.desk.distribute()

    def _check_media(self) -> None:
        """A caller who sends no sound for long has vanished (unless they hold the call)."""
        limit = self.desk.settings.sip.media_timeout_seconds
        held = self._call.held_by & {"customer"}
        if limit and not held and self._now() - self._leg.alive_at > limit:
            raise Over("failed", "system", "media timeout")

    async def _media_changed(self, wish: MediaDescription) -> None:
        """A re-INVITE of the caller's phone: another address or codec, hold or resume."""
        self.media_wish = wish
        self._leg.connect(wish)
        if self._call.state not in ("talking", "held"):
            return
        if wish.direction in (Direction.SENDONLY, Direction.INACTIVE):
            await self._hold("customer")
        else:
            await self._resume("customer")

    # --- Ending ---

    def _hang_up(self, over: Over) -> None:
        """Tell the caller's phone, when it does not know yet."""
        if self.sip_answered:
            self.inbound.hang_up()
        elif over.by == "system":
            retry = 5 if over.reason == "interrupted" else None
            self.inbound.reject(
                503 if over.reason in ("interrupted", "failed") else 480, retry_after=retry
            )

    def _free_agent(self) -> list[Change]:
        """The agent's state after their part of the call."""
        if self.agent is None:
            return []
        queue = self.desk.settings.queue(self._call.queue or self.line.queue)
        return self.desk.floor.finish_call(self.agent, self._now(), wrap_up=queue.wrap_up_seconds)

    def _release_legs(self) -> None:
        if self.leg and self.agent_leg:
            self.desk.media.unbridge(self.leg, self.agent_leg)
        if self.leg:
            self.leg.close()

    def _drain_mailbox(self) -> None:
        """Nobody reads it any more: refuse what waits there."""
        while not self.mailbox.empty():
            if isinstance(happening := self.mailbox.get_nowait(), Asked):
                _refuse(happening.reply, CallGone("the call is over"))

    # --- Inside ---

    async def _next(self, *, until: float) -> Happening | None:
        """The next happening that the step must look at, None when the time is over.

        What ends a call in every step (the caller left, the system stops) raises Over here;
        what never changes a step (media) is dealt with here.
        """
        while True:
            try:
                async with asyncio.timeout_at(until):
                    happening = await self.mailbox.get()
            except TimeoutError:
                return None
            match happening:
                case CallerLeft(how):
                    raise self._caller_left(how)
                case Stop():
                    raise Over("interrupted", "system", "the system was stopped")
                case MediaChanged(wish):
                    await self._media_changed(wish)
                case _:
                    return happening

    def _caller_left(self, how: SipEnd) -> Over:
        if how == "no_ack":
            return Over("failed", "system", "no ACK")
        if how in ("failed", "refused"):
            return Over("failed", "system", how)
        if self.agent is not None:
            return Over("completed", "customer")
        return Over("abandoned", "customer")

    async def _answer_sip(self) -> None:
        """200 with our media address, once. Raises Over when the caller is gone."""
        if self.sip_answered:
            return
        self.leg = self.desk.media.open_rtp(self.inbound.local_host)
        try:
            agreed = await self.inbound.answer(self.leg.local)
        except SipFailure as failure:
            raise Over("abandoned", "customer", failure.detail) from failure
        self.sip_answered = True
        self.media_wish = agreed
        self.leg.connect(agreed)

    def _entertain(self) -> None:
        async def ringback_then_music() -> None:
            self.desk.media.play(self._leg, self.desk.sounds.ringback)
            await asyncio.sleep(RINGBACK_SECONDS)
            self.desk.media.play(self._leg, self.desk.sounds.music)

        self._entertainment = asyncio.create_task(ringback_then_music())

    def _stop_entertainment(self) -> None:
        if self._entertainment:
            self._entertainment.cancel()
            self._entertainment = None

    async def _happened(self, *facts: Fact, first: bool = False) -> None:
        """Commit, then let the call's state follow."""
        await self.desk.commit(*facts)
        for fact in facts[1:] if first else facts:
            if fact.subject == self.id:
                self.call = evolve(self._call, fact)

    def _listen(self) -> None:
        async def watch() -> None:
            self.mailbox.put_nowait(CallerLeft(await self.inbound.ended))

        self.inbound.on_media(lambda wish: self.mailbox.put_nowait(MediaChanged(wish)))
        self._tasks.add(asyncio.create_task(watch()))

    @property
    def _call(self) -> Call:
        assert self.call is not None
        return self.call

    @property
    def _leg(self) -> RtpLeg:
        assert self.leg is not None
        return self.leg

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _refuse(reply: asyncio.Future[dict[str, Any]], refusal: Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        reply.set_exception(refusal)


def _answer_with(reply: asyncio.Future[dict[str, Any]], view: dict[str, Any]) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        reply.set_result(view)
