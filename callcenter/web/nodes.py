"""The telephony nodes as a web process asks them: the one of a call, any of them, or all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from callcenter.database import AWAY
from callcenter.errors import CallcenterError, Unavailable
from callcenter.events import Command
from callcenter.leases import Leases
from callcenter.log import EventLog
from callcenter.web.context import Services

Answer = dict[str, Any]
ANY = "telephony"


def of_call(parts: Services, call: str) -> str:
    """The service that has this call; calls stay at the node where they rang."""
    if parts.alone:
        return ANY
    node = EventLog(parts.engine).node_of(call)
    return named(node) if node else ANY


def named(node: str) -> str:
    """The service of that node."""
    return f"{ANY}:{node}"


def all_of(parts: Services) -> list[str]:
    """The services of every node that lives, or lived some seconds ago."""
    if parts.alone:
        return [ANY]
    try:
        return [seen.name for seen in Leases(parts.engine, parts.member).look(ANY)]
    except AWAY:
        return [ANY]


def ask_all(parts: Services, command: Command, *, timeout: float) -> list[Answer]:
    """The answers of all nodes that answer. Raises Unavailable where none does."""
    services = all_of(parts)

    def ask(service: str) -> Answer | None:
        try:
            return parts.bus.request(service, command, timeout=timeout)
        except CallcenterError:
            return None

    if len(services) == 1:
        answers = [ask(services[0])]
    else:
        with ThreadPoolExecutor(max(1, len(services))) as pool:
            answers = list(pool.map(ask, services))
    found = [answer for answer in answers if answer is not None]
    if not found:
        raise Unavailable("telephony is not running")
    return found
