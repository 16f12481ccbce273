"""`callcenter doctor`: one call to the running system, followed hop by hop to an agent's browser.

It is a real call: it waits in the line's queue and rings at whoever is next. It is given up as
soon as the pop was seen, and its record is marked as dealt with. Times are this machine's.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.config import Settings
from callcenter.crm import diagnosis
from callcenter.crm.diagnosis import POP, Diagnosis
from callcenter.crm.interactions import queries
from callcenter.errors import SipSyntaxError
from callcenter.log import EventLog, utc
from callcenter.telephony.sip.message import Response
from callcenter.telephony.sip.parser import parse

CALLER = "doctor"  # no number: it matches no customer
T = TypeVar("T")
_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Hop:
    """A step on the way: `ms` since the INVITE, None where it was not reached. `said` explains."""

    name: str
    ok: bool
    ms: float | None = None
    said: str = ""


@dataclass
class Examination:
    """All hops in their order, and the call's own diagnosis where there was a call."""

    hops: list[Hop] = field(default_factory=list)
    diagnosis: Diagnosis | None = None

    @property
    def well(self) -> bool:
        """Whether every hop was reached."""
        return all(hop.ok for hop in self.hops)


def examine(settings: Settings, engine: Engine, *, to: str, patience: float) -> Examination:
    """Call line `to` and follow the call for `patience` seconds at each hop."""
    found = Examination()
    found.hops.append(_ready(settings))
    place = _sip_address(settings)
    if place is None:
        found.hops.append(Hop("SIP", False, None, "sip.listen has no udp:// address of IPv4"))
        return found
    with _caller(place, to) as caller:
        _follow(found, caller, settings, engine, patience)
    return found


def _follow(
    found: Examination, caller: Caller, settings: Settings, engine: Engine, patience: float
) -> None:
    began = caller.invite()
    log = EventLog(engine)

    def hop(name: str, at: float | None, otherwise: str, said: str = "") -> bool:
        ms = None if at is None else round((at - began) * 1000, 1)
        found.hops.append(Hop(name, at is not None, ms, said if at is not None else otherwise))
        return at is not None

    try:
        trying = caller.wait(100, patience)
        if not hop(
            "SIP: INVITE → 100", trying, "no answer: is telephony up, is 127.0.0.1 a trunk?"
        ):
            return
        ringing = caller.wait(180, patience)
        refused = f"refused with {caller.status}" if caller.status >= 300 else "no 180"
        if not hop("SIP: INVITE → 180", ringing, refused):
            return
        call = _until(lambda: _call_of(log, caller.id), patience)
        rang = log.of_call(call)[0].fact.at.timestamp() if call else None
        if (
            not hop("log: call recorded, before the 180", rang, "the log has no such call")
            or call is None
        ):
            return
        record = _until(lambda: _record_of(engine, call), patience)
        said = f"{record[1]} customers match" if record else ""
        if not hop("match: record written", record and record[0], "web writes no records", said):
            return
        steps = _until(lambda: _stepped(engine, log, settings, call), patience)
        found.diagnosis = seen = steps or _diagnosed(engine, log, settings, call)
        for code, name in _WAY:
            at = next((one.ms for one in seen.steps if one.code == code), None)
            moment = None if at is None or rang is None else rang + at / 1000
            if not hop(name, moment, SENTENCES[seen.verdict]):
                return
    finally:
        caller.cancel(patience)
        _put_away(engine, caller.id, log, patience)


_WAY = (
    ("offered", "queue: offered to an agent"),
    ("sent", "push: sent to the agent's browser"),
    ("seen", "browser: the pop was seen"),
)

SENTENCES: dict[str, str] = {
    "seen": "The pop was shown, and the agent's browser said that it was seen.",
    "unseen": "The pop was sent, but no browser of the agent said that it was seen.",
    "not_sent": "The call rang at an agent, but nothing was sent: is web up, does it follow?",
    "gone_at_announcement": "The caller hung up at the announcement, before anybody was rung.",
    "caller_gone": "An agent was free, but the caller was gone before an offer.",
    "nobody_available": "Agents of the queue are signed in, but none of them is free.",
    "nobody_signed_in": "No agent of the queue is signed in.",
    "waiting": "The call waits for its first offer: no agent of the queue is free.",
}


