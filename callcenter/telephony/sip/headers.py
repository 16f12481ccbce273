"""The header fields whose inside the core reads (RFC 3261 20 and 25.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.uri import Parameters, Uri, hostport, parse_hostport, parse_uri

_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*(?P<transport>[A-Za-z0-9.!%*_+`'~-]+)\s+"
    r"(?P<host>\[[^\]\s]*\]|[^\s;:,]+)\s*(?::\s*(?P<port>\d+)\s*)?(?P<parameters>;.*)?",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_CSEQ = re.compile(r"(\d{1,40})\s+([A-Za-z0-9.!%*_+`'~-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """From, To, Contact, Route: a URI, perhaps with a display name and parameters."""

    uri: Uri
    name: str | None = None
    parameters: Parameters = ()

    @property
    def tag(self) -> str | None:
        """The tag parameter (RFC 3261 19.3)."""
        return parameter(self.parameters, "tag")

    def __str__(self) -> str:
        name = "" if self.name is None else f"{quote(self.name)} "
        return f"{name}<{self.uri}>{join_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that the message took (RFC 3261 20.42)."""

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()

    @property
    def branch(self) -> str:
        """The transaction's identifier, "" when there is none (RFC 2543)."""
        return parameter(self.parameters, "branch") or ""

    def with_parameter(self, name: str, value: str) -> Via:
        """The same hop with a parameter set."""
        rest = tuple(item for item in self.parameters if item[0].lower() != name)
        return replace(self, parameters=(*rest, (name, value)))

    def __str__(self) -> str:
        place = hostport(self.host, self.port)
        return f"SIP/2.0/{self.transport} {place}{join_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class CSeq:
    """The order of requests within a dialog (RFC 3261 8.1.1.5)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=512)
def parse_name_addr(text: str) -> NameAddr:
    """Read `"Name" <uri>;parameters` or `uri;parameters`. Raises SipSyntaxError."""
    text = text.strip()
    name, rest = _display_name(text)
    if not rest.startswith("<"):
        if name is not None:
            raise SipSyntaxError("An address has a display name but no URI in angle brackets.")
        address, semicolon, parameters = rest.partition(";")
        return NameAddr(parse_uri(address.strip()), None, parse_parameters(semicolon + parameters))
    address, bracket, parameters = rest[1:].partition(">")
    if not bracket:
        raise SipSyntaxError("An address lacks its closing angle bracket.")
    return NameAddr(parse_uri(address), name, parse_parameters(parameters))


def _display_name(text: str) -> tuple[str | None, str]:
    """The display name, unquoted, and what follows it."""
    if text.startswith('"'):
        match = _QUOTED.match(text)
        if not match:
            raise SipSyntaxError("A quoted string is not closed.")
        return unquote(match[0]), text[match.end() :].lstrip()
    before, bracket, after = text.partition("<")
    name = before.strip()
    if not bracket or not name:
        return None, bracket + after if bracket else text
    if any(char in name for char in '",;'):
        raise SipSyntaxError("A display name that needs quotes has none.")
    return name, bracket + after


def parse_via(text: str) -> Via:
    """Read one value of a Via header field. Raises SipSyntaxError."""
    match = _VIA.fullmatch(text.strip())
    if not match:
        raise SipSyntaxError("A Via header field is malformed.")
    port = "" if match["port"] is None else f":{match['port']}"
    host, number = parse_hostport(match["host"] + port)
    return Via(match["transport"], host, number, parse_parameters(match["parameters"] or ""))


def parse_cseq(text: str) -> CSeq:
    """Read a CSeq header field; the number is below 2**31. Raises SipSyntaxError."""
    match = _CSEQ.fullmatch(text.strip())
    if not match or int(match[1]) >= 2**31:
        raise SipSyntaxError("The CSeq header field is malformed or its number too large.")
    return CSeq(int(match[1]), match[2])


def parse_parameters(text: str) -> Parameters:
    """Read `;name=value;name`; values keep their quotes. Raises SipSyntaxError."""
    text = text.strip()
    if not text:
        return ()
    if not text.startswith(";"):
        raise SipSyntaxError("Something that is no parameter follows a header field's value.")
    return tuple(_parameter(item) for item in _outside(text[1:], ";"))


def _parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not _TOKEN.fullmatch(name) or (equals and not value):
        raise SipSyntaxError("A parameter is malformed.")
    return name, value if equals else None


def parameter(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter, "" where it has none, None where it is absent."""
    for key, value in parameters:
        if key.lower() == name:
            return value or ""
    return None


def join_parameters(parameters: Parameters) -> str:
    """The reverse of `parse_parameters`."""
    return "".join(f";{name}" if v is None else f";{name}={v}" for name, v in parameters)


def split_values(text: str) -> list[str]:
    """The values of a header field that may hold several, apart at commas (RFC 3261 7.3.1)."""
    return list(_outside(text, ","))


def _outside(text: str, separator: str) -> Iterator[str]:
    """The pieces of `text` between separators that stand in no quotes and no angle brackets."""
    if '"' not in text and "<" not in text:
        yield from (piece.strip() for piece in text.split(separator))
        return
    start = at = 0
    while at < len(text):
        if text[at] == separator:
            yield text[start:at].strip()
            start = at + 1
        at = _SKIP.get(text[at], _one)(text, at)
    yield text[start:].strip()


def _one(_: str, at: int) -> int:
    return at + 1


def _past_quotes(text: str, at: int) -> int:
    match = _QUOTED.match(text, at)
    if not match:
        raise SipSyntaxError("A quoted string is not closed.")
    return match.end()


def _past_brackets(text: str, at: int) -> int:
    end = text.find(">", at)
    if end < 0:
        raise SipSyntaxError("An address lacks its closing angle bracket.")
    return end + 1


_SKIP: dict[str, Callable[[str, int], int]] = {'"': _past_quotes, "<": _past_brackets}


def quote(text: str) -> str:
    """`text` as a quoted string (RFC 3261 25.1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """What a quoted string says; other text is handed back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
