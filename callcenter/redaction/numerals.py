"""Number words in their order, read as the digits that somebody meant.

"forty-two twelve" is 4212, "double five" 55, «شصت و سی و هفت» 6037, «ארבעים ושתיים» 42:
whoever reads out a long number reads pairs, threes and thousands, and every language joins them
in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from callcenter.redaction.lexicon import NumberWord

Place = tuple[int, int]
"""First character and the one after the last."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A number word and where it stands."""

    word: NumberWord
    place: Place


@dataclass(frozen=True, slots=True)
class Digits:
    """Digits that were written or spoken, and where."""

    digits: str
    start: int
    end: int


def read(words: Sequence[Spoken]) -> Iterator[Digits]:
    """The digits of number words that follow each other; what has no value alone is left out."""
    reader = _Reader(words)
    while not reader.done:
        first = reader.at
        digits = reader.next()
        if digits:
            yield Digits(digits, words[first].place[0], words[reader.at - 1].place[1])


class _Reader:
    """Takes one number after the other, the longest that the words allow."""

    def __init__(self, words: Sequence[Spoken]) -> None:
        self._words = [spoken.word for spoken in words]
        self.at = 0

    @property
    def done(self) -> bool:
        """Whether every word was read."""
        return self.at >= len(self._words)

    def next(self) -> str:
        """The digits of the next number; "" for a word that is none."""
        repeated = self._repeated()
        if repeated:
            return repeated
        value = self._below_million()
        if value is None:
            self.at += 1
            return ""
        return str(value)

    def _repeated(self) -> str:
        """ "double five", «دو تا پنج»."""
        word, after = self._peek(), self._peek(1)
        if word and word.role == "repeat" and after and after.role == "unit":
            self.at += 2
            return str(after.value) * word.value
        times = word and word.role == "unit" and 2 <= word.value <= 4
        last = self._peek(2)
        if word and times and after and after.role == "times" and last and last.role == "unit":
            self.at += 3
            return str(last.value) * word.value
        return ""

    def _below_million(self) -> int | None:
        value = self._below_thousand()
        word = self._peek()
        if word is None or word.role != "thousand":
            return value
        if value is not None and word.value != 1000:  # «אלפיים» takes nothing before it
            return value
        self.at += 1
        thousands = word.value if value is None else value * word.value
        return thousands + (self._more(self._below_thousand, joins=word.joins) or 0)

    def _below_thousand(self) -> int | None:
        value = self._below_hundred()
        word = self._peek()
        if word is None or word.role != "hundred":
            return value
        if value is not None and (word.value != 100 or value == 0):
            return value
        if value is not None and word.joins and value > 9:  # «بیست صد» is two numbers
            return value
        self.at += 1
        hundreds = word.value if value is None else value * word.value
        return hundreds + (self._more(self._below_hundred, joins=word.joins) or 0)

    def _below_hundred(self) -> int | None:
        word = self._peek()
        if word is None:
            return None
        if word.role == "ten":
            self.at += 1
            return word.value + (self._unit_after(word) or 0)
        if word.role in ("unit", "teen", "add_ten"):
            self.at += 1
            after = self._peek()
            if word.role == "unit" and word.value and after and after.role == "add_ten":
                self.at += 1
                return 10 + word.value
            return word.value
        return None

    def _unit_after(self, ten: NumberWord) -> int | None:
        """The unit of "forty-two", of «چهل و دو» only behind its "and"."""
        at = self.at + ten.joins
        if ten.joins and not self._is_and():
            return None
        unit = self._words[at] if at < len(self._words) else None
        if unit is None or unit.role != "unit" or not unit.value or unit.joins != ten.joins:
            return None
        following = self._words[at + 1] if at + 1 < len(self._words) else None
        if following and following.role in ("add_ten", "times"):
            return None
        self.at = at + 1
        return unit.value

    def _more(self, part: Callable[[], int | None], *, joins: bool) -> int | None:
        """What is added to hundreds or thousands; in Persian and Hebrew only after "and"."""
        before = self.at
        if self._is_and():
            self.at += 1
        elif joins:
            return None
        value = part()
        if not value:
            self.at = before
            return None
        return value

    def _is_and(self) -> bool:
        word = self._peek()
        return word is not None and word.role == "and"

    def _peek(self, ahead: int = 0) -> NumberWord | None:
        at = self.at + ahead
        return self._words[at] if at < len(self._words) else None
