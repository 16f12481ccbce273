"""A complaint's code, read out to the customer of a call, who may have it said again by a key.

    said → waits for a key → said again … → over

Any other key ends it at once, no key does a few seconds after the last word. `Session` owns the
reader of its call, lets the two talk again when it is over, and tells the fact.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from callcenter.errors import Conflict, TelephonyError
from callcenter.events import ComplaintCodeRead, Fact, ReadOutCode
from callcenter.telephony.caller import Side
from callcenter.telephony.desk import Desk
from callcenter.telephony.keeping import Keeping
from callcenter.telephony.key_presses import on_key
from callcenter.telephony.mailbox import Happening, Pressed, SaidAll
from callcenter.telephony.ports import MediaLeg, Sound
from callcenter.telephony.prompts import AGAIN_KEY, MOST_AGAIN

PATIENCE = 5.0
"""Seconds for the key after the last word."""


class Reader:
    """Reads codes out to the customer of one call, one at a time; times are loop times.

    Belongs to the event loop's thread.
    """

    def __init__(
        self, language: str, desk: Desk, keeping: Keeping, tell: Callable[[Happening], None]
    ) -> None:
        self._language, self._desk, self._keeping, self._tell = language, desk, keeping, tell
        self._order: ReadOutCode | None = None
        self._customer: Side | None = None
        self._keyed: MediaLeg | None = None  # whose keys are taken
        self._number = 0  # of what is said now
        self._again = 0
        self._told = False
        self._deadline = math.inf
        self.silent_until = 0.0
        """Until then a customer may send no sound at all: a telephone that only listens."""

    @property
    def reads(self) -> bool:
        """Whether the customer hears a code, or is waited for."""
        return self._order is not None

    @property
    def speaks(self) -> bool:
        """Whether it is being said, and not only waited for the key."""
        return self.reads and self._deadline == math.inf

    async def begin(self, order: ReadOutCode, customer: Side) -> None:
        """The customer hears it instead of the agent, who goes on hearing the customer.

        Raises Conflict where it cannot be said.
        """
        if self._order:
            raise Conflict("the code is being read out already")
        sound = await self._make(order.code, more=True)
        self._order, self._customer, self._again, self._told = order, customer, 0, False
        self.silent_until = math.inf
        self._take_keys(customer)
        self._say(customer, sound)

    async def press(self, key: str) -> bool:
        """A key of the customer's; True when it is over with it. Raises Conflict as `begin`."""
        if self._order is None or self._customer is None:
            return False
        if key != AGAIN_KEY or self._again == MOST_AGAIN:
            return True
        self._again += 1
        sound = await self._make(self._order.code, more=self._again < MOST_AGAIN)
        self._say(self._customer, sound)
        return False

    def said(self, number: int, now: float) -> list[Fact]:
        """What of that number was said to its end: the fact, the first time. Nothing where
        something else took its place."""
        if self._order is None or number != self._number:
            return []
        self._deadline = now + PATIENCE if self._again < MOST_AGAIN else now
        if self._told:
            return []
        self._told = True
        order = self._order
        return [ComplaintCodeRead(complaint=order.complaint, call=order.call, by=order.agent)]

    def overdue(self, now: float) -> bool:
        """Whether it was said, and no key came in time."""
        return self.reads and now >= self._deadline

    def stop(self, now: float) -> bool:
        """It is over, whoever ended it; False where nothing was read out."""
        if self._order is None:
            return False
        self._order = self._customer = None
        self._deadline = math.inf
        self.silent_until = now + self._desk.settings.sip.media_timeout_seconds
        self._keeping.announced()
        return True

    async def _make(self, code: str, *, more: bool) -> Sound:
        make = self._desk.sounds.receipt
        if make is None:
            raise Conflict("nothing can be read out here")
        try:
            return await asyncio.to_thread(make, self._language, code, more)
        except TelephonyError as error:
            raise Conflict(f"the code cannot be read out: {error.detail}") from error

    def _say(self, customer: Side, sound: Sound) -> None:
        self._number += 1
        self._deadline = math.inf
        number, kept = self._number, self._keeping.announce(sound)
        playing = asyncio.ensure_future(self._desk.media.play(customer.leg, kept))
        playing.add_done_callback(lambda _: self._tell(SaidAll(number)))

    def _take_keys(self, customer: Side) -> None:
        """Once of each leg; no key is kept or logged."""
        if self._keyed is customer.leg:
            return
        self._keyed = customer.leg

        def press(key: str) -> None:
            if self._order:
                self._tell(Pressed(key))

        on_key(self._desk.media, customer.leg, customer.dialog, press)
