"""Scripted desk phones: a `Phones` whose phones do what a test tells them.

phones = FakePhones()
phones.register("201")                    # or with places=2, or phones.leave("201")
calls = phones.ring("201", caller)        # each a FakeOutboundCall: progress, answer, refuse, bye
"""

from __future__ import annotations

from collections.abc import Callable

from callcenter.telephony.fakes.outgoing import FakeOutboundCall
from callcenter.telephony.ports import Caller, InboundCall


class FakePhones:
    """Sends nothing; `calls` are those that were rung, `shown` who was shown to them."""

    def __init__(self) -> None:
        self.calls: list[FakeOutboundCall] = []
        self.shown: list[Caller] = []
        self._places: dict[str, int] = {}
        self._on_change: Callable[[str, bool], None] = lambda extension, reachable: None
        self._on_call: Callable[[str, InboundCall], None] = lambda extension, call: call.reject(403)

    def reachable(self, extension: str) -> bool:
        """Whether it is registered."""
        return self._places.get(extension, 0) > 0

    def ring(self, extension: str, caller: Caller) -> list[FakeOutboundCall]:
        """A call to each of its places."""
        first = len(self.calls) + 1
        count = self._places.get(extension, 0)
        calls = [FakeOutboundCall(f"fake-ring-{first + n}", extension) for n in range(count)]
        self.calls += calls
        self.shown.append(caller)
        return calls

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Called by `register` and `leave`."""
        self._on_change = handler

    def on_call(self, handler: Callable[[str, InboundCall], None]) -> None:
        """Called by `dial`."""
        self._on_call = handler

    # --- the phones' doing -----------------------------------------------------------------

    def dial(self, extension: str, call: InboundCall) -> None:
        """That phone calls `call.request_user`."""
        self._on_call(extension, call)

    def register(self, extension: str, places: int = 1) -> None:
        """It is at that many places now."""
        self._places[extension] = places
        self._on_change(extension, places > 0)

    def leave(self, extension: str) -> None:
        """It is nowhere."""
        self.register(extension, 0)
