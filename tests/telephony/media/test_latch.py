"""Whose sound counts: the telephone's, also behind NAT, and nobody else's."""

from __future__ import annotations

from callcenter.telephony.media.latch import SourceLatch

TOLD = ("192.0.2.20", 4000)
BEHIND_NAT = ("198.51.100.7", 31_000)
STRANGER = ("203.0.113.66", 5000)


def latch(signalling: str | None = None) -> SourceLatch:
    opened = SourceLatch()
    opened.tell(*TOLD, signalling)
    return opened


def taken(opened: SourceLatch, *sources: tuple[str, int]) -> list[bool]:
    return [opened.accepts(source) for source in sources]


def test_before_anybody_told_nothing_counts_and_there_is_nowhere_to_send() -> None:
    nobody = SourceLatch()
    assert taken(nobody, TOLD, TOLD, TOLD, TOLD) == [False] * 4
    assert nobody.target is None


def test_the_address_of_the_sdp_is_locked_at_its_first_packet() -> None:
    opened = latch()
    assert opened.target == TOLD
    assert not opened.heard
    assert taken(opened, TOLD, STRANGER, STRANGER, STRANGER, STRANGER, TOLD) == [
        True, False, False, False, False, True,
    ]  # fmt: skip
    assert opened.target == TOLD
    assert opened.heard


def test_the_signalling_s_host_counts_at_once_and_is_locked_after_three_packets() -> None:
    opened = latch(signalling=BEHIND_NAT[0])
    other_port = (BEHIND_NAT[0], 31_002)
    assert taken(opened, BEHIND_NAT, BEHIND_NAT) == [True, True]
    assert opened.target == BEHIND_NAT
    assert taken(opened, other_port) == [False]
    assert taken(opened, BEHIND_NAT, *[other_port] * 5) == [True] + [False] * 5
    assert opened.target == BEHIND_NAT


def test_anybody_else_is_heard_after_three_packets() -> None:
    opened = latch()
    assert taken(opened, STRANGER, STRANGER) == [False, False]
    assert opened.target == TOLD
    assert taken(opened, STRANGER, STRANGER) == [True, True]
    assert opened.target == STRANGER


def test_nobody_locks_the_telephone_out_by_sending_first() -> None:
    opened = latch(signalling=BEHIND_NAT[0])
    assert taken(opened, *[STRANGER] * 10)[-1]
    assert taken(opened, BEHIND_NAT) == [True]
    assert taken(opened, *[STRANGER] * 10) == [False] * 10
    assert taken(opened, TOLD) == [True]
    assert taken(opened, BEHIND_NAT, STRANGER) == [False, False]


def test_a_crowd_of_sources_is_not_remembered() -> None:
    opened = latch()
    crowd = [(f"203.0.113.{n}", 5000) for n in range(100)]
    for _ in range(2):
        assert not any(taken(opened, *crowd))
    near = (TOLD[0], 4711)
    assert taken(opened, ("203.0.113.200", 1), near, TOLD) == [False, True, True]


def test_a_new_address_opens_the_latch_and_the_same_one_does_not() -> None:
    opened = latch()
    moved = ("192.0.2.99", 4444)
    assert taken(opened, TOLD) == [True]
    opened.tell(*TOLD)
    assert taken(opened, moved) == [False]
    opened.tell(*moved)
    assert opened.target == moved
    assert taken(opened, moved, TOLD) == [True, False]
