"""Two nodes decide on one table of seats, in whatever order reads and writes come: no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from callcenter.config import Queue
from callcenter.telephony.acd.agent import OWNED, AgentState, survived
from callcenter.telephony.acd.floor import Floor, Offer, Seat
from callcenter.telephony.acd.versions import Draft, Row, Version, Versions, joined

AGENTS = ("a", "b")


def available(agent: str) -> Seat:
    return Seat(agent, agent, None, "en", AgentState(name="available", since=0.0, idle_since=0.0))


@dataclass
class Table:
    """The rows as the database holds them, and whose each is."""

    rows: dict[str, tuple[Seat | None, Version, str]] = field(default_factory=dict)

    def write(self, node: str, drafts: dict[str, Draft]) -> bool:
        """All or nothing; False where one of them does not stand on the row."""
        for agent, draft in drafts.items():
            known = self.rows[agent][1] if agent in self.rows else None
            if known != draft.expected:
                return False
        for agent, draft in drafts.items():
            seat, version, owner = self.rows.get(agent, (None, Version(0, ""), ""))
            if seat is not None and seat.state.name in OWNED:
                assert owner == node, f"{node} overwrote a call of {owner}"
            assert draft.new.number > version.number
            owned = draft.seat is not None and draft.seat.state.name in OWNED
            self.rows[agent] = (draft.seat, draft.new, node if owned else "")
        return True

    def read(self, node: str) -> list[Row]:
        return [
            Row(
                agent,
                None if seat is None else replace(seat, node="" if owner == node else owner),
                version,
                ours=owner == node,
            )
            for agent, (seat, version, owner) in self.rows.items()
        ]


class Node:
    """What the service does around `Versions`: one loop, one writer's thread in between."""

    def __init__(self, name: str, table: Table, stamps: Callable[[], str]) -> None:
        self.name, self.table = name, table
        self.floor = Floor({"q": Queue(name="q")})
        self.versions = Versions(self.floor, stamps)
        self.writer: deque[Callable[[], None]] = deque()  # one thread, first come, first served
        self.loop: deque[Callable[[], None]] = deque()  # what the thread tells, in that order
        self.offers: list[Offer] = []
        self.rings: dict[str, str] = {}  # by call: whom the browser of rings
        self.owed: dict[str, Draft] = {}
        self.away = self.lost_answer = False
        self.calls = count()

    def refresh(self) -> None:
        def read() -> None:
            rows = self.table.read(self.name)
            self.loop.append(lambda: self.follow(rows))

        self.writer.append(read)

    def follow(self, rows: list[Row]) -> None:
        adopted = self.versions.adopt(rows)
        for agent in adopted.strays:
            seat = self.floor.seats[agent]
            seat.state = survived(seat.state, 0.0)
        self.record(*adopted.strays, *adopted.stale)

    def append(self, drafts: dict[str, Draft]) -> str:
        """In the writer's thread."""
        if self.away:
            return "away"
        if not self.table.write(self.name, joined(self.owed, drafts)):
            return "taken"
        self.owed = {}
        return "away" if self.lost_answer else "written"

    def commit(self, agent: str, done: Callable[[str], None]) -> None:
        drafts = self.versions.draft([agent])

        def answered(outcome: str) -> None:
            if outcome != "written":
                self.versions.failed(drafts)
            done(outcome)

        def write() -> None:
            outcome = self.append(drafts)
            self.loop.append(lambda: answered(outcome))

        self.writer.append(write)

    def record(self, *agents: str) -> None:
        if not agents:
            return
        drafts = self.versions.draft(agents)

        def write() -> None:
            outcome = self.append(drafts)
            lost = joined(self.owed, drafts)
            if outcome == "taken":
                self.owed = {}
                self.loop.append(lambda: self.versions.failed(lost))
            elif outcome == "away":
                self.owed = lost

        self.writer.append(write)

    # --- What happens ---

    def call(self) -> None:
        self.floor.enqueue(f"{self.name}-{next(self.calls)}", "q", 0.0)
        self.offer()

    def offer(self) -> None:
        self.offers += self.floor.offers(0.0)

    def claim(self) -> None:
        """The session of the call comes to its turn."""
        if not self.offers:
            return
        offer = self.offers.pop(0)
        if not self.floor.rings_at(offer.call, offer.agent) or offer.call in self.rings:
            return

        def done(outcome: str) -> None:
            if outcome == "written":
                self.rings[offer.call] = offer.agent
            else:
                self.floor.give_back(offer)
                self.refresh()

        self.commit(offer.agent, done)

    def hang_up(self) -> None:
        if self.rings:
            call, agent = self.rings.popitem()
            self.floor.withdraw(call, 0.0)
            self.record(agent)

    def sign_in(self, agent: str) -> None:
        if agent not in self.floor.seats:
            self.floor.seats[agent] = available(agent)
            self.commit(agent, lambda outcome: self.undo(agent, None, outcome))

    def sign_out(self, agent: str) -> None:
        seat = self.floor.seats.get(agent)
        if seat is not None and not seat.node and seat.state.name not in OWNED:
            before = replace(self.floor.seats.pop(agent))
            self.commit(agent, lambda outcome: self.undo(agent, before, outcome))

    def undo(self, agent: str, before: Seat | None, outcome: str) -> None:
        now = self.floor.seats.get(agent)
        if outcome == "written" or (now is not None and now.state.name in OWNED):
            return
        if before is None:
            self.floor.seats.pop(agent, None)
        else:
            self.floor.seats[agent] = before
        self.refresh()

    def thread(self) -> None:
        if self.writer:
            self.writer.popleft()()

    def turn(self) -> None:
        if self.loop:
            self.loop.popleft()()

    def settle(self) -> None:
        self.away = self.lost_answer = False
        for _ in range(8):
            self.refresh()
            while self.writer or self.loop:
                self.thread()
                self.turn()


