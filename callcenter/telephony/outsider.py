"""Somebody at a number outside whom an agent asks during a call: a call out beside the call.

`placing` has decided that the number may be called, and for how long. Whoever answers is only
heard by the customer once the agent joins them or hands the call over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callcenter.events import ConsultationEnd, ConsultationOffered, Fact
from callcenter.ids import new_id
from callcenter.telephony.desk import Desk, WayOut
from callcenter.telephony.mailbox import PhoneAlerted, PhoneStep
from callcenter.telephony.phone import Ringing
from callcenter.telephony.ports import DialogCall, MediaDescription
from callcenter.telephony.third import Asking, Third

_NOT_THERE = frozenset({408, 480, 487})
"""What is answered where nobody picks up (RFC 3261 21.4.9, 21.4.18, 21.4.25)."""


class Outsider(Third):
    """One such call out, by `way`; `id` names it where the day's limits are counted."""

    def __init__(self, asking: Asking, way: WayOut, desk: Desk, now: float) -> None:
        super().__init__(asking, desk, now + way.ring_seconds)
        self.id, self.number = new_id(), way.number
        self._way = way
        self._ends_at: float | None = None

    @property
    def named(self) -> dict[str, Any]:
        """See Third."""
        return {"colleague": "", "number": self.number}

    def offered(self, now: float) -> list[Fact]:
        """It is about to ring there."""
        way = self._way
        call_id = way.outbound.sip_call_id
        return [
            ConsultationOffered(**self._told, **self._outside, trunk=way.trunk, sip_call_id=call_id)
        ]

    def undo(self, now: float) -> None:
        """The facts of `offered` could not be told: nothing was sent, so nothing is taken back."""

    def ring(self, tell: Callable[[PhoneStep], None]) -> bool:
        """INVITE; the asker hears that it rings."""
        outbound = self._way.outbound
        outbound.on_progress(lambda _, early: tell(PhoneAlerted(outbound, early)))
        self._desk.media.play(self._asking.leg, self._desk.sounds.ringback)
        self._ringing = Ringing([outbound], self._desk, tell)
        return True

    def alerted(self, dialog: DialogCall, early: MediaDescription | None) -> None:
        """It rings there; the asker hears the far network's own sound where it plays some."""
        side = self._ringing.side(dialog) if self._ringing else None
        if side and early and self.state == "ringing":
            side.alerted(early)
            self._desk.media.hear(self._asking.leg, side.leg)

    def pick_up(self, dialog: DialogCall, media: MediaDescription, now: float) -> list[Fact]:
        """Somebody is there; nothing where it had stopped ringing."""
        rings = self._ringing if self.state == "ringing" else None
        side = rings.pick_up(dialog, media) if rings else None
        if side is None:
            return []
        self.phone = side
        self._ends_at = now + self._way.longest.total_seconds()
        return [self.talk(side.leg)]

    @property
    def still_rings(self) -> bool:
        """Whether it rings there."""
        return self.state == "ringing"

    def phone_left(self, dialog: DialogCall) -> ConsultationEnd | None:
        """What it says of them that it rings no more."""
        how = super().phone_left(dialog)
        if how == "unreachable" and self._way.outbound.status in _NOT_THERE:
            return "no_answer"
        return how

    def outlasted(self, now: float) -> bool:
        """Whether the call out has lasted as long as it may."""
        return self._ends_at is not None and now > self._ends_at

    @property
    def _outside(self) -> dict[str, Any]:
        return {"outside": self.id}
