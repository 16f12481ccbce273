"""The telephony process: SIP in, the floor, commands of the browsers, facts out.

Everything here runs on one event loop. The only threads are the writer of facts (`FactWriter`) and
the bus, whose commands are carried onto the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Engine

from callcenter.bus import Answer, Bus, Handler
from callcenter.config import Settings
from callcenter.database import AWAY
from callcenter.errors import CallGone, NoFreePort, Unavailable
from callcenter.events import (
    AnswerCall,
    AudioLegChanged,
    BeginConference,
    Command,
    ConsultColleague,
    ConsultNumber,
    ControlRecording,
    DescribeFloor,
    DescribeHealth,
    DialNumber,
    ExtendWrapUp,
    Fact,
    FloorChanged,
    HangUpCall,
    HoldCall,
    LogAdvanced,
    OfferAudio,
    PressKeys,
    ReadOutCode,
    RejectCall,
    ResourcesSeen,
    ResumeCall,
    SeatAgent,
    ServiceStarted,
    SetAgentState,
    SwapConsultation,
    TransferCall,
    UnseatAgent,
)
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.resources import Use, Watch, database_file, descriptors, disk
from callcenter.telephony.acd.agent import OWNED, AgentState
from callcenter.telephony.acd.floor import Change, Floor, Offer, Seat
from callcenter.telephony.acd.versions import Adopted
from callcenter.telephony.aftermath import Aftermath
from callcenter.telephony.caller import CallerSide
from callcenter.telephony.cluster import LOOK_SECONDS, Cluster
from callcenter.telephony.desk import Sounds, WayOut
from callcenter.telephony.floor_view import agent_view, queue_view, state_facts
from callcenter.telephony.inquiring import InquirySession, run_inquiry
from callcenter.telephony.mailbox import AgentLost, Asked, Offered, PhoneCalls, Stop
from callcenter.telephony.phone import NoPhones
from callcenter.telephony.placing import Placing
from callcenter.telephony.ports import (
    AudioLegs,
    Dialler,
    InboundCall,
    MediaPlane,
    Phones,
    RecordingStore,
    SipBackend,
    SpeechLink,
    StatusDirectory,
)
from callcenter.telephony.rounds import Rounds
from callcenter.telephony.session import Session, run_call
from callcenter.telephony.shared_floor import Clock, SeatTaken
from callcenter.telephony.writer import FactWriter

TICK_SECONDS = 0.25
PAY_SECONDS = 1.0
WATCH_SECONDS = 2.0
COMMAND_SECONDS = 10.0
RETRY_AFTER = 10
"""Seconds that a caller is asked to wait where no port is free (RFC 3261 20.33)."""
REFRESH_SECONDS = 0.1
FALLBACK_SECONDS = 1.0
AWAY_SECONDS = 0.5
TRIES = 5
_LOGGER = structlog.get_logger()


@dataclass(slots=True)
class Parts:
    """The adapters, filled in by bootstrap."""

    sip: SipBackend
    media: MediaPlane
    audio: AudioLegs
    recordings: RecordingStore
    speech: SpeechLink
    sounds: Sounds
    dialler: Dialler | None = None  # None: this backend places no calls
    phones: Phones | None = None  # None: this backend takes no registrations
    statuses: StatusDirectory | None = None  # None: no line tells where complaints stand


class TelephonyService:
    """All calls and agents of one telephony process (one `Desk` for all of its calls)."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        bus: Bus,
        parts: Parts,
        *,
        node: str,
        shared: Engine | None = None,
    ) -> None:
        """`shared`: the database over which several nodes share one floor; None: alone."""
        self._settings, self._log, self._bus, self._parts = settings, log, bus, parts
        self._node = node
        self._floor = Floor({queue.name: queue for queue in settings.queues})
        self._phones: Phones = parts.phones or NoPhones()
        self._floor.has_audio = self._has_audio
        self._cluster = Cluster(shared, bus, self._floor, node) if shared else None
        self._floor.brings_audio = shared is not None
        self._sessions: dict[str, Session] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._chores: set[asyncio.Task[Any]] = set()
        self._placing = Placing(self, log, bus, parts.dialler)
        self._database_file = database_file(settings.database_url)
        self._writer = FactWriter(log, bus, node, self._cluster, self._database_file)
        self._aftermath = Aftermath(log, bus, self._writer, parts.recordings, parts.sip)
        self._rounds = Rounds(parts.recordings)
        self._floor_dirty = False
        self._draining = False
        self._watch = Watch()
        self._refresh_due, self._refreshed_at = True, 0.0

    # --- Start and stop ---

    async def start(self) -> None:
        """Close what a kill left open, then serve commands and listen for calls."""
        self._loop = asyncio.get_running_loop()
        if self._cluster:
            await self._cluster.join(self._loop, self.distribute)
            await self._bury(self._node)
            self._bus.serve(f"telephony:{self._node}", self._handlers())
            self._bus.subscribe(LogAdvanced, self._others_wrote)
            self._chore(self._forever(self._keep, LOOK_SECONDS))
            self._chore(self._forever(self._refresh_when_due, REFRESH_SECONDS))
        else:
            await self._aftermath.end_calls_of(self._node)
        self._parts.audio.on_change(self._audio_changed)
        self._phones.on_change(self._phone_changed)
        self._phones.on_call(self._phone_calls)
        self._bus.serve("telephony", self._handlers())
        await self._parts.sip.start(self._take_call)
        self._chore(self._aftermath.say_goodbyes(self._node))
        self._chore(self._forever(self._tick, TICK_SECONDS))
        self._chore(self._forever(self._pay, PAY_SECONDS))
        self._chore(self._forever(self._watch_resources, WATCH_SECONDS))
        self._bus.publish(ServiceStarted(service="telephony", node=self._node))
        _LOGGER.info("telephony started", node=self._node)

    async def stop(self, drain_seconds: float) -> None:
        """No new calls; those in progress may end by themselves, then they are ended."""
        self._draining = True
        if self._lives:
            await asyncio.wait(self._lives, timeout=drain_seconds)
        for session in list(self._sessions.values()):
            session.mailbox.put_nowait(Stop())
        if self._lives:
            await asyncio.wait(self._lives, timeout=5)
        await self._parts.sip.stop()
        for agent in list(self._floor.seats):
            await self._parts.audio.close(agent)
        for chore in self._chores:
            chore.cancel()
        await self._pay()
        if self._cluster:
            await self._cluster.leave()
        self._writer.close()

    @property
    def deposed(self) -> asyncio.Event | None:
        """Set when this node was taken for dead by the others; None where it is the only one."""
        return self._cluster.deposed if self._cluster else None

    # --- Desk ---

    @property
    def settings(self) -> Settings:
        """See Desk."""
        return self._settings

    @property
    def node(self) -> str:
        """See Desk."""
        return self._node

    @property
    def floor(self) -> Floor:
        """See Desk."""
        return self._floor

    @property
    def media(self) -> MediaPlane:
        """See Desk."""
        return self._parts.media

    @property
    def audio(self) -> AudioLegs:
        """See Desk."""
        return self._parts.audio

    @property
    def phones(self) -> Phones:
        """See Desk."""
        return self._phones

    @property
    def recordings(self) -> RecordingStore:
        """See Desk."""
        return self._parts.recordings

    @property
    def rounds(self) -> Rounds:
        """See Desk."""
        return self._rounds

    @property
    def speech(self) -> SpeechLink:
        """See Desk."""
        return self._parts.speech

    @property
    def sounds(self) -> Sounds:
        """See Desk."""
        return self._parts.sounds

    @property
    def statuses(self) -> StatusDirectory | None:
        """See Desk."""
        return self._parts.statuses

    async def commit(self, *facts: Fact) -> None:
        """See Desk."""
        await self._writer.commit(facts)
        self._floor_dirty |= bool(facts)

    async def record(self, *facts: Fact) -> None:
        """See Desk."""
        await self._writer.record(facts)
        self._floor_dirty |= bool(facts)

    def keep_dialog(self, call: str, memo: dict[str, Any] | None) -> None:
        """See Desk."""
        self._writer.keep_dialog(call, memo)

    async def claim(self, offer: Offer, *facts: Fact) -> bool:
        """See Desk."""
        if self._cluster is None:
            await self.record(*facts)
            return True
        if self._is_deposed:
            self._floor.give_back(offer)
            return False
        try:
            await self.commit(*facts)
        except (SeatTaken, *AWAY) as error:
            self._floor.give_back(offer)
            if not isinstance(error, SeatTaken):
                await asyncio.sleep(AWAY_SECONDS)
            await self._refresh()
            return False
        return True

    async def place(self, agent: str, to: str, begin: Callable[[WayOut], Awaitable[None]]) -> None:
        """See Desk."""
        await self._placing.beside(agent, to, begin)

    def state_facts(self, changes: Iterable[Change]) -> list[Fact]:
        """See Desk."""
        return state_facts(changes, self._clock())

    def distribute(self) -> None:
        """See Desk."""
        if self._writer.owes:
            return  # nobody would hear of an offer: the calls wait until the database takes facts
        for offer in self._floor.offers(self._loop.time()):
            self._sessions[offer.call].mailbox.put_nowait(Offered(offer))
        if self._cluster:
            self._cluster.tell(self._has_audio_here)
        self._floor_dirty = True

    # --- Calls ---

    def _take_call(self, inbound: InboundCall) -> None:
        line = self._settings.line_for(inbound.request_user)
        if line is None:
            inbound.reject(404)
            return
        if self._draining:
            inbound.reject(503, retry_after=10)
            return
        trunk_region = self._settings.sip.region_of(inbound.trunk)
        kind = InquirySession if line.service else Session
        session = kind(
            new_id(),
            CallerSide(inbound, self._parts.media, self._parts.sounds),
            line,
            self,
            region=line.region or trunk_region or self._settings.site.region,
            language=line.language or self._settings.site.default_language,
        )
        try:
            session.caller.take_port()
        except NoFreePort as error:
            _LOGGER.warning("call refused", reason=error.detail)
            inbound.reject(503, retry_after=RETRY_AFTER)
            return
        if isinstance(session, InquirySession):
            self.live(session, run_inquiry(session))
        else:
            self.live(session, run_call(session))

    def _phone_calls(self, extension: str, inbound: InboundCall) -> None:
        """A desk phone calls a colleague beside its call; without one it calls nobody."""
        for seat in self._floor.seats.values():
            talks = seat.state.name == "on_call" and seat.state.call in self._sessions
            if talks and self._floor.phone_of(seat.agent) == extension:
                self._sessions[seat.state.call or ""].mailbox.put_nowait(PhoneCalls(inbound))
                return
        inbound.reject(403)

    def live(self, session: Session, course: Coroutine[Any, Any, None]) -> None:
        """A call begins; it is known under its id until its course is over."""
        self._sessions[session.id] = session
        life = self._loop.create_task(course, name=f"call {session.id}")
        self._lives.add(life)
        life.add_done_callback(lambda done: self._call_done(session.id, done))

    def _call_done(self, call: str, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if session := self._sessions.pop(call, None):
            session.refuse_rest()
            if session.asked_outside:
                self._chore(self._look_at_limits())
        if not life.cancelled() and (error := life.exception()):
            _LOGGER.error("call not ended properly", call=call, error=type(error).__name__)

    async def _pass_on(self, command: Command) -> Answer:
        """A click that concerns a call goes to that call's mailbox."""
        session = self._sessions.get(command.call)  # type: ignore[attr-defined]
        if session is None:
            raise CallGone("the call is over")
        reply: asyncio.Future[Answer] = self._loop.create_future()
        session.mailbox.put_nowait(Asked(command, reply))
        try:
            return await asyncio.wait_for(reply, COMMAND_SECONDS)
        except TimeoutError:
            raise Unavailable("the call did not follow in time; look whether it did") from None

    async def _dial(self, command: DialNumber) -> Answer:
        if self._draining:
            raise Unavailable("the system is about to stop; no call can begin now")
        node = self._cluster.node_of_audio(command.agent) if self._cluster else None
        if node and not self._has_audio_here(command.agent):
            return await asyncio.to_thread(self._bus.request, f"telephony:{node}", command)
        await self._refresh()
        return await self._placing.dial(command, self.live)

    async def _consult_number(self, command: ConsultNumber) -> Answer:
        if self._draining:
            raise Unavailable("the system is about to stop; no call can begin now")
        return await self._pass_on(command)

    async def _look_at_limits(self) -> None:
        with suppress(*AWAY):  # they are looked at again with the next call out
            await self._placing.raise_alarms()

    # --- Agents ---

    async def _seat(self, command: SeatAgent) -> Answer:
        phone = self._settings.sip.phone_of(command.username)
        seat = Seat(
            device=command.device if phone else "browser",
            phone=phone.extension if phone else None,
            agent=command.agent,
            username=command.username,
            extension=command.extension,
            language=command.language,
            state=AgentState(name=command.state, reason=command.reason, since=self._loop.time()),
        )
        changes = self._floor.seat(seat, self._loop.time())
        return await self._agent_changed(command.agent, changes)

    async def _unseat(self, command: UnseatAgent) -> Answer:
        state = self._floor.seats[command.agent].state if self._seated(command.agent) else None
        changes = self._floor.unseat(command.agent, self._loop.time())
        if state and state.call in self._sessions and state.name in ("ringing", "on_call"):
            self._sessions[state.call].mailbox.put_nowait(AgentLost(command.agent))
        await self._record_change(command.agent, changes)
        if not self._seated(command.agent):  # back meanwhile: the leg is theirs
            await self._parts.audio.close(command.agent)
        return {}

    async def _set_state(self, command: SetAgentState) -> Answer:
        now = self._loop.time()
        changes = self._floor.choose(command.agent, command.state, command.reason, now)
        return await self._agent_changed(command.agent, changes)

    async def _extend_wrap_up(self, command: ExtendWrapUp) -> Answer:
        changes = self._floor.extend_wrap_up(command.agent, command.seconds)
        return await self._agent_changed(command.agent, changes)

    async def _agent_changed(self, agent: str, changes: list[Change]) -> Answer:
        await self._record_change(agent, changes)
        self.distribute()
        return agent_view(self._floor, self._floor.seat_of(agent), self._clock())

    async def _record_change(self, agent: str, changes: list[Change]) -> None:
        """Among several nodes the agent may be another one's by now: then it has not happened.

        The seat is written in any case: a state that is chosen for later changes it, too.
        """
        facts = self.state_facts(changes)
        if self._cluster:
            await self._writer.commit(facts, seats=[agent])
            self._floor_dirty = True
        else:
            await self.record(*facts)

    async def _offer_audio(self, command: OfferAudio) -> Answer:
        if self._cluster:
            await self._refresh()
        self._floor.state_of(command.agent)  # only somebody who is signed in gets a leg
        sdp = await self._parts.audio.negotiate(command.agent, command.sdp, command.type)
        return {"sdp": sdp, "type": "answer", "node": self._node}

    def _audio_changed(self, agent: str, connected: bool) -> None:
        if self._floor.phone_of(agent) is None:
            self._tell_audio(agent, connected)

    def _phone_changed(self, extension: str, reachable: bool) -> None:
        for agent in self._floor.seats:
            if self._floor.phone_of(agent) == extension:
                self._tell_audio(agent, reachable)

    def _tell_audio(self, agent: str, connected: bool) -> None:
        told = AudioLegChanged(agent=agent, connected=connected, node=self._node)
        self._bus.publish(told)
        if self._cluster:
            self._cluster.tell(self._has_audio_here)
        self._floor_dirty = True

    def _has_audio(self, agent: str) -> bool:
        """Whether the agent can be heard by what they talk by."""
        here = self._has_audio_here(agent)
        if here or self._cluster is None or self._floor.phone_of(agent):
            return here  # a browser brings its sound to the node of the call, a desk phone does not
        return self._cluster.has_audio(agent)

    def _has_audio_here(self, agent: str) -> bool:
        phone = self._floor.phone_of(agent)
        return self._phones.reachable(phone) if phone else self._parts.audio.connected(agent)

    def _seated(self, agent: str) -> bool:
        return agent in self._floor.seats

    # --- Views ---

    async def _describe_floor(self, _: DescribeFloor) -> Answer:
        calls = [session.call for session in self._sessions.values() if session.call]
        floor, clock = self._floor, self._clock()
        return {
            "queues": [queue_view(floor, name, clock) for name in floor.queues],
            "agents": [agent_view(floor, seat, clock) for seat in floor.seats.values()],
            "calls": [call.view() for call in calls],
        }

    async def _describe_health(self, _: DescribeHealth) -> Answer:
        calls = len(self._sessions)
        detail = "draining" if self._draining else f"{calls} calls"
        sip = self._parts.sip.describe()
        about = {"detail": detail, "calls": calls, "node": self._node, "sip": sip}
        about |= {"resources": self._watch.shares, "alarms": self._watch.alarms}
        return {"ok": not self._draining, **about}

    def _clock(self) -> Clock:
        return Clock(self._loop.time(), datetime.now(UTC))

    # --- Inside ---

    def _handlers(self) -> dict[type[Any], Handler]:
        calls: tuple[type[Command], ...] = (AnswerCall, RejectCall, HoldCall, ResumeCall)
        calls += (TransferCall, HangUpCall, ControlRecording, ReadOutCode)
        calls += (ConsultColleague, SwapConsultation, BeginConference, PressKeys)
        on_loop: dict[type[Any], Callable[[Any], Coroutine[Any, Any, Answer]]] = {
            SeatAgent: self._at_owner(self._seat),
            UnseatAgent: self._at_owner(self._unseat),
            SetAgentState: self._at_owner(self._set_state),
            ExtendWrapUp: self._at_owner(self._extend_wrap_up),
            OfferAudio: self._offer_audio,
            DialNumber: self._dial,
            ConsultNumber: self._consult_number,
            DescribeFloor: self._describe_floor,
            DescribeHealth: self._describe_health,
            **dict.fromkeys(calls, self._pass_on),
        }
        return {kind: self._from_thread(method) for kind, method in on_loop.items()}

    def _from_thread(self, method: Callable[[Any], Coroutine[Any, Any, Answer]]) -> Handler:
        def handle(command: Any) -> Answer:
            future = asyncio.run_coroutine_threadsafe(method(command), self._loop)
            return future.result(COMMAND_SECONDS + 1)

        return handle

    async def _forever(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        """A chore that failed once is done again the next time."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:
                _LOGGER.exception("a chore failed; it goes on")

    async def _tick(self) -> None:
        """What the time has brought; the floor's picture, at most four times a second."""
        now = self._loop.time()
        changes = self._floor.end_due_wrap_ups(now)
        await self.record(*self.state_facts(changes))
        if self._floor.forget_declined(now) or changes:
            self.distribute()
        if self._cluster:
            self._cluster.forget_silent()
            if self._floor.elsewhere and self._floor.waiting:
                self.distribute()
        if self._floor_dirty:
            self._floor_dirty = False
            self._bus.publish(FloorChanged())

    async def _watch_resources(self) -> None:
        """Tell what runs short, before it is full; take the reserve back when there is room."""
        uses = await self._loop.run_in_executor(None, self._uses)
        for name in self._watch.look(uses):
            share = self._watch.shares[name]
            if name in self._watch.alarms:
                _LOGGER.error("a resource runs short", resource=name, percent=round(100 * share))
            else:
                _LOGGER.info("a resource is no longer short", resource=name)
        self._bus.publish(
            ResourcesSeen(
                node=self._node, shares=dict(self._watch.shares), alarms=dict(self._watch.alarms)
            )
        )
        if "database_disk" not in self._watch.alarms:
            await self._writer.hold_reserve()

    def _uses(self) -> list[Use]:
        taken, ports = self._parts.media.ports()
        found = [
            disk("recordings_disk", self._settings.recordings_dir),
            descriptors(),
            Use("rtp_ports", taken, ports),
            Use("calls", len(self._sessions), self._settings.sip.max_calls),
        ]
        if self._database_file:
            found.append(disk("database_disk", self._database_file.parent))
        return found

    async def _pay(self) -> None:
        """Facts and memos that are owed."""
        if self._cluster:
            self._cluster.tell(self._has_audio_here, again=True)
        if await self._writer.pay():
            self.distribute()

    # --- Several nodes ---

    @property
    def _is_deposed(self) -> bool:
        return self._cluster is not None and self._cluster.deposed.is_set()

    def _at_owner(
        self, work: Callable[[Any], Coroutine[Any, Any, Answer]]
    ) -> Callable[[Any], Coroutine[Any, Any, Answer]]:
        """An order that concerns an agent is carried out by the node whose agent it is now."""
        cluster = self._cluster
        if cluster is None:
            return work

        async def carry_out(command: Any) -> Answer:
            for _ in range(TRIES):
                with suppress(*AWAY):
                    await self._refresh()
                seat = self._floor.seats.get(command.agent)
                if seat is not None and seat.node:
                    service = f"telephony:{seat.node}"
                    return await asyncio.to_thread(self._bus.request, service, command)
                before = replace(seat) if seat else None
                try:
                    return await work(command)
                except SeatTaken:
                    self._undo(command.agent, before)
                except AWAY as error:
                    self._undo(command.agent, before)
                    raise Unavailable("the database does not answer; try again") from error
            raise Unavailable("the agent's state changes too fast; try again")

        return carry_out

    def _undo(self, agent: str, before: Seat | None) -> None:
        """An order came to nothing; a call of ours goes on whatever became of the order."""
        now = self._floor.seats.get(agent)
        if now is not None and now.state.name in OWNED:
            return
        if before is None:
            self._floor.seats.pop(agent, None)
        else:
            self._floor.seats[agent] = before

    def _others_wrote(self, _: LogAdvanced) -> None:
        self._refresh_due = True

    async def _refresh_when_due(self) -> None:
        """Often where the log advanced, now and then in any case: signals may be lost."""
        now = self._loop.time()
        if self._refresh_due or now - self._refreshed_at > FALLBACK_SECONDS:
            self._refresh_due = False
            await self._refresh()

    async def _refresh(self) -> None:
        """Let the floor follow what the other nodes made of it."""
        if self._cluster is None:
            return
        rows = await self._writer.run(self._cluster.read, self._cluster.clock())
        self._refreshed_at = self._loop.time()
        adopted = self._cluster.adopt(rows)
        if adopted.strays or adopted.stale:
            await self._put_right(adopted)
        for agent in adopted.gone:
            await self._parts.audio.close(agent)
        self.distribute()

    async def _put_right(self, adopted: Adopted) -> None:
        """Rows of ours that tell what is not so, after writes of which nobody knew the outcome."""
        strays = [self._floor.seats[one] for one in adopted.strays]
        facts = self.state_facts(self._floor.survive(strays, self._loop.time()))
        await self._writer.record(facts, seats=adopted.stale)

    async def _keep(self) -> None:
        if self._cluster and not self._is_deposed:
            await self._cluster.keep(self._bury)

    async def _bury(self, node: str) -> None:
        """End what a dead node left: its calls are interrupted, its agents are free again."""
        assert self._cluster is not None
        await self._aftermath.end_calls_of(node)
        rows = await self._writer.run(self._cluster.of_node, node, self._cluster.clock())
        changes = self._floor.survive(self._cluster.take_over(rows), self._loop.time())
        await self.record(*self.state_facts(changes))
        await self._refresh()

    def _chore(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
