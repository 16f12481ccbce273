"""Scripted telephones: a `SipBackend` whose callers do what a test tells them.

sip = FakeSipBackend()
await sip.start(on_call)
call = sip.invite(user="100", number="+989121234567")
call.said                     # ["180", "200", …]: what the caller was told so far
call.cancel()                 # or call.bye(), call.hold(), call.lose_ack()
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from callcenter.errors import SipFailure
from callcenter.telephony.ports import (
    Address,
    Caller,
    Codec,
    Direction,
    InboundCall,
    MediaDescription,
    Referral,
    SipEnd,
)

OFFER = MediaDescription(Address("127.0.0.1", 40000), Codec.PCMU, telephone_event=101)


class FakeSipBackend:
    """Takes no datagrams; `invite` is the network."""

    def __init__(self) -> None:
        self.calls: list[FakeCall] = []
        self.goodbyes: list[dict[str, Any]] = []
        self._on_call: Callable[[InboundCall], None] | None = None

    async def start(self, on_call: Callable[[InboundCall], None]) -> None:
        """Take calls from now on."""
        self._on_call = on_call

    async def stop(self) -> None:
        """Take no more calls."""
        self._on_call = None

    def active(self) -> int:
        """How many calls are not over."""
        return sum(not call.over for call in self.calls)

    async def say_goodbye(self, memo: dict[str, Any]) -> None:
        """Note it."""
        self.goodbyes.append(memo)

    def describe(self) -> dict[str, Any]:
        """Nobody is refused here."""
        return {"refused": {}, "banned": 0, "registrations": {}}

    def invite(
        self,
        user: str = "100",
        number: str | None = "+989121234567",
        name: str | None = None,
        *,
        trunk: str = "local",
        media: MediaDescription = OFFER,
        late_offer: bool = False,
    ) -> FakeCall:
        """A caller dials `user`. With `late_offer` nothing is agreed before `acknowledge`."""
        assert self._on_call is not None, "start() comes first"
        script = Script(user, Caller(number, name), trunk, media, late_offer)
        call = FakeCall(f"fake-{len(self.calls) + 1}", script)
        self.calls.append(call)
        self._on_call(call)
        return call


@dataclass(frozen=True, slots=True)
class Script:
    """Who calls, and what the caller's telephone wants."""

    user: str
    caller: Caller
    trunk: str
    media: MediaDescription
    late_offer: bool


