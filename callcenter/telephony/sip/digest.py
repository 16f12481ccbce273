"""Digest authentication, both sides of it (RFC 7616, RFC 8760, RFC 3261 22)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.headers import quote, split_values, unquote
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.uri import parse_uri

SHA256 = "SHA-256"
MD5 = "MD5"
NONCE_SECONDS = 300.0  # then a client is told to take a new one; it does so by itself
KEPT_NONCES = 10_000  # whose counts are remembered

_HASHES: Mapping[str, str] = {SHA256: "sha256", "SHA-512-256": "sha512_256", MD5: "md5"}
_SCHEME = re.compile(r"\s*digest\s+(.*)", re.IGNORECASE | re.DOTALL)
_NC = re.compile(r"[0-9a-fA-F]{8}")
_UNQUOTED = frozenset({"algorithm", "stale", "nc"})

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password."""

    username: str
    password: str


def parse_digest(text: str) -> dict[str, str]:
    """The parameters of a challenge or of credentials, names in lower case, values unquoted.

    Raises SipSyntaxError when the scheme is another one or a parameter is malformed.
    """
    match = _SCHEME.fullmatch(text)
    if not match:
        raise SipSyntaxError("The authentication scheme is not Digest.")
    found: dict[str, str] = {}
    for item in split_values(match[1]):
        name, equals, value = item.partition("=")
        if not equals or name.strip().lower() in found:
            raise SipSyntaxError("A digest parameter is malformed.")
        found[name.strip().lower()] = unquote(value.strip())
    return found


def write_digest(values: Mapping[str, str], *, bare_qop: bool) -> str:
    """The reverse; `bare_qop` as credentials write it, in quotes as challenges do."""
    bare = _UNQUOTED | {"qop"} if bare_qop else _UNQUOTED
    return "Digest " + ", ".join(
        f"{name}={value if name in bare else quote(value)}" for name, value in values.items()
    )


def digest(values: Mapping[str, str], password: str, method: str, body: bytes) -> str:
    """The `response` of RFC 7616 3.4.1 to 3.4.3 for the other parameters of the credentials."""
    algorithm = values.get("algorithm", MD5)
    base = algorithm.upper().removesuffix("-SESS")

    def h(*parts: str) -> str:
        return hashlib.new(
            _HASHES[base], _octets(":".join(parts)), usedforsecurity=False
        ).hexdigest()

    secret = h(values["username"], values["realm"], password)
    if algorithm.upper().endswith("-SESS"):
        secret = h(secret, values["nonce"], values.get("cnonce", ""))
    qop = values.get("qop")
    what = [method, values["uri"]]
    if qop == "auth-int":
        what.append(hashlib.new(_HASHES[base], body, usedforsecurity=False).hexdigest())
    if qop is None:
        return h(secret, values["nonce"], h(*what))
    return h(secret, values["nonce"], values["nc"], values["cnonce"], qop, h(*what))


# --- The side that asks ----------------------------------------------------------------------


class Proof(Enum):
    """What the credentials of a request are worth."""

    RIGHT = "right"
    MISSING = "missing"
    STALE = "stale"  # old or replayed nonce, count repeated: to be asked again
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a trunk's requests must show. `algorithms` by preference, the first one first."""

    login: Login
    realm: str
    algorithms: tuple[str, ...] = (SHA256,)
    qop: str = "auth"