class Caller:
    """A telephone for one call that nobody is to answer (RFC 3261 17.1.1, 9.1)."""

    def __init__(self, place: tuple[str, int], to: str) -> None:
        self.id = secrets.token_hex(12)
        self.status = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(place)
        self._here = self._socket.getsockname()[:2]
        self._uri, self._tag = f"sip:{to}@{place[0]}:{place[1]}", secrets.token_hex(6)
        self._branch = "z9hG4bK" + secrets.token_hex(10)
        self._to = f"<{self._uri}>"
        self._heard: dict[int, float] = {}

    def invite(self) -> float:
        """Send it; returns when."""
        host = self._here[0]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        )
        began = time.time()
        self._send("INVITE", body)
        return began

    def wait(self, status: int, patience: float) -> float | None:
        """When that response (or, for 100, any) came; None where a refusal or nothing did."""
        deadline = time.monotonic() + patience
        while status not in self._heard and self.status < 200:
            left = deadline - time.monotonic()
            if left <= 0 or not self._hear(left):
                break
        if status == 100 and self._heard:
            return min(self._heard.values())
        return self._heard.get(status)

    def cancel(self, patience: float) -> None:
        """Give up and see the end of it."""
        if self._heard and self.status < 200:  # not before a provisional response (RFC 3261 9.1)
            self._send("CANCEL")
            deadline = time.monotonic() + patience
            while self.status < 200 and (left := deadline - time.monotonic()) > 0:
                if not self._hear(left):
                    break
        if 200 <= self.status < 300:  # answered after all
            self._send("ACK")
            self._send("BYE")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _hear(self, patience: float) -> bool:
        self._socket.settimeout(max(patience, _POLL))
        try:
            message = parse(self._socket.recv(65535))
        except (OSError, SipSyntaxError):
            return False
        if isinstance(message, Response) and message.cseq.method == "INVITE":
            self._heard.setdefault(message.status, time.time())
            self.status = max(self.status, message.status)
            self._to = message.headers.get("To") or self._to
            if message.status >= 300:
                self._send("ACK")
        return True

    def _send(self, method: str, body: str = "") -> None:
        host, port = self._here
        fresh = method == "BYE" or (method == "ACK" and self.status < 300)
        branch = "z9hG4bK" + secrets.token_hex(10) if fresh else self._branch
        to = f"<{self._uri}>" if method in ("INVITE", "CANCEL") else self._to
        lines = [
            f"{method} {self._uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch};rport",
            "Max-Forwards: 70",
            f'From: "callcenter doctor" <sip:{CALLER}@{host}>;tag={self._tag}',
            f"To: {to}",
            f"Call-ID: {self.id}",
            f"CSeq: {2 if method == 'BYE' else 1} {method}",
            f"Contact: <sip:{CALLER}@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        try:
            self._socket.send(("\r\n".join((*lines, "", "")) + body).encode())
        except OSError:
            return  # nobody listens: the missing answer tells


@contextmanager
def _caller(place: tuple[str, int], to: str) -> Iterator[Caller]:
    caller = Caller(place, to)
    try:
        yield caller
    finally:
        caller.close()


def _ready(settings: Settings) -> Hop:
    """What /readyz says, and how long it took."""
    scheme = "https" if settings.web.tls.certificate else "http"
    host = "127.0.0.1" if settings.web.host in ("0.0.0.0", "::") else settings.web.host  # noqa: S104
    began = time.time()
    try:
        answer = httpx.get(
            f"{scheme}://{host}:{settings.web.port}/readyz",
            timeout=10,
            trust_env=False,
            verify=False,  # noqa: S501 - this machine asks itself
        )
    except httpx.HTTPError as error:
        return Hop("web: /readyz", False, None, f"no answer ({type(error).__name__}): is it up?")
    ms = round((time.time() - began) * 1000, 1)
    ready = answer.status_code == 200
    return Hop("web: /readyz", ready, ms, "" if ready else f"not ready: {answer.text[:300]}")


def _sip_address(settings: Settings) -> tuple[str, int] | None:
    for url in settings.sip.listen:
        parts = urlsplit(url)
        if parts.scheme == "udp" and ":" not in (parts.hostname or ""):
            everywhere = parts.hostname == "0.0.0.0"  # noqa: S104 - compared with
            return ("127.0.0.1" if everywhere else str(parts.hostname)), parts.port or 5060
    return None


def _until(look: Callable[[], T | None], patience: float) -> T | None:
    deadline = time.monotonic() + patience
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(_POLL)
    return found


def _call_of(log: EventLog, sip_call_id: str) -> str | None:
    rang = log.of_kinds(events.CallRang, after=max(0, log.end() - 500))
    facts = [entry.fact for entry in rang if isinstance(entry.fact, events.CallRang)]
    return next((fact.call for fact in facts if fact.sip_call_id == sip_call_id), None)


def _record_of(engine: Engine, call: str) -> tuple[float, int] | None:
    """When the record was seen to be there, and how many customers match."""
    with Session(engine) as session:
        row = queries.by_call(session, call)
        return None if row is None else (time.time(), len(row.candidates or []))


def _diagnosed(engine: Engine, log: EventLog, settings: Settings, call: str) -> Diagnosis:
    with Session(engine) as session:
        return diagnosis.diagnose(session, log, settings, call)


def _stepped(engine: Engine, log: EventLog, settings: Settings, call: str) -> Diagnosis | None:
    """The diagnosis once the pop was seen, None before."""
    found = _diagnosed(engine, log, settings, call)
    return found if found.verdict == "seen" else None


def _put_away(engine: Engine, sip_call_id: str, log: EventLog, patience: float) -> None:
    """The call is nobody's missed call: its record is marked as dealt with."""
    call = _call_of(log, sip_call_id)
    if call is None:
        return

    def ended() -> bool | None:
        with Session(engine) as session, session.begin():
            row = queries.by_call(session, call)
            if row is None or row.ended_at is None:
                return None
            row.notes = row.notes or "callcenter doctor"
            row.handled_at = row.handled_at or utc(row.ended_at)
            return True

    _until(ended, patience)


__all__ = ["CALLER", "POP", "SENTENCES", "Caller", "Examination", "Hop", "examine"]
