"""Asking for the status of a complaint by keys: what to ask and say next. Pure.

The caller enters the code, where needed the end of a telephone number too. `#` ends an entry,
so does its last digit; `*` takes it back. After three wrong ones it is over. What was told is told
again for one key, a few times; any other key ends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.telephony.ports import StatusAnswer
from callcenter.telephony.prompts import AGAIN_KEY, MOST_AGAIN

CODE_KEYS, NUMBER_KEYS = 7, 4
MOST_WRONG = 3


@dataclass(frozen=True, slots=True)
class Question:
    """To be looked up: the code's keys, and the end of a number once it was asked for."""

    keys: str
    digits: str = ""


class Inquiry:
    """One caller's. `told`: the stage was said, it may be said again; `over`: nothing is asked any
    more; `result` says how it ended."""

    def __init__(self) -> None:
        self.told = self.over = False
        self.result = "nothing was told"
        self._entry = ""
        self._code = ""
        self._wrong = 0
        self._full = False  # the last digit ended the entry: a hash may still follow
        self._telling: list[str] = []
        self._again = 0

    def begin(self) -> list[str]:
        """The first prompts."""
        return ["welcome", "code"]

    def press(self, key: str) -> Question | None:
        """A key; the question when it ends an entry."""
        if key == "*":
            self._entry = ""
        elif key.isdigit():
            self._entry += key
        wanted = NUMBER_KEYS if self._code else CODE_KEYS
        if not self._entry or (key != "#" and len(self._entry) < wanted):
            return None
        self._full = key != "#"
        entry, self._entry = self._entry, ""
        if self._code:
            return Question(self._code, entry)
        self._code = entry
        return Question(entry)

    def answered(self, answer: StatusAnswer) -> list[str]:
        """What to say to that answer."""
        if answer == "digits":
            return ["number"]
        code, self._code = self._code, ""
        if answer == "unknown":
            self._wrong += 1
            if self._wrong < MOST_WRONG:
                return ["unknown", "code"]
            return self._end("three wrong codes", "unknown")
        if answer == "later":
            return self._end("too many tries", "later")
        spelled = [f"digit_{key}" for key in code]
        self.told, self.result = True, "complaint status told"
        self._telling = ["complaint", *spelled, f"stage_{answer}"]
        return [*self._telling, "again"]

    def choose(self, key: str) -> list[str]:
        """A key once it was told: what to say instead; nothing where it goes on."""
        full, self._full = self._full, False
        if full and key == "#":
            return []
        if key != AGAIN_KEY:
            return self._end(self.result)
        self._again += 1
        if self._again == MOST_AGAIN:
            return self._end(self.result, *self._telling)
        return [*self._telling, "again"]

    def silent(self) -> list[str]:
        """No key for long."""
        return self._end(self.result)

    def _end(self, result: str, *prompts: str) -> list[str]:
        self.over, self.result = True, result
        return [*prompts, "goodbye"]
