"""Asking for the status of a complaint by keys: what to ask and say next. Pure.

The caller enters the code, where needed the end of a telephone number too. `#` ends an entry,
so does its last digit; `*` takes it back. After three wrong ones it is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.telephony.ports import StatusAnswer

CODE_KEYS, NUMBER_KEYS = 7, 4
MOST_WRONG = 3


@dataclass(frozen=True, slots=True)
class Question:
    """To be looked up: the code's keys, and the end of a number once it was asked for."""

    keys: str
    digits: str = ""


class Inquiry:
    """One caller's. `over`: nothing is asked any more; `result` then says how it ended."""

    def __init__(self) -> None:
        self.over = False
        self.result = "nothing was told"
        self._entry = ""
        self._code = ""
        self._wrong = 0

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
        return self._end("complaint status told", "complaint", *spelled, f"stage_{answer}")

    def silent(self) -> list[str]:
        """No key for long."""
        return self._end(self.result)

    def _end(self, result: str, *prompts: str) -> list[str]:
        self.over, self.result = True, result
        return [*prompts, "goodbye"]
