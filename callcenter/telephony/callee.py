"""The customer's side of a call of ours: INVITE, early sound, the answer."""

from __future__ import annotations

from callcenter.telephony.caller import Side
from callcenter.telephony.desk import Sounds
from callcenter.telephony.ports import MediaDescription, MediaLeg, MediaPlane, OutboundCall


class CalleeSide(Side):
    """A customer whom an agent calls; `agent_leg` hears how far the call got. Where the agent
    talks by a desk phone it is there once that was picked up."""

    def __init__(
        self,
        outbound: OutboundCall,
        agent_leg: MediaLeg | None,
        media: MediaPlane,
        sounds: Sounds,
    ) -> None:
        super().__init__(outbound, media, sounds)
        self.outbound = outbound
        self.agent_leg = agent_leg
        self._early = self._talked = False

    async def invite(self) -> MediaDescription:
        """INVITE from a port of ours; returns at the answer. Raises SipFailure, NoFreePort."""
        self.take_port()
        return await self.outbound.invite(self.leg.local)

    def alert(self, early: MediaDescription | None) -> None:
        """The agent hears the far network's own sound where it plays some, else ringback."""
        assert self.agent_leg is not None
        if early and not self._answered:
            self._early = True
            self._follow(early)
            self._media.bridge(self.leg, self.agent_leg)
        elif not self._early:
            self._media.play(self.agent_leg, self._sounds.ringback)

    def picked_up(self, media: MediaDescription) -> None:
        """The customer hears us, and nobody yet."""
        assert self.agent_leg is not None
        self._answered = True
        self._follow(media)
        self._media.unbridge(self.leg, self.agent_leg)

    def talk(self) -> None:
        """The two hear each other."""
        assert self.agent_leg is not None
        self._talked = True
        self.join(self.agent_leg)

    def quiet(self) -> None:
        """The agent hears nothing of this call any more."""
        if not self._talked and self.agent_leg:
            self._media.silence(self.agent_leg)

    @property
    def reason(self) -> str:
        """Why it was not answered, as far as the peer said."""
        status = self.outbound.status
        return f"SIP {status}" if status else "nothing was heard"
