"""The telephony service with everything around it scripted: caller, sound, agents, disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.errors import RecordingError, SipFailure, TelephonyError
from callcenter.events import (
    AgentStateChanged,
    AnswerCall,
    CallRang,
    Command,
    Device,
    DialNumber,
    SeatAgent,
    SetAgentState,
)
from callcenter.log import EventLog, metadata
from callcenter.telephony import dialogs
from callcenter.telephony.desk import Sounds
from callcenter.telephony.fakes.media import FakeLeg, FakeMediaPlane
from callcenter.telephony.fakes.outgoing import FakeDialler, FakeOutboundCall
from callcenter.telephony.fakes.phones import FakePhones
from callcenter.telephony.keeping import Overheard
from callcenter.telephony.media import tones
from callcenter.telephony.ports import (
    Address,
    Caller,
    Codec,
    Direction,
    FrameSink,
    InboundCall,
    Journal,
    MediaDescription,
    Referral,
    SipEnd,
    Sound,
)
from callcenter.telephony.recording.journal import sync_one
from callcenter.telephony.service import Parts, TelephonyService

PHONE = MediaDescription(Address("127.0.0.1", 4000), Codec.PCMU)
PATIENCE = 20.0


class ScriptedCaller:
    """A caller's dialog: what we did to it is on the record, what it does is called."""

    def __init__(self, number: str | None = "+989121234567", to: str = "100", **more: Any) -> None:
        self.sip_call_id, self.trunk, self.local_host = "sip-1", "local", "127.0.0.1"
        self.caller, self.request_user = Caller(number, None, **more), to
        self.ended: asyncio.Future[SipEnd] = asyncio.get_running_loop().create_future()
        self.did: list[str] = []
        self.refuses_answer = False
        self._on_media: Callable[[MediaDescription], None] = lambda wish: None

    def ring(self) -> None:
        self.did.append("180")

    async def early(self, local: Address) -> MediaDescription | None:
        if self.ended.done():
            raise SipFailure("the caller is gone")
        self.did.append("183")
        return PHONE

    async def answer(self, local: Address) -> MediaDescription:
        if self.refuses_answer or self.ended.done():
            raise SipFailure("the caller is gone")
        self.did.append("200")
        return PHONE

    def memo(self) -> dict[str, Any] | None:
        return {"call": self.sip_call_id, "said": len(self.did)}

    def reject(self, status: int, *, retry_after: int | None = None) -> None:
        self.did.append(f"{status} after {retry_after}" if retry_after == 10 else str(status))
        self.leave("refused")

    def hang_up(self) -> None:
        if not self.ended.done():
            self.did.append("BYE")
            self.leave("hung_up")

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        self.refer = handler

    def on_replace(self, handler: Callable[[InboundCall], None]) -> None:
        self.replace = handler

    def wants(self, direction: Direction) -> None:
        self._on_media(MediaDescription(PHONE.address, PHONE.codec, direction))

    def leave(self, how: SipEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(how)


class ScriptedSip:
    """Hands callers to the service."""

    def __init__(self) -> None:
        self.goodbyes: list[dict[str, Any]] = []

    async def start(self, on_call: Callable[[InboundCall], None]) -> None:
        self.on_call = on_call

    async def stop(self) -> None:
        pass

    def active(self) -> int:
        return 0

    async def say_goodbye(self, memo: dict[str, Any]) -> None:
        self.goodbyes.append(memo)

    def describe(self) -> dict[str, Any]:
        return {}


class ScriptedAudio:
    """Agents' legs that are connected when the script says so."""

    def __init__(self, plane: FakeMediaPlane) -> None:
        self._plane = plane
        self.legs: dict[str, FakeLeg] = {}

    def connect(self, agent: str) -> None:
        self.legs[agent] = self._plane.open_rtp("127.0.0.1")

    async def negotiate(self, agent: str, sdp: str, type: str) -> str:
        self.connect(agent)
        return "answer"

    def leg(self, agent: str) -> FakeLeg | None:
        return self.legs.get(agent)

    def connected(self, agent: str) -> bool:
        return agent in self.legs

    async def ready(self, agent: str, patience: float, *, coming: bool = False) -> bool:
        return agent in self.legs

    async def close(self, agent: str) -> None:
        self.legs.pop(agent, None)

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        pass


class ScriptedJournal:
    """What a journal was asked to do."""

    def __init__(self, call: str) -> None:
        self.call, self.did = call, list[str]()
        self.written: dict[str, int] = {"agent": 0, "customer": 0}
        self.spans: list[tuple[str, int]] = []

    def leg(self, name: str) -> FrameSink:
        journal = self

        class Sink:
            def write(self, position: int, payload: bytes, codec: Codec) -> None:
                journal.written[name] += len(payload)

        return Sink()

    def sync(self, position: int) -> None:
        self.did.append("sync")

    def pause(self, position: int) -> None:
        self.spans.append(("pause", position))

    def resume(self, position: int) -> None:
        self.spans.append(("resume", position))

    def close(self, position: int) -> None:
        self.did.append("close")

    def discard(self) -> None:
        self.did.append("discard")


class ScriptedRecordings:
    """Journals in memory, or a disk that is full."""

    def __init__(self) -> None:
        self.journals: list[ScriptedJournal] = []
        self.full = False
        self.samples: int | None = None

    def open_journal(self, call: str, *, answered_position: int = 0) -> ScriptedJournal:
        if self.full:
            raise RecordingError("the disk is full")
        self.journals.append(ScriptedJournal(call))
        return self.journals[-1]

    def sync_all(self, due: Sequence[tuple[Journal, int]]) -> list[RecordingError | None]:
        return [sync_one(journal, position) for journal, position in due]

    def last_position(self, call: str) -> int | None:
        return self.samples


class ScriptedSpeech:
    """Which legs were opened for captions."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str]] = []

    def open(self, call: str, leg: str, language: str) -> Any:
        self.opened.append((leg, language))

        class Line:
            def write(self, position: int, payload: bytes, codec: Codec) -> None:
                pass

            def close(self) -> None:
                pass

        return Line()


class Stage:
    """The service with everything around it scripted."""

    def __init__(
        self,
        settings: Settings,
        *,
        node: str = "node-1",
        bus: MemoryBus | None = None,
        shared: bool = False,
    ) -> None:
        engine = open_database(settings.database_url)
        metadata.create_all(engine)
        dialogs.metadata.create_all(engine)
        self.log, self.bus, self.node = EventLog(engine), bus or MemoryBus(), node
        self.media = FakeMediaPlane()
        self.sip, self.audio = ScriptedSip(), ScriptedAudio(self.media)
        self.recordings, self.speech = ScriptedRecordings(), ScriptedSpeech()
        self.announcement = tones.Clip(tones.attention())
        self.announcements: dict[str, Sound] = {"en": self.announcement}
        self.prompts: dict[str, dict[str, Sound]] = {}
        self.receipts: list[tuple[str, str, bool, Sound]] = []
        self.receipt_fails = False
        sounds = Sounds(
            tones.ringback(), tones.hold_music(), self.announcements, self.prompts, self._receipt
        )
        self.dialler, self.phones = FakeDialler(), FakePhones()
        parts = Parts(
            self.sip,
            self.media,
            self.audio,
            self.recordings,
            self.speech,
            sounds,
            self.dialler,
            self.phones,
        )
        self.sounds = sounds
        self.service = TelephonyService(
            settings, self.log, self.bus, parts, node=node, shared=engine if shared else None
        )

    def _receipt(self, language: str, code: str, more: bool) -> Sound:
        if self.receipt_fails:
            raise TelephonyError("install espeak-ng")
        self.receipts.append((language, code, more, tones.Clip(b"\x10" * 480)))
        return self.receipts[-1][3]

    async def order(self, command: Command) -> dict[str, Any]:
        return await asyncio.to_thread(self.bus.request, "telephony", command)

    async def seat(self, *agents: str, audio: bool = True, device: Device = "browser") -> None:
        for agent in agents:
            seat = SeatAgent(
                agent=agent, username=agent, extension=None, language="en", device=device
            )
            await self.order(seat)
            if audio and device == "browser":
                self.audio.connect(agent)
            await self.order(SetAgentState(agent=agent, state="available"))

    def calls(self, **caller: Any) -> ScriptedCaller:
        inbound = ScriptedCaller(**caller)
        self.sip.on_call(inbound)
        return inbound

    def story(self) -> list[str]:
        """The facts so far, by name; agents' states with their value."""
        return [
            f"{entry.fact.agent} {entry.fact.state}"
            if isinstance(entry.fact, AgentStateChanged)
            else entry.kind
            for entry in self.log.read(limit=500)
        ]

    async def until(self, *wanted: str, times: int = 1) -> list[str]:
        """Wait until each of `wanted` is in the story that often; returns the story."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            story = await asyncio.to_thread(self.story)
            if all(story.count(kind) >= times for kind in wanted):
                return story
            if asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"{wanted} not in {story}")
            await asyncio.sleep(0.01)

    async def happens(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def last(self, kind: type[Any]) -> Any:
        return [e.fact for e in self.log.read(limit=500) if isinstance(e.fact, kind)][-1]

    @property
    def call(self) -> str:
        return str(self.last(CallRang).call)

    @property
    def customer(self) -> FakeLeg:
        """The first leg that is no agent's."""
        agents = list(self.audio.legs.values())
        return next(leg for leg in self.media.legs if leg not in agents)

    def hears(self, what: object) -> bool:
        """Whether that is what the customer hears, if there is one."""
        agents = list(self.audio.legs.values())
        return any(leg.hears is what for leg in self.media.legs if leg not in agents)

    def reads_out(self) -> bool:
        """Whether the customer hears the newest receipt."""
        heard = self.customer.hears
        return isinstance(heard, Overheard) and heard.sound is self.receipts[-1][3]

    async def dials(self, to: str = "0912 123 4567") -> FakeOutboundCall:
        """Agent a calls somebody; the phone over there rings."""
        await self.order(DialNumber(agent="a", to=to))
        call = self.dialler.calls[-1]
        await self.happens(lambda: "INVITE" in call.heard)
        return call

    async def talking(self, agent: str = "a") -> ScriptedCaller:
        """A call that `agent` has answered."""
        inbound = self.calls()
        await self.until("AgentOffered")
        await self.order(AnswerCall(call=self.call, agent=agent))
        return inbound


StageMaker = Callable[..., Any]


def run(scene: Any) -> None:
    asyncio.run(scene)
