"""SRTP and SRTCP (RFC 3711) of one telephone: libsrtp through `pylibsrtp`."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from callcenter.telephony.ports import SrtpKeys, Suite

_PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}


class Srtp:
    """Both directions under one pair of keys.

    `former`: what the leg used until now. A direction whose key stays goes on where it was, so
    that no packet index is used twice under one key (RFC 3711 3.3.1).
    """

    def __init__(self, keys: SrtpKeys, former: Srtp | None = None) -> None:
        self.keys = keys
        old = former.keys if former and former.keys.suite is keys.suite else None
        profile = _PROFILES[keys.suite]
        self._out: Session
        self._in: Session
        if former and old and old.ours == keys.ours:
            self._out = former._out
        else:
            self._out = Session(Policy(keys.ours, Policy.SSRC_ANY_OUTBOUND, 0, profile))
        if former and old and old.theirs == keys.theirs:
            self._in = former._in
        else:
            self._in = Session(Policy(keys.theirs, Policy.SSRC_ANY_INBOUND, 0, profile))

    def protect(self, packet: bytes | bytearray | memoryview) -> bytes | None:
        """The RTP packet for the wire; None where libsrtp refuses it."""
        try:
            protected: bytes = self._out.protect(bytes(packet))
        except (Error, ValueError):
            return None
        return protected

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """The RTCP packet for the wire; None where libsrtp refuses it."""
        try:
            protected: bytes = self._out.protect_rtcp(packet)
        except (Error, ValueError):
            return None
        return protected

    def unprotect(self, data: memoryview) -> memoryview | None:
        """The RTP packet that came; None when it is forged, repeated or no SRTP at all."""
        try:
            return memoryview(self._in.unprotect(bytes(data)))
        except (Error, ValueError):
            return None

    def unprotect_rtcp(self, data: memoryview) -> memoryview | None:
        """The RTCP packet that came; None when it is forged, repeated or no SRTCP at all."""
        try:
            return memoryview(self._in.unprotect_rtcp(bytes(data)))
        except (Error, ValueError):
            return None
