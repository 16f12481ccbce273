"""Whether a phrase was said. Pure.

Compared are the letters between two borders of words, so «می‌خواهم», «می خواهم» and «میخواهم»
are one phrase. A phrase with `*` at its end goes on as the speaker likes ("cancel*").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from callcenter.crm.fts.words import indexed


@dataclass(frozen=True, slots=True)
class Wording:
    """A phrase as it is compared. `open`: its last word may go on."""

    text: str
    words: tuple[str, ...]
    open: bool

    @property
    def letters(self) -> str:
        """All its words, joined."""
        return "".join(self.words)


def wording(text: str) -> Wording:
    """The phrase in what somebody wrote."""
    return Wording(text, tuple(indexed(text)), text.rstrip().endswith("*"))


@dataclass(frozen=True, slots=True)
class Heard:
    """Which phrase was said; `earlier`: it began in the sentence before."""

    text: str
    earlier: bool


def heard(phrases: Sequence[Wording], said: str, before: str = "") -> Heard | None:
    """The first of the phrases that ends in `said`; it may begin in `before`."""
    earlier, words = indexed(before), indexed(said)
    letters = "".join([*earlier, *words])
    ends = set(accumulate(len(word) for word in [*earlier, *words]))
    past = len("".join(earlier))
    for phrase in phrases:
        start = _place(phrase, letters, {0, *ends}, ends, past)
        if start is not None:
            return Heard(phrase.text, start < past)
    return None


def may_have_begun(phrases: Sequence[Wording], said: str) -> bool:
    """Whether `said` begins with the rest of a phrase, so that the sentence before counts."""
    words = indexed(said)
    letters = "".join(words)
    ends = set(accumulate(len(word) for word in words))
    return any(
        letters.startswith(rest) and (phrase.open or len(rest) in ends)
        for phrase in phrases
        for rest in _rests(phrase)
    )


def _rests(phrase: Wording) -> list[str]:
    return ["".join(phrase.words[at:]) for at in range(1, len(phrase.words))]


def _place(
    phrase: Wording, letters: str, starts: set[int], ends: set[int], past: int
) -> int | None:
    wanted = phrase.letters
    at = letters.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if at in starts and end > past and (phrase.open or end in ends):
            return at
        at = letters.find(wanted, at + 1)
    return None
