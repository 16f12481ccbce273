"""The number that a URI names, and text of peers made fit to be shown (RFC 3261 19, RFC 3966)."""

from __future__ import annotations

import re

from callcenter.telephony.sip.uri import Uri

LONGEST = 200  # characters of a name or number that are kept

WITHHELD = frozenset(
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


def number_of(uri: Uri) -> str | None:
    """The user part; a number without its separators and parameters. None when withheld."""
    user = readable(uri.user or "")
    if not user or user.lower() in WITHHELD or uri.host.lower().endswith(".invalid"):
        return None
    number = user.partition(";")[0]
    return number.translate(_SEPARATORS) if _NUMBER.fullmatch(number) else user


def readable(text: str) -> str:
    """Octets that are no UTF-8 replaced, control characters gone."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROLS.sub(" ", shown).strip()
