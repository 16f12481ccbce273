"""What the life of a call needs around it: one object instead of ten parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from callcenter.config import Settings
from callcenter.events import Fact
from callcenter.telephony.acd.floor import Change, Floor, Offer
from callcenter.telephony.ports import (
    AudioLegs,
    MediaPlane,
    OutboundCall,
    Phones,
    RecordingStore,
    Sound,
    SpeechLink,
    StatusDirectory,
)
from callcenter.telephony.rounds import Rounds


@dataclass(frozen=True, slots=True)
class Sounds:
    """What a caller hears while nobody talks; `announcements`: that calls are recorded, and which
    key declines it, by language; `prompts`: of lines that are a service, by language and name.
    `receipt(language, code, more)`: that code, spoken, with the key that says it again where there
    is `more`; it may take seconds, and raise TelephonyError."""

    ringback: Sound
    music: Sound
    announcements: Mapping[str, Sound] = field(default_factory=dict)
    prompts: Mapping[str, Mapping[str, Sound]] = field(default_factory=dict)
    receipt: Callable[[str, str, bool], Sound] | None = None


@dataclass(frozen=True, slots=True)
class WayOut:
    """A call out that is allowed and not begun: to `number` (E.164), by that trunk.

    It rings for `ring_seconds` and may last `longest`.
    """

    outbound: OutboundCall
    number: str
    trunk: str
    ring_seconds: float
    longest: timedelta


class Desk(Protocol):
    """The telephony process as one call sees it."""

    @property
    def settings(self) -> Settings:
        """What is set."""

    @property
    def node(self) -> str:
        """The name of this telephony process; its calls end with it."""

    @property
    def floor(self) -> Floor:
        """Agents and queues."""

    @property
    def media(self) -> MediaPlane:
        """Where sound moves."""

    @property
    def audio(self) -> AudioLegs:
        """The agents' browser legs."""

    @property
    def phones(self) -> Phones:
        """The agents' desk phones."""

    @property
    def recordings(self) -> RecordingStore:
        """Where journals are kept."""

    @property
    def rounds(self) -> Rounds:
        """In which the journals of all calls are written."""

    @property
    def speech(self) -> SpeechLink:
        """The way to the recognisers."""

    @property
    def sounds(self) -> Sounds:
        """Ringback and music."""

    @property
    def statuses(self) -> StatusDirectory | None:
        """Where complaints stand; None where no line tells it."""

    async def commit(self, *facts: Fact) -> None:
        """Append the facts together; everybody is told after the commit.

        Raises what the database raises: nothing was appended then.
        """

    async def record(self, *facts: Fact) -> None:
        """The same for what cannot be taken back: a call goes on although the database fails.

        The facts are owed then, and follow in their order as soon as it works again.
        """

    def keep_dialog(self, call: str, memo: dict[str, Any] | None) -> None:
        """The dialog is open as `memo` says, or over (None): kept with the next facts."""

    async def claim(self, offer: Offer, *facts: Fact) -> bool:
        """`record` for an offer: False where another node has the agent; nothing happened then."""

    async def place(self, agent: str, to: str, begin: Callable[[WayOut], Awaitable[None]]) -> None:
        """Let `begin` begin a call out of `agent`'s to the number `to`, as people write it.

        One at a time: `begin` commits the fact of it, so that limits hold. Raises what the agent
        should read: OutboundDenied, Unavailable, what `begin` raises.
        """

    def state_facts(self, changes: Iterable[Change]) -> list[Fact]:
        """The agents' changes as facts."""

    def distribute(self) -> None:
        """Agents or waiting calls changed: make the offers that are possible now."""
