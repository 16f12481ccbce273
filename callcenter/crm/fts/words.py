"""Words as they stand in the text index. Pure."""

from __future__ import annotations

from callcenter.crm import text

LONGEST = 200  # characters of a word that count; PostgreSQL takes 2046 bytes


def indexed(written: str) -> list[str]:
    """The normalised words in their order, parted at the underscore too, as FTS5 parts them."""
    parts = (part for word in text.words(written) for part in word.split("_"))
    return [part[:LONGEST] for part in parts if part]


def is_number(word: str) -> bool:
    """A word with a digit: found as it is, and kept out of the vocabulary."""
    return any(char.isdigit() for char in word)