class Authenticator:
    """Asks for credentials and judges them: those of one login, or of one of several.

    A nonce is good for one source and some minutes, and needs no memory: it carries its time and
    a seal (RFC 7616 3.3). Only the counts that were used are kept, so that nothing is replayed.
    """

    def __init__(self, demand: Demand, token: Callable[[], str], *more: Demand) -> None:
        self._demand = demand  # the first: realm and qop are its
        self._demands = {one.login.username: one for one in (demand, *more)}
        self._token = token
        self._secret = (token() + token()).encode()
        self._counts: OrderedDict[str, int] = OrderedDict()

    def challenges(
        self, source: str, now: float, *, stale: bool = False, username: str | None = None
    ) -> Fields:
        """WWW-Authenticate, one field per algorithm, the strongest first (RFC 8760 2.4).

        `username`: as whom the peer is about to sign in. A phone that knows MD5 only may give up
        on the first challenge that it cannot answer, so it is asked for what it can.
        """
        asked = self._demand if username is None else self._demands.get(username)
        values = {"realm": self._demand.realm, "nonce": self._nonce(source, now)}
        values |= {"qop": self._demand.qop}
        if stale:
            values["stale"] = "true"
        return tuple(
            ("WWW-Authenticate", write_digest(values | {"algorithm": name}, bare_qop=False))
            for name in (asked.algorithms if asked else (SHA256,))
        )

    def claimed(self, request: Request) -> str | None:
        """Whose credentials the request carries, right or wrong."""
        given = self._credentials(request)
        return given.get("username") if given else None

    def judge(self, request: Request, source: str, now: float) -> Proof:
        """Whether the request comes from who it should.

        Wrong are only credentials for a nonce that this source got from us: nobody can put that
        on somebody else's account by forging addresses.
        """
        given = self._credentials(request)
        if given is None:
            return Proof.MISSING
        if not self._ours(given.get("nonce", ""), source, now):
            return Proof.STALE
        try:
            if not self._matches(given, request):
                return Proof.WRONG
        except (SipSyntaxError, KeyError):
            return Proof.WRONG
        return Proof.RIGHT if self._counted(given["nonce"], int(given["nc"], 16)) else Proof.STALE

    def _credentials(self, request: Request) -> dict[str, str] | None:
        """Those of our realm."""
        for written in request.headers.all("Authorization"):
            with suppress(SipSyntaxError):
                given = parse_digest(written)
                if given.get("realm") == self._demand.realm:
                    return given
        return None

    def _matches(self, given: dict[str, str], request: Request) -> bool:
        demand = self._demands.get(given["username"])
        if demand is None:
            return False
        wanted = (
            given.get("algorithm", MD5).upper() in demand.algorithms
            and given.get("qop") == demand.qop
            and _NC.fullmatch(given["nc"]) is not None
            and parse_uri(given["uri"]).user == request.target.user
        )
        if not wanted:
            return False
        expected = digest(given, demand.login.password, request.method, request.body)
        return hmac.compare_digest(expected.encode(), _octets(given["response"].lower()))

    def _nonce(self, source: str, now: float) -> str:
        stem = f"{int(now * 1000):x}.{self._token()}"
        return f"{stem}.{self._seal(stem, source)}"

    def _seal(self, stem: str, source: str) -> str:
        return hmac.new(self._secret, _octets(f"{stem}|{source}"), "sha256").hexdigest()[:32]

    def _ours(self, nonce: str, source: str, now: float) -> bool:
        stem, _, seal = nonce.rpartition(".")
        if not hmac.compare_digest(self._seal(stem, source).encode(), _octets(seal)):
            return False
        return now - int(stem.partition(".")[0], 16) / 1000 <= NONCE_SECONDS

    def _counted(self, nonce: str, count: int) -> bool:
        """Whether the count is a new one for that nonce (RFC 7616 3.4, nc)."""
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        if len(self._counts) > KEPT_NONCES:
            self._counts.popitem(last=False)
        return True


# --- The side that is asked ------------------------------------------------------------------


class Answerer:
    """Answers 401 and 407 with one login."""

    def __init__(self, login: Login, algorithms: Iterable[str], token: Callable[[], str]) -> None:
        self._login = login
        self._algorithms = frozenset(algorithms)
        self._token = token
        self._nonce = ""
        self._count = 0

    def credentials(self, response: Response, request: Request) -> tuple[str, str] | None:
        """The header field with which `request` may be sent again.

        None when no challenge can be met, or when the same nonce was answered already and is not
        stale: the password is wrong, and asking again would only lock the account.
        """
        proxy = response.status == 407
        for written in response.headers.all("Proxy-Authenticate" if proxy else "WWW-Authenticate"):
            if asked := self._known(written):
                name = "Proxy-Authorization" if proxy else "Authorization"
                again = request.headers.get(name) is not None
                if again and asked.get("stale", "").lower() != "true":
                    return None
                return name, self._answer(asked, request)
        return None

    def _known(self, written: str) -> dict[str, str] | None:
        try:
            asked = parse_digest(written)
        except SipSyntaxError:
            return None
        name = asked.get("algorithm", MD5).upper().removesuffix("-SESS")
        offered = _qops(asked)
        fits = name in self._algorithms and {"realm", "nonce"} <= asked.keys()
        return asked if fits and (offered is None or offered & {"auth", "auth-int"}) else None

    def _answer(self, asked: dict[str, str], request: Request) -> str:
        values = {
            "username": self._login.username,
            "realm": asked["realm"],
            "nonce": asked["nonce"],
            "uri": request.uri,
        }
        values |= {name: asked[name] for name in ("algorithm", "opaque") if name in asked}
        if offered := _qops(asked):
            self._count = self._count + 1 if asked["nonce"] == self._nonce else 1
            self._nonce = asked["nonce"]
            values["qop"] = "auth" if "auth" in offered else "auth-int"
            values |= {"nc": f"{self._count:08x}", "cnonce": self._token()}
        elif values.get("algorithm", "").upper().endswith("-SESS"):
            values["cnonce"] = self._token()
        values["response"] = digest(values, self._login.password, request.method, request.body)
        return write_digest(values, bare_qop=True)


def _qops(asked: Mapping[str, str]) -> set[str] | None:
    """What `qop` offers; None where it is absent, as before RFC 2617."""
    if "qop" not in asked:
        return None
    return {item.strip().lower() for item in asked["qop"].split(",")}


def _octets(text: str) -> bytes:
    """As it came on the wire."""
    return text.encode("utf-8", "surrogateescape")