def two() -> tuple[Table, Node, Node]:
    table, numbers = Table(), count()
    made = [Node(name, table, lambda: str(next(numbers))) for name in ("one", "two")]
    return table, made[0], made[1]


STEPS = st.sampled_from(
    (
        *("call", "call", "offer", "claim", "claim", "hang_up"),
        *("sign_in a", "sign_in b", "sign_out a", "refresh"),
        *("thread", "thread", "thread", "turn", "turn", "turn"),
        *("away", "lost", "well"),
    )
)


@given(st.lists(st.tuples(st.booleans(), STEPS), max_size=80))
def test_whatever_the_order_no_agent_is_rung_by_two_and_all_agree_in_the_end(
    steps: list[tuple[bool, str]],
) -> None:
    table, one, two_ = two()
    for node in (one, two_):
        for agent in AGENTS:
            node.sign_in(agent)
        node.settle()
    for first, step in steps:
        node = one if first else two_
        if step in ("away", "lost", "well"):
            node.away, node.lost_answer = step == "away", step == "lost"
        else:
            name, _, agent = step.partition(" ")
            getattr(node, name)(*([agent] if agent else []))
        rung = [*one.rings.values(), *two_.rings.values()]
        assert len(rung) == len(set(rung)), "one agent, two calls"
    for node in (one, two_) * 3:
        node.settle()
        while node.offers:
            node.claim()
            node.settle()
    for agent, (seat, _, owner) in table.rows.items():
        for node in (one, two_):
            here = node.floor.seats.get(agent)
            assert (here is None) == (seat is None)
            if here is not None and seat is not None:
                assert here.state.name == seat.state.name
                assert here.state.call == seat.state.call
                assert here.node == ("" if owner in ("", node.name) else owner)
        if owner:
            node = one if owner == "one" else two_
            assert agent in node.rings.values(), "a row that nobody's call stands behind"


def test_reading_between_decision_and_write_does_not_make_a_stale_decision_fresh() -> None:
    _, one, other = two()
    one.sign_in("a")
    one.settle()
    other.settle()
    one.call()
    other.call()  # both floors ring the agent now
    one.claim()
    one.thread()
    one.turn()
    assert one.rings == {"one-0": "a"}
    other.claim()  # decided on what was read before, then read anew
    other.refresh()
    other.thread()
    other.thread()
    other.turn()
    other.turn()
    assert other.rings == {}
    other.settle()
    assert other.floor.seats["a"].node == "one"


def test_drafts_owed_together_keep_the_first_expectation() -> None:
    zero, one, two_, other = (Version(n, s) for n, s in ((0, "z"), (1, "o"), (2, "t"), (1, "x")))
    first = {"a": Draft(None, zero, one)}
    assert joined(first, {"a": Draft(None, one, two_)}) == {"a": Draft(None, zero, two_)}
    alone = {"a": Draft(None, other, two_)}
    assert joined(first, alone) == alone
    assert joined(first, {"b": Draft(None, None, one)}).keys() == {"a", "b"}


def test_a_stale_row_does_not_overwrite_what_was_decided_since() -> None:
    table, one, _ = two()
    one.sign_in("a")
    one.settle()
    old = table.read("one")
    one.call()
    one.claim()
    one.thread()
    one.turn()
    one.follow(old)
    states: list[str] = [one.floor.seats["a"].state.name]
    one.hang_up()
    one.settle()
    one.follow(old)
    states.append(one.floor.seats["a"].state.name)
    assert states == ["ringing", "available"]
