"""One telephony node of ours, for the comparison: what `callcenter telephony` is made of.

    python benchmarks/telephony/node.py SETTINGS.json AGENTS HOST:PORT

SIP, media plane, journals, event log (SQLite, every fact committed) and the way to the speech
workers are the product's own. Two things differ, so that the other engines can do the same work:
an agent's sound is a telephone's RTP leg to HOST:PORT instead of a browser's SRTP, and agents
answer as soon as the call is offered to them. Prints `ready`, ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from callcenter import config, logs, migrations
from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.events import AgentOffered, AnswerCall, Fact, SeatAgent
from callcenter.log import Entry, EventLog
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane, SocketLeg
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.adapters.speech_socket import SpeechSocket
from callcenter.telephony.desk import Sounds
from callcenter.telephony.media import tones
from callcenter.telephony.ports import Address, Codec, MediaDescription, MediaLeg
from callcenter.telephony.service import Parts, TelephonyService

HOST = "127.0.0.1"


class TelephoneLegs:
    """AudioLegs: each agent has a telephone that sends and hears RTP while in a call."""

    def __init__(self, plane: BatchingMediaPlane, phone: Address) -> None:
        self._plane, self._phone = plane, phone
        self._legs: dict[str, SocketLeg] = {}

    async def negotiate(self, agent: str, sdp: str, type: str) -> str:
        """There is nothing to negotiate."""
        return sdp

    def leg(self, agent: str) -> MediaLeg | None:
        """A new leg for each call, as the second leg of any PBX; the one before is closed."""
        if former := self._legs.pop(agent, None):
            former.close()
        leg = self._legs[agent] = self._plane.open_rtp(HOST)
        leg.connect(MediaDescription(self._phone, Codec.PCMU))
        leg.sound._rests = True  # between two calls it sends nothing
        return leg

    def connected(self, agent: str) -> bool:
        """Always."""
        return True

    async def ready(self, agent: str, patience: float, *, coming: bool = False) -> bool:
        """Always."""
        return True

    async def close(self, agent: str) -> None:
        """The agent left."""
        if former := self._legs.pop(agent, None):
            former.close()

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Nothing changes."""


class AnsweredLog(EventLog):
    """The event log; every offer that was committed is answered, as by a very quick agent."""

    on_offer: Callable[[AgentOffered], None]

    def append(self, *new: Fact, **more: Any) -> list[Entry]:
        """Commit, then tell of offers."""
        entries = super().append(*new, **more)
        for fact in new:
            if isinstance(fact, AgentOffered):
                self.on_offer(fact)
        return entries


async def run(settings: Settings, agents: int, phone: Address) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    engine = open_database(settings.database_url)
    migrations.upgrade(engine)
    media = BatchingMediaPlane(settings.sip.rtp_ports)
    log = AnsweredLog(engine)
    speech = SpeechSocket(settings.run_dir, workers=1)
    parts = Parts(
        sip=NativeSipBackend(settings.sip),
        media=media,
        audio=TelephoneLegs(media, phone),
        recordings=DiskRecordings(settings.recordings_dir, format="wav", node="bench"),
        speech=speech,
        sounds=Sounds(ringback=tones.ringback(), music=tones.hold_music()),
    )
    service = TelephonyService(settings, log, MemoryBus(), parts, node="bench")

    def answer(offer: AgentOffered) -> None:
        order = service._pass_on(AnswerCall(call=offer.call, agent=offer.agent))
        asyncio.run_coroutine_threadsafe(order, loop)

    log.on_offer = answer
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    await service.start()
    for number in range(agents):
        name = f"agent{number}"
        seat = SeatAgent(
            agent=name, username=name, extension=None, language="en", state="available"
        )
        await service._seat(seat)
    gc.freeze()
    print("ready", flush=True)
    await stopping.wait()
    await service.stop(1.0)
    used, size = media.ports()
    print(f"skipped frames: {media.skipped_frames}, RTP ports: {used} of {size} taken", flush=True)
    media.close()
    speech.close()


if __name__ == "__main__":
    where, _, port = sys.argv[3].rpartition(":")
    given = config.load(Path(sys.argv[1]), data_dir=Path(sys.argv[1]).parent / "data", environ={})
    logs.setup(given.log, "bench")  # to stderr: whoever started this reads only what it prints
    uvloop.run(run(given, int(sys.argv[2]), Address(where, int(port))))
