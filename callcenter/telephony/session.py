"""The life of one call: `run_call()`, top to bottom.

A call is an actor with a mailbox. Whatever concerns it (the caller hangs up, an agent clicks,
the floor found an agent, the caller's phone changed its media) arrives there in one order and
is handled by the step the call is in; so no two of them can race.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal, NoReturn

import structlog

from callcenter.config import Line
from callcenter.errors import (
    CallcenterError,
    CallGone,
    Conflict,
    NoAudioLeg,
    OutboundDenied,
    Unavailable,
)
from callcenter.events import (
    AgentDeclined,
    AgentOffered,
    AnswerCall,
    BeginConference,
    CallAnswered,
    CallEnded,
    CallerReplaced,
    CallHeld,
    CallQueued,
    CallRang,
    CallResumed,
    CallTransferred,
    ConsultationEnd,
    ConsultColleague,
    ConsultNumber,
    ControlRecording,
    Fact,
    HangUpCall,
    HoldCall,
    LegName,
    PressKeys,
    ReadOutCode,
    RecordPolicy,
    RejectCall,
    ResumeCall,
    SwapConsultation,
    SwapTarget,
    TransferCall,
)
from callcenter.telephony.acd.floor import Change, Offer
from callcenter.telephony.call import Call, begin, evolve
from callcenter.telephony.caller import CallerSide, Side
from callcenter.telephony.colleague import RING_SECONDS, Colleague
from callcenter.telephony.consulting import Consultation
from callcenter.telephony.desk import Desk
from callcenter.telephony.keeping import Keeping
from callcenter.telephony.key_presses import on_key
from callcenter.telephony.mailbox import (
    AgentLost,
    Asked,
    CallerLeft,
    Consented,
    Happening,
    MediaChanged,
    Offered,
    Over,
    PauseOver,
    PhoneAlerted,
    PhoneCalls,
    PhoneLeft,
    PhoneMedia,
    PhonePickedUp,
    PhoneReferred,
    Pressed,
    Referred,
    Replaced,
    SaidAll,
    Step,
    Stop,
    refuse_rest,
)
from callcenter.telephony.media.keys import KEYS
from callcenter.telephony.outsider import Outsider
from callcenter.telephony.phone import PhoneSide, Ringing, ring
from callcenter.telephony.ports import (
    Caller,
    DialogCall,
    InboundCall,
    MediaDescription,
    MediaLeg,
    Referral,
    SipEnd,
)
from callcenter.telephony.quality import CallQuality
from callcenter.telephony.reading import Reader
from callcenter.telephony.targets import demand_target, referred_to
from callcenter.telephony.third import Asking

WATCH_SECONDS = 1.0
AUDIO_PATIENCE = 3.0
"""Seconds that an answer waits for a browser which is connecting its sound anew."""
_LOGGER = structlog.get_logger()


async def run_call(session: Session) -> None:
    """From INVITE to the one fact that ends it, whatever happens in between."""
    async with to_the_end(session):
        await session.ring()
        await session.welcome()
        while True:
            agent = await session.wait_for_agent()
            await session.talk_with(agent)


@asynccontextmanager
async def to_the_end(session: Session) -> AsyncIterator[None]:
    """Whatever happens inside, the call ends once: `Session.end`."""
    over = Over("failed", "system", "the call was not handled")
    try:
        yield
    except Over as ending:
        over = ending
    except Exception as error:
        _LOGGER.exception("call failed", call=session.id)
        over = Over("failed", "system", type(error).__name__)
    finally:
        await session.end(over)


class Session:
    """One call in progress: its state so far, the two sides, the mailbox."""

    def __init__(
        self, id: str, caller: Side, line: Line, desk: Desk, *, region: str, language: str
    ) -> None:
        self.id, self.line, self.desk = id, line, desk
        self.region, self.language = region, language
        self.caller = caller
        self.call: Call | None = None
        self.agent: str | None = None
        self.asked_outside = False  # whether a number outside was called beside it
        self.mailbox: asyncio.Queue[Happening] = asyncio.Queue()
        self._agent_leg: MediaLeg | None = None
        self._phone: PhoneSide | None = None  # where the agent talks by a desk phone
        self._consultation: Consultation | None = None  # the agent's with a colleague, by phone
        self._third: Colleague | Outsider | None = None  # whom the agent asks from the desktop
        self._outsider: Outsider | None = None  # who has the call, outside; no agent has it then
        self._rang: CallRang | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._quality = CallQuality(id)
        self.keeping = Keeping(id, language, line, desk, self.mailbox.put_nowait)
        self._reader = Reader(language, desk, self.keeping, self.mailbox.put_nowait)
        self._rang_at = self._now()
        self._answered_at: float | None = None

    # --- Steps, in the order of a call's life ---

    async def ring(self) -> None:
        """The caller is known to us: commit, then 180.

        Where the database cannot take it (full, away) the facts are owed and the caller waits:
        better than an engaged tone for everybody. Nobody is rung before the facts are there.
        """
        assert isinstance(self.caller, CallerSide)
        inbound = self.caller.inbound
        self._follow_caller(inbound)
        asks, first = self.keeping.asks, self.keeping.unasked()
        first += [] if asks else [self._enqueue(self.line.queue, self._rang_at)]
        await self._begin(inbound, self.line.queue, self.keeping.policy, *first)
        inbound.ring()
        if asks:
            await self.caller.answer()
            self._keep_dialog()
            await self._ask()
            await self._happened(self._enqueue(self.line.queue, self._rang_at))
        self.desk.distribute()

    async def _begin(
        self, inbound: InboundCall, queue: str | None, policy: RecordPolicy, *first: Fact
    ) -> None:
        """The call is known, with what else is true from its first moment."""
        self._rang = rang = CallRang(
            call=self.id,
            from_number=inbound.caller.number,
            from_name=inbound.caller.name,
            to_number=inbound.request_user,
            line=self.line.number,
            trunk=inbound.trunk,
            region=self.region,
            language=self.language,
            policy=policy,
            node=self.desk.node,
            sip_call_id=inbound.sip_call_id,
            diverted_from=inbound.caller.diverted_from,
            verstat=inbound.caller.verstat,
            queue=queue,
        )
        await self.desk.record(rang, *first)
        self.call = begin(rang)
        for fact in first:
            self.call = evolve(self.call, fact)

    def _enqueue(
        self, queue: str, since: float, *, first: bool = False, only: str | None = None
    ) -> CallQueued:
        """It waits, `since` then: those who were asked something before have waited all along."""
        floor = self.desk.floor
        position = floor.enqueue(self.id, queue, since, first=first, only=only)
        others = floor.standings(self.id)
        return CallQueued(call=self.id, queue=queue, position=position, others=others)

    async def _ask(self) -> None:
        """Whether the call may be recorded: said and answered before the two talk."""
        self.keeping.ask(self.caller, self._agent_leg)
        while True:
            match await self._next(until=self._now() + WATCH_SECONDS):
                case Consented() as answer:
                    if facts := self.keeping.settled(answer):
                        return await self._happened(*facts)
                case None:
                    self._demand_sound()
                case happening:
                    self._before_talk(happening, "the customer hears the announcement")

    def _before_talk(self, happening: Step, why: str) -> None:
        """Before the two talk, the agent can only leave (raises Over); anything else has to wait,
        for the reason `why`."""
        match happening:
            case Asked(HangUpCall(agent=who)) as asked if who == self.agent:
                asked.grant(self._call.view())
                raise Over("cancelled", "agent")
            case Asked() as asked:
                asked.refuse(CallGone(f"{why}; you can only hang up"))
            case PhoneLeft(dialog) if self._is_agents_phone(dialog):
                raise Over("cancelled", "agent")
            case AgentLost(lost) if lost == self.agent:
                raise Over("cancelled", "system", "the agent was gone")
            case Referred(referral):
                referral.report(480)

    async def welcome(self) -> None:
        """A line that lets callers hear music while they wait: answered at once, or before that."""
        if not isinstance(self.caller, CallerSide):
            return
        if self.line.answer == "early" or self.caller.answered:
            await self.caller.answer()
            self._keep_dialog()
            await self.desk.record()
            self.caller.entertain()
        elif self.line.answer == "early_media" and await self.caller.early():
            self.caller.entertain()

    async def wait_for_agent(self) -> str:
        """In the queue, until an agent answers; returns that agent."""
        queue = self.desk.settings.queue(self._call.queue or self.line.queue)
        deadline = self._now() + queue.max_wait_seconds
        while True:
            happening = await self._next(until=min(deadline, self._now() + WATCH_SECONDS))
            if isinstance(happening, Asked):
                happening.refuse(CallGone("this call does not ring at you any more"))
            elif self._now() >= deadline:  # also where somebody declines it again and again
                raise Over("missed", "system", "nobody took the call in time")
            elif isinstance(happening, Offered):
                if await self._ring_at(happening.offer):
                    return happening.offer.agent
                self.desk.distribute()
            elif isinstance(happening, Referred):
                happening.referral.report(480)  # moved is what somebody talks in
            else:
                self._demand_sound()

    async def talk_with(self, agent: str) -> None:
        """The two talk until somebody hangs up (Over) or passes the call on (return).

        After an attended transfer it is another agent's, and they talk on.
        """
        while True:
            match await self._next(until=self._now() + WATCH_SECONDS):
                case Asked() as asked:
                    if await self._obey(asked):
                        return await self._talk_outside() if self._outsider else None
                case AgentLost(lost) if lost == self.agent:
                    if not await self._leave_to_colleague():
                        return await self._back_to_queue(self._call.queue)
                case PhoneLeft(dialog, how) if self._is_agents_phone(dialog):
                    if await self._leave_to_colleague():
                        continue
                    if how == "bye":
                        raise Over("completed", "agent")
                    return await self._back_to_queue(self._call.queue)
                case AgentLost() | PhonePickedUp() | PhoneAlerted() | PhoneLeft() as happening:
                    await self._follow_third(happening)
                case Referred(referral):
                    if await self._follow_referral(referral):
                        return
                case SaidAll(number):
                    await self._happened(*self._reader.said(number, self._now()))
                case Pressed(key):
                    await self._follow_key(key)
                case None:
                    self._demand_sound()
                    if self._reader.overdue(self._now()):
                        self._end_reading()
                    if self._third and self._third.overdue(self._now()):
                        await self._third_goes("no_answer")
                    if isinstance(self._third, Outsider) and self._third.outlasted(self._now()):
                        await self._third_goes("limit")
                    if self._phone and self._is_silent(self._phone):
                        return await self._back_to_queue(self._call.queue)

    async def end(self, over: Over) -> None:
        """Everything is given back, whatever failed before, then the end is a fact."""
        now = self._now()
        freed = self._withdraw()
        if self._watcher:
            self._watcher.cancel()
        self.caller.hang_up(over)
        asked = self._third.go("call_over", now) if self._third else []
        self._third = None
        truncated = await self._close_capture()
        measured = self._quality.finish("customer", "agent")
        self.caller.close(self._agent_leg)
        if self._outsider and self._outsider.phone:
            self._outsider.phone.let_go()
        self._let_phone_go()
        await self._stop_consulting()
        freed += self._free_agent()
        ended = CallEnded(
            call=self.id,
            reason=over.reason,
            by=over.by,
            detail=over.detail,
            agent=self.agent,
            seconds=round(now - self._rang_at, 3),
            talk_seconds=round(now - (self._answered_at or now), 3),
        )
        if self.caller.answered:
            self.desk.keep_dialog(self.id, None)
        rang = [self._rang] if self._rang and self.call is None else []  # could not be committed
        told = [*rang, *asked, *measured, *truncated, ended]
        await self.desk.record(*told, *self.desk.state_facts(freed))
        self.refuse_rest()
        self.desk.distribute()
        _LOGGER.info("call ended", call=self.id, reason=over.reason, by=over.by)

    def refuse_rest(self) -> list[Offer]:
        """The call is over: whoever asked is told so. Returns the offers nobody heard of."""
        return refuse_rest(self.mailbox)

    def _withdraw(self) -> list[Change]:
        """Nobody is rung any more. An agent who never heard of the offer never rang."""
        before = {offer.agent: offer.change.before for offer in self.refuse_rest()}
        changes = self.desk.floor.withdraw(self.id, self._now())
        return [replace(one, before=before.get(one.agent, one.before)) for one in changes]

    async def _close_capture(self) -> list[Fact]:
        try:
            return await self.keeping.close()
        except Exception:
            _LOGGER.exception("recording not closed", call=self.id)
            return []

    # --- Ringing at an agent ---

    async def _ring_at(self, offer: Offer) -> bool:
        """True when this agent answered."""
        if not self.desk.floor.rings_at(self.id, offer.agent):
            return False
        offered = AgentOffered(
            call=self.id,
            agent=offer.agent,
            queue=offer.queue,
            attempt=self._call.offers + 1,
            others=self.desk.floor.standings(self.id, offer.agent),
        )
        if not await self.desk.claim(offer, offered, *self.desk.state_facts([offer.change])):
            return False
        self.call = evolve(self._call, offered)
        self.keeping.prepare()
        phone = ring(self.desk, offer.agent, self._shown_to_agent(), self.mailbox.put_nowait)
        try:
            return await self._answered_in_time(offer, phone)
        except Over:
            changes = self.desk.floor.stop_ringing(offer.agent, self._now())
            gone = AgentDeclined(call=self.id, agent=offer.agent, reason="caller_gone")
            await self._happened(gone, *self.desk.state_facts(changes))
            raise
        finally:
            if phone:
                phone.stop()

    def _shown_to_agent(self) -> Caller:
        """Who is at the other end, as the agent's desk phone shows it."""
        if isinstance(self.caller, CallerSide):
            return self.caller.inbound.caller
        return Caller(self._call.to_number, None)

    async def _answered_in_time(self, offer: Offer, phone: Ringing | None) -> bool:
        if phone is not None and not phone:
            await self._declined(offer.agent, "unreachable")
            return False
        deadline = self._now() + offer.ring_seconds
        while True:
            match await self._next(until=deadline):
                case PhonePickedUp(dialog, media):
                    side = phone.pick_up(dialog, media) if phone else None
                    if side and await self._answer_by_phone(offer, side):
                        return True
                case PhoneLeft(dialog):
                    if phone and (reason := phone.left(dialog)):
                        await self._declined(offer.agent, reason)
                        return False
                case Asked(AnswerCall(agent=who)) as asked if who == offer.agent and phone:
                    asked.refuse(Conflict("your calls come to your desk phone: pick it up"))
                case Asked(AnswerCall(agent=who)) as asked if who == offer.agent:
                    if await self._answer(offer, asked):
                        return True
                case Asked(RejectCall(agent=who)) as asked if who == offer.agent:
                    await self._declined(offer.agent, "declined")
                    asked.grant(self._call.view())
                    return False
                case Asked() as asked:
                    asked.refuse(CallGone("this call does not ring at you"))
                case Referred(referral):
                    referral.report(480)
                case AgentLost(lost) if lost == offer.agent:
                    await self._declined(offer.agent, "unreachable")
                    return False
                case None:
                    await self._declined(offer.agent, "no_answer")
                    return False

    async def _answer(self, offer: Offer, asked: Asked) -> bool:
        """Connect the two; False (and the refusal told) when this agent cannot be heard.

        Sound first: the fact is committed a moment after the two hear each other.
        """
        coming = self.desk.floor.brings_audio
        ready = await self.desk.audio.ready(offer.agent, AUDIO_PATIENCE, coming=coming)
        agent_leg = self.desk.audio.leg(offer.agent) if ready else None
        if agent_leg is None:
            asked.refuse(NoAudioLeg("your browser has no audio connection; check the microphone"))
            return False
        if self._left(offer, asked):
            return False
        try:
            await self.caller.answer()
        except Over:
            asked.refuse(CallGone("the caller hung up"))
            raise
        except CallcenterError as error:
            asked.refuse(error)
            raise
        if self._left(offer, asked):
            self.caller.part(None)
            return False
        await self._join(offer, agent_leg)
        asked.grant(self._call.view())
        return True

    async def _answer_by_phone(self, offer: Offer, phone: PhoneSide) -> bool:
        """The same where the agent picked up a desk phone; whoever is gone since hears nothing."""
        self._phone = phone
        self._pass_keys_on(phone)
        if self.desk.floor.rings_at(self.id, offer.agent):
            await self.caller.answer()
        if not self.desk.floor.rings_at(self.id, offer.agent):
            self._let_phone_go()
            return False
        await self._join(offer, phone.leg)
        return True

    async def _join(self, offer: Offer, agent_leg: MediaLeg) -> None:
        """The two hear each other, and that is a fact."""
        self._keep_dialog()
        changes = self.desk.floor.answer(self.id, offer.agent, self._now())
        self.agent, self._agent_leg = offer.agent, agent_leg
        self.caller.join(agent_leg)
        self._measure(offer.agent, agent_leg)
        await self._answered(offer.agent, offer.queue, agent_leg, changes)

    async def _answered(
        self,
        agent: str,
        queue: str,
        agent_leg: MediaLeg,
        changes: Iterable[Change] = (),
        *,
        unheard: bool = False,
    ) -> None:
        """Both can be heard: recording begins, and the facts are told."""
        now = self._now()
        self._answered_at = self._answered_at or now
        waited = round(now - self._rang_at, 3)
        answered = CallAnswered(call=self.id, agent=agent, queue=queue, wait_seconds=waited)
        captured = await self.keeping.answered(self.caller.leg, agent_leg, unheard=unheard)
        await self._happened(answered, *captured, *self.desk.state_facts(changes))

    def _measure(self, agent: str, agent_leg: MediaLeg) -> None:
        self._quality.begin("customer", self.caller.leg)
        self._quality.begin("agent", agent_leg, agent)

    def _left(self, offer: Offer, asked: Asked) -> bool:
        """Whether the agent is gone since the click, while sound or the phone were waited for."""
        if self.desk.floor.rings_at(self.id, offer.agent):
            return False
        asked.refuse(CallGone("you are not signed in any more"))
        return True

    async def _declined(
        self, agent: str, reason: Literal["declined", "no_answer", "unreachable"]
    ) -> None:
        unanswered = reason != "declined"
        changes = self.desk.floor.decline(self.id, agent, self._now(), unanswered=unanswered)
        declined = AgentDeclined(call=self.id, agent=agent, reason=reason)
        await self._happened(declined, *self.desk.state_facts(changes))

    # --- Talking ---

    async def _obey(self, asked: Asked) -> bool:
        """Do what the agent clicked. True when this agent's part is over."""
        try:
            passed_on = await self._do(asked)
        except Over:
            asked.grant(self._call.view())
            raise
        except (Conflict, OutboundDenied, Unavailable) as refusal:
            asked.refuse(refusal)
            return False
        except Exception as error:
            asked.refuse(error)
            raise
        asked.grant(self._call.view())
        return passed_on

    async def _do(self, asked: Asked) -> bool:
        command = asked.command
        who = getattr(command, "agent", None)
        if isinstance(self._third, Colleague) and who == self._third.agent:
            await self._do_for_colleague(self._third, asked)
            return False
        if who != self.agent:
            raise CallGone("this call is not yours")
        match command:
            case HoldCall():
                if self._third:
                    raise Conflict("you are asking a colleague: go on without them first")
                await self._hold("agent")
            case ResumeCall():
                if self._third:
                    await self._third_goes("returned")
                await self._resume("agent")
            case ConsultColleague():
                await self._ask_colleague(command.colleague)
            case ConsultNumber():
                await self._ask_number(command.to)
            case SwapConsultation(to=to):
                await self._swap(to)
            case BeginConference():
                await self._confer()
            case ControlRecording(action="start") if self._asks_alone:
                raise Conflict("what you say to your colleague is not recorded: go back first")
            case ControlRecording():
                await self._happened(*await self.keeping.control(command))
            case ReadOutCode():
                await self._read_out(command)
            case PressKeys(keys=keys) if (
                isinstance(self._third, Outsider) and self._third.leg and self._asks_alone
            ):
                self.desk.media.press(self._third.leg, keys)  # a menu may answer there, too
            case PressKeys(keys=keys):
                if self._call.held_by:
                    raise Conflict("the customer is on hold: take them back first")
                self.desk.media.press(self.caller.leg, keys)
            case HangUpCall():
                raise Over("completed", "agent")
            case TransferCall(to_number=str(number)):
                await self._leave_to_outsider(number)
                return True
            case TransferCall(to_agent=to) if (
                isinstance(self._third, Colleague) and self._third.agent == to
            ):
                if not await self._leave_to_colleague():
                    raise Conflict("your colleague has not answered yet")
            case TransferCall():
                demand_target(command, self.desk.floor)
                await self._back_to_queue(command.to_queue, command.to_agent)
                return True
            case AnswerCall():
                pass  # a second click on Answer
            case _:
                raise Conflict("that cannot be done during a call")
        return False

    # --- A colleague who is asked ---

    @property
    def _asks_alone(self) -> bool:
        """Whether the agent waits for somebody or talks with them, out of the customer's ear."""
        return self._third is not None and self._third.state in ("ringing", "talking")

    async def _ask_colleague(self, agent: str) -> None:
        """The customer is on hold, the colleague is rung. Raises Conflict, Unavailable."""
        deadline = self._now() + RING_SECONDS
        await self._offer(Colleague(self._asking(), agent, self.desk, deadline))

    async def _ask_number(self, to: str) -> None:
        """The customer is on hold, somebody outside is called: `to`, as people write it.

        Raises Conflict, OutboundDenied, Unavailable.
        """
        asking = self._asking()
        assert self.agent is not None
        try:
            await self.desk.place(
                self.agent,
                to,
                lambda way: self._offer(Outsider(asking, way, self.desk, self._now())),
            )
        except CallcenterError:
            raise
        except Exception as error:  # the database: the call itself goes on
            raise Unavailable("nobody can be called at the moment; try again") from error

    def _asking(self) -> Asking:
        """The agent, who may ask somebody now. Raises Conflict."""
        if self._third or (self._consultation and not self._consultation.is_over):
            raise Conflict("you are asking somebody already")
        self._be_done_with_reading()
        assert self.agent is not None
        assert self._agent_leg is not None
        return Asking(self.id, self.agent, self._agent_leg)

    async def _offer(self, third: Colleague | Outsider) -> None:
        """It is about to ring there, and that is a fact. Raises Conflict, Unavailable."""
        held = "agent" in self._call.held_by
        facts: list[Fact] = [] if held else [CallHeld(call=self.id, by="agent")]
        facts += third.offered(self._now())
        try:
            await self.desk.commit(*facts)
        except Exception as error:  # another node's agent by now, or no database
            third.undo(self._now())
            raise Unavailable("it could not ring there; try again") from error
        for fact in facts:
            self.call = evolve(self._call, fact) if fact.subject == self.id else self._call
        self._third = third
        self.asked_outside |= isinstance(third, Outsider)
        if not held:
            self.caller.part(self._agent_leg)
        self.keeping.leave("agent")  # what the two say is not the customer's
        if not third.ring(self.mailbox.put_nowait):
            await self._third_goes("unreachable")

    def _be_done_with_reading(self) -> None:
        """What follows ends the wait for the key to hear it again. Raises Conflict while the
        customer hears a code."""
        if self._reader.speaks:
            raise Conflict("the code is being read out: wait until the customer has heard it")
        self._end_reading()

    async def _do_for_colleague(self, colleague: Colleague, asked: Asked) -> None:
        """What the one who is asked may do: answer, decline, leave."""
        match asked.command:
            case AnswerCall() if colleague.by_phone and colleague.state == "ringing":
                raise Conflict("your calls come to your desk phone: pick it up")
            case AnswerCall():
                await self._colleague_answers(colleague)
            case RejectCall() if colleague.state == "ringing":
                await self._third_goes("declined")
            case HangUpCall():
                await self._third_goes("left" if colleague.leg else "declined")
            case _:
                raise Conflict("the call is your colleague's: you can only leave it")

    async def _colleague_answers(self, colleague: Colleague) -> None:
        """In the browser. Raises NoAudioLeg, CallGone."""
        if colleague.state != "ringing":
            return  # a second click
        coming, audio = self.desk.floor.brings_audio, self.desk.audio
        ready = await audio.ready(colleague.agent, AUDIO_PATIENCE, coming=coming)
        leg = audio.leg(colleague.agent) if ready else None
        if leg is None:
            raise NoAudioLeg("your browser has no audio connection; check the microphone")
        if not colleague.still_rings:
            raise CallGone("you are not signed in any more")
        await self._happened(*colleague.answered(leg, self._now()))

    async def _follow_third(
        self, happening: AgentLost | PhonePickedUp | PhoneAlerted | PhoneLeft
    ) -> None:
        """What became of the browser or the telephone of whoever is asked."""
        third = self._third
        if third is None:
            return
        match happening:
            case AgentLost(lost):
                if isinstance(third, Colleague) and lost == third.agent:
                    await self._third_goes("unreachable")
            case PhonePickedUp(dialog, media):
                if facts := third.pick_up(dialog, media, self._now()):
                    await self._happened(*facts)
            case PhoneAlerted(dialog, early):
                if isinstance(third, Outsider):
                    third.alerted(dialog, early)
            case PhoneLeft(dialog) if third.talks_by(dialog):
                await self._third_goes("left")
            case PhoneLeft(dialog) if third.still_rings:
                if how := third.phone_left(dialog):
                    await self._third_goes(how)

    def _who_is_asked(self) -> Colleague | Outsider:
        """Whoever was asked and has answered. Raises Conflict where there is none."""
        if self._third is None or self._third.state == "ringing":
            raise Conflict("ask a colleague first, and wait for the answer")
        return self._third

    async def _swap(self, to: SwapTarget) -> None:
        """From the colleague to the customer or back; the other one waits. Raises Conflict."""
        colleague = self._who_is_asked()
        assert self._agent_leg is not None
        if colleague.state == "joined":
            raise Conflict("all three of you talk: nobody waits")
        if to == "customer" and colleague.state == "talking":
            swapped = colleague.hold()
            self.caller.join(self._agent_leg)
            self.keeping.follow("agent", self._agent_leg, unheard=True)
            await self._happened(swapped, CallResumed(call=self.id, by="agent"))
        elif to == "colleague" and colleague.state == "held":
            self._be_done_with_reading()
            self.keeping.leave("agent")  # before the two hear each other
            self.caller.part(self._agent_leg)
            swapped = colleague.resume()
            await self._happened(CallHeld(call=self.id, by="agent"), swapped)

    async def _confer(self) -> None:
        """The customer hears both. Raises Conflict."""
        colleague = self._who_is_asked()
        if "customer" in self._call.held_by:
            raise Conflict("the customer has put the call on hold: wait for them")
        if colleague.state == "joined":
            return  # a second click
        self._be_done_with_reading()
        waited = "agent" in self._call.held_by
        resumed: list[Fact] = [CallResumed(call=self.id, by="agent")] if waited else []
        self.keeping.follow("agent", colleague.join(self.caller), unheard=waited)
        await self._happened(*resumed, colleague.joined())

    async def _third_goes(self, how: ConsultationEnd) -> None:
        """The part of whoever was asked is over; after a conference the two others talk on."""
        third, self._third = self._third, None
        if third is None or self._agent_leg is None:
            return
        state = third.state
        facts = third.go(how, self._now())
        if state != "held":  # else it is the agent whom the customer hears, and who is kept
            self.keeping.follow("agent", self._agent_leg, unheard=state != "joined")
        if state == "joined":
            self._stop_reading()
            self.caller.join(self._agent_leg)
        await self._happened(*facts)
        self.desk.distribute()

    async def _leave_to_colleague(self) -> bool:
        """The call is the colleague's, if one was asked and has answered; True then.

        Never somebody's outside: there a call goes only where an agent says so.
        """
        colleague = self._third
        if not isinstance(colleague, Colleague) or colleague.leg is None:
            return False
        self._third = None
        heard = colleague.state == "joined"
        await self._hand_over(
            colleague.agent, colleague.leg, colleague.phone, colleague.hand_over(), heard=heard
        )
        return True

    async def _leave_to_outsider(self, number: str) -> None:
        """The customer and whoever is asked outside talk on without an agent. Raises Conflict."""
        outsider = self._third
        if not isinstance(outsider, Outsider) or outsider.number != number:
            raise Conflict("ask at that number first: calls go outside only with notice")
        if outsider.leg is None:
            raise Conflict("nobody has answered there yet")
        unheard = outsider.state != "joined"
        self._third = None
        over = outsider.hand_over()
        former, changes, measured = self._leave()
        self._outsider, self._agent_leg = outsider, outsider.leg
        self.caller.join(outsider.leg)
        self.keeping.follow("agent", outsider.leg, unheard=unheard)
        handed = CallTransferred(
            call=self.id, from_agent=former, to_number=number, outside=outsider.id
        )
        await self._happened(over, handed, *measured, *self.desk.state_facts(changes))
        self.desk.distribute()

    async def _talk_outside(self) -> NoReturn:
        """The customer and somebody outside, until one of the two hangs up (Over)."""
        outsider = self._outsider
        assert outsider is not None
        while True:
            match await self._next(until=self._now() + WATCH_SECONDS):
                case PhoneLeft(dialog) if outsider.talks_by(dialog):
                    raise Over("completed", "agent", "the number outside hung up")
                case Asked() as asked:
                    asked.refuse(CallGone("the call was handed over to a number outside"))
                case Referred(referral):
                    referral.report(480)
                case None:
                    self._demand_sound()
                    if outsider.outlasted(self._now()):
                        limit = "the time limit for calls out was reached"
                        raise Over("completed", "system", limit)
                    if outsider.phone and self._is_silent(outsider.phone):
                        raise Over("failed", "system", "media timeout outside")

    @property
    def _waits(self) -> bool:
        """Whether the customer talks with nobody yet, or with nobody any more."""
        return self.agent is None and self._outsider is None

    async def _read_out(self, command: ReadOutCode) -> None:
        """The customer hears the code instead of the agent. Raises Conflict."""
        if self._call.held_by:
            raise Conflict("the customer is on hold: take them back first")
        await self._reader.begin(command, self.caller)

    async def _follow_key(self, key: str) -> None:
        """The customer, to whom a code is read out, wants to hear it again, or no more."""
        try:
            over = await self._reader.press(key)
        except Conflict as refusal:
            _LOGGER.warning("code not said again", call=self.id, error=refusal.detail)
            over = True
        if over:
            self._end_reading()

    def _stop_reading(self) -> bool:
        """It is over; False where nothing was read out. What the customer hears is not changed."""
        return self._reader.stop(self._now())

    def _end_reading(self) -> None:
        """It is over, and the two talk again."""
        if self._stop_reading():
            self._join_again()

    async def _hold(self, by: LegName) -> None:
        self._end_reading()  # music is played instead, or nothing is heard
        if by not in self._call.held_by:
            await self._happened(CallHeld(call=self.id, by=by))
            if by == "agent":
                self.caller.part(self._agent_leg)

    def _join_again(self) -> None:
        """The customer and whoever talks with them hear each other."""
        if self._third and self._third.state == "joined":
            self.keeping.follow("agent", self._third.join(self.caller))
        elif self._agent_leg:
            self.caller.join(self._agent_leg)

    async def _resume(self, by: LegName) -> None:
        if by in self._call.held_by:
            await self._happened(CallResumed(call=self.id, by=by))
            if by == "agent" and self._agent_leg:
                self.caller.join(self._agent_leg)

    async def _follow_referral(self, referral: Referral) -> bool:
        """A telephone's wish to move the call, inside of this system only. True when it waits for
        somebody now; attended, a colleague has it already."""
        if referral.attended and self._phone:
            found = self._consultation and self._consultation.hand_over(referral)
            referral.report(200 if found else 481)
            if found:
                colleague, phone = found
                await self._hand_over(colleague, phone.leg, phone)
            return False
        lines, floor = self.desk.settings.lines, self.desk.floor
        status, to_queue, to_agent = referred_to(referral, lines, floor)
        referral.report(status)  # first: to the agent's phone nothing can be said after its BYE
        if status != 200:
            return False
        await self._back_to_queue(to_queue, to_agent)
        return True

    async def _take_over(self, inbound: InboundCall) -> None:
        """Another dialog is the caller now: same call, same agent, same recording."""
        caller = self.caller
        if not isinstance(caller, CallerSide) or not caller.answered:
            inbound.reject(481)
            return
        self._end_reading()
        try:
            await caller.replace(inbound)
        except (CallcenterError, Over):
            _LOGGER.warning("call not taken over", call=self.id)
            inbound.reject(500)
            return
        self._follow_caller(inbound)
        self._keep_dialog()
        measured = self._quality.finish("customer")
        if measured:  # somebody talked to it already
            self._quality.begin("customer", self.caller.leg)
        revoked = await self.keeping.replaced()
        self.keeping.follow("customer", self.caller.leg)
        await self._happened(
            CallerReplaced(
                call=self.id,
                from_number=inbound.caller.number,
                from_name=inbound.caller.name,
                trunk=inbound.trunk,
                sip_call_id=inbound.sip_call_id,
                diverted_from=inbound.caller.diverted_from,
                verstat=inbound.caller.verstat,
            ),
            *measured,
            *revoked,
        )
        if self.keeping.asking:
            self.keeping.ask(caller)
            return
        if self._agent_leg is None:
            caller.entertain()
            return
        await (self._hold if caller.holds else self._resume)("customer")
        if "agent" in self._call.held_by:
            self.caller.part(None if self._third else self._agent_leg)
        else:
            self._join_again()

    async def _back_to_queue(self, to_queue: str | None, to_agent: str | None = None) -> None:
        """This agent's part is over; the caller waits, first in line, with music."""
        queue = to_queue or self._call.queue or self.line.queue
        await self._third_goes("call_over")
        former, changes, measured = self._leave()
        await self._stop_consulting()
        await self._happened(
            CallTransferred(call=self.id, from_agent=former, to_agent=to_agent, to_queue=queue),
            self._enqueue(queue, self._now(), first=True, only=to_agent),
            *measured,
            *self.desk.state_facts(changes),
        )
        self.desk.distribute()

    def _leave(self) -> tuple[str, list[Change], list[Fact]]:
        """The agent's part is over: who it was, how their state changed, how it sounded."""
        former = self.agent
        assert former is not None
        self._stop_reading()
        self.caller.part(self._agent_leg)
        self.keeping.leave("agent")
        changes, measured = self._free_agent(), self._quality.finish("agent")
        self._let_phone_go()
        self.agent, self._agent_leg = None, None
        return former, changes, measured

    async def _hand_over(
        self,
        colleague: str,
        leg: MediaLeg,
        phone: PhoneSide | None,
        *first: Fact,
        heard: bool = False,
    ) -> None:
        """An attended transfer: the colleague, who is on the line already, has the call now.

        `heard`: the customer heard them until now.
        """
        queue = self._call.queue or self.line.queue
        former, changes, measured = self._leave()
        self._consultation = None
        self.agent, self._agent_leg, self._phone = colleague, leg, phone
        if phone:
            self._pass_keys_on(phone)
        self.caller.join(leg)
        self._measure(colleague, leg)
        offers = self._call.offers + 1
        await self._happened(
            *first,
            CallTransferred(call=self.id, from_agent=former, to_agent=colleague, to_queue=queue),
            CallQueued(call=self.id, queue=queue, position=1),
            AgentOffered(call=self.id, agent=colleague, queue=queue, attempt=offers),
            *measured,
        )
        await self._answered(colleague, queue, leg, changes, unheard=not heard)
        if phone and phone.holds:
            await self._hold("agent")
        self.desk.distribute()

    async def _consult(self, inbound: InboundCall) -> None:
        """The agent's phone calls beside the call, one at a time and once the two have talked."""
        if self._consultation and self._consultation.is_over:
            self._consultation = None
        busy = self._consultation or self._third
        if self._phone is None or self._answered_at is None or busy:
            inbound.reject(486)
            return
        assert self.agent is not None
        tell = self.mailbox.put_nowait
        self._consultation = Consultation(self.id, self.agent, inbound, self.desk, tell)

    async def _stop_consulting(self) -> None:
        """The agent's part is over: so is what they asked a colleague."""
        if self._consultation:
            await self._consultation.stop()
        self._consultation = None

    def _demand_sound(self) -> None:
        """A caller who sends no sound for long has vanished (unless they hold the call)."""
        if self._now() > self._reader.silent_until and self._is_silent(self.caller):
            raise Over("abandoned" if self._waits else "failed", "system", "media timeout")

    def _is_silent(self, side: Side) -> bool:
        limit = self.desk.settings.sip.media_timeout_seconds
        return bool(limit) and side.silent_for() > limit

    def _is_agents_phone(self, dialog: DialogCall) -> bool:
        return self._phone is not None and dialog is self._phone.dialog

    def _pass_keys_on(self, phone: PhoneSide) -> None:
        """What the agent presses at the desk phone is for a machine at the other end."""

        def press(key: str) -> None:
            talks = self._phone is phone and self._answered_at is not None
            if talks and not self._call.held_by and key in KEYS:
                self.desk.media.press(self.caller.leg, key)

        on_key(self.desk.media, phone.leg, phone.dialog, press)

    def _let_phone_go(self) -> None:
        """The agent's desk phone, if they talk by one, is free again."""
        if self._phone:
            self._phone.let_go()
        self._phone = None

    def _free_agent(self) -> list[Change]:
        """The agent's state after their part of the call."""
        if self.agent is None:
            return []
        name = self.call.queue if self.call else None
        queue = self.desk.settings.queue(name or self.line.queue)
        return self.desk.floor.finish_call(self.agent, self._now(), wrap_up=queue.wrap_up_seconds)

    # --- The mailbox ---

    def _follow_caller(self, inbound: InboundCall) -> None:
        """Watch that dialog; what only callers may ask for comes into the mailbox, too."""
        if self._watcher:
            self._watcher.cancel()
        inbound.on_refer(lambda referral: self.mailbox.put_nowait(Referred(referral)))
        inbound.on_replace(lambda other: self.mailbox.put_nowait(Replaced(other)))
        self._watcher = asyncio.create_task(self._watch(inbound))

    async def _watch(self, dialog: DialogCall) -> None:
        dialog.on_media(lambda wish: self.mailbox.put_nowait(MediaChanged(wish)))
        self.mailbox.put_nowait(CallerLeft(await asyncio.shield(dialog.ended), dialog))

    async def _next(self, *, until: float) -> Step | None:
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
                case CallerLeft(_, dialog) if dialog is not self.caller.dialog:
                    pass  # another took its place
                case CallerLeft(how):
                    raise self._caller_left(how)
                case Replaced(inbound):
                    await self._take_over(inbound)
                case PauseOver():
                    await self._happened(*self.keeping.pause_over())
                case Stop():
                    raise Over("interrupted", "system", "the system was stopped")
                case MediaChanged(wish):
                    holds = self.caller.change_media(wish)
                    self._keep_dialog()  # the peer may have moved, too
                    if holds is not None and not self._waits:
                        await (self._hold if holds else self._resume)("customer")
                case PhoneMedia(dialog, wish):
                    await self._follow_phone(dialog, wish)
                case PhoneReferred(dialog, referral) if self._is_agents_phone(dialog):
                    return Referred(referral)
                case PhoneReferred(_, referral):
                    referral.report(481)  # the agent's part is over
                case PhoneCalls(inbound):
                    await self._consult(inbound)
                case AgentLost(lost) if self._consultation and self._consultation.asks(lost):
                    await self._stop_consulting()
                case _:
                    return happening

    async def _follow_phone(self, dialog: DialogCall, wish: MediaDescription) -> None:
        """The phone of the agent, or of whoever is asked, holds the call, takes it back, moved."""
        for third in (self._third, self._outsider):
            if third and third.phone and third.talks_by(dialog):
                third.phone.change_media(wish)
                third.phone.keep_dialog()
        phone = self._phone
        if phone is None or dialog is not phone.dialog:
            return
        held = phone.holds
        holds = phone.change_media(wish)
        phone.keep_dialog()
        if self._third:
            return  # the customer is on hold already, or all three talk
        if holds is not None and holds != held and self._answered_at is not None:
            await (self._hold if holds else self._resume)("agent")

    def _keep_dialog(self) -> None:
        """Should we be killed, the next process ends the dialog."""
        if self.caller.answered:
            self.desk.keep_dialog(self.id, self.caller.dialog.memo())

    def _caller_left(self, how: SipEnd) -> Over:
        if how == "no_ack":
            return Over("failed", "system", "no ACK")
        if how in ("failed", "refused"):
            return Over("failed", "system", how)
        if how == "expired":
            return Over("abandoned" if self._waits else "failed", "system", "session expired")
        if not self._waits:
            return Over("completed", "customer")
        return Over("abandoned", "customer")

    # --- Inside ---

    async def _happened(self, *facts: Fact) -> None:
        """Tell the log, then let the call's state follow."""
        await self.desk.record(*facts)
        for fact in facts:
            if fact.subject == self.id:
                self.call = evolve(self._call, fact)

    @property
    def _call(self) -> Call:
        assert self.call is not None
        return self.call

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
