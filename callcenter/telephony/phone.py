"""The agent's side of a call where the agent has a desk phone: it rings, it is picked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal

import structlog

from callcenter.errors import CallcenterError, SipFailure
from callcenter.ids import new_id
from callcenter.telephony.caller import Side
from callcenter.telephony.desk import Desk
from callcenter.telephony.mailbox import (
    PhoneLeft,
    PhoneMedia,
    PhonePickedUp,
    PhoneReferred,
    PhoneStep,
)
from callcenter.telephony.ports import (
    Caller,
    DialogCall,
    InboundCall,
    MediaDescription,
    OutboundCall,
)

DECLINING = frozenset({486, 600, 603})
"""What a phone answers whose owner does not want the call (RFC 3261 21.4.18, 21.6.1, 21.6.2)."""
_LOGGER = structlog.get_logger()


class NoPhones:
    """`Phones` of a backend that takes no registrations."""

    def reachable(self, extension: str) -> bool:
        """It is not."""
        return False

    def ring(self, extension: str, caller: Caller) -> list[OutboundCall]:
        """Nowhere."""
        return []

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Nothing changes."""

    def on_call(self, handler: Callable[[str, InboundCall], None]) -> None:
        """Nobody calls."""


class PhoneSide(Side):
    """One place where the agent's phone rings, with a port of its own for the sound."""

    def __init__(self, outbound: OutboundCall, desk: Desk) -> None:
        super().__init__(outbound, desk.media, desk.sounds)
        self.id = new_id()  # names its dialog while it is open
        self.outbound = outbound
        self._desk = desk
        self._is_over = False

    async def invite(self) -> MediaDescription:
        """INVITE; returns at the answer. Raises SipFailure, NoFreePort."""
        if self._is_over:
            raise SipFailure("The phone need not ring any more.")
        self.take_port()
        return await self.outbound.invite(self.leg.local)

    def picked_up(self, media: MediaDescription) -> None:
        """The agent is there."""
        self._answered = True
        self._follow(media)
        self.keep_dialog()

    def alerted(self, early: MediaDescription) -> None:
        """It rings, with sound of its network that can be heard from now on."""
        self._follow(early)

    def keep_dialog(self) -> None:
        """Should we be killed, the next process ends the dialog."""
        self._desk.keep_dialog(self.id, self.outbound.memo())

    def let_go(self) -> None:
        """CANCEL or BYE, where the phone does not know yet; the port is given back."""
        self._is_over = True
        self.outbound.hang_up()
        if self.answered:
            self._desk.keep_dialog(self.id, None)
        self.close(None)


class Ringing:
    """Every place where the agent's phone rings for one call; `tell` hears what comes of it."""

    def __init__(
        self, calls: Iterable[OutboundCall], desk: Desk, tell: Callable[[PhoneStep], None]
    ) -> None:
        self._sides: dict[DialogCall, PhoneSide] = {call: PhoneSide(call, desk) for call in calls}
        self._tell = tell
        self._tasks = [asyncio.create_task(self._follow(side)) for side in self._sides.values()]

    def __bool__(self) -> bool:
        """Whether it rings anywhere."""
        return bool(self._sides)

    def pick_up(self, dialog: DialogCall, media: MediaDescription) -> PhoneSide | None:
        """Here the agent is; everywhere else it stops ringing. None: it had stopped already."""
        side = self._sides.pop(dialog, None)
        if side is not None:
            self.stop()
            side.picked_up(media)
        return side

    def side(self, dialog: DialogCall) -> PhoneSide | None:
        """The place where that is; None where it rings no more."""
        return self._sides.get(dialog)

    def left(self, dialog: DialogCall) -> Literal["declined", "unreachable"] | None:
        """It does not ring there any more: what that says of the agent, None while it rings
        elsewhere."""
        side = self._sides.pop(dialog, None)
        if side is None:
            return None
        side.let_go()
        if side.outbound.status in DECLINING:
            return "declined"
        return None if self._sides else "unreachable"

    def stop(self) -> None:
        """It rings nowhere any more."""
        for side in self._sides.values():
            side.let_go()
        self._sides.clear()

    async def _follow(self, side: PhoneSide) -> None:
        """From the INVITE to the end of the dialog."""
        dialog = side.outbound
        dialog.on_media(lambda wish: self._tell(PhoneMedia(dialog, wish)))
        dialog.on_refer(lambda referral: self._tell(PhoneReferred(dialog, referral)))
        try:
            self._tell(PhonePickedUp(dialog, await side.invite()))
            self._tell(PhoneLeft(dialog, await dialog.ended))
        except SipFailure:
            self._tell(PhoneLeft(dialog, "refused"))
        except CallcenterError as error:
            _LOGGER.warning("desk phone not rung", problem=error.slug)
            self._tell(PhoneLeft(dialog, "failed"))


def ring(
    desk: Desk, agent: str, caller: Caller, tell: Callable[[PhoneStep], None]
) -> Ringing | None:
    """Let the agent's desk phone ring; None where the agent talks in the browser."""
    extension = desk.floor.phone_of(agent)
    if extension is None:
        return None
    return Ringing(desk.phones.ring(extension, caller), desk, tell)
