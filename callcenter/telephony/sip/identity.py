"""Who calls, as far as the request says (RFC 3261 20.20, RFC 3323, RFC 3325, RFC 3966)."""

from __future__ import annotations

import re
from contextlib import suppress

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Caller
from callcenter.telephony.sip.headers import NameAddr, parse_name_addr, split_values
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.uri import Uri

LONGEST = 200  # characters of a name or number that are kept

_WITHHELD = frozenset(
    {
        "anonymous",
        "unknown",
        "unavailable",
        "restricted",
        "withheld",
        "private",
        "invalid",
        "asserted",
    }
)
_NUMBER = re.compile(r"\+?[0-9().-]+", re.ASCII)
_SEPARATORS = str.maketrans("", "", "().-")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def caller_of(request: Request, *, trusted: bool = False) -> Caller:
    """The caller of an INVITE; both fields are None when the number is withheld.

    On a trusted trunk the network's word (P-Asserted-Identity, RFC 3325) goes before From.
    """
    who = (trusted and _asserted(request)) or request.from_
    number = _number(who.uri)
    if number is None or _private(request):
        return Caller(None, None)
    return Caller(number[:LONGEST], _name(who.name) or _name(request.from_.name))


def _asserted(request: Request) -> NameAddr | None:
    """The first identity that has a number; there may be a sip and a tel one (RFC 3325 9.1)."""
    for written in request.headers.all("P-Asserted-Identity"):
        with suppress(SipSyntaxError):
            for asserted in map(parse_name_addr, split_values(written)):
                if _number(asserted.uri) is not None:
                    return asserted
    return None


def _private(request: Request) -> bool:
    """Whether the caller asked for privacy (RFC 3323 4.2)."""
    wishes = (request.headers.get("Privacy") or "").replace(",", ";").lower().split(";")
    return bool({wish.strip() for wish in wishes} & {"id", "user", "header", "session"})


def _number(uri: Uri) -> str | None:
    """The user part; a number without its separators and parameters. None when withheld."""
    user = _clean(uri.user or "")
    if not user or user.lower() in _WITHHELD or uri.host.lower().endswith(".invalid"):
        return None
    number = user.partition(";")[0]
    return number.translate(_SEPARATORS) if _NUMBER.fullmatch(number) else user


def _name(name: str | None) -> str | None:
    """The display name as text: octets that are no UTF-8 replaced, control characters gone."""
    shown = _clean(name or "")[:LONGEST]
    return None if not shown or shown.lower() in _WITHHELD else shown


def _clean(text: str) -> str:
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROLS.sub(" ", readable).strip()
