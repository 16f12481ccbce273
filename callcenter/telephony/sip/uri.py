"""URIs: sip and sips in full (RFC 3261 19.1), others by scheme and what follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import unquote

from callcenter.errors import SipSyntaxError

Parameters = tuple[tuple[str, str | None], ...]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.+)", re.DOTALL)
_OUTSIDE = re.compile(r"[\s<>\"\x00-\x1f]")
_HOSTPORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?", re.ASCII)
_PARAMETER = re.compile(r"([^\s<>\"@;=?]+)(?:=([^\s<>\"@;=?]*))?")
_SEPARATORS = str.maketrans("", "", "-.() ")


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI. For sip and sips `host` is set and `opaque` empty; for others the reverse.

    `userinfo` is as written, escapes and password included; `host` keeps its brackets.
    """

    scheme: str
    opaque: str = ""
    userinfo: str | None = None
    host: str = ""
    port: int | None = None
    parameters: Parameters = ()
    headers: str | None = None

    @property
    def user(self) -> str | None:
        """Who is meant: the user part without password, unescaped; of tel the bare number."""
        if self.scheme == "tel":
            return self.opaque.partition(";")[0].translate(_SEPARATORS)
        if self.userinfo is None:
            return None
        return unquote(self.userinfo.partition(":")[0], errors="replace")

    def parameter(self, name: str) -> str | None:
        """The value of a URI parameter, "" where it has none, None where it is absent."""
        return next((value or "" for key, value in self.parameters if key.lower() == name), None)

    def __str__(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        user = "" if self.userinfo is None else f"{self.userinfo}@"
        place = hostport(self.host, self.port)
        headers = "" if self.headers is None else f"?{self.headers}"
        return f"{self.scheme}:{user}{place}{_joined(self.parameters)}{headers}"


@lru_cache(maxsize=512)
def parse_uri(text: str) -> Uri:
    """Read an absolute URI. Raises SipSyntaxError."""
    match = _SCHEME.fullmatch(text)
    if not match:
        raise SipSyntaxError("A URI has no scheme.")
    if _OUTSIDE.search(text):
        raise SipSyntaxError("A URI holds spaces, quotes or angle brackets.")
    scheme, rest = match[1].lower(), match[2]
    if scheme not in ("sip", "sips"):
        return Uri(scheme, opaque=rest)
    return _sip_uri(scheme, rest)


def _sip_uri(scheme: str, rest: str) -> Uri:
    """What follows `sip:` (RFC 3261 25.1, SIP-URI)."""
    userinfo, at, address = rest.partition("@")
    if not at:
        address = rest
    elif not userinfo:
        raise SipSyntaxError("The user part of a SIP URI is empty.")
    address, question, headers = address.partition("?")
    place, *parameters = address.split(";")
    host, port = parse_hostport(place)
    return Uri(
        scheme,
        userinfo=userinfo if at else None,
        host=host,
        port=port,
        parameters=tuple(_parameter(text) for text in parameters),
        headers=headers if question else None,
    )


def parse_hostport(text: str) -> tuple[str, int | None]:
    """`host[:port]` (RFC 3261 25.1), an IPv6 host in brackets. Raises SipSyntaxError."""
    match = _HOSTPORT.fullmatch(text)
    if not match:
        raise SipSyntaxError("A host is malformed.")
    host, port = match[1], match[2]
    if host.startswith("["):
        _check_ipv6(host[1:-1])
    if port is not None and int(port) > 65535:
        raise SipSyntaxError("A port is above 65535.")
    return host, None if port is None else int(port)


def hostport(host: str, port: int | None) -> str:
    """The reverse of `parse_hostport`; brackets are added to a bare IPv6 address."""
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return shown if port is None else f"{shown}:{port}"


def _check_ipv6(text: str) -> None:
    try:
        IPv6Address(text)
    except ValueError:
        raise SipSyntaxError("An IPv6 address is malformed.") from None


def _parameter(text: str) -> tuple[str, str | None]:
    match = _PARAMETER.fullmatch(text)
    if not match:
        raise SipSyntaxError("A URI parameter is malformed.")
    return match[1], match[2]


def _joined(parameters: Parameters) -> str:
    return "".join(f";{name}" if v is None else f";{name}={v}" for name, v in parameters)
