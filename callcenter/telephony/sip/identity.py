"""Who calls, as far as the request says (RFC 3261 20.20, RFC 3323, RFC 3325, RFC 3966)."""

from __future__ import annotations

from contextlib import suppress

from callcenter.errors import SipSyntaxError
from callcenter.events import Verstat
from callcenter.telephony.ports import Caller
from callcenter.telephony.sip.diversion import diverted_from
from callcenter.telephony.sip.headers import (
    NameAddr,
    parameter,
    parse_name_addr,
    parse_parameters,
    split_values,
)
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.number import LONGEST, WITHHELD, number_of, readable

_VERDICTS: dict[str, Verstat] = {
    "tn-validation-passed": "passed",
    "tn-validation-failed": "failed",
    "no-tn-validation": "none",
}


def caller_of(request: Request, *, trusted: bool = False) -> Caller:
    """The caller of an INVITE; both fields are None when the number is withheld.

    On a trusted trunk the network's word (P-Asserted-Identity, RFC 3325) goes before From.
    """
    who = (trusted and _asserted(request)) or request.from_
    number, diverted = number_of(who.uri), diverted_from(request)
    if number is None or _private(request):
        return Caller(None, None, diverted)
    name = _name(who.name) or _name(request.from_.name)
    verdict = (verstat_of(who) or verstat_of(request.from_)) if trusted else None
    return Caller(number[:LONGEST], name, diverted, verdict)


def verstat_of(who: NameAddr) -> Verstat | None:
    """What the network found of the number (3GPP TS 24.229 7.2A.20): a parameter of the number,
    of its URI or of the header field. Some add the attestation level: `-Passed-A`."""
    user = ""
    with suppress(SipSyntaxError):
        written = parse_parameters(";" + (who.uri.opaque or who.uri.user or "").partition(";")[2])
        user = parameter(written, "verstat") or ""
    found = user or who.uri.parameter("verstat") or parameter(who.parameters, "verstat") or ""
    word = found.lower()
    return next((told for known, told in _VERDICTS.items() if word.startswith(known)), None)


def _asserted(request: Request) -> NameAddr | None:
    """The first identity that has a number; there may be a sip and a tel one (RFC 3325 9.1)."""
    for written in request.headers.all("P-Asserted-Identity"):
        with suppress(SipSyntaxError):
            for asserted in map(parse_name_addr, split_values(written)):
                if number_of(asserted.uri) is not None:
                    return asserted
    return None


def _private(request: Request) -> bool:
    """Whether the caller asked for privacy (RFC 3323 4.2)."""
    wishes = (request.headers.get("Privacy") or "").replace(",", ";").lower().split(";")
    return bool({wish.strip() for wish in wishes} & {"id", "user", "header", "session"})


def _name(name: str | None) -> str | None:
    """The display name as text: octets that are no UTF-8 replaced, control characters gone."""
    shown = readable(name or "")[:LONGEST]
    return None if not shown or shown.lower() in WITHHELD else shown
