"""SIP messages: header fields in their order, requests, responses (RFC 3261 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from http import HTTPStatus

from callcenter.telephony.sip.headers import (
    CSeq,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_via,
    split_values,
)
from callcenter.telephony.sip.uri import Uri, parse_uri

COMPACT = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length",
    "c": "content-type", "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via",
    "o": "event", "u": "allow-events", "r": "refer-to", "b": "referred-by", "x": "session-expires",
    "a": "accept-contact", "j": "reject-contact", "d": "request-disposition",
}  # fmt: skip

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    421: "Extension Required", 422: "Session Interval Too Small", 423: "Interval Too Brief",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated",
    469: "Bad Info Package", 488: "Not Acceptable Here", 491: "Request Pending",
    489: "Bad Event", 500: "Server Internal Error", 501: "Not Implemented",
    503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


@lru_cache(maxsize=1024)
def field_key(name: str) -> str:
    """The header field that `name` names, whatever its case, compact or long (RFC 3261 7.3.3)."""
    lower = name.lower()
    return COMPACT.get(lower, lower)


class Headers:
    """Header fields as they were written, in their order."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = [(field_key(name), name, value) for name, value in fields]

    def get(self, name: str) -> str | None:
        """The first value with that name."""
        key = field_key(name)
        for known, _, value in self._fields:  # a loop, not a generator: asked very often
            if known == key:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """Every field with that name, as written, topmost first."""
        key = field_key(name)
        return [value for known, _, value in self._fields if known == key]

    def values(self, name: str) -> list[str]:
        """Every value of every field with that name, apart at commas."""
        return [value for written in self.all(name) for value in split_values(written) if value]

    def add(self, name: str, value: str) -> None:
        """Put a field after the others."""
        self._fields.append((field_key(name), name, value))

    def replace_first(self, name: str, value: str) -> None:
        """Give the topmost field of that name another value."""
        key = field_key(name)
        for index, (known, written, _) in enumerate(self._fields):
            if known == key:
                self._fields[index] = (known, written, value)
                return

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


@dataclass
class Message:
    """What requests and responses share. The parsed forms raise SipSyntaxError."""

    headers: Headers = field(default_factory=Headers, kw_only=True)
    body: bytes = field(default=b"", kw_only=True)

    @property
    def start_line(self) -> str:
        """The line that tells a request from a response."""
        raise NotImplementedError

    @cached_property
    def via(self) -> Via:
        """The topmost Via as it was received."""
        return parse_via(split_values(self.headers.get("Via") or "")[0])

    @cached_property
    def from_(self) -> NameAddr:
        """Who sent the request."""
        return parse_name_addr(self.headers.get("From") or "")

    @cached_property
    def to(self) -> NameAddr:
        """Whom it was meant for."""
        return parse_name_addr(self.headers.get("To") or "")

    @cached_property
    def cseq(self) -> CSeq:
        """Its place in the order of requests."""
        return parse_cseq(self.headers.get("CSeq") or "")

    @property
    def call_id(self) -> str:
        """The Call-ID, "" when there is none."""
        return self.headers.get("Call-ID") or ""

    @property
    def content_type(self) -> str:
        """Type and subtype of the body in lower case, without parameters."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Give the message its body (RFC 3261 20.14, 20.15); call once, last."""
        self.body = body
        if content_type:
            self.headers.add("Content-Type", content_type)
        self.headers.add("Content-Length", str(len(body)))

    def __bytes__(self) -> bytes:
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = f"{self.start_line}\r\n{fields}\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


@dataclass
class Request(Message):
    """A request; `uri` is the Request-URI as written (RFC 3261 7.1)."""

    method: str
    uri: str
    version: str = "SIP/2.0"

    @property
    def start_line(self) -> str:
        """`Method Request-URI SIP-Version`."""
        return f"{self.method} {self.uri} {self.version}"

    @cached_property
    def target(self) -> Uri:
        """The Request-URI, read."""
        return parse_uri(self.uri)


@dataclass
class Response(Message):
    """A response (RFC 3261 7.2)."""

    status: int
    reason: str
    version: str = "SIP/2.0"

    @property
    def start_line(self) -> str:
        """`SIP-Version Status-Code Reason-Phrase`."""
        return f"{self.version} {self.status} {self.reason}"


def respond(request: Request, status: int, *, tag: str, reason: str | None = None) -> Response:
    """The response to `request` with the header fields that it must copy (RFC 3261 8.2.6.2).

    `tag` goes into To when To has none and the response is not a 100. The body is still to be set.
    """
    response = Response(status, reason or reason_phrase(status))
    for value in request.headers.all("Via"):
        response.headers.add("Via", value)
    for name in ("From", "To", "Call-ID", "CSeq"):
        value_or_none = request.headers.get(name)
        if value_or_none is not None:
            response.headers.add(name, value_or_none)
    if status == 100:
        for value in request.headers.all("Timestamp"):
            response.headers.add("Timestamp", value)
    elif not _has_tag(request):
        response.headers.replace_first("To", f"{request.headers.get('To')};tag={tag}")
    return response


def reason_phrase(status: int) -> str:
    """The usual reason phrase of a status code."""
    return REASONS.get(status) or _http_phrase(status)


def _http_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused" if status >= 300 else "OK"


def _has_tag(request: Request) -> bool:
    """Whether To carries a tag; asked of salvaged requests too, whose To may not be readable."""
    try:
        return request.to.tag is not None
    except ValueError:
        return True
