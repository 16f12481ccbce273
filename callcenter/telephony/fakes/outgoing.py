"""Scripted phones that are called: a `Dialler` whose called side does what a test tells it.

dialler = FakeDialler()
call = await dialler.to_number("+989121234567", "provider")
answering = asyncio.create_task(call.invite(local))
call.progress(180); call.answer()         # or call.refuse(486), call.bye(), call.hold()
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from callcenter.errors import SipFailure
from callcenter.telephony.fakes.sip import FakeReferral
from callcenter.telephony.ports import (
    Address,
    Codec,
    Direction,
    MediaDescription,
    Referral,
    SipEnd,
)

ANSWER = MediaDescription(Address("127.0.0.1", 40000), Codec.PCMU, telephone_event=101)


class FakeDialler:
    """Sends nothing; `calls` are those that were placed. `unreachable`: no way leads anywhere."""

    def __init__(self) -> None:
        self.calls: list[FakeOutboundCall] = []
        self.unreachable = False

    async def to_number(self, e164: str, trunk: str) -> FakeOutboundCall:
        """A call by a trunk."""
        return self._call(e164)

    def _call(self, to: str) -> FakeOutboundCall:
        if self.unreachable:
            raise SipFailure("No way leads there.")
        call = FakeOutboundCall(f"fake-out-{len(self.calls) + 1}", to)
        self.calls.append(call)
        return call


class FakeOutboundCall:
    """An `OutboundCall`; the methods of the lower half are the called side's doing."""

    shown: str | None = "+982112345"
    local_host = "127.0.0.1"

    def __init__(self, sip_call_id: str, to: str) -> None:
        loop = asyncio.get_running_loop()
        self.sip_call_id, self.to = sip_call_id, to
        self.heard: list[str] = []  # what the called side was told: "INVITE", "CANCEL", "BYE"
        self.status = 0
        self.local: Address | None = None
        self._ended: asyncio.Future[SipEnd] = loop.create_future()
        self._agreed: asyncio.Future[MediaDescription] = loop.create_future()
        self._on_progress: Callable[[int, MediaDescription | None], None] = lambda s, m: None
        self._on_media: Callable[[MediaDescription], None] = lambda media: None
        self._on_digit: Callable[[str], None] = lambda digit: None
        self._on_refer: Callable[[Referral], None] = lambda referral: referral.report(603)

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the call is over."""
        return asyncio.shield(self._ended)

    @property
    def over(self) -> bool:
        """Whether the call ended."""
        return self._ended.done()

    async def invite(self, local: Address) -> MediaDescription:
        """INVITE; returns at the answer. Raises SipFailure."""
        if self.over:
            raise SipFailure("The call was given up.")
        self.local = local
        self.heard.append("INVITE")
        await asyncio.wait((self._agreed, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._agreed.done():
            return self._agreed.result()
        raise SipFailure(f"The call was not answered ({self.status}).")

    def memo(self) -> dict[str, Any] | None:
        """Nobody could end it later."""
        return None

    def hang_up(self) -> None:
        """CANCEL, or BYE after the answer."""
        if self.over:
            return
        if self.local is not None:
            self.heard.append("BYE" if self._agreed.done() else "CANCEL")
        self._ended.set_result("hung_up")

    def on_progress(self, handler: Callable[[int, MediaDescription | None], None]) -> None:
        """Called with what `progress` tells."""
        self._on_progress = handler

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with what the phone wants after `change`."""
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called with each key of `press`."""
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Called with each wish of `refer`."""
        self._on_refer = handler

    # --- the called side's doing ---------------------------------------------------------------

    def progress(self, status: int = 180, *, early: bool = False) -> None:
        """It rings; `early`: with sound of its own."""
        if not self.over:
            self.status = status
            self._on_progress(status, ANSWER if early else None)

    def answer(self) -> None:
        """It is picked up."""
        if not self.over:
            self.status = 200
            self._agreed.set_result(ANSWER)

    def refuse(self, status: int = 486) -> None:
        """It is not; 408 where nobody answers at all."""
        if not self.over:
            self.status = status
            self._ended.set_result("failed" if status == 408 else "refused")

    def bye(self) -> None:
        """It hangs up."""
        if not self.over:
            self._ended.set_result("bye")

    def refer(self, user: str, *, attended: bool = False, replaced: object = None) -> FakeReferral:
        """It wants the call moved to `user`, there in the place of `replaced`."""
        referral = FakeReferral(user, attended or replaced is not None, replaced)
        self._on_refer(referral)
        return referral

    def change(self, media: MediaDescription) -> None:
        """A re-INVITE."""
        if not self.over:
            self._on_media(media)

    def resume(self) -> None:
        """The called phone takes us back."""
        self.change(ANSWER)

    def hold(self) -> None:
        """A re-INVITE that puts us on hold."""
        self.change(replace(ANSWER, direction=Direction.SENDONLY))

    def press(self, key: str) -> None:
        """A key that is told by INFO."""
        self._on_digit(key)
