"""The telephony process: SIP in, the floor, commands of the browsers, facts out.

Everything here runs on one event loop. The only threads are the writer of the event log (one,
so that facts keep their order) and the bus, whose commands are carried onto the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from callcenter.bus import Answer, Bus, Handler
from callcenter.config import Settings
from callcenter.database import AWAY
from callcenter.errors import CallGone, NoFreePort, Unavailable
from callcenter.events import (
    AgentStateChanged,
    AnswerCall,
    AudioLegChanged,
    CallAnswered,
    CallEnded,
    CallRang,
    CallTransferred,
    Command,
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
    RejectCall,
    ResourcesSeen,
    ResumeCall,
    SeatAgent,
    ServiceStarted,
    SetAgentState,
    TransferCall,
    UnseatAgent,
    WrapUpEnded,
)
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.resources import Reserve, Use, Watch, database_file, descriptors, disk, is_full
from callcenter.telephony import dialogs
from callcenter.telephony.acd.agent import AgentState, survived
from callcenter.telephony.acd.floor import OWNED, Change, Floor, Offer, Seat, serves
from callcenter.telephony.acd.versions import Adopted, Drafts, joined
from callcenter.telephony.caller import CallerSide
from callcenter.telephony.cluster import LOOK_SECONDS, Cluster
from callcenter.telephony.desk import Sounds
from callcenter.telephony.mailbox import AgentLost, Asked, Offered, Stop
from callcenter.telephony.phone import NoPhones
from callcenter.telephony.placing import Placing
from callcenter.telephony.ports import (
    SAMPLE_RATE,
    AudioLegs,
    Dialler,
    InboundCall,
    MediaPlane,
    Phones,
    RecordingStore,
    SipBackend,
    SpeechLink,
)
from callcenter.telephony.session import Session, run_call
from callcenter.telephony.shared_floor import Clock, SeatTaken

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


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written in the transaction of some facts."""

    memos: dialogs.Memos
    drafts: Drafts
    clock: Clock | None


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
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-log")
        self._owed: list[Fact] = []  # of the writer's thread: what the database could not take
        self._memos: dict[str, dict[str, Any] | None] = {}  # to be kept with the next facts
        self._owed_memos: dict[str, dict[str, Any] | None] = {}  # of the writer's thread
        self._owed_drafts: Drafts = {}  # of the writer's thread
        self._floor_dirty = False
        self._draining = False
        self._watch = Watch()
        self._database_file = database_file(settings.database_url)
        self._reserve = Reserve(self._database_file)
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
            await self._end_interrupted_calls()
        self._parts.audio.on_change(self._audio_changed)
        self._phones.on_change(self._phone_changed)
        self._bus.serve("telephony", self._handlers())
        await self._parts.sip.start(self._take_call)
        self._chore(self._say_goodbyes())
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
        self._writer.shutdown(wait=True)

    @property
    def deposed(self) -> asyncio.Event | None:
        """Set when this node was taken for dead by the others; None where it is the only one."""
        return self._cluster.deposed if self._cluster else None

    async def _end_interrupted_calls(self) -> None:
        """Calls of this node that a kill left without an end get one now."""
        await self._end_calls_of(self._node)

    async def _end_calls_of(self, node: str) -> None:
        for call in await self._in_writer(self._log.open_calls, node):
            try:
                end = await self._in_writer(self._interruption_of, call)
            except Exception:  # one call that cannot be read must not keep the telephones silent
                _LOGGER.exception("an interrupted call could not be ended", call=call)
                continue
            if entry := await self._in_writer(self._log.append_end, end):
                self._bus.publish(LogAdvanced(position=entry.position))

    async def _say_goodbyes(self) -> None:
        """BYE for every dialog that a kill left open, so that nobody listens to silence."""
        left = await self._in_writer(dialogs.left_open, self._log.engine, self._node)
        await asyncio.gather(*(self._say_goodbye(call, memo) for call, memo in left.items()))

    async def _say_goodbye(self, call: str, memo: dict[str, Any]) -> None:
        try:
            await self._parts.sip.say_goodbye(memo)
        except Exception as error:
            _LOGGER.error("a dialog left open could not be ended", call=call, error=repr(error))
        self.keep_dialog(call, None)

    def _interruption_of(self, call: str) -> CallEnded:
        facts = [entry.fact for entry in self._log.of_call(call)]
        return _interruption(facts, self._parts.recordings.last_position(call))

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
    def speech(self) -> SpeechLink:
        """See Desk."""
        return self._parts.speech

    @property
    def sounds(self) -> Sounds:
        """See Desk."""
        return self._parts.sounds

    async def commit(self, *facts: Fact) -> None:
        """See Desk."""
        if facts and not self._is_deposed:
            await self._try(facts, self._beside(facts))
            self._floor_dirty = True

    async def record(self, *facts: Fact) -> None:
        """See Desk."""
        if (facts or self._memos) and not self._is_deposed:
            await self._in_writer(self._append_or_owe, facts, self._beside(facts))
            self._floor_dirty = True

    def keep_dialog(self, call: str, memo: dict[str, Any] | None) -> None:
        """See Desk."""
        self._memos[call] = memo

    def _take_memos(self) -> dialogs.Memos:
        memos, self._memos = self._memos, {}
        return memos

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

    def state_facts(self, changes: Iterable[Change]) -> list[Fact]:
        """See Desk."""
        facts: list[Fact] = []
        for change in changes:
            before, after = change.before, change.after
            if (before.name, before.until) == (after.name, after.until):
                continue
            if before.name == "wrap_up" and after.name != "wrap_up" and before.call:
                timed_out = before.until is not None and before.until <= self._loop.time()
                by_whom = "timeout" if timed_out else "agent"
                facts.append(WrapUpEnded(call=before.call, agent=change.agent, by=by_whom))  # type: ignore[arg-type]
            facts.append(
                AgentStateChanged(
                    agent=change.agent,
                    state=after.name,
                    previous=before.name,
                    reason=after.reason,
                    call=after.call,
                    until=self._wall(after.until),
                )
            )
        return facts

    def distribute(self) -> None:
        """See Desk."""
        if self._owed:
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
        session = Session(
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
        self.live(session, run_call(session))

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
        if self._cluster and not changes:
            await self._try((), self._beside((), command.agent))
        return await self._agent_changed(command.agent, changes)

    async def _unseat(self, command: UnseatAgent) -> Answer:
        state = self._floor.seats[command.agent].state if self._seated(command.agent) else None
        changes = self._floor.unseat(command.agent, self._loop.time())
        if state and state.call in self._sessions and state.name in ("ringing", "on_call"):
            self._sessions[state.call].mailbox.put_nowait(AgentLost(command.agent))
        if self._cluster and not changes:
            await self._try((), self._beside((), command.agent))
        await self._record_change(changes)
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
        await self._record_change(changes)
        self.distribute()
        return self._agent_view(self._floor.seat_of(agent))

    async def _record_change(self, changes: list[Change]) -> None:
        """Of an agent who may be another node's by now: then it has not happened."""
        keep = self.commit if self._cluster else self.record
        await keep(*self.state_facts(changes))

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
        return {
            "queues": [self._queue_view(name) for name in self._floor.queues],
            "agents": [self._agent_view(seat) for seat in self._floor.seats.values()],
            "calls": [call.view() for call in calls],
        }

    async def _describe_health(self, _: DescribeHealth) -> Answer:
        calls = len(self._sessions)
        detail = "draining" if self._draining else f"{calls} calls"
        sip = self._parts.sip.describe()
        about = {"detail": detail, "calls": calls, "node": self._node, "sip": sip}
        about |= {"resources": self._watch.shares, "alarms": self._watch.alarms}
        return {"ok": not self._draining, **about}

    def _queue_view(self, name: str) -> Answer:
        now, queue = self._loop.time(), self._floor.queues[name]
        everywhere = [*self._floor.waiting, *self._floor.elsewhere]
        waits = [now - one.since for one in everywhere if one.queue == name]
        staff = [seat for seat in self._floor.seats.values() if serves(queue, seat.username)]
        return {
            "name": name,
            "waiting": len(waits),
            "longest_wait_seconds": round(max(waits, default=0.0), 1),
            "agents": sum(seat.state.name != "offline" for seat in staff),
            "available": sum(seat.state.name == "available" for seat in staff),
        }

    def _agent_view(self, seat: Seat) -> Answer:
        state = seat.state
        since, until = self._wall(state.since), self._wall(state.until)
        return {
            "agent": seat.agent,
            "username": seat.username,
            "state": state.name,
            "reason": state.reason,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "call": state.call,
            "next": state.next,
            "audio": self._has_audio(seat.agent),
            "device": seat.device,
            "phone": seat.phone,
        }

    def _wall(self, moment: float | None) -> datetime | None:
        """A moment of the loop's clock as UTC."""
        if moment is None:
            return None
        return datetime.now(UTC) + timedelta(seconds=moment - self._loop.time())

    # --- Inside ---

    def _handlers(self) -> dict[type[Any], Handler]:
        calls: tuple[type[Command], ...] = (AnswerCall, RejectCall, HoldCall, ResumeCall)
        calls += (TransferCall, HangUpCall, ControlRecording)
        on_loop: dict[type[Any], Callable[[Any], Coroutine[Any, Any, Answer]]] = {
            SeatAgent: self._at_owner(self._seat),
            UnseatAgent: self._at_owner(self._unseat),
            SetAgentState: self._at_owner(self._set_state),
            ExtendWrapUp: self._at_owner(self._extend_wrap_up),
            OfferAudio: self._offer_audio,
            DialNumber: self._dial,
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

    def _append_and_tell(self, facts: tuple[Fact, ...], beside: Beside) -> None:
        """What is owed comes first, so that facts keep their order.

        Memos are owed from the start: they are no reason to refuse anything.
        """
        self._owed_memos |= beside.memos
        drafts = joined(self._owed_drafts, beside.drafts)
        if not self._owed and not facts and not self._owed_memos and not drafts:
            return
        entries = self._log.append(*self._owed, *facts, also=self._writing(drafts, beside.clock))
        self._owed, self._owed_memos, self._owed_drafts = [], {}, {}
        if entries:
            self._bus.publish(LogAdvanced(position=entries[-1].position))

    def _writing(self, drafts: Drafts, clock: Clock | None) -> Callable[[Connection], None]:
        """Memos and seats, in the transaction of their facts."""
        cluster = self._cluster

        def write(connection: Connection) -> None:
            dialogs.keep(connection, self._node, self._owed_memos)
            if cluster is not None and clock is not None and drafts:
                cluster.write(connection, drafts, clock)

        return write

    async def _try(self, facts: tuple[Fact, ...], beside: Beside) -> None:
        """Append, or have decided nothing: then the rows are read before the next decision."""
        try:
            await self._in_writer(self._append_and_tell, facts, beside)
        except BaseException:
            if self._cluster:
                self._cluster.failed(beside.drafts)
            raise

    def _append_or_owe(self, facts: tuple[Fact, ...], beside: Beside) -> None:
        try:
            try:
                self._append_and_tell(facts, beside)
            except SeatTaken:  # told nevertheless: it happened to a call of ours
                lost = joined(self._owed_drafts, beside.drafts)
                _LOGGER.error("a seat was changed by another node", agents=len(lost))
                if self._cluster:
                    self._cluster.failed_from_thread(lost)
                self._owed_drafts, beside = {}, replace(beside, drafts={})
                self._append_and_tell(facts, beside)
        except AWAY as error:  # locked for long, full, away: not the fact's fault
            if is_full(error) and self._reserve.release():
                _LOGGER.error("the database's disk is full; the reserve is used up now, make room")
                self._append_or_owe(facts, beside)
                return
            self._owed += facts
            self._owed_drafts = joined(self._owed_drafts, beside.drafts)
            _LOGGER.error(
                "facts wait for the database", owed=len(self._owed), error=type(error).__name__
            )

    def _in_writer(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return self._loop.run_in_executor(self._writer, work, *arguments)

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
            await self._in_writer(self._reserve.hold)

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
        if (self._owed or self._owed_memos or self._memos) and not self._is_deposed:
            await self._in_writer(self._append_or_owe, (), self._beside())
            if not self._owed:
                self.distribute()

    # --- Several nodes ---

    @property
    def _is_deposed(self) -> bool:
        return self._cluster is not None and self._cluster.deposed.is_set()

    def _beside(self, facts: tuple[Fact, ...] = (), *agents: str) -> Beside:
        """What goes into the transaction of these facts; also the seats of `agents`."""
        if self._cluster is None:
            return Beside(self._take_memos(), {}, None)
        changed = {one.agent for one in facts if isinstance(one, AgentStateChanged)}
        drafts = self._cluster.draft(changed | set(agents))
        return Beside(self._take_memos(), drafts, self._cluster.clock())

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
        rows = await self._in_writer(self._cluster.read, self._cluster.clock())
        self._refreshed_at = self._loop.time()
        adopted = self._cluster.adopt(rows)
        if adopted.strays or adopted.stale:
            await self._put_right(adopted)
        for agent in adopted.gone:
            await self._parts.audio.close(agent)
        self.distribute()

    async def _put_right(self, adopted: Adopted) -> None:
        """Rows of ours that tell what is not so, after writes of which nobody knew the outcome."""
        facts = self.state_facts(self._survive(self._floor.seats[one] for one in adopted.strays))
        beside = self._beside(tuple(facts), *adopted.stale)
        await self._in_writer(self._append_or_owe, tuple(facts), beside)

    def _survive(self, seats: Iterable[Seat]) -> list[Change]:
        now, changes = self._loop.time(), []
        for seat in seats:
            before, seat.state = seat.state, survived(seat.state, now)
            changes.append(Change(seat.agent, before, seat.state))
        return changes

    async def _keep(self) -> None:
        if self._cluster and not self._is_deposed:
            await self._cluster.keep(self._bury)

    async def _bury(self, node: str) -> None:
        """End what a dead node left: its calls are interrupted, its agents are free again."""
        assert self._cluster is not None
        await self._end_calls_of(node)
        rows = await self._in_writer(self._cluster.of_node, node, self._cluster.clock())
        changes = self._survive(self._cluster.take_over(rows))
        await self.record(*self.state_facts(changes))
        await self._refresh()

    def _chore(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _interruption(facts: list[Fact], samples: int | None) -> CallEnded:
    """The end of a call that a kill cut off; its length is what the journal holds."""
    rang = next(fact for fact in facts if isinstance(fact, CallRang))
    answered = next((fact for fact in facts if isinstance(fact, CallAnswered)), None)
    agent = None
    for fact in facts:
        if isinstance(fact, CallAnswered):
            agent = fact.agent
        elif isinstance(fact, CallTransferred):
            agent = None
    last = facts[-1].at
    talked = (samples or 0) / SAMPLE_RATE
    if answered:
        last = max(last, answered.at + timedelta(seconds=talked))
    return CallEnded(
        call=rang.call,
        reason="interrupted",
        by="system",
        detail="the telephony process was stopped in the middle",
        agent=agent,
        seconds=round((last - rang.at).total_seconds(), 3),
        talk_seconds=round(talked, 3),
    )
