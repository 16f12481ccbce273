"""Which agents have a browser at which web process, where there are several.

Each process writes its own rows and beats a lease; who leads removes the rows of a dead one. So
an agent is unseated only when no process has their browser any more.
"""

from __future__ import annotations

import threading

import structlog

from callcenter.crm.agents import operations, queries
from callcenter.database import AWAY
from callcenter.leases import Leases, Watch
from callcenter.web.context import Services

KIND, PATIENCE = "web", 5
_LOGGER = structlog.get_logger()


class Presence:
    """This process's agents as the others see them; nothing is written where it is alone."""

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._lease = f"{KIND}:{parts.member}"
        self._leases, self._watch = Leases(parts.engine, parts.member), Watch(PATIENCE)
        self._lock = threading.Lock()
        self._written: set[str] = set()
        self._begun = False

    def tell(self, here: set[str]) -> None:
        """These agents have a browser here now. A database that is away is told later."""
        if self._parts.alone:
            return
        with self._lock:
            new, gone = here - self._written, self._written - here
            if not new and not gone:
                return
            try:
                with self._parts.writing() as session:
                    operations.note_presence(session, self._parts.member, new, gone)
            except AWAY as error:
                _LOGGER.warning("presence not noted", error=type(error).__name__)
            else:
                self._written = set(here)

    def elsewhere(self, agent: str) -> bool:
        """Whether the agent has a browser at another process; where nobody knows: yes."""
        if self._parts.alone:
            return False
        try:
            return any(web != self._parts.member for web in self._of(agent))
        except AWAY:
            return True

    def everybody(self) -> set[str]:
        """Agents who have a browser at any process."""
        with self._parts.reading() as session:
            return {agent for agent, _ in queries.presences(session)}

    def beat(self) -> None:
        """Once a second: this process is alive. One that was taken for dead writes anew."""
        if self._parts.alone:
            return
        if self._begun and self._leases.beat(self._lease):
            return
        self._leases.seize(self._lease)
        self._begun = True
        with self._lock:
            self._written = set()

    def bury(self) -> None:
        """Who leads, once a second: processes that stopped beating have nobody any more."""
        try:
            seen = [one for one in self._leases.look(KIND) if one.name != self._lease]
        except AWAY:
            self._watch.failed()
            return
        for dead in self._watch.looked(seen):
            if self._leases.take(dead):
                with self._parts.writing() as session:
                    operations.forget_web(session, dead.name.removeprefix(f"{KIND}:"))
                self._leases.release(dead.name)

    def leave(self) -> None:
        """This process stops."""
        if self._parts.alone:
            return
        try:
            with self._parts.writing() as session:
                operations.forget_web(session, self._parts.member)
            self._leases.release(self._lease)
        except AWAY as error:
            _LOGGER.warning("presence not removed", error=type(error).__name__)

    def _of(self, agent: str) -> list[str]:
        with self._parts.reading() as session:
            return [web for one, web in queries.presences(session) if one == agent]
