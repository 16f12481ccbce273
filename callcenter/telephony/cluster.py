"""One of several telephony nodes: its lease, the shared floor, and the end of nodes that died.

Every node beats its lease twice a second and looks at those of the others. Whose lease stands
still for `PATIENCE` looks is dead: one of the others takes the lease, ends the dead node's calls as
`interrupted` and frees its agents. A node that finds its own lease taken was taken for dead: it
writes nothing more and stops (`deposed`), and its supervisor starts it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from callcenter.bus import Bus
from callcenter.database import AWAY
from callcenter.events import LogAdvanced, NodeTold
from callcenter.ids import new_id
from callcenter.leases import Leases, Seen, Watch
from callcenter.telephony.acd.floor import Floor, Seat
from callcenter.telephony.acd.routing import Waiting
from callcenter.telephony.acd.versions import Adopted, Draft, Drafts, Row, Versions
from callcenter.telephony.shared_floor import Clock, SharedFloor

KIND = "telephony"
LOOK_SECONDS, PATIENCE = 0.5, 6
SILENT_SECONDS = 3.0
"""A node that has told nothing for so long has no calls that wait, and nobody's sound."""
_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """What another node told at `at` of our loop."""

    at: float
    waiting: list[Waiting]
    audio: frozenset[str]


class Cluster:
    """What a telephony node knows of the others; its methods belong to the loop."""

    def __init__(self, engine: Engine, bus: Bus, floor: Floor, node: str) -> None:
        self._bus, self._floor, self._node = bus, floor, node
        self._shared = SharedFloor(engine, node)
        self._leases, self._watch = Leases(engine, new_id()), Watch(PATIENCE)
        self._keeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lease")
        self._versions = Versions(floor)
        self._told: tuple[list[str], list[str]] = ([], [])  # calls, agents
        self._heard: dict[str, Heard] = {}
        self.deposed = asyncio.Event()

    # --- Start, stop ---

    async def join(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        """Take the lease of this node's name, whoever has it, and listen to the others."""
        self._loop, self._wake = loop, wake
        await self._in_keeper(self._leases.seize, self._lease)
        self._bus.subscribe(NodeTold, self._from_bus(self._other_told))

    async def leave(self) -> None:
        """Nothing is left here that somebody would have to end."""
        self._bus.publish(NodeTold(node=self._node, waiting=[], audio=[]))
        if not self.deposed.is_set():
            try:
                await self._in_keeper(self._leases.release, self._lease)
            except AWAY as error:
                _LOGGER.warning("lease not released", error=type(error).__name__)
        self._keeper.shutdown(wait=False)

    @property
    def _lease(self) -> str:
        return f"{KIND}:{self._node}"

    # --- Who lives ---

    async def keep(self, bury: Callable[[str], Awaitable[None]]) -> None:
        """A chore, every LOOK_SECONDS: beat, look, and `bury` the nodes whose lease we took."""
        try:
            dead = await self._in_keeper(self._beat_and_look)
        except AWAY:
            self._watch.failed()
            return
        for seen in dead:
            node = seen.name.removeprefix(f"{KIND}:")
            _LOGGER.error("a telephony node is dead; its calls are ended here", node=node)
            await bury(node)
            self._heard.pop(node, None)
            await self._in_keeper(self._leases.release, seen.name)

    def _beat_and_look(self) -> list[Seen]:
        if not self._leases.beat(self._lease):
            _LOGGER.error("this node was taken for dead; it stops and is to be started anew")
            self._loop.call_soon_threadsafe(self.deposed.set)
            return []
        others = [seen for seen in self._leases.look(KIND) if seen.name != self._lease]
        return [dead for dead in self._watch.looked(others) if self._leases.take(dead)]

    # --- The floor ---

    def draft(self, agents: set[str]) -> dict[str, Draft]:
        """The seats of these as they are now, for `write`."""
        return self._versions.draft(agents)

    def write(self, connection: Connection, drafts: Drafts, clock: Clock) -> None:
        """In the writer's thread and transaction. Raises SeatTaken."""
        self._shared.write(connection, drafts, clock)

    def failed(self, drafts: Drafts) -> None:
        """Their transaction came to nothing, or may have: read before the next is decided."""
        self._versions.failed(drafts)

    def failed_from_thread(self, drafts: Drafts) -> None:
        """The same, told from the writer's thread."""
        self._loop.call_soon_threadsafe(self._versions.failed, drafts)

    def read(self, clock: Clock) -> list[Row]:
        """In the writer's thread: the row of every agent."""
        return self._shared.read(clock)

    def of_node(self, node: str, clock: Clock) -> list[Row]:
        """In the writer's thread: the agents of that node."""
        return self._shared.of_node(node, clock)

    def adopt(self, rows: list[Row]) -> Adopted:
        """Let the floor follow what was read."""
        return self._versions.adopt(rows)

    def take_over(self, rows: list[Row]) -> list[Seat]:
        """The agents of a node that is dead are ours."""
        return self._versions.take_over(rows)

    def clock(self) -> Clock:
        """Both clocks now."""
        return Clock(self._loop.time(), datetime.now(UTC))

    def has_audio(self, agent: str) -> bool:
        """Whether the agent's browser has its leg at another node: it can bring it here."""
        return self.node_of_audio(agent) is not None

    def node_of_audio(self, agent: str) -> str | None:
        """The other node where the agent's browser has its leg."""
        return next((name for name, told in self._heard.items() if agent in told.audio), None)

    # --- What the nodes tell each other ---

    def tell(self, connected: Callable[[str], bool], *, again: bool = False) -> None:
        """Tell the others what they should know, where it changed (or `again`)."""
        clock = self.clock()
        waiting = [
            {
                "call": one.call,
                "queue": one.queue,
                "since": (clock.to_wall(one.since) or clock.wall).isoformat(),
                "only": one.only,
            }
            for one in self._floor.waiting
        ]
        audio = sorted(agent for agent in self._floor.seats if connected(agent))
        news = [one.call for one in self._floor.waiting], audio
        if again or news != self._told:
            self._told = news
            self._bus.publish(NodeTold(node=self._node, waiting=waiting, audio=audio))

    def forget_silent(self) -> None:
        """A chore: nodes that have told nothing for long."""
        limit = self._loop.time() - SILENT_SECONDS
        if any(told.at < limit for told in self._heard.values()):
            self._heard = {node: told for node, told in self._heard.items() if told.at >= limit}
            self._merge()

    def _other_told(self, told: NodeTold) -> None:
        if told.node == self._node:
            return
        clock = self.clock()
        waiting = [
            Waiting(
                call["call"],
                call["queue"],
                clock.to_loop(datetime.fromisoformat(call["since"])) or clock.loop,
                only=call["only"],
            )
            for call in told.waiting
        ]
        self._heard[told.node] = Heard(clock.loop, waiting, frozenset(told.audio))
        self._merge()

    def _merge(self) -> None:
        self._floor.others_wait(one for told in self._heard.values() for one in told.waiting)
        self._wake()

    def announce(self, position: int) -> None:
        """The log advanced."""
        self._bus.publish(LogAdvanced(position=position))

    def _from_bus(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        def carry(signal: Any) -> None:
            self._loop.call_soon_threadsafe(handle, signal)

        return carry

    def _in_keeper(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return self._loop.run_in_executor(self._keeper, work, *arguments)
