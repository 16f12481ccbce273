"""Octets to messages (RFC 3261 7 and 25.1), one message at a time.

`parse()` demands what the RFC demands of a message before anything is done with it. What it
refuses, it still reads as far as it can, so that the sender can be told (`Malformed.salvaged`).
It is tolerant where tolerance is harmless: bare LF, folding, compact names, any case, octets
that are no UTF-8.
"""

from __future__ import annotations

import re

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.headers import parse_name_addr
from callcenter.telephony.sip.message import Headers, Message, Request, Response

MAX_SIZE = 8192  # octets; a larger request is answered 513

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\n[ \t]+")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_REQUEST_LINE = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+) (\S+) (SIP/\d+\.\d+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d) ?(.*)", re.IGNORECASE | re.DOTALL)

_EXACTLY_ONE = ("From", "To", "Call-ID", "CSeq")
_AT_MOST_ONE = ("Content-Length", "Max-Forwards", "Content-Type")


class Malformed(SipSyntaxError):
    """A message that must be refused; `answer` is the status code that tells the sender so.

    `salvaged` is the message as far as it could be read.
    """

    def __init__(self, detail: str, salvaged: Message, answer: int = 400) -> None:
        super().__init__(detail)
        self.salvaged = salvaged
        self.answer = answer


def parse(data: bytes, *, streamed: bool = False) -> Request | Response:
    """Read one message. Raises SipSyntaxError when it is no SIP, Malformed when it is bad SIP.

    One that came in a stream must say how long its body is (RFC 3261 20.14).
    """
    head, ended, rest = _divide(data.lstrip(b"\r\n"))
    first, *lines = _lines(head)
    message, straight = _start_line(first)
    orderly = _read_fields(message.headers, lines)
    try:
        if len(data) > MAX_SIZE:
            raise Malformed(f"The message is larger than {MAX_SIZE} octets.", message, 513)
        if message.version != "SIP/2.0":
            raise Malformed("The SIP version is not 2.0.", message, 505)
        _demand(straight, "The start line is malformed.")
        _demand(orderly, "A line of the header is no header field.")
        _demand(ended, "The header does not end with an empty line.")
        measured = not streamed or message.headers.get("Content-Length") is not None
        _demand(measured, "Content-Length is missing.")
        message.body = _body(message.headers, rest)
        _check(message)
    except Malformed:
        raise
    except SipSyntaxError as error:
        raise Malformed(error.detail, message) from None
    return message


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SipSyntaxError(otherwise)


def _divide(data: bytes) -> tuple[bytes, bool, bytes]:
    """Head, whether an empty line ends it, and what follows that line."""
    match = _END_OF_HEAD.search(data)
    if not match:
        return data, False, b""
    return data[: match.start()], True, data[match.end() :]


def _lines(head: bytes) -> list[str]:
    """Start line and header fields, unfolded (RFC 3261 7.3.1)."""
    text = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return _FOLD.sub(" ", text).rstrip("\n").split("\n")


def _start_line(line: str) -> tuple[Request | Response, bool]:
    """The message that the line begins, and whether the line is as it must be."""
    if match := _REQUEST_LINE.fullmatch(line):
        return Request(match[1], match[2], match[3].upper()), True
    if match := _STATUS_LINE.fullmatch(line):
        return Response(int(match[1]), match[2]), True
    method, *uri, version = line.split() if len(line.split()) > 2 else ("", "", "")
    if _TOKEN.fullmatch(method) and version.upper().startswith("SIP/"):
        return Request(method, " ".join(uri), version.upper()), False
    raise SipSyntaxError("The datagram does not begin like a SIP message.")


def _read_fields(headers: Headers, lines: list[str]) -> bool:
    """Take every header field in; False when a line is none (it is left out)."""
    orderly = True
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if colon and _TOKEN.fullmatch(name) and "\r" not in value:
            headers.add(name, value.strip(" \t"))
        else:
            orderly = False
    return orderly


def _body(headers: Headers, rest: bytes) -> bytes:
    """The body: Content-Length octets; without that field all that is there (RFC 3261 18.3)."""
    lengths = headers.all("Content-Length")
    if not lengths:
        return rest
    _demand(len(lengths) == 1, "The message has more than one Content-Length.")
    length = _number(lengths[0], "Content-Length", at_most=10 * MAX_SIZE)
    _demand(length <= len(rest), "Content-Length is larger than the message.")
    return rest[:length]


def _number(text: str, name: str, *, at_most: int) -> int:
    good = text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= at_most
    _demand(good, f"{name} is no number within its bounds.")
    return int(text)


def _check(message: Request | Response) -> None:
    """What every message needs before it may be acted upon (RFC 3261 8.1.1, 8.2)."""
    headers = message.headers
    for name in _EXACTLY_ONE:
        count = len(headers.all(name))
        _demand(count == 1, f"{name} is missing." if not count else f"{name} stands there twice.")
    for name in _AT_MOST_ONE:
        _demand(len(headers.all(name)) <= 1, f"{name} stands there twice.")
    _demand(message.call_id != "", "Call-ID is empty.")
    _demand(headers.get("Via") is not None, "Via is missing.")
    _read_all(message)
    if isinstance(message, Request):
        _check_request(message)


def _read_all(message: Message) -> None:
    """Read what is needed later, so that what cannot be read is refused here."""
    _ = message.via, message.from_, message.to, message.cseq


def _check_request(request: Request) -> None:
    _demand(request.cseq.method == request.method, "CSeq names another method.")
    hops = request.headers.get("Max-Forwards")
    if hops is not None:
        _number(hops, "Max-Forwards", at_most=255)
    # RFC 3261 19.1.1, table 1: no headers in a Request-URI.
    _demand(request.target.headers is None, "The Request-URI carries header fields.")
    for name in ("Require", "Accept"):
        request.headers.values(name)
    if request.method in ("INVITE", "UPDATE"):
        for name in ("Contact", "Record-Route"):
            for value in request.headers.values(name):
                parse_name_addr(value)
