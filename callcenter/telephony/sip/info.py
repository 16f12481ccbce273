"""Keys that a telephone tells by INFO (RFC 6086's "legacy usage"): dtmf-relay and dtmf."""

from __future__ import annotations

import re

from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.responses import Fields

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"
ACCEPTED: Fields = (("Accept", f"{RELAY}, {PLAIN}"),)

_SIGNAL = re.compile(rb"(?im)^\s*signal\s*=\s*([0-9A-Da-d*#]|1[0-6])\s*$")
_KEY = re.compile(rb"\s*([0-9A-Da-d*#]|1[0-6])\s*")
_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}  # RFC 4733 3.2


def digit_of(request: Request) -> tuple[int, str | None]:
    """The status that answers an INFO, and the key it tells, if any.

    200 without a body (some ask so whether a call lives), 415 for other bodies, 400 for a body
    without a key that exists, 469 for packages (RFC 6086 4.2.2: we have none).
    """
    if request.headers.get("Info-Package") is not None:
        return 469, None
    if not request.body:
        return 200, None
    if request.content_type not in (RELAY, PLAIN):
        return 415, None
    match = (
        _SIGNAL.search(request.body)
        if request.content_type == RELAY
        else _KEY.fullmatch(request.body)
    )
    key = match[1].decode().upper() if match else ""
    if key == "16" or not key:  # 16 is the hook flash
        return (200, None) if key else (400, None)
    return 200, _NUMBERED.get(key, key)
