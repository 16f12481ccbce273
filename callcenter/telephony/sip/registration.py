"""Our own registration with a PBX or provider (RFC 3261 10.2, 22.2; RFC 5626 4.4, 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from callcenter.telephony.sip.actions import Flow, RegistrationChanged, Send
from callcenter.telephony.sip.client import NonInviteClient
from callcenter.telephony.sip.digest import SHA256, Answerer, Login
from callcenter.telephony.sip.headers import Via, parameter, parse_name_addr
from callcenter.telephony.sip.message import Headers, Request, Response
from callcenter.telephony.sip.responses import ALLOW, PRODUCT
from callcenter.telephony.sip.stream import PING
from callcenter.telephony.sip.timers import Timed
from callcenter.telephony.sip.transaction import MAGIC_COOKIE, Layer
from callcenter.telephony.sip.uri import hostport

FIRST_PAUSE = 10.0  # seconds until the second attempt; doubled after each failure …
LONGEST_PAUSE = 600.0  # … up to this
LONGEST_EXPIRES = 86_400  # seconds; a registrar that wants more is refused
KEEP_ALIVE = 25.0  # seconds between empty datagrams that keep a NAT's door open


class Standing(Enum):
    """Where a registration is."""

    REGISTERING = "registering"
    REGISTERED = "registered"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are there. `domain` is a host, with a port where it is not the usual one."""

    name: str
    domain: str
    user: str
    login: Login
    algorithms: tuple[str, ...] = (SHA256,)
    expires: int = 300


