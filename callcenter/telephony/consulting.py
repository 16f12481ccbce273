"""An agent at a desk phone asks a colleague before handing the call over: the second call of
that phone, up to the attended transfer (RFC 5589 7). The customer is on hold meanwhile.

Who asks calls the colleague's extension; the colleague's desk phone rings. Nobody else is called
like this: no customer, no number outside. What the two say is not recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from callcenter.errors import Conflict
from callcenter.ids import new_id
from callcenter.telephony.caller import CallerSide
from callcenter.telephony.desk import Desk
from callcenter.telephony.mailbox import (
    MediaChanged,
    PhoneLeft,
    PhoneMedia,
    PhonePickedUp,
    PhoneReferred,
    PhoneStep,
)
from callcenter.telephony.phone import PhoneSide, Ringing, ring
from callcenter.telephony.ports import Caller, InboundCall, Referral, SipEnd

RING_SECONDS = 30.0
"""How long the colleague's phone rings."""
_LOGGER = structlog.get_logger()


class Consultation:
    """One such call of `agent`'s, beside the call `call`. It runs by itself until it is over.

    `tell` hears what the colleague's phone does once the call was handed over to it.
    """

    def __init__(
        self,
        call: str,
        agent: str,
        inbound: InboundCall,
        desk: Desk,
        tell: Callable[[PhoneStep], None],
    ) -> None:
        self._call, self._agent, self._desk = call, agent, desk
        self._id = new_id()  # names the dialog while it is open
        self._inbound = inbound
        self._side = CallerSide(inbound, desk.media, desk.sounds)
        self._tell_session = tell
        self._mailbox: asyncio.Queue[PhoneStep | MediaChanged | SipEnd] = asyncio.Queue()
        self._colleague: str | None = None
        self._phone: PhoneSide | None = None
        self._handed_over = False
        inbound.on_media(lambda wish: self._mailbox.put_nowait(MediaChanged(wish)))
        self._watcher = asyncio.create_task(self._watch())
        self._life = asyncio.create_task(self._live(), name=f"consultation {self._id}")

    @property
    def is_over(self) -> bool:
        """Whether the phone may call somebody else."""
        return self._life.done()

    def asks(self, agent: str) -> bool:
        """Whether that is the colleague, and they are asked now."""
        return agent == self._colleague and not self.is_over

    def hand_over(self, referral: Referral) -> tuple[str, PhoneSide] | None:
        """The colleague and their phone, if they talk and it is this call that `referral` names.

        This call is over then, the phone's call with the colleague is not.
        """
        if self._phone is None or self._colleague is None or self.is_over:
            return None
        if not referral.replaces(self._inbound):
            return None
        self._handed_over = True
        colleague, phone = self._colleague, self._phone
        self._side.close(phone.leg)
        self._life.cancel()
        while not self._mailbox.empty():  # what the colleague did meanwhile concerns the call
            if isinstance(happened := self._mailbox.get_nowait(), PhoneStep):
                self._tell_session(happened)
        return colleague, phone

    async def stop(self) -> None:
        """Nobody needs it any more; both hear so."""
        self._life.cancel()
        await asyncio.wait([self._life])

    # --- Inside ---

    async def _live(self) -> None:
        ringing: Ringing | None = None
        try:
            ringing = await self._begin()
            if ringing:
                self._inbound.ring()
                await self._converse(ringing)
        except Exception as error:  # no port, no database, or who asks is gone
            _LOGGER.warning("consultation failed", call=self._call, error=type(error).__name__)
            self._refuse(503)
        finally:
            if ringing:
                ringing.stop()
            await self._end()

    async def _begin(self) -> Ringing | None:
        """Whose phone rings, and that the colleague is busy with it; None: refused."""
        colleague, extension = self._whom()
        if colleague is None:
            self._refuse(404)
            return None
        if extension is None or not self._desk.phones.reachable(extension):
            self._refuse(480)  # not free, or not at a phone that can be rung
            return None
        self._side.take_port()
        floor, now = self._desk.floor, asyncio.get_running_loop().time()
        try:
            changes = floor.dial(self._call, colleague, now)
        except Conflict:
            self._refuse(480)
            return None
        self._colleague = colleague
        try:
            await self._desk.commit(*self._desk.state_facts(changes))
        except Exception:
            floor.undo_dial(self._call, colleague, now)
            self._colleague = None
            raise
        phone = ring(self._desk, colleague, self._shown(), self._tell)
        if not phone:
            self._refuse(480)
        return phone or None

    async def _converse(self, ringing: Ringing) -> None:
        """Until one of the two hangs up."""
        deadline: float | None = asyncio.get_running_loop().time() + RING_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    happening = await self._mailbox.get()
            except TimeoutError:
                self._refuse(480)
                return
            match happening:
                case PhonePickedUp(dialog, media) if self._phone is None:
                    if side := ringing.pick_up(dialog, media):
                        self._phone, deadline = side, None
                        await self._side.answer()
                        self._keep_dialog()
                        self._side.join(side.leg)
                        await self._desk.record()  # sound first, then what a kill leaves open
                case PhoneLeft(dialog) if self._phone is None:
                    if why := ringing.left(dialog):
                        self._refuse(486 if why == "declined" else 480)
                        return
                case PhoneLeft(dialog) if self._phone and dialog is self._phone.dialog:
                    return
                case PhoneMedia(dialog, wish) if self._phone and dialog is self._phone.dialog:
                    self._phone.change_media(wish)
                    self._phone.keep_dialog()
                case PhoneReferred(_, referral):
                    referral.report(480)  # the colleague has no customer to pass on yet
                case MediaChanged(wish):
                    self._side.change_media(wish)
                    self._keep_dialog()
                case str():
                    return

    async def _end(self) -> None:
        """Everything is given back; after a transfer the colleague goes on talking."""
        self._watcher.cancel()
        self._inbound.hang_up()
        if self._side.answered:
            self._desk.keep_dialog(self._id, None)
        if self._handed_over:
            await self._desk.record()
            return
        if self._phone:
            self._phone.let_go()
        self._side.close(self._phone.leg if self._phone else None)
        if self._colleague is not None:
            now = asyncio.get_running_loop().time()
            changes = self._desk.floor.finish_call(self._colleague, now, wrap_up=0)
            await self._desk.record(*self._desk.state_facts(changes))
            self._desk.distribute()

    def _whom(self) -> tuple[str | None, str | None]:
        """The colleague of the extension that was dialled, and their phone if they talk by one."""
        floor = self._desk.floor
        seat = floor.seat_called(self._inbound.request_user)
        if seat is None or seat.agent == self._agent:
            return None, None
        free = seat.state.name == "available"
        return seat.agent, floor.phone_of(seat.agent) if free else None

    def _shown(self) -> Caller:
        """Who asks, by extension and user name."""
        seat = self._desk.floor.seats.get(self._agent)
        return Caller(seat.phone if seat else None, seat.username if seat else None)

    def _refuse(self, status: int) -> None:
        """A final answer, where there was none."""
        if not self._side.answered:
            self._inbound.reject(status)

    def _keep_dialog(self) -> None:
        """Should we be killed, the next process ends the dialog."""
        self._desk.keep_dialog(self._id, self._inbound.memo())

    def _tell(self, step: PhoneStep) -> None:
        if self._handed_over:
            self._tell_session(step)
        else:
            self._mailbox.put_nowait(step)

    async def _watch(self) -> None:
        self._mailbox.put_nowait(await asyncio.shield(self._inbound.ended))
