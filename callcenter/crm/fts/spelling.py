"""Slips of typing. Pure.

Two words have a form in common where one slip (a letter too many, missing, wrong, or two
swapped) makes one of the other: each word's forms are itself and itself without one letter
(Garbe's symmetric delete). So a table of forms finds the words meant without reading all.
"""

from __future__ import annotations

LEAST, MOST = 3, 30
"""Letters of a word that is corrected: a shorter one is too many others, a longer one no word."""


def forms(word: str) -> set[str]:
    """The word and every word that it becomes without one letter."""
    if not LEAST <= len(word) <= MOST:
        return {word}
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def slips(one: str, other: str) -> int:
    """How many letters are added, left out, exchanged or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, row, older = row, [i], before
        for j, right in enumerate(other, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = previous
    return row[-1]


def forgiven(word: str) -> int:
    """How many slips in a word of that length are forgiven."""
    return 1 if len(word) < 6 else 2
