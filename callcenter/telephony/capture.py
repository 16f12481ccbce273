"""What is kept of a call's sound: the journal and the way to the recognisers.

Both legs are tapped with one start, the moment of the answer, so positions agree everywhere:
in the journal, in captions, in the sealed file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from callcenter.errors import NoSpace, RecordingError
from callcenter.events import Fact, LegName, RecordingFailed, RecordingStarted, RecordingTruncated
from callcenter.telephony.desk import Desk
from callcenter.telephony.ports import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Codec,
    FrameSink,
    Journal,
    MediaLeg,
    MediaTap,
    SpeechLine,
)

ON_THE_WAY = 2000
"""Samples after a resume that are not kept either: sound arrives late and in its place, so this
much of what comes next may have been said before. So after a talk that was not the customer's."""
_LOGGER = structlog.get_logger()
_OUT_OF_STEP = 2000
"""Samples by which an announcement may be beside the clock: the loop sends 100 ms at once."""


class Gate:
    """Lets nothing through that was said before `since` (sample), also where it comes late."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink, self.since = sink, 0

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """See FrameSink. Whole frames are dropped: a sample is a byte of G.711."""
        early = self.since - position
        if early <= 0:
            self._sink.write(position, payload, codec)
            return
        early += -early % FRAME_SAMPLES
        if early < len(payload):
            self._sink.write(position + early, payload[early:], codec)


class Capture:
    """Recording and captions of one call. Opened while the phone rings, so that the answer
    does not wait for the disk."""

    def __init__(self, call: str, language: str, desk: Desk) -> None:
        self._call, self._language, self._desk = call, language, desk
        self._loop = asyncio.get_running_loop()
        self._opening = self._loop.run_in_executor(None, desk.recordings.open_journal, call)
        self._journal: Journal | None = None
        self._sinks: dict[LegName, list[Gate]] = {"agent": [], "customer": []}
        self._taps: dict[LegName, list[MediaTap]] = {"agent": [], "customer": []}
        self._legs: dict[LegName, MediaLeg] = {}
        self._announces = False
        self._said_until: int | None = None  # where the announcement goes on in the agent's lane
        self._paused_at: int | None = None
        self._kept_from = 0
        self._lines: list[SpeechLine] = []
        self._start: float | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._failing = False
        self._writing: asyncio.Future[None] | None = None

    async def start(
        self,
        customer: MediaLeg,
        agent: MediaLeg,
        start: float,
        *,
        since: float | None = None,
        by: str | None = None,
    ) -> list[Fact]:
        """Second 0 is `start` (loop time). Returns the facts of it.

        `since` (loop time): what was said before is not kept, it is silence in the journal.
        """
        self._start = start
        facts: list[Fact] = []
        names: tuple[LegName, LegName] = ("agent", "customer")
        try:
            self._journal = await self._opening
            for name in names:
                self._sinks[name].append(Gate(self._journal.leg(name)))
            before = 0
            if since is not None:
                self._journal.pause(0)
                self._journal.resume(before := self._position())
                self._shut_until(before)
            position = round(before / SAMPLE_RATE, 3)
            facts.append(RecordingStarted(call=self._call, position=position, by=by))
        except RecordingError as error:
            _LOGGER.error("not recorded", call=self._call, error=error.detail)
            facts.append(RecordingFailed(call=self._call, reason=error.detail))
        for name in names:
            line = self._desk.speech.open(self._call, name, self._language)
            self._lines.append(line)
            self._sinks[name].append(Gate(line))
        if since is not None:
            self._shut_until(self._position())
        for name, leg in zip(names, (agent, customer), strict=True):
            self._follow(name, leg)
        if self._journal:
            self._syncing = self._loop.create_task(self._keep_synced(self._journal))
        return facts

    def follow(self, name: LegName, leg: MediaLeg, *, unheard: bool = False) -> None:
        """From now on `name` speaks on `leg` (after a transfer). A tap begins with the last second:
        it is not kept, somebody else spoke on that side then.

        `unheard`: the customer did not hear them until now; what is on the way is not kept either.
        """
        self._shut(name, self._position() + (ON_THE_WAY if unheard else 0))
        self._follow(name, leg)

    def _follow(self, name: LegName, leg: MediaLeg) -> None:
        self.leave(name)
        self._legs[name] = leg
        if self._paused_at is None:
            self._listen(name, leg)

    def _listen(self, name: LegName, leg: MediaLeg) -> None:
        assert self._start is not None
        if name == "agent" and self._announces:
            return
        self._taps[name] = [
            self._desk.media.tap(leg, sink, start=self._start) for sink in self._sinks[name]
        ]

    def leave(self, name: LegName) -> None:
        """Nobody speaks on this side for now."""
        self._legs.pop(name, None)
        self._hush(name)

    def announce(self) -> None:
        """The customer hears the system in the agent's place: `say` is what."""
        self._announces = True
        self._hush("agent")

    def say(self, frame: bytes) -> None:
        """20 ms of µ-law that the customer hears now. For the journal: no captions are made of
        the system's words. Several at once follow one another."""
        if self._start is None:
            return
        now = self._position()
        position = self._said_until
        if position is None or abs(now - position) > _OUT_OF_STEP:
            position = now - now % FRAME_SAMPLES
        self._said_until = position + FRAME_SAMPLES
        if self._journal and self._paused_at is None:
            self._sinks["agent"][0].write(position, frame, Codec.PCMU)

    def announced(self) -> None:
        """The customer hears the agent again. What they said before is not kept, also where it is
        still on the way: a tap begins with the last second."""
        if not self._announces:
            return
        self._announces, self._said_until = False, None
        if self._start is None:
            return
        self._shut("agent", self._position() + ON_THE_WAY)
        if "agent" in self._legs and self._paused_at is None:
            self._listen("agent", self._legs["agent"])

    def pause(self) -> float:
        """From this moment on nothing is kept: no journal, no captions. Returns the second of it.

        The taps are gone at once; `flush` brings the span to the disk. Again: the same second.
        """
        for name in self._taps:
            self._hush(name)
        if self._paused_at is None:
            self._paused_at = max(self._position(), self._kept_from)
            if self._journal:
                self._journal.pause(self._paused_at)
        return self._paused_at / SAMPLE_RATE

    async def flush(self) -> None:
        """What is known now is on the disk after this, unless the disk refuses."""
        if self._journal:
            await self._guarded(self._at_once(self._journal.sync))

    def resume(self) -> float:
        """Sound is kept again. Returns the second from which on."""
        self._paused_at = None
        self._shut_until(self._position() + ON_THE_WAY)
        if self._journal:
            self._journal.resume(self._kept_from)
        for name, leg in self._legs.items():
            self._listen(name, leg)
        return self._kept_from / SAMPLE_RATE

    def _shut_until(self, position: int) -> None:
        self._kept_from = position
        for name in self._sinks:
            self._shut(name, position)

    def _shut(self, name: LegName, position: int) -> None:
        """Nothing that was said on this side before is kept, or stays so for longer."""
        for gate in self._sinks[name]:
            gate.since = max(gate.since, position)

    def _hush(self, name: LegName) -> None:
        for tap in self._taps[name]:
            tap.close()
        self._taps[name] = []

    async def close(self) -> list[Fact]:
        """The call is over: what is left goes to the disk. The fact of what did not.

        Whether a recording comes of it is for the sealing to say, also where the disk failed.
        """
        self.leave("agent")
        self.leave("customer")
        for line in self._lines:
            line.close()
        if self._syncing:
            self._syncing.cancel()
        if self._start is None:
            await self._discard()
        elif self._journal:
            error = await self._guarded(self._at_once(self._journal.close))
            if error:
                reason = "no space" if isinstance(error, NoSpace) else error.detail
                return [RecordingTruncated(call=self._call, reason=reason)]
        return []

    def _position(self) -> int:
        assert self._start is not None
        return int((self._loop.time() - self._start) * SAMPLE_RATE)

    async def _keep_synced(self, journal: Journal) -> None:
        while True:
            await self._desk.rounds.next()
            await self._guarded(partial(self._desk.rounds.sync, journal, self._position()))

    def _at_once(self, write: Callable[[int], None]) -> Callable[[], asyncio.Future[None]]:
        return partial(self._loop.run_in_executor, None, write, self._position())

    async def _guarded(self, write: Callable[[], asyncio.Future[None]]) -> RecordingError | None:
        """One write at a time, also when the one before was cancelled half-way in its thread.

        The disk may fail; the call goes on, and the next write catches up where it can. Returns
        what failed.
        """
        if self._writing:
            await asyncio.wait([self._writing])
        self._writing = write()
        try:
            await asyncio.shield(self._writing)
            self._failing = False
        except RecordingError as error:
            if not self._failing:
                _LOGGER.error("recording not written", call=self._call, error=error.detail)
            self._failing = True
            return error
        return None

    async def _discard(self) -> None:
        try:
            journal = await self._opening
        except RecordingError:
            return
        await self._loop.run_in_executor(None, journal.discard)
