"""Whoever an agent asks during a call: heard by the agent alone, then by all. The sound of it.

    ringing → talking (the customer waits with music) → joined (a conference of three)
                ⇅ held (the agent is with the customer, the third one waits with music)

`Session` owns the one of its call and follows what people do; this moves sound and returns what
became true as facts. Who it is: a `Colleague`, or an `Outsider` at a number outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from callcenter.events import (
    ConferenceBegan,
    ConsultationAnswered,
    ConsultationEnd,
    ConsultationEnded,
    ConsultationHeld,
    ConsultationResumed,
    Fact,
)
from callcenter.telephony.caller import Side
from callcenter.telephony.desk import Desk
from callcenter.telephony.phone import PhoneSide, Ringing
from callcenter.telephony.ports import DialogCall, MediaLeg


@dataclass(frozen=True, slots=True)
class Asking:
    """The agent who asks, in which call, by which sound."""

    call: str
    agent: str
    leg: MediaLeg


class Third:
    """One of them. `deadline` is when it has rung for long enough (loop time)."""

    def __init__(self, asking: Asking, desk: Desk, deadline: float) -> None:
        self.state: Literal["ringing", "talking", "held", "joined"] = "ringing"
        self.phone: PhoneSide | None = None
        self.leg: MediaLeg | None = None
        self._asking, self._desk, self._deadline = asking, desk, deadline
        self._ringing: Ringing | None = None
        self._mixes: list[MediaLeg] = []

    @property
    def named(self) -> dict[str, Any]:
        """Who it is, as facts say it."""
        raise NotImplementedError

    def overdue(self, now: float) -> bool:
        """Whether it has rung for long enough."""
        return self.state == "ringing" and now >= self._deadline

    def talks_by(self, dialog: DialogCall) -> bool:
        """Whether that is their telephone, picked up."""
        return self.phone is not None and dialog is self.phone.dialog

    def phone_left(self, dialog: DialogCall) -> ConsultationEnd | None:
        """What it says of them that this phone rings no more; None while another does."""
        return self._ringing.left(dialog) if self._ringing else None

    def talk(self, leg: MediaLeg) -> Fact:
        """They answered: the two hear each other, the customer does not."""
        self.state, self.leg = "talking", leg
        self._desk.media.bridge(self._asking.leg, leg)
        return ConsultationAnswered(**self._told, **self._outside)

    def hold(self) -> Fact:
        """They hear music; whom the agent hears is for `Session` to say."""
        assert self.leg is not None
        self._desk.media.play(self.leg, self._desk.sounds.music)
        self.state = "held"
        return ConsultationHeld(**self._told)

    def resume(self) -> Fact:
        """The two hear each other again."""
        assert self.leg is not None
        self._desk.media.bridge(self._asking.leg, self.leg)
        self.state = "talking"
        return ConsultationResumed(**self._told)

    def join(self, customer: Side) -> MediaLeg:
        """All three hear each other. Returns what the agent and they say together.

        Again where the customer talks on another leg.
        """
        assert self.leg is not None
        media, agent = self._desk.media, self._asking.leg
        self._part()
        both = media.mix(agent, self.leg)
        for_agent, for_them = (media.mix(customer.leg, other) for other in (self.leg, agent))
        self._mixes = [both, for_agent, for_them]
        customer.hear(both)
        media.hear(agent, for_agent)
        media.hear(self.leg, for_them)
        self.state = "joined"
        return both

    def joined(self) -> Fact:
        """That they do."""
        return ConferenceBegan(**self._told)

    def hand_over(self) -> Fact:
        """They have the call from now on, with `leg` and `phone`; this is over."""
        self._part()
        return self._ended("handed_over")

    def go(self, how: ConsultationEnd, now: float) -> list[Fact]:
        """It is over for them."""
        self._part()
        if self.leg and self.state == "held":
            self._desk.media.silence(self.leg)  # the agent is with the customer
        elif self.leg:
            self._desk.media.unbridge(self._asking.leg, self.leg)
        else:
            self._desk.media.silence(self._asking.leg)
        if self.phone:
            self.phone.let_go()
        if self._ringing:
            self._ringing.stop()
        return [self._ended(how)]

    @property
    def _told(self) -> dict[str, Any]:
        return {"call": self._asking.call, "agent": self._asking.agent, **self.named}

    @property
    def _outside(self) -> dict[str, Any]:
        """The call out that it is, where it is one."""
        return {}

    def _part(self) -> None:
        for mix in self._mixes:
            mix.close()
        self._mixes = []

    def _ended(self, how: ConsultationEnd) -> Fact:
        return ConsultationEnded(**self._told, **self._outside, reason=how)
