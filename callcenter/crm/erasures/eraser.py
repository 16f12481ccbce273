"""The jobs process's erasing, step by step; a kill anywhere goes on at the step it was in.

    tombstone   outside of the database, on the disk, before anything is removed
    key         destroyed: recordings are unreadable, and the record is closed to everybody
    calls       files, then what was said, noted and written of each call, in batches
    complaints  their texts
    record      name, numbers, messages, exports
    traces      what a database leaves behind: free pages, its log, the text index, old copies

Each step can be done twice. It waits while a call lasts, a recording is being sealed or a
transcript made, and while a legal hold lies on the customer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

import structlog
from sqlalchemy import CursorResult, Engine, func, or_, select, update
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.chains.operations import keys_of
from callcenter.crm.customers.models import Customer
from callcenter.crm.erasures import erasing, leftovers
from callcenter.crm.erasures.models import STEPS, Erasure, Step
from callcenter.crm.erasures.tombstones import Tombstone, Tombstones, holder, mac_of
from callcenter.crm.interactions.models import Interaction
from callcenter.database import reading
from callcenter.events import now

BATCH = 50
"""Calls in one transaction."""
LEASE = timedelta(minutes=2)
AGAIN = timedelta(seconds=15)
_LOGGER = structlog.get_logger()


class Files(Protocol):
    """Where sound and archives are."""

    def remove(self, path: str) -> None:
        """A sealed file and what stands beside it; where there is nothing nothing happens."""

    def discard(self, call: str) -> None:
        """A journal; where there is none nothing happens."""

    def remove_export(self, export: str) -> None:
        """An archive; where there is none nothing happens."""


class Transcripts(Protocol):
    """The second pass over recordings."""

    def busy(self, session: Session, calls: Sequence[str]) -> bool:
        """Whether one of these is being transcribed now."""

    def drop(self, session: Session, calls: Sequence[str]) -> None:
        """None of these is to be transcribed."""


class Eraser:
    """Does what was asked for and run, one erasure after the other."""

    def __init__(
        self,
        engine: Engine,
        files: Files,
        transcripts: Transcripts,
        tombstones: Tombstones,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._engine, self._files, self._transcripts = engine, files, transcripts
        self._tombstones, self._clock = tombstones, clock
        self._do: dict[Step, Callable[[str], str | None]] = {
            "tombstone": self._tombstone,
            "key": self._key,
            "calls": self._calls,
            "complaints": self._complaints,
            "record": self._record,
            "traces": self._traces,
        }

    def round(self) -> None:
        """All that can be done now."""
        while (erasure := self._claim()) is not None:
            self._attempt(erasure)

    def obey(self) -> int:
        """Erase again whom a tombstone names and this database knows: it is older than that.

        For the start, before anybody can read anything; → how many customers that were. Raises
        StartError where the file or a key of it cannot be read.
        """
        with Session(reading(self._engine)) as session:
            known = set(session.scalars(select(Erasure.tombstone)))
            news = [stone for stone in self._tombstones.read() if stone.mac not in known]
            if not news:
                return 0
            keys = keys_of(session)
            makers = {stone.key: holder(stone, keys) for stone in news}
            wanted = {stone.mac: stone for stone in news}
            found: dict[str, str] = {}
            for customer in session.scalars(select(Customer.id).execution_options(yield_per=1000)):
                for key in makers.values():
                    if (mac := mac_of(key, customer)) in wanted:
                        found[mac] = customer
        self._bring_back(wanted, found)
        self.round()
        return len(found)

    def _bring_back(self, wanted: dict[str, Tombstone], found: dict[str, str]) -> None:
        at = self._clock()
        with Session(self._engine) as session, session.begin():
            for mac in wanted:
                customer = found.get(mac)
                row = Erasure(
                    customer_id=customer,
                    tombstone=mac,
                    reason="",
                    state="running" if customer else "done",
                    step="key",
                    asked_at=at,
                    run_at=at,
                    done_at=None if customer else at,
                )
                session.add(row)
                if customer:
                    erasing.close_keys(session, customer, at)
                    audit.record(session, None, "erase.again", "customer", customer)
        _LOGGER.warning("customers who were erased had come back", count=len(found))

    def _claim(self) -> Erasure | None:
        at = self._clock()
        free = or_(Erasure.claimed_until.is_(None), Erasure.claimed_until < at)
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            query = select(Erasure).where(Erasure.state == "running", free)
            found = session.scalar(query.order_by(Erasure.id).limit(1))
            if found is None:
                return None
            mine = update(Erasure).where(Erasure.id == found.id, free)
            changed = cast(
                "CursorResult[Any]",
                session.execute(
                    mine.values(claimed_until=at + LEASE).execution_options(
                        synchronize_session=False
                    )
                ),
            )
            return found if changed.rowcount == 1 else None

    def _attempt(self, erasure: Erasure) -> None:
        customer = str(erasure.customer_id)
        for step in STEPS[STEPS.index(erasure.step) :]:
            try:
                waits_for = self._waits(erasure, step) or self._do[step](customer)
            except Exception as error:
                _LOGGER.error(
                    "an erasure failed and is tried again",
                    erasure=erasure.id,
                    step=step,
                    error=type(error).__name__,
                )
                waits_for = "failure"
            if waits_for:
                self._set(erasure.id, waits_for=waits_for, claimed_until=self._clock() + AGAIN)
                return
            following = STEPS.index(step) + 1
            if following < len(STEPS):
                self._set(erasure.id, step=STEPS[following], waits_for=None)
        with Session(self._engine) as session, session.begin():
            row = session.get_one(Erasure, erasure.id)
            row.state, row.done_at, row.waits_for = "done", self._clock(), None
            row.reason = ""
            audit.record(session, None, "erase.done", "customer", customer)
        _LOGGER.info("a customer was erased", erasure=erasure.id)

    def _set(self, id: str, **values: Any) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(update(Erasure).where(Erasure.id == id).values(**values))

    def _waits(self, erasure: Erasure, step: Step) -> str | None:
        """A hold that a backup brought back was released before the customer was erased."""
        customer = str(erasure.customer_id)
        first = step in ("tombstone", "key") and erasure.asked_by is not None
        with Session(reading(self._engine)) as session:
            if first and erasing.held(session, customer):
                return "hold"
            return erasing.unfinished(session, customer)

    def _tombstone(self, customer: str) -> None:
        with Session(self._engine) as session, session.begin():
            key = keys_of(session).signing
            mac = mac_of(key, customer)
            mine = (Erasure.customer_id == customer, Erasure.state == "running")
            session.execute(update(Erasure).where(*mine).values(tombstone=mac))
        self._tombstones.add(Tombstone(mac, key.id, self._clock().isoformat()))

    def _key(self, customer: str) -> None:
        with Session(self._engine) as session, session.begin():
            erasing.close_keys(session, customer, self._clock())

    def _calls(self, customer: str) -> str | None:
        mine = Interaction.customer_id == customer
        with Session(reading(self._engine)) as session:
            total = session.scalar(select(func.count()).where(mine)) or 0
        last, done = "", 0
        while True:
            with Session(reading(self._engine)) as session:
                batch = session.execute(erasing.calls(customer, last, BATCH)).all()
                ids = [row.id for row in batch]
                calls = [row.call_id for row in batch if row.call_id]
                paths = erasing.paths(session, calls)
            if not batch:
                return None
            with Session(self._engine) as session, session.begin():
                if self._transcripts.busy(session, calls):
                    return "transcript"
                self._transcripts.drop(session, calls)
            for path in paths:
                self._files.remove(path)
            for call in calls:
                self._files.discard(call)
            last, done = ids[-1], done + len(ids)
            with Session(self._engine) as session, session.begin():
                erasing.calls_away(session, ids, calls, self._clock())
                running = (Erasure.customer_id == customer, Erasure.state == "running")
                session.execute(
                    update(Erasure)
                    .where(*running)
                    .values(done=done, total=total, claimed_until=self._clock() + LEASE)
                )

    def _complaints(self, customer: str) -> None:
        with Session(self._engine) as session, session.begin():
            erasing.complaints_away(session, customer)

    def _record(self, customer: str) -> None:
        with Session(self._engine) as session, session.begin():
            for export in erasing.record_away(session, customer):
                self._files.remove_export(export)

    def _traces(self, _customer: str) -> str | None:
        return None if leftovers.clear(self._engine) else "database"
