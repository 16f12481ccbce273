"""Session timers (RFC 4028): a call whose peer vanished without a BYE ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from callcenter.telephony.sip.headers import parameter, parse_parameters
from callcenter.telephony.sip.message import Message, Request, Response
from callcenter.telephony.sip.responses import Fields
from callcenter.telephony.sip.timers import Agenda, Timed

TAG = "timer"  # the option tag
LEAST = 90  # seconds: no interval may be shorter (RFC 4028 4)
LONGEST = 86_400  # seconds; what is longer is no watch
MARGIN = 32.0  # seconds before the end at which whoever does not refresh gives up (10)

Refresher = Literal["uac", "uas"]


@dataclass(frozen=True, slots=True)
class Policy:
    """`expires`: seconds we ask for, 0: only a peer's wish is followed; `least`: our Min-SE."""

    expires: int = 1800
    least: int = LEAST


USUAL = Policy()


@dataclass(frozen=True, slots=True)
class Wish:
    """A Session-Expires header field."""

    seconds: int
    refresher: Refresher | None = None


class SessionTimer(Timed):
    """The timer of one call. `refresh` and `give_up` are called with the time.

    `seconds` is the interval in force, 0 where there is none; `ours` says who refreshes.
    """

    def __init__(
        self,
        agenda: Agenda,
        policy: Policy,
        refresh: Callable[[float], None],
        give_up: Callable[[float], None],
    ) -> None:
        super().__init__(agenda)
        self.seconds = 0
        self.ours = False
        self._policy = policy
        self._least = policy.least
        self._refresh, self._give_up = refresh, give_up

    # --- requests of the peer's ---------------------------------------------------------------

    def grant(self, request: Request, now: float) -> Fields:
        """What our 2xx to an INVITE or UPDATE says; the time runs anew from here (table 2)."""
        wish, supports = wish_of(request), supports_timer(request)
        if wish and wish.seconds < LEAST:
            wish = None  # a proxy's mistake; we may not lengthen it (9)
        ours = max(self._policy.expires, self._policy.least, least_of(request))
        if wish is None and not (supports and self._policy.expires):
            self.end()
            return ()
        seconds = wish.seconds if wish else ours
        if self._policy.expires:
            seconds = min(seconds, ours)
        refresher = (wish and wish.refresher) or "uac"
        if not supports:
            refresher = "uas"  # the wish is a proxy's: the peer itself would not refresh
        self._run(seconds, refresher == "uas", now)
        required: Fields = (("Require", TAG),) if refresher == "uac" else ()
        return (("Session-Expires", f"{seconds};refresher={refresher}"), *required)

    # --- requests of ours ---------------------------------------------------------------------

    def propose(self) -> Fields:
        """What an INVITE or UPDATE of ours says; we refresh where nothing else is agreed."""
        if not (self.seconds or self._policy.expires):
            return ()
        seconds = max(self.seconds or self._policy.expires, self._least)
        refresher = ";refresher=uac" if self.ours else ""
        least = (("Min-SE", str(self._least)),) if self._least > LEAST else ()
        return (("Session-Expires", f"{seconds}{refresher}"), *least)

    def agreed(self, response: Response, now: float) -> None:
        """A 2xx to a request of ours (RFC 4028 7.2): without the field there is no timer."""
        wish = wish_of(response)
        if wish is None:
            self.end()
        else:
            self._run(wish.seconds, wish.refresher != "uas", now)

    def longer(self, response: Response) -> bool:
        """Take the Min-SE of a 422; False where that makes no difference (RFC 4028 7.3)."""
        least = least_of(response)
        larger = self._least < least <= LONGEST
        self._least = least if larger else self._least
        self.seconds = max(self.seconds, self._least) if self.seconds else 0
        return larger

    # --- time ---------------------------------------------------------------------------------

    def end(self) -> None:
        """No timer any more."""
        self.seconds = 0
        self.stop("refresh", "expire")

    def later(self, seconds: float, now: float) -> None:
        """The refresh could not be made: once more after a pause."""
        self.start("refresh", now + seconds)

    def expire(self, timer: str, now: float) -> None:
        """`refresh`: half of the time is over; `expire`: nobody refreshed in time."""
        if timer == "refresh":
            self._refresh(now)
        else:
            self.end()
            self._give_up(now)

    def _run(self, seconds: int, ours: bool, now: float) -> None:
        self.seconds, self.ours = seconds, ours
        self.stop("refresh")
        if ours:
            self.start("refresh", now + seconds / 2)
        self.start("expire", now + seconds - min(MARGIN, seconds / 3))


def too_small(request: Request, policy: Policy) -> Fields | None:
    """The Min-SE of our 422, None where the wish is long enough (RFC 4028 9).

    A peer that knows no timers could not understand a 422: the wish is a proxy's then.
    """
    wish = wish_of(request)
    if wish is None or wish.seconds >= policy.least or not supports_timer(request):
        return None
    return (("Min-SE", str(policy.least)),)


def supports_timer(message: Message) -> bool:
    """Whether the peer knows session timers."""
    return any(
        tag.lower() == TAG
        for name in ("Supported", "Require")
        for tag in message.headers.values(name)
    )


def wish_of(message: Message) -> Wish | None:
    """The Session-Expires of a message; None where there is none that can be read."""
    text = message.headers.get("Session-Expires") or ""
    seconds = _seconds(text)
    if seconds is None:
        return None
    try:
        word = parameter(
            parse_parameters(text.partition(";")[1] + text.partition(";")[2]), "refresher"
        )
    except ValueError:
        word = None
    known: dict[str | None, Refresher] = {"uac": "uac", "uas": "uas"}
    return Wish(min(seconds, LONGEST), known.get(word.lower() if word else None))


def least_of(message: Message) -> int:
    """The Min-SE of a message, 0 without one."""
    return _seconds(message.headers.get("Min-SE") or "") or 0


def _seconds(text: str) -> int | None:
    number = text.partition(";")[0].strip()
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
