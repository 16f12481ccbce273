"""Client transactions: requests of ours (RFC 3261 17.1, RFC 6026 7.2)."""

from __future__ import annotations

from collections.abc import Callable

from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.message import Headers, Request, Response
from callcenter.telephony.sip.timers import T1, T2, T4
from callcenter.telephony.sip.transaction import Layer, State, Transaction, client_key

Outcome = Callable[[Response | None, float], None]  # None: nobody answered in time


class NonInviteClient(Transaction):
    """Every request but INVITE: trying → proceeding → completed."""

    def __init__(self, layer: Layer, request: Request, flow: Flow, outcome: Outcome) -> None:
        super().__init__(layer, layer.clients, (client_key(request),), flow)
        self.request = request
        self._outcome = outcome
        self._interval = T1
        self.state = State.TRYING

    def begin(self, now: float) -> None:
        """Send the request."""
        self._transmit(self.request)
        self.start("F", now + 64 * T1)
        if not self.flow.reliable:
            self.start("E", now + self._interval)

    def receive(self, response: Response, now: float) -> None:
        """A response; the transaction user sees each but repetitions of the final one."""
        if self.state is State.COMPLETED:
            return
        if response.status >= 200:
            self.state = State.COMPLETED
            self.stop("E", "F")
            self.start("K", now + self._unless_reliable(T4))
        else:
            self.state = State.PROCEEDING
        self._outcome(response, now)

    def expire(self, timer: str, now: float) -> None:
        """E repeats the request; F: nobody answers; K: no more repeated answers."""
        if timer == "E":
            self._repeat(now)
            return
        self.terminate()
        if timer == "F":
            self._outcome(None, now)

    def _repeat(self, now: float) -> None:
        self._retransmit()
        trying = self.state is State.TRYING
        self._interval = min(2 * self._interval, T2) if trying else T2
        self.start("E", now + self._interval)


class InviteClient(Transaction):
    """INVITE: calling → proceeding → completed with a refusal, or → accepted with a 2xx."""

    def __init__(self, layer: Layer, request: Request, flow: Flow, outcome: Outcome) -> None:
        super().__init__(layer, layer.clients, (client_key(request),), flow)
        self.request = request
        self._outcome = outcome
        self._interval = T1
        self.state = State.CALLING

    def begin(self, now: float) -> None:
        """Send the INVITE."""
        self._transmit(self.request)
        self.start("B", now + 64 * T1)
        if not self.flow.reliable:
            self.start("A", now + self._interval)

    def receive(self, response: Response, now: float) -> None:
        """A response. The ACK of a refusal is sent here, that of a 2xx by the transaction user."""
        if self.state is State.COMPLETED:
            if response.status >= 300:
                self._retransmit()
            return
        if self.state is State.ACCEPTED and not 200 <= response.status < 300:
            return
        self.stop("A", "B")
        if response.status >= 300:
            self._complete(response, now)
        elif response.status >= 200:
            self._accept(now)
        else:
            self.state = State.PROCEEDING
        self._outcome(response, now)

    def expire(self, timer: str, now: float) -> None:
        """A repeats the INVITE; B: nobody answers; D, M: no more repeated answers."""
        if timer == "A":
            self._retransmit()
            self._interval *= 2
            self.start("A", now + self._interval)
            return
        self.terminate()
        if timer == "B":
            self._outcome(None, now)

    def _accept(self, now: float) -> None:
        if self.state is not State.ACCEPTED:
            self.state = State.ACCEPTED
            self.start("M", now + 64 * T1)

    def _complete(self, response: Response, now: float) -> None:
        self.state = State.COMPLETED
        self._transmit(_ack(self.request, response))
        self.start("D", now + self._unless_reliable(64 * T1))


def _ack(invite: Request, response: Response) -> Request:
    """The ACK of a refusal: same branch, To of the response (RFC 3261 17.1.1.3)."""
    ack = Request("ACK", invite.uri, headers=Headers())
    ack.headers.add("Via", str(invite.via))
    for route in invite.headers.all("Route"):
        ack.headers.add("Route", route)
    ack.headers.add("Max-Forwards", "70")
    ack.headers.add("From", invite.headers.get("From") or "")
    ack.headers.add("To", response.headers.get("To") or "")
    ack.headers.add("Call-ID", invite.call_id)
    ack.headers.add("CSeq", f"{invite.cseq.number} ACK")
    ack.set_body(b"")
    return ack
