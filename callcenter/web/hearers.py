"""Who is shown what is said in a call, while it is said. Whoever is not found here is not shown it.

The agent of the call, and a colleague who is asked in it: from their answer until they left.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm.interactions import queries as interactions
from callcenter.events import (
    CallAnswered,
    CallEnded,
    CallTransferred,
    ConferenceBegan,
    ConsultationAnswered,
    ConsultationEnded,
    ConsultationHeld,
    ConsultationOffered,
    ConsultationResumed,
    Fact,
)
from callcenter.web.context import Services

COLLEAGUE_SECONDS = 1.0
"""After which it is looked up anew whether a colleague is still there: a signal that says so may
be lost, and whoever left hears nothing more. So where nobody is there yet, or any more."""

_THERE = (ConsultationAnswered, ConsultationHeld, ConsultationResumed, ConferenceBegan)
_CONSULTED = (ConsultationOffered, *_THERE, ConsultationEnded)
_CHANGES = (CallAnswered, CallTransferred, CallEnded, *_CONSULTED)


@dataclass(frozen=True, slots=True)
class _Known:
    hearers: frozenset[str]
    until: float  # by time.monotonic()


class Hearers:
    """Of every call that is spoken in. Safe to use from several threads."""

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._known: dict[str, _Known] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def of(self, call: str) -> frozenset[str]:
        """The ids of those who are shown it."""
        moment = time.monotonic()
        known = self._known.get(call)
        if known is not None and moment < known.until:
            return known.hearers
        before = self._changes
        with self._parts.reading() as session:
            agent, colleague = agent_of(session, call), colleague_of(session, call)
        found = _those(agent, colleague)
        until = float("inf") if agent and not colleague else moment + COLLEAGUE_SECONDS
        with self._lock:
            if before == self._changes:  # else somebody came or left meanwhile
                self._known[call] = _Known(found, until)
        return found

    def follow(self, fact: Fact) -> None:
        """A fact was applied."""
        if isinstance(fact, _CHANGES):
            self.forget(fact.call)

    def forget(self, call: str) -> None:
        """Who is in that call may have changed."""
        with self._lock:
            self._changes += 1
            self._known.pop(call, None)


def hearers(session: Session, call: str) -> frozenset[str]:
    """The same, as the database says now."""
    return _those(agent_of(session, call), colleague_of(session, call))


def _those(agent: str | None, colleague: str | None) -> frozenset[str]:
    return frozenset(one for one in (agent, colleague) if one)


def agent_of(session: Session, call: str) -> str | None:
    """Whose call it is, as the records say; nobody's once it was handed over to a number outside,
    though its note stays with who did that."""
    moved = log.newest(session.connection(), call, CallAnswered, CallTransferred)
    if isinstance(moved, CallTransferred) and moved.outside:
        return None
    row = interactions.by_call(session, call)
    return row.agent if row else None


def colleague_of(session: Session, call: str) -> str | None:
    """The colleague who is asked in that call and has answered; None once they left."""
    fact = log.newest(session.connection(), call, *_CONSULTED)
    return fact.colleague or None if isinstance(fact, _THERE) else None
