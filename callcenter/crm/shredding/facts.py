"""What of a fact is personal, pure: the payload without it. The fact itself stays.

A field that is not named in either table stops `tests/crm/test_erasures.py`: whoever adds a fact
decides what it says of people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PERSONAL: Mapping[str, Mapping[str, Any]] = {
    "CallRang": {
        "from_number": None,
        "from_name": None,
        "diverted_from": None,
        "sip_call_id": "",
    },
    "CallerReplaced": {
        "from_number": None,
        "from_name": None,
        "diverted_from": None,
        "sip_call_id": "",
    },
    "UtteranceHeard": {"text": "", "masks": []},
    "CallEnded": {"detail": ""},
    "CallTransferred": {"to_number": None},
    "ConsultationOffered": {"number": None, "sip_call_id": None},
    "ConsultationAnswered": {"number": None},
    "ConsultationHeld": {"number": None},
    "ConsultationResumed": {"number": None},
    "ConferenceBegan": {"number": None},
    "ConsultationEnded": {"number": None},
}
"""Kind of fact → field → what stands there afterwards."""


def forgotten(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a fact of that kind without what is personal in it."""
    left = {**payload, **{k: v for k, v in PERSONAL.get(kind, {}).items() if k in payload}}
    if kind == "CallRang" and payload.get("direction") == "outbound":
        left["to_number"] = ""  # of a call to us it is our own line
    return left
