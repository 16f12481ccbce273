"""Session descriptions (RFC 8866): read, changed and written without losing a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from callcenter.errors import SipSyntaxError

Line = tuple[str, str]

_MEDIA = re.compile(r"(\S+) (\d+)(?:/\d+)? (\S+)((?: \S+)*) *", re.ASCII)
_RTPMAP = re.compile(r"(\d{1,3}) +([^/\s]+)/(\d{1,6})(?:/\d+)?\s*", re.ASCII)
_LINE = re.compile(r"([a-z])=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of the session or of one medium, in their order, as (type, value)."""

    lines: tuple[Line, ...] = ()

    def first(self, kind: str) -> str | None:
        """The value of the first line of that type."""
        return next((value for known, value in self.lines if known == kind), None)

    def attributes(self, name: str) -> list[str]:
        """The values of every `a=name:value`; "" for `a=name`."""
        split = (value.partition(":") for kind, value in self.lines if kind == "a")
        return [value.strip() for known, _, value in split if known == name]

    def has(self, name: str) -> bool:
        """Whether there is such an attribute."""
        return bool(self.attributes(name))


@dataclass(frozen=True, slots=True)
class Media(Part):
    """A medium: its `m=` line apart, the lines below it in `lines` (RFC 8866 5.14)."""

    kind: str = "audio"
    port: int = 0
    protocol: str = "RTP/AVP"
    formats: tuple[str, ...] = ()

    def encoding(self, payload_type: int) -> str | None:
        """The `name/rate` that `a=rtpmap` gives to a payload type, in lower case."""
        for value in self.attributes("rtpmap"):
            match = _RTPMAP.fullmatch(value)
            if match and int(match[1]) == payload_type:
                return f"{match[2]}/{match[3]}".lower()
        return None

    def __str__(self) -> str:
        first = " ".join((self.kind, str(self.port), self.protocol, *self.formats))
        return f"m={first}\r\n{_written(self.lines)}"


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    session: Part
    media: tuple[Media, ...] = ()

    def connection(self, media: Media) -> str | None:
        """The address of a medium from its own `c=` or the session's, None where neither is."""
        value = media.first("c") or self.session.first("c")
        return value.split()[2] if value and len(value.split()) >= 3 else None

    def __str__(self) -> str:
        return _written(self.session.lines) + "".join(map(str, self.media))

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")


def parse_sdp(body: bytes) -> SessionDescription:
    """Read a description. Raises SipSyntaxError; unknown types of lines are kept."""
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    lines = [_line(line) for line in text.split("\n") if line.strip()]
    if not lines or lines[0] != ("v", "0"):
        raise SipSyntaxError("The session description does not begin with v=0.")
    starts = [index for index, (kind, _) in enumerate(lines) if kind == "m"] + [len(lines)]
    media = [_media(lines[a], lines[a + 1 : b]) for a, b in pairwise(starts)]
    return SessionDescription(Part(tuple(lines[: starts[0]])), tuple(media))


def _line(text: str) -> Line:
    match = _LINE.fullmatch(text)
    if not match:
        raise SipSyntaxError("A line of the session description is not of the form x=….")
    return match[1], match[2]


def _media(first: Line, below: list[Line]) -> Media:
    match = _MEDIA.fullmatch(first[1])
    if not match or len(match[2]) > 5 or int(match[2]) > 65535:
        raise SipSyntaxError("An m= line of the session description is malformed.")
    return Media(tuple(below), match[1], int(match[2]), match[3], tuple(match[4].split()))


def _written(lines: tuple[Line, ...]) -> str:
    return "".join(f"{kind}={value}\r\n" for kind, value in lines)
