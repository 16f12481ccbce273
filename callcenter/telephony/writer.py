"""What a telephony process writes: facts in their order, with memos and seats in one transaction.

One thread writes, so that facts keep their order. What waits while it writes goes together into
the next transaction: a commit costs the same for the facts of one call and of twenty. What the
database cannot take is owed and follows as soon as it works again: a call goes on although the
disk is full or the server away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from callcenter.bus import Bus
from callcenter.database import AWAY
from callcenter.events import AgentStateChanged, Fact, LogAdvanced
from callcenter.log import Entry, EventLog
from callcenter.resources import Reserve, is_full
from callcenter.telephony import dialogs
from callcenter.telephony.acd.versions import Drafts, joined
from callcenter.telephony.cluster import Cluster
from callcenter.telephony.shared_floor import Clock, SeatTaken

_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is written in the transaction of some facts."""

    memos: dialogs.Memos
    drafts: Drafts
    clock: Clock | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a call wants to have written. `alone` writes it by itself and says what becomes of it
    where the database refuses; `done` is told after the commit."""

    alone: Callable[[Sequence[Fact], Beside], None]
    facts: Sequence[Fact]
    beside: Beside
    done: Future[None] = field(default_factory=Future)


class FactWriter:
    """The thread of one telephony process that writes, and what it owes.

    `cluster`: the other nodes, whose seats are in the transaction, too; None: alone.
    """

    def __init__(
        self, log: EventLog, bus: Bus, node: str, cluster: Cluster | None, database: Path | None
    ) -> None:
        self._log, self._bus, self._node, self._cluster = log, bus, node, cluster
        self._reserve = Reserve(database)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-log")
        self._memos: dict[str, dict[str, Any] | None] = {}  # to be kept with the next facts
        self._waiting: deque[Waiting] = deque()  # the loop adds, the thread takes
        # Of the thread alone: what the database could not take.
        self._owed: list[Fact] = []
        self._owed_memos: dict[str, dict[str, Any] | None] = {}
        self._owed_drafts: Drafts = {}

    # --- Of the loop ---

    @property
    def owes(self) -> bool:
        """Whether facts wait for the database: nobody would hear of a new one."""
        return bool(self._owed)

    def keep_dialog(self, call: str, memo: dict[str, Any] | None) -> None:
        """The dialog is open as `memo` says, or over (None): kept with the next facts."""
        self._memos[call] = memo

    async def commit(self, facts: Sequence[Fact], *, seats: Collection[str] = ()) -> None:
        """Append, with the seats of these agents; raises where nothing was appended."""
        if not (facts or seats) or self._is_deposed:
            return
        beside = self._beside(facts, seats)
        try:
            await self._written(Waiting(self._append_and_tell, facts, beside))
        except BaseException:
            if self._cluster:  # then the rows are read before the next decision
                self._cluster.failed(beside.drafts)
            raise

    async def record(self, facts: Sequence[Fact], *, seats: Collection[str] = ()) -> None:
        """Append, or owe what cannot be taken back."""
        if (facts or seats or self._memos) and not self._is_deposed:
            beside = self._beside(facts, seats)
            await self._written(Waiting(self._append_or_owe, facts, beside))

    async def pay(self) -> bool:
        """A chore: what is owed. True when there was something, and it is paid."""
        if not (self._owed or self._owed_memos or self._memos) or self._is_deposed:
            return False
        await self._written(Waiting(self._append_or_owe, (), self._beside()))
        return not self._owed

    def run(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """In the writer's thread, after what was written before."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def hold_reserve(self) -> None:
        """There is room on the disk: keep some back again."""
        await self.run(self._reserve.hold)

    def close(self) -> None:
        """No more; waits for what is under way."""
        self._thread.shutdown(wait=True)

    @property
    def _is_deposed(self) -> bool:
        return self._cluster is not None and self._cluster.deposed.is_set()

    def _written(self, one: Waiting) -> Awaitable[None]:
        self._waiting.append(one)
        self._thread.submit(self._write_waiting)
        return asyncio.wrap_future(one.done)

    def _beside(self, facts: Sequence[Fact] = (), seats: Collection[str] = ()) -> Beside:
        memos, self._memos = self._memos, {}
        if self._cluster is None:
            return Beside(memos, {}, None)
        changed = {one.agent for one in facts if isinstance(one, AgentStateChanged)}
        return Beside(memos, self._cluster.draft({*changed, *seats}), self._cluster.clock())

    # --- Of the thread ---

    def _write_waiting(self) -> None:
        """All that waits by now; one by one where it does not go together."""
        batch = self._take_waiting()
        together = len(batch) > 1 and self._append_together(batch)
        for one in batch:
            try:
                if not together:
                    one.alone(one.facts, one.beside)
            except BaseException as error:
                one.done.set_exception(error)
            else:
                one.done.set_result(None)

    def _take_waiting(self) -> list[Waiting]:
        """In its order, without what nobody waits for any more."""
        batch = []
        while self._waiting:
            one = self._waiting.popleft()
            if one.done.set_running_or_notify_cancel():
                batch.append(one)
        return batch

    def _append_together(self, batch: Sequence[Waiting]) -> bool:
        """True when it is all committed, False when nothing is: one of them was refused."""
        memos: dict[str, dict[str, Any] | None] = {}
        drafts: Drafts = {}
        for one in batch:
            memos |= one.beside.memos
            drafts = joined(drafts, one.beside.drafts)
        facts = [fact for one in batch for fact in one.facts]
        try:
            entries = self._append(facts, Beside(memos, drafts, batch[-1].beside.clock))
        except Exception:  # each is told by itself what is wrong with it
            return False
        self._tell(entries)
        return True

    def _append_and_tell(self, facts: Sequence[Fact], beside: Beside) -> None:
        self._tell(self._append(facts, beside))

    def _append(self, facts: Sequence[Fact], beside: Beside) -> list[Entry]:
        """What is owed comes first, so that facts keep their order.

        Memos are owed from the start: they are no reason to refuse anything.
        """
        self._owed_memos |= beside.memos
        drafts = joined(self._owed_drafts, beside.drafts)
        if not self._owed and not facts and not self._owed_memos and not drafts:
            return []
        entries = self._log.append(*self._owed, *facts, also=self._writing(drafts, beside.clock))
        self._owed, self._owed_memos, self._owed_drafts = [], {}, {}
        return entries

    def _tell(self, entries: Sequence[Entry]) -> None:
        if entries:
            self._bus.publish(LogAdvanced(position=entries[-1].position))

    def _writing(self, drafts: Drafts, clock: Clock | None) -> Callable[[Connection], None]:
        """Memos and seats, in the transaction of their facts."""

        def write(connection: Connection) -> None:
            dialogs.keep(connection, self._node, self._owed_memos)
            if self._cluster is not None and clock is not None and drafts:
                self._cluster.write(connection, drafts, clock)

        return write

    def _append_or_owe(self, facts: Sequence[Fact], beside: Beside) -> None:
        try:
            try:
                self._append_and_tell(facts, beside)
            except SeatTaken:  # told nevertheless: it happened to a call of ours
                self._give_up_seats(beside)
                self._append_and_tell(facts, replace(beside, drafts={}))
        except AWAY as error:  # locked for long, full, away: not the fact's fault
            if is_full(error) and self._reserve.release():
                _LOGGER.error("the database's disk is full; the reserve is used up now, make room")
                self._append_or_owe(facts, beside)
                return
            self._owe(facts, beside, error)

    def _give_up_seats(self, beside: Beside) -> None:
        lost = joined(self._owed_drafts, beside.drafts)
        _LOGGER.error("a seat was changed by another node", agents=len(lost))
        if self._cluster:
            self._cluster.failed_from_thread(lost)
        self._owed_drafts = {}

    def _owe(self, facts: Sequence[Fact], beside: Beside, error: BaseException) -> None:
        self._owed += facts
        self._owed_drafts = joined(self._owed_drafts, beside.drafts)
        _LOGGER.error(
            "facts wait for the database", owed=len(self._owed), error=type(error).__name__
        )
