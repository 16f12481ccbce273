"""Keys that a telephone tells in two ways, told once.

Some telephones send each key both as an event in their sound (RFC 4733) and by SIP INFO. What comes
by one way is the echo of what came by the other shortly before: the first of the same key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from callcenter.telephony.ports import DialogCall, MediaLeg, MediaPlane

ECHO_SECONDS = 1.0
"""So much later the second way may tell of a key; people press one three times a second at most."""

Way = Literal["sound", "info"]


class KeyPresses:
    """Of one telephone. Times are in seconds of any clock that goes forward."""

    def __init__(self) -> None:
        self._unmatched: deque[tuple[float, Way, str]] = deque()

    def is_new(self, key: str, way: Way, now: float) -> bool:
        """Whether it is a press of its own; else it was told already, by the other way."""
        while self._unmatched and now - self._unmatched[0][0] > ECHO_SECONDS:
            self._unmatched.popleft()
        for told in self._unmatched:
            if told[1] != way and told[2] == key:
                self._unmatched.remove(told)
                return False
        self._unmatched.append((now, way, key))
        return True


def on_key(
    media: MediaPlane, leg: MediaLeg, dialog: DialogCall, handler: Callable[[str], None]
) -> None:
    """Call `handler` once per key that the party presses, whichever way it comes."""
    presses, clock = KeyPresses(), asyncio.get_running_loop().time

    def press(way: Way, key: str) -> None:
        if presses.is_new(key, way, clock()):
            handler(key)

    media.on_digit(leg, partial(press, "sound"))
    dialog.on_digit(partial(press, "info"))
