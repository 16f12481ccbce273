"""The customer's side of a call: the SIP dialog, its RTP leg, what it hears while nobody talks."""

from __future__ import annotations

import asyncio

from callcenter.errors import SipFailure
from callcenter.telephony.desk import Sounds
from callcenter.telephony.mailbox import Over
from callcenter.telephony.ports import (
    DialogCall,
    Direction,
    InboundCall,
    MediaDescription,
    MediaLeg,
    MediaPlane,
    RtpLeg,
)

RINGBACK_SECONDS = 6.0


class Side:
    """One customer's phone, whoever called whom. Belongs to the event loop's thread."""

    def __init__(self, dialog: DialogCall, media: MediaPlane, sounds: Sounds) -> None:
        self.dialog = dialog
        self._media, self._sounds = media, sounds
        self._leg: RtpLeg | None = None
        self._answered = False
        self._agreed = False  # on a codec and an address, with the answer or before it
        self._holds = False
        self._expected_at = 0.0
        self._entertainment: asyncio.Task[None] | None = None

    @property
    def answered(self) -> bool:
        """Whether the phone was told 200."""
        return self._answered

    @property
    def holds(self) -> bool:
        """Whether the phone holds the call."""
        return self._holds

    @property
    def leg(self) -> RtpLeg:
        """The caller's sound; there is one from the moment the port is taken."""
        assert self._leg is not None
        return self._leg

    def take_port(self) -> None:
        """Have a port for the sound, before anybody is told that the phone rings.

        Raises NoFreePort.
        """
        if self._leg is None:
            self._leg = self._media.open_rtp(self.dialog.local_host)

    async def answer(self) -> None:
        """Be answered, if the customer waits for that. Raises Over when they are gone."""

    def hang_up(self, over: Over) -> None:
        """Tell the customer's phone, when it does not know yet."""
        self._stop_entertainment()
        self.dialog.hang_up()

    def join(self, other: MediaLeg) -> None:
        """The caller and `other` hear each other."""
        self._stop_entertainment()
        self._expected_at = _now()
        self._media.bridge(self.leg, other)

    def hear(self, other: MediaLeg) -> None:
        """The caller hears `other`, who need not hear the caller."""
        self._stop_entertainment()
        self._expected_at = _now()
        self._media.hear(self.leg, other)

    def part(self, other: MediaLeg | None) -> None:
        """The caller hears music, `other` nothing."""
        if other:
            self._media.unbridge(self.leg, other)
        self._media.play(self.leg, self._sounds.music)

    def change_media(self, wish: MediaDescription) -> bool | None:
        """Follow a re-INVITE. True: the phone holds the call; False: it talks (again);
        None: nobody has answered yet, so nothing is held."""
        if not self._agreed:
            return None
        self._follow(wish)
        return self._holds

    def silent_for(self) -> float:
        """Seconds since the last packet of the caller's sound, counted from the last time that
        sound was to be expected anew: the answer, a resume. A phone that holds owes none."""
        if not self._answered or self._holds:
            return 0.0
        return _now() - max(self.leg.alive_at, self._expected_at)

    def close(self, agent_leg: MediaLeg | None) -> None:
        """Give the port back; the agent's leg, if any, hears nothing any more."""
        if self._leg is None:
            return
        if agent_leg:
            self._media.unbridge(self._leg, agent_leg)
        self._leg.close()

    def _follow(self, wish: MediaDescription) -> None:
        self._agreed = True
        self.leg.connect(wish)
        self._holds = wish.direction in (Direction.SENDONLY, Direction.INACTIVE)
        self._expected_at = _now()

    def _stop_entertainment(self) -> None:
        if self._entertainment:
            self._entertainment.cancel()
            self._entertainment = None


class CallerSide(Side):
    """A customer who called us."""

    def __init__(self, inbound: InboundCall, media: MediaPlane, sounds: Sounds) -> None:
        super().__init__(inbound, media, sounds)
        self.inbound = inbound

    async def answer(self) -> None:
        """200 with our media address, once. Raises Over when the caller is gone, NoFreePort."""
        if self._answered:
            return
        self.take_port()
        try:
            agreed = await self.inbound.answer(self.leg.local)
        except SipFailure as failure:
            raise Over("abandoned", "customer", failure.detail) from failure
        self._answered = True
        self._follow(agreed)

    async def early(self) -> bool:
        """183: the caller hears us before the answer, where the phone can. Raises Over."""
        self.take_port()
        try:
            agreed = await self.inbound.early(self.leg.local)
        except SipFailure as failure:
            raise Over("abandoned", "customer", failure.detail) from failure
        if agreed is not None:
            self._follow(agreed)
        return agreed is not None

    async def replace(self, inbound: InboundCall) -> None:
        """That dialog is the caller's from now on; the former one ends. Raises SipFailure."""
        leg = self._media.open_rtp(inbound.local_host)
        try:
            agreed = await inbound.answer(leg.local)
        except BaseException:
            leg.close()
            raise
        self._stop_entertainment()
        former, former_leg = self.inbound, self.leg
        self.dialog = self.inbound = inbound
        self._leg = leg
        self._follow(agreed)
        former.hang_up()
        former_leg.close()

    def entertain(self) -> None:
        """Ringback first, as any phone does, then music until somebody answers."""

        async def ringback_then_music() -> None:
            self._media.play(self.leg, self._sounds.ringback)
            await asyncio.sleep(RINGBACK_SECONDS)
            self._media.play(self.leg, self._sounds.music)

        self._entertainment = asyncio.create_task(ringback_then_music())

    def hang_up(self, over: Over) -> None:
        """Tell the caller's phone, when it does not know yet."""
        self._stop_entertainment()
        if self._answered:
            self.inbound.hang_up()
        elif over.reason in ("interrupted", "failed"):
            self.inbound.reject(503, retry_after=5)
        elif over.by == "system":
            self.inbound.reject(480)


def _now() -> float:
    return asyncio.get_running_loop().time()