class Registration(Timed):
    """Registers, refreshes at half to nine tenths of the time granted, tries again after failures.

    `detail` is one sentence on the latest failure, "" while all is well.
    """

    def __init__(self, layer: Layer, account: Account, token: Callable[[], str]) -> None:
        super().__init__(layer.agenda)
        self.account = account
        self.standing = Standing.REGISTERING
        self.detail = ""
        self.flow: Flow | None = None
        self._layer = layer
        self._token = token
        self._answerer = Answerer(account.login, account.algorithms, token)
        self._call_id, self._tag = token(), token()
        self._cseq = 0
        self._expires = account.expires
        self._failures = 0

    def begin(self, flow: Flow, now: float) -> None:
        """Register along `flow`; also when the registrar has moved to another address."""
        self.flow = flow
        self._attempt(now)

    def remove(self, now: float) -> None:
        """Say goodbye where we are known; nothing more is sent after the answer."""
        registered = self.standing is Standing.REGISTERED
        self._stand(Standing.REMOVED)
        self.stop(*tuple(self.running))
        if registered:
            self._expires = 0
            self._attempt(now)

    def expire(self, timer: str, now: float) -> None:
        """`attempt`: refresh or try again; `alive`: keep the way open."""
        if timer == "attempt":
            self._attempt(now)
        elif self.flow:
            self._layer.emit(Send(PING, self.flow))
            self.start("alive", now + KEEP_ALIVE)

    # --- requests ----------------------------------------------------------------------------

    def _attempt(self, now: float, credentials: tuple[str, str] | None = None) -> None:
        assert self.flow is not None
        self.stop("attempt")
        request = self._request(self.flow, credentials)

        def outcome(response: Response | None, at: float) -> None:
            if request.cseq.number == self._cseq:  # else a newer attempt is under way
                self._answered(request, response, at)

        NonInviteClient(self._layer, request, self.flow, outcome).opened().begin(now)

    def _request(self, flow: Flow, credentials: tuple[str, str] | None) -> Request:
        """REGISTER (RFC 3261 10.2); Call-ID stays, CSeq grows."""
        self._cseq += 1
        account, here = self.account, flow.local
        address = f"<sip:{account.user}@{account.domain}>"
        via = Via(flow.transport, here.host, here.port, self._via_parameters())
        fields = [
            ("Via", str(via)),
            ("Max-Forwards", "70"),
            ("From", f"{address};tag={self._tag}"),
            ("To", address),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Contact", f"<sip:{account.user}@{hostport(here.host, here.port)}>"),
            ("Expires", str(self._expires)),
            ALLOW,
            ("User-Agent", PRODUCT),
        ]
        if credentials:
            fields.append(credentials)
        request = Request("REGISTER", f"sip:{account.domain}", headers=Headers(fields))
        request.set_body(b"")
        return request

    def _via_parameters(self) -> tuple[tuple[str, str | None], ...]:
        return ("rport", None), ("branch", MAGIC_COOKIE + self._token())

    # --- responses ---------------------------------------------------------------------------

    def _answered(self, request: Request, response: Response | None, now: float) -> None:
        if self.standing is Standing.REMOVED:
            if response is not None and response.status in (401, 407):
                self._prove(request, response, now)
        elif response is None:
            self._fail(Standing.UNREACHABLE, "The registrar does not answer.", now)
        elif response.status in (401, 407):
            self._prove(request, response, now)
        elif response.status == 423:
            self._take_longer(response, now)
        elif 200 <= response.status < 300:
            self._registered(response, now)
        elif response.status >= 300:
            sentence = f"The registrar answers {response.status}."
            self._fail(Standing.REFUSED, sentence, now, at_least=_seconds(response, "Retry-After"))

    def _prove(self, request: Request, response: Response, now: float) -> None:
        credentials = self._answerer.credentials(response, request)
        if credentials:
            self._attempt(now, credentials)
        elif self.standing is not Standing.REMOVED:
            tried = request.headers.get("Authorization") or request.headers.get(
                "Proxy-Authorization"
            )
            sentence = (
                "The registrar does not take the user name and password."
                if tried
                else "The registrar asks for a digest that the settings do not allow (MD5?)."
            )
            self._fail(Standing.REFUSED, sentence, now)

    def _take_longer(self, response: Response, now: float) -> None:
        """423: the registrar wants a longer time (RFC 3261 10.2.8)."""
        least = _seconds(response, "Min-Expires")
        if self._expires < least <= LONGEST_EXPIRES:
            self._expires = least
            self._attempt(now)
        else:
            self._fail(Standing.REFUSED, "The registrar finds no time long enough (423).", now)

    def _registered(self, response: Response, now: float) -> None:
        self._failures = 0
        self.detail = ""
        self._stand(Standing.REGISTERED)
        granted = max(1.0, float(self._granted(response)))
        self.start("attempt", now + granted * (0.5 + 0.4 * self._random()))
        if not self.flow or not self.flow.reliable:
            self.start("alive", now + KEEP_ALIVE)

    def _granted(self, response: Response) -> int:
        """Seconds: of our Contact, else of Expires, else what we asked for (10.2.4)."""
        here = self.flow.local if self.flow else None
        for value in response.headers.values("Contact"):
            try:
                contact = parse_name_addr(value)
            except ValueError:
                continue
            ours = here and (contact.uri.host.strip("[]"), contact.uri.port) == (
                here.host,
                here.port,
            )
            expires = parameter(contact.parameters, "expires") or ""
            if ours and contact.uri.user == self.account.user and expires.isdecimal():
                return min(int(expires), LONGEST_EXPIRES)
        return min(_seconds(response, "Expires") or self._expires, LONGEST_EXPIRES)

    def _fail(self, standing: Standing, sentence: str, now: float, at_least: int = 0) -> None:
        """Try again later, and later each time; never in step with others."""
        self.stop("alive")
        self.detail = sentence
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        wished = float(min(at_least, LONGEST_EXPIRES))
        self.start("attempt", now + max(wished, pause * (0.5 + 0.5 * self._random())))
        self._stand(standing)

    def _random(self) -> float:
        """0 to 1."""
        return int(self._token(), 16) % 1000 / 1000

    def _stand(self, standing: Standing) -> None:
        changed = standing is not self.standing
        self.standing = standing
        if changed:
            self._layer.emit(RegistrationChanged(self))


def _seconds(response: Response, name: str) -> int:
    """A header field in seconds, 0 without a usable one."""
    text = (response.headers.get(name) or "").partition(";")[0].partition("(")[0].strip()
    usable = text.isascii() and text.isdigit() and len(text) < 8
    return int(text) if usable else 0
