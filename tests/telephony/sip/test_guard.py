"""Who is listened to: trunks, rates and bans, on a scripted clock."""

from __future__ import annotations

from typing import Any

from callcenter.telephony.sip.guard import KEPT_SOURCES, WINDOW, Buckets, Guard, Limits
from callcenter.telephony.sip.sources import LOG_EVERY, Sources

PBX, OTHER, STRANGER = "192.0.2.1", "192.0.2.2", "198.51.100.1"


class Lines:
    def __init__(self, **limits: Any) -> None:
        self.said: list[tuple[str, str]] = []
        sources = Sources([("pbx", ["192.0.2.0/24"])])
        self.guard = Guard(sources, Limits(**limits), lambda *line: self.said.append(line))


def test_a_stranger_is_passed_over_counted_and_logged_once_a_minute() -> None:
    lines = Lines()
    times = [0.0, 1.0, LOG_EVERY - 1, LOG_EVERY + 1]
    assert [lines.guard.admit(STRANGER, now) for now in times] == [None] * 4
    assert lines.said == [(STRANGER, "source is of no trunk")] * 2
    assert lines.guard.counts == {"source is of no trunk": 4}


def test_a_source_that_sends_too_fast_loses_messages_and_its_neighbour_none() -> None:
    guard = Lines(source_rate=10).guard
    assert [guard.admit(PBX, 0.0) for _ in range(21)] == ["pbx"] * 20 + [None]
    assert guard.admit(OTHER, 0.0) == "pbx"
    assert [guard.admit(PBX, 0.1) for _ in range(2)] == ["pbx", None]
    assert guard.counts == {"too many messages": 2}


def test_a_trunk_has_a_rate_of_its_own() -> None:
    guard = Lines(trunk_rate=10).guard
    assert [guard.admit(f"192.0.2.{n}", 0.0) for n in range(21)] == ["pbx"] * 20 + [None]


def test_a_ban_begins_at_the_limit_keeps_out_and_ends() -> None:
    lines = Lines(failures=3, ban_seconds=600)
    for now in (0.0, 1.0, 2.0):
        assert lines.guard.admit(PBX, now) == "pbx"
        lines.guard.failed(PBX, now)
    assert lines.guard.admit(PBX, 3.0) is None
    assert lines.guard.admit(OTHER, 3.0) == "pbx"
    assert lines.guard.banned(3.0) == 1
    assert lines.guard.admit(PBX, 602.0) == "pbx"
    assert lines.guard.banned(602.0) == 0
    assert lines.said == [(PBX, "wrong digest"), (PBX, "banned for 600 s: wrong digest")]


def test_failures_far_apart_do_not_add_up() -> None:
    guard = Lines(failures=2).guard
    for count in range(5):
        guard.failed(PBX, count * (WINDOW + 1))
    assert guard.admit(PBX, 5 * (WINDOW + 1)) == "pbx"


def test_malformed_messages_ban_as_well_and_zero_bans_nobody() -> None:
    for limit, trunk in ((5, None), (0, "pbx")):
        guard = Lines(malformed=limit).guard
        for _ in range(20):
            guard.malformed(PBX, 0.0)
        assert guard.admit(PBX, 1.0) == trunk


def test_the_tables_stay_small_however_many_sources_there_are() -> None:
    buckets = Buckets(10)
    for number in range(KEPT_SOURCES + 500):
        assert buckets.take(str(number), 0.0)
    assert len(buckets._buckets) == KEPT_SOURCES
