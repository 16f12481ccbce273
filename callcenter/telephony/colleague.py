"""The colleague whom an agent asks during a call, in the browser or at their desk phone.

The other way, an agent at a desk phone who calls a colleague by it, is `consulting`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callcenter.errors import Conflict
from callcenter.events import ConsultationEnd, ConsultationOffered, Fact
from callcenter.telephony.acd.floor import Change
from callcenter.telephony.desk import Desk
from callcenter.telephony.mailbox import PhoneStep
from callcenter.telephony.phone import ring
from callcenter.telephony.ports import Caller, DialogCall, MediaDescription, MediaLeg
from callcenter.telephony.third import Asking, Third

RING_SECONDS = 30.0
"""How long it rings at the colleague."""


class Colleague(Third):
    """One colleague, `agent` on the floor, who is busy with it until it is over."""

    def __init__(self, asking: Asking, agent: str, desk: Desk, deadline: float) -> None:
        super().__init__(asking, desk, deadline)
        self.agent = agent

    @property
    def named(self) -> dict[str, Any]:
        """See Third."""
        return {"colleague": self.agent}

    def offered(self, now: float) -> list[Fact]:
        """It rings at the colleague. Raises Conflict where they cannot take it."""
        floor = self._desk.floor
        seat = floor.seats.get(self.agent)
        if seat is None or self.agent == self._asking.agent or not floor.has_audio(self.agent):
            raise Conflict("that agent is not available")
        changes = floor.ask(self._asking.call, self.agent, now)
        return [ConsultationOffered(**self._told), *self._desk.state_facts(changes)]

    def undo(self, now: float) -> None:
        """The facts of `offered` could not be told: they are as before."""
        self._desk.floor.undo_ask(self._asking.call, self.agent, now)

    def ring(self, tell: Callable[[PhoneStep], None]) -> bool:
        """Let the colleague's desk phone ring, if they talk by one; the asker hears that it rings.

        False where the phone cannot be reached.
        """
        seat = self._desk.floor.seats.get(self._asking.agent)
        shown = Caller(seat.phone or seat.extension, seat.username) if seat else Caller(None, None)
        self._ringing = ring(self._desk, self.agent, shown, tell)
        self._desk.media.play(self._asking.leg, self._desk.sounds.ringback)
        return self._ringing is None or bool(self._ringing)

    @property
    def by_phone(self) -> bool:
        """Whether it rings at a desk phone."""
        return self._ringing is not None

    @property
    def still_rings(self) -> bool:
        """Whether it rings at the colleague and they are still there."""
        return self.state == "ringing" and self._desk.floor.rings_at(self._asking.call, self.agent)

    def pick_up(self, dialog: DialogCall, media: MediaDescription, now: float) -> list[Fact]:
        """The colleague picked up that desk phone; nothing where it had stopped ringing."""
        side = self._ringing.pick_up(dialog, media) if self._ringing and self.still_rings else None
        if side is None:
            return []
        self.phone = side
        return self.answered(side.leg, now)

    def answered(self, leg: MediaLeg, now: float) -> list[Fact]:
        """The two colleagues hear each other; the customer does not."""
        changes = self._desk.floor.answer(self._asking.call, self.agent, now)
        return [self.talk(leg), *self._desk.state_facts(changes)]

    def go(self, how: ConsultationEnd, now: float) -> list[Fact]:
        """It is over for the colleague, who is free again."""
        facts, floor = super().go(how, now), self._desk.floor
        changes: list[Change] = floor.stop_ringing(
            self.agent, now, unanswered=how in ("no_answer", "unreachable")
        )
        changes += floor.finish_call(self.agent, now, wrap_up=0) if self.leg else []
        return [*facts, *self._desk.state_facts(changes)]
