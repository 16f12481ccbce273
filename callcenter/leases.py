"""Leases: who is alive, and who alone may do a thing, where several processes could.

A holder raises its lease's `beat`; others look now and then. One that stood still over several
looks in a row is dead for whoever looked. No clock of another machine is asked, and a look that
failed (the database was away) begins the count anew, so that an outage kills nobody. Taking a
dead one's lease is a compare-and-swap on the beat: one of all who saw it gets it, and a holder
that lost it finds out at its next beat.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from callcenter.database import reading

metadata = MetaData()

leases = Table(
    "leases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("beat", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease as it was when somebody looked."""

    name: str
    holder: str
    beat: int


class Leases:
    """The leases of one database as one holder (an id, new at each start) uses them."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._engine, self._holder = engine, holder

    def seize(self, name: str) -> None:
        """Take it whoever has it: this process is the new one of that name."""
        mine = update(leases).where(leases.c.name == name)
        for _ in range(3):
            with self._engine.begin() as connection:
                values = {"holder": self._holder, "beat": leases.c.beat + 1}
                if connection.execute(mine.values(values)).rowcount:
                    return
            if self.create(name):
                return

    def create(self, name: str) -> bool:
        """Take one that nobody has; False where somebody has it."""
        row = {"name": name, "holder": self._holder, "beat": 0}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(leases).values(row))
        except IntegrityError:
            return False
        return True

    def beat(self, name: str) -> bool:
        """I am alive; False where the lease is not ours any more."""
        ours = (leases.c.name == name) & (leases.c.holder == self._holder)
        with self._engine.begin() as connection:
            change = update(leases).where(ours).values(beat=leases.c.beat + 1)
            return bool(connection.execute(change).rowcount)

    def take(self, seen: Seen) -> bool:
        """Take a dead one's; False where it lives or somebody else was faster."""
        as_seen = (leases.c.name == seen.name) & (leases.c.beat == seen.beat)
        with self._engine.begin() as connection:
            change = update(leases).where(as_seen, leases.c.holder == seen.holder)
            values = {"holder": self._holder, "beat": leases.c.beat + 1}
            return bool(connection.execute(change.values(values)).rowcount)

    def release(self, name: str) -> None:
        """Nobody has it any more."""
        ours = (leases.c.name == name) & (leases.c.holder == self._holder)
        with self._engine.begin() as connection:
            connection.execute(delete(leases).where(ours))

    def look(self, kind: str) -> list[Seen]:
        """Every lease whose name begins with `kind:`."""
        query = select(leases).where(leases.c.name.startswith(f"{kind}:", autoescape=True))
        with reading(self._engine).connect() as connection:
            rows = connection.execute(query.order_by(leases.c.name))
            return [Seen(row.name, row.holder, row.beat) for row in rows]


@dataclass(slots=True)
class Watch:
    """Which leases stand still; pure. `patience` is a number of looks in a row."""

    patience: int
    _still: dict[str, tuple[Seen, int]] = field(default_factory=dict)

    def looked(self, now: list[Seen]) -> list[Seen]:
        """Note a look; returns those that are dead."""
        before, self._still = self._still, {}
        for seen in now:
            known, count = before.get(seen.name, (None, 0))
            self._still[seen.name] = (seen, count + 1 if known == seen else 0)
        return [seen for seen, count in self._still.values() if count >= self.patience]

    def failed(self) -> None:
        """The database was away: nobody could beat, so nobody is dead of it."""
        self._still = {}


class Only:
    """Doing something alone: call `mine()` often; True while this process is the one."""

    def __init__(self, engine: Engine, name: str, holder: str, *, patience: int = 4) -> None:
        self._leases, self._name = Leases(engine, holder), name
        self._watch = Watch(patience)
        self._held = False

    def mine(self) -> bool:
        """Beat where it is ours; else take it when nobody has it or its holder is dead."""
        try:
            self._held = self._leases.beat(self._name) if self._held else self._try()
        except BaseException:
            self._held = False
            self._watch.failed()
            raise
        return self._held

    def release(self) -> None:
        """Somebody else may take it at once."""
        if self._held:
            self._held = False
            self._leases.release(self._name)

    def _try(self) -> bool:
        seen = [one for one in self._leases.look("only") if one.name == self._name]
        if not seen:
            return self._leases.create(self._name)
        return any(self._leases.take(dead) for dead in self._watch.looked(seen))
