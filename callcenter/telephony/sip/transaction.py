"""What the four transactions share, and how messages find theirs (RFC 3261 17)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from callcenter.telephony.sip.actions import Action, Flow, Send
from callcenter.telephony.sip.message import Message, Request, Response
from callcenter.telephony.sip.timers import Agenda, Timed
from callcenter.telephony.sip.uri import hostport

MAGIC_COOKIE = "z9hG4bK"

Key = tuple[str, ...]


class State(Enum):
    """Every state of RFC 3261 17 and RFC 6026; each transaction knows some of them."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


def server_key(request: Request, method: str | None = None) -> Key:
    """What names the server transaction of a request (RFC 3261 17.2.3).

    ACK is matched with its INVITE; `method` asks for another one, as CANCEL does.
    """
    via, method = request.via, method or request.method
    method = "INVITE" if method == "ACK" else method
    sent_by = hostport(via.host.lower(), via.port)
    if via.branch.startswith(MAGIC_COOKIE) and via.branch != MAGIC_COOKIE:
        return via.branch, sent_by, method
    return _rfc2543_key(request, str(via), method)


def _rfc2543_key(request: Request, via: str, method: str) -> Key:
    """Clients older than RFC 3261 have no unique branch: the rest of the request stands in."""
    tag = request.from_.tag or ""
    return request.uri, tag, request.call_id, str(request.cseq.number), via, method


def merge_key(request: Request) -> Key:
    """What a request that came on two ways has in common with itself (RFC 3261 8.2.2.2)."""
    return "merged", request.call_id, request.from_.tag or "", str(request.cseq)


def server_keys(request: Request) -> tuple[Key, ...]:
    """Everything a server transaction is found by."""
    outside = request.to.tag is None
    return (server_key(request), merge_key(request)) if outside else (server_key(request),)


def client_key(message: Message) -> Key:
    """What names the client transaction of a request or of its response (RFC 3261 17.1.3)."""
    return message.via.branch, message.cseq.method


@dataclass
class Layer:
    """The transaction layer: the transactions under way and what they need of the core."""

    agenda: Agenda
    emit: Callable[[Action], None]
    servers: dict[Key, Transaction] = field(default_factory=dict)
    clients: dict[Key, Transaction] = field(default_factory=dict)


class Transaction(Timed):
    """A request and its responses. Time is in seconds, `flow` leads to the peer."""

    state: State

    def __init__(
        self, layer: Layer, table: dict[Key, Transaction], keys: tuple[Key, ...], flow: Flow
    ) -> None:
        super().__init__(layer.agenda)
        self.keys = keys
        self.flow = flow
        self._emit = layer.emit
        self._table = table
        self._last = b""  # what is sent again

    def opened(self) -> Self:
        """Enter the table of transactions under way."""
        for key in self.keys:
            self._table[key] = self
        return self

    def terminate(self) -> None:
        """Leave that table; nothing is sent any more."""
        self.state = State.TERMINATED
        self.stop(*tuple(self.running))
        for key in self.keys:
            if self._table.get(key) is self:
                del self._table[key]

    def _transmit(self, message: Request | Response) -> None:
        self._last = bytes(message)
        self._retransmit()

    def _retransmit(self) -> None:
        if self._last:
            self._emit(Send(self._last, self.flow))

    def _unless_reliable(self, seconds: float) -> float:
        """Timers that absorb retransmissions are 0 where there are none."""
        return 0.0 if self.flow.reliable else seconds
