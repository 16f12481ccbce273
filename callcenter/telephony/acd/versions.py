"""Which version of the shared row an agent's state here stands on: pure, no I/O.

A loop decides on what it has read. The version it stood on then goes with the decision (a
`Draft`), and the row is changed only where it still bears that version. Reading anew between
decision and write therefore cannot make a stale decision look fresh. A decision may stand on an
earlier one of the same loop that is not written yet; where that one fails, so does this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from callcenter.ids import new_id
from callcenter.telephony.acd.agent import OWNED
from callcenter.telephony.acd.floor import Floor, Seat


@dataclass(frozen=True, slots=True)
class Version:
    """`number` says which is newer; `stamp` is of one decision only, so no two are mistaken."""

    number: int
    stamp: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision on its way to the row.

    `seat`: None for who signed out. `expected`: what it stands on, None: no row. `new`: after it.
    """

    seat: Seat | None
    expected: Version | None
    new: Version


@dataclass(frozen=True, slots=True)
class Row:
    """The shared row of an agent: `seat` is None for one who signed out; `ours`: of our node."""

    agent: str
    seat: Seat | None
    version: Version
    ours: bool = False


Drafts = Mapping[str, Draft]


def joined(earlier: Drafts, later: Drafts) -> dict[str, Draft]:
    """Both in one write: the first one's expectation, the last one's outcome.

    A later draft that does not stand on the earlier one is alone: the earlier was given up.
    """
    both = {**earlier}
    for agent, draft in later.items():
        known = earlier.get(agent)
        if known is not None and draft.expected == known.new:
            draft = replace(draft, expected=known.expected)
        both[agent] = draft
    return both


@dataclass(frozen=True, slots=True)
class Adopted:
    """What reading changed: who is gone; whose row claims to be ours and is not as it is here."""

    gone: list[str]
    strays: list[str]  # ours by the row alone: a write that looked failed and was not
    stale: list[str]  # ours, and the row tells another state: to be written again


@dataclass(slots=True)
class Versions:
    """What each seat of the floor stands on. Belongs to the loop, as the floor does."""

    floor: Floor
    make_stamp: Callable[[], str] = new_id
    _standing: dict[str, Version] = field(default_factory=dict)

    def draft(self, agents: Iterable[str]) -> dict[str, Draft]:
        """The seats of these as they are now, to be written; what follows stands on them."""
        return {agent: self._draft(agent) for agent in agents}

    def failed(self, drafts: Drafts) -> None:
        """These came to nothing: nothing is known of their rows until they are read."""
        for agent in drafts:
            self._standing.pop(agent, None)

    def adopt(self, rows: Iterable[Row]) -> Adopted:
        """Follow the rows that are newer than what is here; the rest stays as it is."""
        adopted = Adopted([], [], [])
        for row in rows:
            known = self._standing.get(row.agent)
            if known is None or row.version.number > known.number:
                self._standing[row.agent] = row.version
                self._follow(row, adopted)
        return adopted

    def take_over(self, rows: Iterable[Row]) -> list[Seat]:
        """The rows of a dead node, as they are: its agents are ours now."""
        seats = []
        for row in rows:
            if row.seat is not None:
                self._standing[row.agent] = row.version
                self.floor.seats[row.agent] = row.seat
                seats.append(row.seat)
        return seats

    def _draft(self, agent: str) -> Draft:
        expected = self._standing.get(agent)
        new = Version(expected.number + 1 if expected else 1, self.make_stamp())
        self._standing[agent] = new
        return Draft(_copied(self.floor.seats.get(agent)), expected, new)

    def _follow(self, row: Row, adopted: Adopted) -> None:
        here = self.floor.seats.get(row.agent)
        if row.seat is None:
            if here is not None:
                del self.floor.seats[row.agent]
                adopted.gone.append(row.agent)
            return
        if row.ours and here is not None and _same_call(here, row.seat):
            if here.state.name != row.seat.state.name:
                adopted.stale.append(row.agent)
            return
        self.floor.seats[row.agent] = row.seat
        if row.ours:
            adopted.strays.append(row.agent)


def _same_call(here: Seat, row: Seat) -> bool:
    owned = not here.node and here.state.name in OWNED
    return owned and here.state.call == row.state.call


def _copied(seat: Seat | None) -> Seat | None:
    return None if seat is None else replace(seat, node="")
