"""The table of seats: compare-and-swap on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from callcenter.database import open_database
from callcenter.telephony.acd.agent import AgentState
from callcenter.telephony.acd.floor import Seat
from callcenter.telephony.acd.versions import Draft, Version
from callcenter.telephony.shared_floor import Clock, SeatTaken, SharedFloor

CLOCK = Clock(5.0, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def engine(migrated: str, databases: Any) -> Iterator[Engine]:
    url = databases.copy(migrated)
    made = open_database(url)
    yield made
    made.dispose()
    databases.drop(url)


def seat(name: Any, call: str | None = None) -> Seat:
    return Seat("a", "dana", "201", "en", AgentState(name=name, since=5.0, call=call))


def put(engine: Engine, node: str, *steps: tuple[Seat | None, Version | None, Version]) -> None:
    floor = SharedFloor(engine, node)
    with engine.begin() as connection:
        for one, expected, new in steps:
            floor.write(connection, {"a": Draft(one, expected, new)}, CLOCK)


def test_a_row_is_changed_only_by_who_knows_it(engine: Engine) -> None:
    one, two = SharedFloor(engine, "one"), SharedFloor(engine, "two")
    first = Version(1, "first")
    put(engine, "one", (seat("available"), None, first))
    with pytest.raises(SeatTaken):
        put(engine, "two", (seat("available"), None, Version(1, "again")))
    (row,) = two.read(CLOCK)
    assert (row.version, row.ours, row.seat) == (first, False, seat("available"))
    put(engine, "one", (seat("ringing", "call-1"), first, Version(2, "ring")))
    two.read(CLOCK)  # between decision and write
    with pytest.raises(SeatTaken):
        put(engine, "two", (seat("ringing", "call-2"), first, Version(2, "late")))
    with pytest.raises(SeatTaken):  # stands on what never came to be, though the number fits
        put(engine, "two", (seat("available"), Version(2, "late"), Version(3, "later")))
    (row,) = one.read(CLOCK)
    assert row.ours
    assert row.seat == seat("ringing", "call-1")
    (row,) = two.read(CLOCK)
    assert row.seat is not None
    assert (row.seat.node, row.ours) == ("one", False)
    (row,) = two.of_node("one", CLOCK)
    assert row.ours
    assert row.seat == seat("ringing", "call-1")


def test_who_signs_out_keeps_a_row_so_that_versions_never_start_anew(engine: Engine) -> None:
    versions = [Version(number, str(number)) for number in range(1, 4)]
    put(engine, "one", (None, None, versions[0]))
    (row,) = SharedFloor(engine, "two").read(CLOCK)
    assert (row.seat, row.version) == (None, versions[0])
    put(
        engine,
        "two",
        (seat("available"), versions[0], versions[1]),
        (None, versions[1], versions[2]),
    )
    (row,) = SharedFloor(engine, "one").read(CLOCK)
    assert (row.seat, row.version) == (None, versions[2])
    with pytest.raises(SeatTaken):
        put(engine, "one", (seat("available"), versions[0], Version(2, "old")))
