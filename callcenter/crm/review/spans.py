"""Stretches of time: joined, cut out of each other, added up. Pure; seconds everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""Begin and end, begin ≤ end."""


def joined(spans: Iterable[Span], gap: float = 0.0) -> list[Span]:
    """In order and apart: what touches, or has at most `gap` between, becomes one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def without(spans: Sequence[Span], holes: Sequence[Span]) -> list[Span]:
    """What is left of `spans`; both are in order and apart."""
    found: list[Span] = []
    place = 0
    for start, end in spans:
        while place < len(holes) and holes[place][1] <= start:
            place += 1
        at = place
        while at < len(holes) and holes[at][0] < end:
            if holes[at][0] > start:
                found.append((start, holes[at][0]))
            start = max(start, holes[at][1])
            at += 1
        if start < end:
            found.append((start, end))
    return found


def both(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Where the two are at once; both are in order and apart."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def within(spans: Iterable[Span], end: float) -> list[Span]:
    """The parts from 0 to `end`, in order and apart."""
    cut = ((max(0.0, start), min(stop, end)) for start, stop in spans)
    return joined(one for one in cut if one[0] < one[1])


def at_least(spans: Iterable[Span], seconds: float) -> list[Span]:
    """Those that are so long."""
    return [(start, end) for start, end in spans if end - start >= seconds]


def total(spans: Iterable[Span]) -> float:
    """All their seconds."""
    return sum(end - start for start, end in spans)


def longest(spans: Iterable[Span]) -> float:
    """The seconds of the longest one, 0 where there is none."""
    return max((end - start for start, end in spans), default=0.0)
