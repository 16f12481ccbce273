"""Reliable provisional responses (RFC 3262): repeated until their PRACK comes."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Literal

from callcenter.telephony.sip.message import Message, Request, Response
from callcenter.telephony.sip.server import InviteServer
from callcenter.telephony.sip.timers import T1, Agenda, Timed

TAG = "100rel"  # the option tag
_RACK = re.compile(r"(\d{1,10})\s+(\d{1,10})\s+(\S+)", re.ASCII)

Wish = Literal["no", "may", "must"]


def wish_of(invite: Request) -> Wish:
    """Whether provisional responses may or must be reliable."""
    if TAG in _tags(invite, "Require"):
        return "must"
    return "may" if TAG in _tags(invite, "Supported") else "no"


def _tags(message: Message, name: str) -> list[str]:
    return [tag.lower() for tag in message.headers.values(name)]


class Provisionals(Timed):
    """Those of one INVITE. One is out at a time; the next waits for the PRACK of the one before.

    `give_up` is called with the time when no PRACK came for 64*T1. `first` numbers the first.
    """

    def __init__(
        self,
        agenda: Agenda,
        transaction: InviteServer,
        first: int,
        give_up: Callable[[float], None],
    ) -> None:
        super().__init__(agenda)
        self._transaction = transaction
        self._number = first
        self._give_up = give_up
        self._out: Response | None = None
        self._out_number = 0
        self._waiting: deque[Response] = deque()
        self._interval = T1

    @property
    def acknowledged(self) -> bool:
        """Whether every one that was sent has its PRACK."""
        return self._out is None

    @property
    def described(self) -> bool:
        """Whether the one that is out carries a session description."""
        return self._out is not None and bool(self._out.body)

    def send(self, response: Response, now: float) -> None:
        """Number it, send it, repeat it. Require and RSeq are added here."""
        if self._out is not None:
            self._waiting.append(response)
            return
        response.headers.add("Require", TAG)
        response.headers.add("RSeq", str(self._number))
        self._out, self._out_number = response, self._number
        self._number += 1
        self._transaction.respond(response, now)
        self._interval = T1
        self.start("repeat", now + T1)
        self.start("give up", now + 64 * T1)

    def acknowledge(self, prack: Request, now: float) -> bool:
        """Whether this PRACK is for the one that is out, which is repeated no more (7.2)."""
        match = _RACK.fullmatch((prack.headers.get("RAck") or "").strip())
        invite = self._transaction.request.cseq
        expected = (self._out_number, invite.number, invite.method)
        if self._out is None or not match:
            return False
        if (int(match[1]), int(match[2]), match[3]) != expected:
            return False
        self.stop("repeat", "give up")
        self._out = None
        return True

    def go_on(self, now: float) -> None:
        """Send the next one that waits."""
        if self._out is None and self._waiting:
            self.send(self._waiting.popleft(), now)

    def end(self) -> None:
        """A final response was sent: nothing is repeated any more; a late PRACK is still ours."""
        self.stop("repeat", "give up")
        self._waiting.clear()

    def expire(self, timer: str, now: float) -> None:
        """`repeat`: after T1, 2*T1, 4*T1 … without a ceiling (RFC 3262 3)."""
        if timer == "repeat":
            self._transaction.repeat_provisional()
            self._interval *= 2
            self.start("repeat", now + self._interval)
        else:
            self.end()
            self._give_up(now)