class FakeCall:
    """An `InboundCall`; the methods of the lower half are the caller's doing."""

    def __init__(self, sip_call_id: str, script: Script) -> None:
        loop = asyncio.get_running_loop()
        self.said: list[str] = []  # what the caller was told: "180", "200", "486", "BYE" …
        self.local: Address | None = None  # where the caller sends sound to
        self._id = sip_call_id
        self._script = script
        self._ended: asyncio.Future[SipEnd] = loop.create_future()
        self._agreed: asyncio.Future[MediaDescription] = loop.create_future()
        self._on_media: Callable[[MediaDescription], None] = lambda media: None
        self._on_digit: Callable[[str], None] = lambda digit: None
        self._on_refer: Callable[[Referral], None] = lambda referral: referral.report(603)
        self._on_replace: Callable[[InboundCall], None] = lambda call: call.reject(603)

    @property
    def sip_call_id(self) -> str:
        """The Call-ID header."""
        return self._id

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self._script.caller

    @property
    def request_user(self) -> str:
        """The number that was dialled."""
        return self._script.user

    @property
    def trunk(self) -> str:
        """Name of the trunk."""
        return self._script.trunk

    @property
    def local_host(self) -> str:
        """Always 127.0.0.1."""
        return "127.0.0.1"

    @property
    def ended(self) -> Awaitable[SipEnd]:
        """Done when the call is over."""
        return asyncio.shield(self._ended)

    @property
    def over(self) -> bool:
        """Whether the call ended."""
        return self._ended.done()

    @property
    def answered(self) -> bool:
        """Whether the caller got a 200."""
        return self.local is not None

    def ring(self) -> None:
        """180; nothing once answered or over."""
        if not self.over and not self.answered:
            self.said.append("180")

    async def early(self, local: Address) -> MediaDescription | None:
        """183. None for a late offer. Raises SipFailure when the caller is gone."""
        if self.over or self.answered:
            raise SipFailure("The caller is gone.")
        if self._script.late_offer:
            return None
        self.said.append("183")
        return self._script.media

    async def answer(self, local: Address) -> MediaDescription:
        """200. Raises SipFailure when the caller is gone."""
        if self.over or self.answered:
            raise SipFailure("The caller is gone.")
        self.local = local
        self.said.append("200")
        if not self._script.late_offer:
            return self._script.media
        await asyncio.wait((self._agreed, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if self._agreed.done():
            return self._agreed.result()
        raise SipFailure("The caller never agreed to a codec.")

    def memo(self) -> dict[str, Any] | None:
        """The call's own name is enough here."""
        return {"call": self._id}

    def reject(self, status: int, *, retry_after: int | None = None) -> None:
        """A final refusal; nothing once answered or over."""
        if not self.over and not self.answered:
            self.said.append(str(status))
            self._end("refused")

    def hang_up(self) -> None:
        """BYE, or 603 before the answer."""
        if not self.over:
            self.said.append("BYE" if self.answered else "603")
            self._end("hung_up")

    def on_media(self, handler: Callable[[MediaDescription], None]) -> None:
        """Called with what the caller's telephone wants after `change`."""
        self._on_media = handler

    def on_digit(self, handler: Callable[[str], None]) -> None:
        """Called with each key of `press`."""
        self._on_digit = handler

    def on_refer(self, handler: Callable[[Referral], None]) -> None:
        """Called with each wish of `refer`."""
        self._on_refer = handler

    def on_replace(self, handler: Callable[[InboundCall], None]) -> None:
        """Called with the call of `replace`."""
        self._on_replace = handler

    # --- the caller's doing --------------------------------------------------------------------

    def cancel(self) -> None:
        """The caller gives up before the answer; afterwards it changes nothing."""
        if not self.answered:
            self._end("cancelled")

    def bye(self) -> None:
        """The caller hangs up."""
        self._end("bye" if self.answered else "cancelled")

    def lose_ack(self) -> None:
        """No ACK ever came for the 200."""
        self._end("no_ack")

    def acknowledge(self) -> None:
        """The ACK of a late offer, with the caller's answer in it."""
        if not self.over and not self._agreed.done():
            self._agreed.set_result(self._script.media)

    def change(self, media: MediaDescription) -> None:
        """A re-INVITE."""
        if not self.over:
            self._on_media(media)

    def press(self, key: str) -> None:
        """The caller presses a key; the telephone tells it by INFO."""
        self._on_digit(key)

    def refer(self, user: str, *, attended: bool = False) -> FakeReferral:
        """The caller's PBX wants the call moved to `user`."""
        referral = FakeReferral(user, attended)
        self._on_refer(referral)
        return referral

    def replace(self, by: FakeCall) -> None:
        """Another call is to take this one's place."""
        self._on_replace(by)

    def hold(self) -> None:
        """A re-INVITE that puts us on hold."""
        self.change(replace(self._script.media, direction=Direction.SENDONLY))

    def resume(self) -> None:
        """A re-INVITE that takes us off hold."""
        self.change(self._script.media)

    def _end(self, reason: SipEnd) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)


@dataclass
class FakeReferral:
    """A `Referral`; `told` is what its sender heard, `replaced` the call that it names."""

    user: str
    attended: bool = False
    replaced: object = None
    told: list[int] = field(default_factory=list)

    def replaces(self, call: object) -> bool:
        """Whether it names that call."""
        return self.replaced is call

    def report(self, status: int) -> None:
        """Nothing follows the last word."""
        if not self.told or self.told[-1] < 200:
            self.told.append(status)
