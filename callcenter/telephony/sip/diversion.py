"""Whom the call was for before it was diverted to us (RFC 5806, RFC 7044, RFC 4458)."""

from __future__ import annotations

import re
from contextlib import suppress

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.headers import NameAddr, parameter, parse_name_addr
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.number import LONGEST, number_of

_MOST = 32  # entries that are looked at
_INDEX = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,15}", re.ASCII)


def diverted_from(request: Request) -> str | None:
    """The first number that diverted the call; None without one, or where it is withheld."""
    who = _by_diversion(request) if request.headers.all("Diversion") else _by_history(request)
    number = who and number_of(who.uri)
    return number[:LONGEST] if number else None


def _by_diversion(request: Request) -> NameAddr | None:
    """The last value: each diversion puts itself on top (RFC 5806 3)."""
    entries = _entries(request, "Diversion")
    if not entries:
        return None
    privacy = (parameter(entries[-1].parameters, "privacy") or "off").strip('"').lower()
    return entries[-1] if privacy in ("off", "name") else None


def _by_history(request: Request) -> NameAddr | None:
    """The first target, where a later one says why it was left (a cause, RFC 4458 2)."""
    entries = [entry for entry in _entries(request, "History-Info") if _index(entry)]
    entries.sort(key=_index)
    if len(entries) < 2:
        return None
    first, *later = entries
    why = (first.uri.headers or "").lower()
    diverted = "reason=" in why or any(each.uri.parameter("cause") for each in later)
    return first if diverted and "privacy=history" not in why else None


def _index(entry: NameAddr) -> tuple[int, ...]:
    written = parameter(entry.parameters, "index") or ""
    return tuple(map(int, written.split("."))) if _INDEX.fullmatch(written) else ()


def _entries(request: Request, name: str) -> list[NameAddr]:
    """What can be read; one that cannot does not hide the others."""
    found: list[NameAddr] = []
    with suppress(SipSyntaxError):
        for value in request.headers.values(name)[:_MOST]:
            with suppress(SipSyntaxError):
                found.append(parse_name_addr(value))
    return found
