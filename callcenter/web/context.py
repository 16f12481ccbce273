"""What every request needs: settings, database, bus; and the person who asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from flask import current_app, g, has_request_context
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.bus import Bus
from callcenter.config import Settings
from callcenter.crm.complaints.desk import Desk, desk_of
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.database import reading as read_only
from callcenter.errors import CallcenterError, NotSignedIn
from callcenter.events import DescribeHealth, ResourcesSeen, SpeechStatus
from callcenter.ids import new_id
from callcenter.redaction.finding import Rules
from callcenter.web.leaked import LeakedPasswords
from callcenter.web.permissions import Permission, Scope, scope_of

if TYPE_CHECKING:
    from callcenter.web.access import Access
    from callcenter.web.metrics import Metrics

EXTENSION = "callcenter"


@dataclass(frozen=True, slots=True)
class Who:
    """The signed-in person. `session` is the hash of the token, `csrf` what requests carry,
    `draft_key` what seals this person's unsaved text in a browser."""

    id: str
    username: str
    name: str
    role: str
    extension: str | None
    language: str | None
    team: str | None
    session: str
    csrf: str
    draft_key: str
    expires_at: datetime
    failed_sign_ins: int = 0

    def scope(self, permission: Permission) -> Scope | None:
        """How far a permission reaches for this person; None when denied."""
        return scope_of(self.role, permission, self.team)


@dataclass(slots=True)
class Services:
    """The parts that requests and sockets share."""

    settings: Settings
    engine: Engine
    bus: Bus
    access: Access
    metrics: Metrics
    speech: SpeechStatus | None = None
    resources: dict[str, ResourcesSeen] = field(default_factory=dict)  # by telephony node
    member: str = field(default_factory=new_id)  # this process, among several
    reader: Engine = field(init=False)
    desk: Desk = field(init=False)
    keys: KeysOfCalls = field(init=False)
    leaked: LeakedPasswords | None = field(init=False)
    rules: Rules = field(init=False)  # what no text may keep

    def __post_init__(self) -> None:
        self.reader = read_only(self.engine)
        self.desk = desk_of(self.settings)
        self.keys = KeysOfCalls(self.engine)
        self.leaked = LeakedPasswords.of(self.settings)
        self.rules = Rules.of(self.settings.redaction)

    @property
    def alone(self) -> bool:
        """Whether there is one web and one telephony process: those of one data directory."""
        return self.settings.bus_url == "local"

    @property
    def tls(self) -> bool:
        """Browsers reach us by https, directly or through a proxy."""
        public = self.settings.web.public_url or ""
        return self.settings.web.tls.certificate is not None or public.startswith("https:")

    def short(self) -> list[dict[str, Any]]:
        """What runs short now: [{"node", "resource", "percent"}]."""
        return [
            {"node": seen.node, "resource": name, "percent": round(100 * share)}
            for seen in self.resources.values()
            for name, share in sorted(seen.alarms.items())
        ]

    def speech_status(self) -> SpeechStatus | None:
        """What the speech process last said of itself, or says when asked; None: not up."""
        if self.speech is None:
            try:
                answer = self.bus.request("speech", DescribeHealth(), timeout=1.0)
            except CallcenterError:
                return None
            self.speech = SpeechStatus(
                node="",
                engines=answer.get("engines", {}),
                missing=answer.get("missing", {}),
                legs=answer.get("legs", 0),
                pending=answer.get("pending", 0),
            )
        return self.speech

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads: it never waits for a writer."""
        with Session(self.reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at the end."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session


def services() -> Services:
    """Those of the running application."""
    return cast(Services, current_app.extensions[EXTENSION])


def who() -> Who:
    """Who asks. Raises NotSignedIn."""
    found = maybe_who()
    if found is None:
        raise NotSignedIn("sign in first")
    return found


def maybe_who() -> Who | None:
    """Who asks, None when nobody is signed in."""
    return cast("Who | None", g.get("who")) if has_request_context() else None
