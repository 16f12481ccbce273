"""What is kept of one call, and when: `telephony.policy` decides, this obeys.

The policy is frozen when the call rings. Nothing is opened before it allows it: neither a journal
nor a line to the recognisers. A pause closes both alike, and goes on by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from callcenter.config import Line
from callcenter.events import (
    Consent,
    ConsentSettled,
    ControlRecording,
    Fact,
    LegName,
    PauseCause,
    RecordingPaused,
    RecordingResumed,
    RecordPolicy,
    now,
)
from callcenter.telephony.caller import Side
from callcenter.telephony.capture import Capture
from callcenter.telephony.desk import Desk
from callcenter.telephony.key_presses import on_key
from callcenter.telephony.mailbox import Consented, Happening, PauseOver
from callcenter.telephony.policy import Switch, policy_of
from callcenter.telephony.ports import MediaLeg, Sound

_LOGGER = structlog.get_logger()


class Overheard:
    """A sound that is kept where it is heard: whoever plays it asks for its frames one by one."""

    def __init__(self, sound: Sound, hear: Callable[[bytes], None]) -> None:
        self.sound, self._hear = sound, hear

    def frame(self, index: int) -> bytes | None:
        """See Sound."""
        frame = self.sound.frame(index)
        if frame is not None:
            self._hear(frame)
        return frame


class Keeping:
    """What is kept of one call. Belongs to the event loop's thread."""

    def __init__(
        self, call: str, language: str, line: Line, desk: Desk, tell: Callable[[Happening], None]
    ) -> None:
        self._settings = desk.settings.recording
        self._switch = Switch(
            policy_of(desk.settings, line),
            self._settings.pause_seconds,
            self._settings.longest_pause_seconds,
        )
        self._call, self._language, self._desk, self._tell = call, language, desk, tell
        self._loop = asyncio.get_running_loop()
        self._capture: Capture | None = None
        self._declined = asyncio.Event()
        self._asked = 0
        self._asking: asyncio.Task[None] | None = None
        self._legs: dict[LegName, MediaLeg] = {}
        self._answered_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._announces = False

    @property
    def policy(self) -> RecordPolicy:
        """Of this call, whatever the settings say later."""
        return self._switch.policy

    # --- Consent ---

    @property
    def asks(self) -> bool:
        """Whether the customer is to be asked, before the two talk."""
        return self.policy == "ask" and self._language in self._desk.sounds.announcements

    @property
    def asking(self) -> bool:
        """Whether the customer was asked and the answer is not known yet."""
        return self._asked > 0 and self._switch.consent is None

    def unasked(self) -> list[Fact]:
        """Where it cannot be asked for, nobody has consented."""
        if self.policy != "ask" or self.asks:
            return []
        _LOGGER.warning("nobody is asked: no announcement", call=self._call, lang=self._language)
        return [self._settle("not_asked")]

    def ask(self, customer: Side, agent: MediaLeg | None = None) -> None:
        """Play the announcement; the answer comes as Consented. Keys are taken until the talk.

        `agent` hears it, too. Asking anew (another phone took the call over) forgets the former.
        """
        if self._asking:
            self._asking.cancel()
        self._declined.clear()
        self._asked += 1
        on_key(self._desk.media, customer.leg, customer.dialog, self._key)
        self._asking = self._loop.create_task(self._ask(self._asked, customer.leg, agent))

    def settled(self, answer: Consented) -> list[Fact]:
        """That is the answer; empty when it was given to a former question."""
        return [self._settle(answer.consent)] if answer.number == self._asked else []

    async def replaced(self) -> list[Fact]:
        """Somebody else speaks for the customer now, who was asked nothing."""
        if self._switch.consent != "given":
            return []
        stop = self._switch.revoke()
        facts: list[Fact] = [ConsentSettled(call=self._call, consent="not_asked")]
        if self._capture and stop:
            facts.append(self._silence(self._capture, "system", "policy"))
            await self._capture.flush()
        return facts

    def _settle(self, consent: Consent) -> Fact:
        self._switch.consent = consent
        return ConsentSettled(call=self._call, consent=consent)

    async def _ask(self, number: int, customer: MediaLeg, agent: MediaLeg | None) -> None:
        words = self._desk.sounds.announcements[self._language]
        heard = asyncio.ensure_future(self._desk.media.play(customer, words))
        if agent:
            self._desk.media.play(agent, words)
        key = asyncio.ensure_future(self._declined.wait())
        try:
            await asyncio.wait({heard, key}, return_when=asyncio.FIRST_COMPLETED)
            if not key.done():
                await asyncio.wait({key}, timeout=self._settings.decline_seconds)
        finally:
            key.cancel()
        self._tell(Consented("declined" if self._declined.is_set() else "given", number))

    def _key(self, digit: str) -> None:
        """No key is kept or logged."""
        if self._answered_at is None and digit == self._settings.decline_key:
            self._declined.set()

    # --- The call's steps ---

    def prepare(self) -> None:
        """It rings at somebody: have the journal open by the answer, where one is allowed."""
        if self._capture is None and self._switch.may_begin and not self._declined.is_set():
            self._capture = Capture(self._call, self._language, self._desk)

    async def answered(
        self, customer: MediaLeg, agent: MediaLeg, *, unheard: bool = False
    ) -> list[Fact]:
        """Second 0 is the first answer; a later agent speaks in the first one's place.

        `unheard`: see `follow`.
        """
        first = self._answered_at is None
        self._answered_at = self._answered_at or self._loop.time()
        self._legs = {"customer": customer, "agent": agent}
        if first and (self._declined.is_set() or not self._switch.may_begin):
            return await self._changed_their_mind()
        if self._capture is None:
            return []
        if first:
            self._switch.begun()
            return await self._capture.start(customer, agent, self._answered_at)
        self._capture.follow("agent", agent, unheard=unheard)
        return []

    def follow(self, name: LegName, leg: MediaLeg, *, unheard: bool = False) -> None:
        """That side speaks on `leg` from now on; `unheard`: nobody was to keep what it said until
        now, also where that is still on the way."""
        if self._answered_at is None:
            return
        self._legs[name] = leg
        if self._capture:
            self._capture.follow(name, leg, unheard=unheard)

    def leave(self, name: LegName) -> None:
        """Nobody speaks on that side for now."""
        self._legs.pop(name, None)
        if self._capture:
            self._capture.leave(name)

    def announce(self, sound: Sound) -> Sound:
        """That sound, for the customer in the agent's place: what is heard of it is kept in the
        agent's, as the policy says, until `announced`. What the agent says meanwhile is not."""
        self._announces = True
        if self._capture:
            self._capture.announce()
        return Overheard(sound, self._overhear)

    def announced(self) -> None:
        """The customer hears the agent again."""
        self._announces = False
        if self._capture:
            self._capture.announced()

    def _overhear(self, frame: bytes) -> None:
        if self._announces and self._capture:
            self._capture.say(frame)

    async def close(self) -> list[Fact]:
        """The call is over."""
        if self._asking:
            self._asking.cancel()
        self._stop_timer()
        return await self._capture.close() if self._capture else []

    async def _changed_their_mind(self) -> list[Fact]:
        """Declined, or not the one who agreed, while waiting: the journal, still empty, goes."""
        if self._capture:
            await self._capture.close()
            self._capture = None
        return [self._settle("declined")] if self._switch.consent == "given" else []

    # --- The agent's buttons, the API, forms ---

    async def control(self, order: ControlRecording) -> list[Fact]:
        """Do it; what is so already changes nothing. Raises Conflict where it may not be."""
        deed = self._switch.order(order.action, order.cause, self._loop.time())
        if deed == "start":
            return await self._start(order.agent)
        if deed is None or self._capture is None:
            return []
        if deed == "resume":
            return self._resume(self._capture, order.agent)
        fact = self._silence(self._capture, order.agent, order.cause)
        if deed != "longer":
            await self._capture.flush()
        return [fact]

    def pause_over(self) -> list[Fact]:
        """A pause's timer rang."""
        if self._capture and self._switch.ring(self._loop.time()):
            return self._resume(self._capture, "timeout")
        self._set_timer()
        return []

    async def _start(self, by: str) -> list[Fact]:
        assert self._answered_at is not None
        self._capture = Capture(self._call, self._language, self._desk)
        if self._announces:
            self._capture.announce()
        return await self._capture.start(
            self._legs["customer"],
            self._legs["agent"],
            self._answered_at,
            since=self._loop.time(),
            by=by,
        )

    def _silence(self, capture: Capture, by: str, cause: PauseCause) -> Fact:
        """Nothing is kept from this moment on; the timer follows what the switch says."""
        left = self._set_timer()
        return RecordingPaused(
            call=self._call,
            by=by,
            cause=cause,
            position=round(capture.pause(), 3),
            resumes_at=None if left is None else now() + timedelta(seconds=left),
        )

    def _resume(self, capture: Capture, by: str) -> list[Fact]:
        self._stop_timer()
        return [RecordingResumed(call=self._call, by=by, position=round(capture.resume(), 3))]

    def _set_timer(self) -> float | None:
        """Ring when the pause is over; the seconds until then."""
        self._stop_timer()
        if self._switch.until is None:
            return None
        left = max(0.0, self._switch.until - self._loop.time())
        self._timer = self._loop.call_later(left, self._tell, PauseOver())
        return left

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
