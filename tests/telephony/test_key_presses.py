"""A key is one key, whichever way a telephone tells of it, or both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from callcenter.telephony.key_presses import ECHO_SECONDS, KeyPresses, Way, on_key


def heard(*came: tuple[float, Way, str]) -> str:
    presses = KeyPresses()
    return "".join(key for now, way, key in came if presses.is_new(key, way, now))


def test_a_telephone_that_tells_by_one_way_is_heard_as_it_is() -> None:
    for way in ("sound", "info"):
        assert heard(*((0.1 * n, way, key) for n, key in enumerate("1123*#"))) == "1123*#"


def test_what_comes_by_both_ways_is_one_key_whichever_comes_first() -> None:
    assert heard((0.0, "sound", "1"), (0.05, "info", "1")) == "1"
    assert heard((0.0, "info", "1"), (0.4, "sound", "1")) == "1"
    twice: list[tuple[float, Way, str]] = [
        (0.0, "sound", "7"), (0.3, "sound", "7"), (0.35, "info", "7"), (0.4, "info", "7"),
        (0.5, "sound", "8"), (0.6, "info", "8"),
    ]  # fmt: skip
    assert heard(*twice) == "778"


def test_the_other_way_much_later_is_another_key() -> None:
    late = ECHO_SECONDS + 0.1
    assert heard((0.0, "sound", "1"), (late, "info", "1"), (late + 0.1, "sound", "1")) == "11"


def test_another_key_by_the_other_way_is_no_echo() -> None:
    assert heard((0.0, "sound", "1"), (0.1, "info", "2"), (0.2, "info", "1")) == "12"


def test_both_ways_of_a_party_are_listened_to() -> None:
    class Party:
        handlers: list[Callable[[str], None]]

        def __init__(self) -> None:
            self.handlers = []

        def on_digit(self, *given: Any) -> None:
            self.handlers.append(given[-1])

    async def scene() -> list[str]:
        media, dialog, keys = Party(), Party(), list[str]()
        leg: Any = object()
        plane: Any = media
        call: Any = dialog
        on_key(plane, leg, call, keys.append)
        for handler in (*media.handlers, *dialog.handlers):
            handler("5")
        dialog.handlers[0]("6")
        return keys

    assert asyncio.run(scene()) == ["5", "6"]
