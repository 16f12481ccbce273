"""Server transactions: requests that came to us (RFC 3261 17.2, RFC 6026 7.1)."""

from __future__ import annotations

from dataclasses import replace

from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.message import Headers, Request, Response, respond
from callcenter.telephony.sip.timers import T1, T2, T4
from callcenter.telephony.sip.transaction import Layer, State, Transaction, server_keys


class InviteServer(Transaction):
    """INVITE: proceeding → completed → confirmed, or → accepted with a 2xx."""

    def __init__(self, layer: Layer, request: Request, flow: Flow) -> None:
        super().__init__(layer, layer.servers, server_keys(request), flow)
        self.request = request
        self.state = State.PROCEEDING
        self._interval = T1

    def trying(self) -> None:
        """100 Trying, so that the peer stops repeating its INVITE."""
        response = respond(self.request, 100, tag="")
        response.set_body(b"")
        self._transmit(response)

    def respond(self, response: Response, now: float) -> None:
        """Send a response of the transaction user; after a final one only the same 2xx again."""
        if self.state is not State.PROCEEDING:
            return
        self._transmit(response)
        if response.status >= 300:
            self._complete(now)
        elif response.status >= 200:
            self.state = State.ACCEPTED
            self.start("L", now + 64 * T1)

    def repeat(self) -> None:
        """Send the 2xx again; the transaction user keeps the time (RFC 3261 13.3.1.4)."""
        if self.state is State.ACCEPTED:
            self._retransmit()

    def repeat_provisional(self) -> None:
        """Send a reliable provisional response again (RFC 3262 3)."""
        if self.state is State.PROCEEDING:
            self._retransmit()

    def receive(self, request: Request, now: float) -> bool:
        """A repeated INVITE or an ACK; True when the ACK is the transaction user's (of a 2xx).

        A repeated INVITE gets the last response once more, a 2xx too: RFC 6026 would absorb it,
        but where the 200 was lost this shortens the wait.
        """
        if request.method != "ACK":
            if self.state is not State.CONFIRMED:
                self._retransmit()
            return False
        if self.state is State.COMPLETED:
            self._confirm(now)
        return self.state is State.ACCEPTED

    def expire(self, timer: str, now: float) -> None:
        """G repeats the refusal; H: no ACK; I: no more ACKs; L: no more repeated INVITEs."""
        if timer != "G":
            self.terminate()
            return
        self._retransmit()
        self._interval = min(2 * self._interval, T2)
        self.start("G", now + self._interval)

    def _complete(self, now: float) -> None:
        self.state = State.COMPLETED
        self.start("H", now + 64 * T1)
        if not self.flow.reliable:
            self.start("G", now + self._interval)

    def _confirm(self, now: float) -> None:
        self.state = State.CONFIRMED
        self.stop("G", "H")
        self.start("I", now + self._unless_reliable(T4))


class NonInviteServer(Transaction):
    """Every other request: trying → proceeding → completed."""

    def __init__(self, layer: Layer, request: Request, flow: Flow) -> None:
        super().__init__(layer, layer.servers, server_keys(request), flow)
        self.request = request
        self.state = State.TRYING
        self._response: Response | None = None
        self._repeated = 0

    def respond(self, response: Response, now: float) -> None:
        """Send a response of the transaction user."""
        if self.state is State.COMPLETED:
            return
        self._response = response
        self._transmit(response)
        self.state = State.PROCEEDING
        if response.status >= 200:
            self.state = State.COMPLETED
            self.start("J", now + self._unless_reliable(64 * T1))

    def receive(self, request: Request, now: float) -> bool:
        """A repeated request gets the last response again; never the transaction user's.

        The response says how often it was repeated: SIPp takes one of the same octets for a late
        copy of the first and repeats its own request at once, without end.
        """
        if self._response is not None:
            self._repeated += 1
            count = ("Repeat-Count", str(self._repeated))
            headers = Headers((count, *self._response.headers))
            self._transmit(replace(self._response, headers=headers))
        return False

    def expire(self, timer: str, now: float) -> None:
        """J: no more repetitions are awaited."""
        self.terminate()
