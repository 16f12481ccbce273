"""When somebody spoke, from the peaks of one leg. Pure.

A leg is recorded by itself, so what is louder than the line's own noise is the one who
speaks there. The threshold follows the noise, because lines hum differently: three times
the tenth percentile, never under −36 dBFS (a distant echo) nor over −20 dBFS (a quiet voice).
"""

from __future__ import annotations

from callcenter.crm.review.spans import Span, at_least, joined

LEAST_LEVEL, MOST_LEVEL = 4, 26
"""Of 255: peaks of about −36 and −20 dBFS."""
PAUSE = 0.35  # seconds between two words that do not end what is being said
LEAST_SPEECH = 0.12  # a click is shorter than a syllable


def spoken(levels: bytes, per_second: int, *, offset: float = 0.0) -> list[Span]:
    """Stretches of speech in seconds from the answer, which is at `offset` in the file.

    `levels` are magnitudes of 0 to 255, `per_second` of them.
    """
    if not levels or per_second <= 0:
        return []
    limit = threshold(levels)
    found: list[Span] = []
    start: int | None = None
    for place, level in enumerate(levels):
        if level >= limit:
            if start is None:
                start = place
        elif start is not None:
            found.append((start / per_second, place / per_second))
            start = None
    if start is not None:
        found.append((start / per_second, len(levels) / per_second))
    kept = joined(at_least(joined(found, 2 / per_second), LEAST_SPEECH), PAUSE)
    return [(begin - offset, end - offset) for begin, end in kept]


def threshold(levels: bytes) -> int:
    """The level from which on it is speech."""
    counts = [0] * 256
    for level in levels:
        counts[level] += 1
    wanted, seen, noise = len(levels) // 10, 0, 0
    for noise, count in enumerate(counts):  # noqa: B007 - the last one is the answer
        seen += count
        if seen > wanted:
            break
    return min(MOST_LEVEL, max(LEAST_LEVEL, 3 * noise + 1))
