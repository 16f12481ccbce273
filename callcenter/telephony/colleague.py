"""The colleague whom an agent asks during a call: rung, heard by the agent alone, then by all.

    ringing → talking (the customer waits with music) → joined (a conference of three)
                ⇅ held (the agent is with the customer, the colleague waits with music)

`Session` owns the one of its call and follows what people do; this moves sound and the floor, and
returns what became true as facts. The other way, an agent at a desk phone who calls a colleague by
it, is `consulting`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from callcenter.errors import Conflict
from callcenter.events import (
    ConferenceBegan,
    ConsultationAnswered,
    ConsultationEnd,
    ConsultationEnded,
    ConsultationHeld,
    ConsultationOffered,
    ConsultationResumed,
    Fact,
)
from callcenter.telephony.acd.floor import Change
from callcenter.telephony.caller import Side
from callcenter.telephony.desk import Desk
from callcenter.telephony.mailbox import PhoneStep
from callcenter.telephony.phone import PhoneSide, Ringing, ring
from callcenter.telephony.ports import Caller, DialogCall, MediaDescription, MediaLeg

RING_SECONDS = 30.0
"""How long it rings at the colleague."""


class Colleague:
    """One colleague, asked by `asker` in the call `call`. `agent_leg` is the asker's sound."""

    def __init__(
        self, call: str, asker: str, agent: str, agent_leg: MediaLeg, desk: Desk, deadline: float
    ) -> None:
        self.agent = agent
        self.state: Literal["ringing", "talking", "held", "joined"] = "ringing"
        self.phone: PhoneSide | None = None
        self.leg: MediaLeg | None = None
        self._call, self._asker, self._agent_leg = call, asker, agent_leg
        self._desk, self._deadline = desk, deadline
        self._ringing: Ringing | None = None
        self._mixes: list[MediaLeg] = []

    def offered(self, now: float) -> list[Fact]:
        """It rings at the colleague. Raises Conflict where they cannot take it."""
        floor = self._desk.floor
        seat = floor.seats.get(self.agent)
        if seat is None or self.agent == self._asker or not floor.has_audio(self.agent):
            raise Conflict("that agent is not available")
        changes = floor.ask(self._call, self.agent, now)
        fact = ConsultationOffered(call=self._call, agent=self._asker, colleague=self.agent)
        return [fact, *self._desk.state_facts(changes)]

    def ring(self, tell: Callable[[PhoneStep], None]) -> bool:
        """Let the colleague's desk phone ring, if they talk by one; the asker hears that it rings.

        False where the phone cannot be reached.
        """
        seat = self._desk.floor.seats.get(self._asker)
        shown = Caller(seat.phone or seat.extension, seat.username) if seat else Caller(None, None)
        self._ringing = ring(self._desk, self.agent, shown, tell)
        self._desk.media.play(self._agent_leg, self._desk.sounds.ringback)
        return self._ringing is None or bool(self._ringing)

    def overdue(self, now: float) -> bool:
        """Whether it has rung for long enough."""
        return self.state == "ringing" and now >= self._deadline

    @property
    def by_phone(self) -> bool:
        """Whether it rings at a desk phone."""
        return self._ringing is not None

    @property
    def still_rings(self) -> bool:
        """Whether it rings at the colleague and they are still there."""
        return self.state == "ringing" and self._desk.floor.rings_at(self._call, self.agent)

    def talks_by(self, dialog: DialogCall) -> bool:
        """Whether that is the colleague's desk phone, picked up."""
        return self.phone is not None and dialog is self.phone.dialog

    def pick_up(self, dialog: DialogCall, media: MediaDescription, now: float) -> list[Fact]:
        """The colleague picked up that desk phone; nothing where it had stopped ringing."""
        side = self._ringing.pick_up(dialog, media) if self._ringing and self.still_rings else None
        if side is None:
            return []
        self.phone = side
        return self.answered(side.leg, now)

    def phone_left(self, dialog: DialogCall) -> Literal["declined", "unreachable"] | None:
        """What it says of the colleague that this phone rings no more; None while another does."""
        return self._ringing.left(dialog) if self._ringing else None

    def answered(self, leg: MediaLeg, now: float) -> list[Fact]:
        """The two colleagues hear each other; the customer does not."""
        changes = self._desk.floor.answer(self._call, self.agent, now)
        self.state, self.leg = "talking", leg
        self._desk.media.bridge(self._agent_leg, leg)
        fact = ConsultationAnswered(call=self._call, agent=self._asker, colleague=self.agent)
        return [fact, *self._desk.state_facts(changes)]

    def hold(self) -> Fact:
        """The colleague hears music; whom the agent hears is for the caller to say."""
        assert self.leg is not None
        self._desk.media.play(self.leg, self._desk.sounds.music)
        self.state = "held"
        return ConsultationHeld(call=self._call, agent=self._asker, colleague=self.agent)

    def resume(self) -> Fact:
        """The two colleagues hear each other again."""
        assert self.leg is not None
        self._desk.media.bridge(self._agent_leg, self.leg)
        self.state = "talking"
        return ConsultationResumed(call=self._call, agent=self._asker, colleague=self.agent)

    def join(self, customer: Side) -> MediaLeg:
        """All three hear each other. Returns what the two agents say together.

        Again where the customer talks on another leg.
        """
        assert self.leg is not None
        media = self._desk.media
        self._part()
        agents = media.mix(self._agent_leg, self.leg)
        for_agent, for_colleague = (
            media.mix(customer.leg, other) for other in (self.leg, self._agent_leg)
        )
        self._mixes = [agents, for_agent, for_colleague]
        customer.hear(agents)
        media.hear(self._agent_leg, for_agent)
        media.hear(self.leg, for_colleague)
        self.state = "joined"
        return agents

    def joined(self) -> Fact:
        """That they do."""
        return ConferenceBegan(call=self._call, agent=self._asker, colleague=self.agent)

    def hand_over(self) -> Fact:
        """The colleague has the call from now on, with `leg` and `phone`; this is over."""
        self._part()
        return self._ended("handed_over")

    def go(self, how: ConsultationEnd, now: float) -> list[Fact]:
        """It is over for the colleague, who is free again."""
        self._part()
        floor = self._desk.floor
        if self.leg and self.state == "held":
            self._desk.media.silence(self.leg)  # the agent is with the customer
        elif self.leg:
            self._desk.media.unbridge(self._agent_leg, self.leg)
        else:
            self._desk.media.silence(self._agent_leg)
        if self.phone:
            self.phone.let_go()
        if self._ringing:
            self._ringing.stop()
        changes: list[Change] = floor.stop_ringing(
            self.agent, now, unanswered=how in ("no_answer", "unreachable")
        )
        changes += floor.finish_call(self.agent, now, wrap_up=0) if self.leg else []
        return [self._ended(how), *self._desk.state_facts(changes)]

    def _part(self) -> None:
        for mix in self._mixes:
            mix.close()
        self._mixes = []

    def _ended(self, how: ConsultationEnd) -> Fact:
        return ConsultationEnded(
            call=self._call, agent=self._asker, colleague=self.agent, reason=how
        )
