"""The threads of the web process that follow the others: facts, signals, presence, the floor."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from sqlalchemy.orm import Session

from callcenter.crm import subscribers
from callcenter.events import (
    AudioLegChanged,
    BusRejoined,
    CaptionHeard,
    FloorChanged,
    LogAdvanced,
    OutboundAlarm,
    OutboxAdvanced,
    ResourcesSeen,
    ServiceStarted,
    SpeechStatus,
)
from callcenter.leases import Only
from callcenter.log import Consumer, Entry
from callcenter.web import floor
from callcenter.web.context import Services
from callcenter.web.live import LEAD_ROOM, Live
from callcenter.web.sockets import Sockets

FALLBACK = 1.0  # seconds after which the log is read although nobody said that it advanced
FLOOR_EVERY = 1.0
LEASE_EVERY = 0.3
_SESSIONS_EVERY, _ABSENT_EVERY = 2, 5  # ticks
_LOGGER = structlog.get_logger()


class Follower:
    """Start it once the application is there, in the process that serves the sockets."""

    def __init__(self, parts: Services, live: Live, sockets: Sockets) -> None:
        self._parts = parts
        self._live = live
        self._sockets = sockets
        self._stop = threading.Event()
        self._advanced = threading.Event()
        self._floor = threading.Event()
        self._seat = threading.Event()
        self._started_node = ""
        self._only = Only(parts.engine, "only:crm", parts.member)
        self._asked = float("-inf")
        self._leads = parts.alone
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Subscribe, then start the threads."""
        bus = self._parts.bus
        bus.subscribe(LogAdvanced, lambda _: self._advanced.set())
        bus.subscribe(OutboxAdvanced, self._outbox_advanced)
        bus.subscribe(BusRejoined, self._bus_rejoined)
        bus.subscribe(CaptionHeard, lambda heard: self._live.caption(heard, "partial"))
        bus.subscribe(FloorChanged, lambda _: self._floor.set())
        bus.subscribe(ServiceStarted, self._service_started)
        bus.subscribe(AudioLegChanged, self._audio_changed)
        bus.subscribe(SpeechStatus, self._speech)
        bus.subscribe(ResourcesSeen, self._resources)
        bus.subscribe(OutboundAlarm, self._outbound_alarm)
        for run in (self._follow_log, self._show_floor, self._keep):
            thread = threading.Thread(target=run, name=f"web{run.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, patience: float = 5.0) -> None:
        """End the threads."""
        self._stop.set()
        for event in (self._advanced, self._floor, self._seat):
            event.set()
        for thread in self._threads:
            thread.join(patience)
        self._guarded(self._only.release)
        self._guarded(self._sockets.presence.leave)

    # --- Facts ---------------------------------------------------------------------------------

    def apply(self, session: Session, entry: Entry) -> None:
        """In one transaction: the records of a fact, and what agents are told of it."""
        self._live.begin()
        subscribers.apply(session, entry)
        self._live.stage(session, entry)

    def _follow_log(self) -> None:
        """One of several processes applies the facts; each sends its own browsers their events."""
        while not self._stop.is_set():
            self._advanced.clear()
            try:
                if self._lead():
                    self._apply_all()
                if not self._parts.alone:
                    self._live.catch_up()
            except Exception:
                _LOGGER.exception("the log cannot be followed; trying again")
                self._stop.wait(FALLBACK)
            self._advanced.wait(FALLBACK if self._parts.alone else LEASE_EVERY)

    def _apply_all(self) -> None:
        consumer = Consumer(self._parts.engine, "crm", self.apply)
        for entry in consumer.catch_up():
            self._live.deliver(entry)
            if self._stop.is_set() or not self._lead():
                return

    def _lead(self) -> bool:
        """Whether this process applies the facts. The cursor keeps each of them from being applied
        twice, also while two believe that they lead; one leader keeps the events in order."""
        if not self._parts.alone and time.monotonic() - self._asked >= LEASE_EVERY:
            self._asked = time.monotonic()
            self._leads = False
            self._leads = self._only.mine()
        return self._leads

    # --- Signals (on the bus's thread: never ask the bus here) -----------------------------------

    def _service_started(self, started: ServiceStarted) -> None:
        if started.service == "telephony":
            self._started_node = "" if self._parts.alone else started.node
            self._seat.set()

    def _outbox_advanced(self, told: OutboxAdvanced) -> None:
        self._live.moved(told)
        self._advanced.set()

    def _bus_rejoined(self, _: BusRejoined) -> None:
        """Whatever was said meanwhile is looked up."""
        for event in (self._advanced, self._floor):
            event.set()

    def _audio_changed(self, changed: AudioLegChanged) -> None:
        kind = "audio-ready" if changed.connected else "audio-lost"
        node = "" if self._parts.alone else changed.node
        self._live.notice(kind, agent=changed.agent, node=node)
        self._floor.set()

    def _outbound_alarm(self, alarm: OutboundAlarm) -> None:
        """`text` is machine-readable: whose, of what, used, limit; the page says it in words."""
        text = f"{alarm.agent or ''}|{alarm.what}|{alarm.used:g}|{alarm.limit:g}"
        self._live.notice("outbound-half", text=text, room=LEAD_ROOM)

    def _speech(self, status: SpeechStatus) -> None:
        self._parts.speech = status

    def _resources(self, seen: ResourcesSeen) -> None:
        """To supervisors and administrators, when something begins or ends to run short."""
        before = self._parts.resources.get(seen.node)
        self._parts.resources[seen.node] = seen
        self._parts.metrics.seen(seen)
        if (before.alarms.keys() if before else set()) != seen.alarms.keys():
            self._live.alarms()

    # --- Presence and the floor ---------------------------------------------------------------

    def _keep(self) -> None:
        """Once a second. At the start agents may be seated whose browsers never come back."""
        if self._parts.alone:
            self._guarded(lambda: self._sockets.expect(_seated(floor.ask(self._parts))))
        ticks = 0
        while not self._stop.wait(0.2 if self._seat.is_set() else 1.0):
            ticks += 1
            if self._seat.is_set():
                self._seat.clear()
                self._guarded(lambda: self._sockets.seat_all(self._started_node))
            self._guarded(self._sockets.tick)
            if not self._parts.alone:
                self._guarded(self._sockets.presence.beat)
                self._sockets.presence.tell(self._sockets.agents())
                if self._leads:
                    self._guarded(self._sockets.presence.bury)
                    if ticks % _ABSENT_EVERY == 0:
                        self._guarded(self._expect_absent)
            if ticks % _SESSIONS_EVERY == 0:
                self._guarded(self._sockets.check_sessions)

    def _expect_absent(self) -> None:
        """Who leads: agents who are seated and have no browser anywhere leave after the grace."""
        seated = set(_seated(floor.ask(self._parts)))
        self._sockets.expect(sorted(seated - self._sockets.presence.everybody()))

    def _show_floor(self) -> None:
        """At most once a second, and only when something changed."""
        while not self._stop.is_set():
            self._floor.wait()
            if self._stop.is_set():
                return
            self._floor.clear()
            self._guarded(self._emit_floor)
            self._stop.wait(FLOOR_EVERY)

    def _emit_floor(self) -> None:
        now = floor.ask(self._parts)
        self._live.floor(floor.queues(self._parts, now), floor.agents(self._parts, now))

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except Exception:
            _LOGGER.exception("a follower failed; it goes on")


def _seated(now: floor.Floor) -> list[str]:
    return [agent["agent"] for agent in now["agents"]]
