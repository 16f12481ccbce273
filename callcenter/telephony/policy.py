"""Whether what is said in a call is kept: the policy, the caller's consent, pauses. Pure.

Times are seconds of any clock that only goes forward. Who obeys is `telephony.keeping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callcenter.config import Line, Settings
from callcenter.errors import Conflict
from callcenter.events import Consent, PauseCause, RecordingAction, RecordPolicy

Deed = Literal["start", "pause", "longer", "stop", "resume"]
"""What is to be done. `longer`: the pause that lasts ends later; `stop`: a pause without end."""

_EARLY = 0.05
"""Seconds by which a timer may ring too early: clocks are read in steps."""


def policy_of(settings: Settings, line: Line) -> RecordPolicy:
    """The queue's word, where it has one, before the line's."""
    return settings.queue(line.queue).record or line.record


@dataclass(slots=True)
class Switch:
    """One call's. It says what is to be done and takes it for done.

    `cause` tells who paused: a form that closes ends no pause of the agent's own. A pause ends by
    itself after `pause_seconds`; asked for again it lasts longer, up to `longest_seconds` in all.
    """

    policy: RecordPolicy
    pause_seconds: float = 120.0
    longest_seconds: float = 900.0
    consent: Consent | None = None
    state: Literal["off", "running", "paused"] = "off"
    cause: PauseCause | None = None
    until: float | None = None
    """When the pause ends by itself; None where it was stopped for good."""
    _since: float = 0.0

    @property
    def may_begin(self) -> bool:
        """Whether what is said is kept from the answer on, without anybody's doing."""
        return self.policy == "always" or (self.policy == "ask" and self.consent == "given")

    def begun(self) -> None:
        """Somebody listens: a recorder, a recogniser."""
        self.state = "running"

    def order(self, action: RecordingAction, cause: PauseCause, now: float) -> Deed | None:
        """What to do; None where it is so already. Raises Conflict where it may not be."""
        self._demand_allowed(action)
        if action == "pause":
            return self._pause(cause, now)
        if action == "stop":
            return self._stop()
        if action == "start" and self.state == "off":
            self.begun()
            return "start"
        if self.state != "paused" or (cause == "form" and self.cause != "form"):
            return None
        return self._resume()

    def ring(self, now: float) -> Deed | None:
        """The pause's timer rang: `resume` where the pause has lasted as long as it may."""
        if self.state != "paused" or self.until is None or now < self.until - _EARLY:
            return None
        return self._resume()

    def revoke(self) -> Deed | None:
        """Whoever agreed is not the one who speaks now: nothing more is kept."""
        self.consent = "not_asked"
        return self._stop() if self.state != "off" else None

    def _pause(self, cause: PauseCause, now: float) -> Deed | None:
        if self.state == "running":
            self.state, self._since, self.cause = "paused", now, cause
            self.until = now + self.pause_seconds
            return "pause"
        if self.until is None:
            return None
        if cause != "form":
            self.cause = cause  # the agent's own pause outlives the form
        until = min(now + self.pause_seconds, self._since + self.longest_seconds)
        if until <= self.until:
            return None
        self.until = until
        return "longer"

    def _stop(self) -> Deed | None:
        if self.state == "off" or (self.state == "paused" and self.until is None):
            return None
        self.state, self.until = "paused", None
        return "stop"

    def _resume(self) -> Deed:
        self.state, self.until, self.cause = "running", None, None
        return "resume"

    def _demand_allowed(self, action: RecordingAction) -> None:
        if self.policy == "never":
            raise Conflict("calls of this line are not recorded")
        if self.policy == "ask" and self.consent != "given":
            raise Conflict("the customer did not agree to be recorded")
        if self.policy != "on_demand" and action in ("start", "stop"):
            raise Conflict("this line decides about recording; you can pause and resume it")
        if self.state == "off" and action in ("pause", "resume"):
            raise Conflict("nothing is being recorded")
