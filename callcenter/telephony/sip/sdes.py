"""SRTP keys in the session description: `a=crypto` (SDES, RFC 4568).

The keys stand in the description in the clear, so they are taken and given only where the
signalling itself is encrypted (RFC 4568 7).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

from callcenter.telephony.ports import Suite
from callcenter.telephony.sip.sdp import Line, Media

SrtpPolicy = Literal["never", "optional", "required"]

OFFERED = (
    Suite.AES_CM_128_HMAC_SHA1_80,
    Suite.AEAD_AES_128_GCM,
    Suite.AES_CM_128_HMAC_SHA1_32,
)
"""By preference, where the offer is ours."""

_CRYPTO = re.compile(r"(\d{1,9}) +(\S+) +(\S+)((?: +\S+)*)", re.ASCII)
_INLINE = re.compile(r"inline:([A-Za-z0-9+/=]{16,64})(?:\|(?:2\^\d{1,2}|\d{1,15}))?", re.ASCII)
_HARMLESS = re.compile(r"-.*|KDR=0|WSH=\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto` line: master key and salt of whoever wrote it."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)

    def line(self) -> Line:
        """The attribute as it is written."""
        inline = base64.b64encode(self.key).decode()
        return "a", f"crypto:{self.tag} {self.suite.value} inline:{inline}"


class Keyring:
    """Our keys of one call, one a suite: they stay over re-INVITEs, so that our stream goes on
    (a key that is used again from the beginning would encrypt two packets alike)."""

    def __init__(self) -> None:
        self._keys: dict[Suite, bytes] = {}

    def key(self, suite: Suite) -> bytes:
        """Ours for that suite; made at first use."""
        if suite not in self._keys:
            self._keys[suite] = secrets.token_bytes(suite.key_bytes)
        return self._keys[suite]

    def offered(self) -> list[Crypto]:
        """What an offer of ours says."""
        return [Crypto(tag, suite, self.key(suite)) for tag, suite in enumerate(OFFERED, 1)]


def cryptos(stream: Media) -> list[Crypto]:
    """The keys of a stream that we can use, in its order of preference.

    Passed over: suites we lack, several keys or a key with MKI (RFC 4568 6.1; libsrtp's binding
    has none), session parameters that change the packets (6.3).
    """
    return [found for value in stream.attributes("crypto") if (found := _crypto(value))]


def _crypto(value: str) -> Crypto | None:
    match = _CRYPTO.fullmatch(value)
    inline = _INLINE.fullmatch(match[3]) if match else None
    if match is None or inline is None:
        return None
    if not all(_HARMLESS.fullmatch(word) for word in match[4].split()):
        return None
    try:
        suite = Suite(match[2])
        key = base64.b64decode(inline[1], validate=True)
    except (ValueError, binascii.Error):
        return None
    return Crypto(int(match[1]), suite, key) if len(key) == suite.key_bytes else None
