"""The SDP of a browser's leg (RFC 8829): one audio line, PCMU or Opus, all bundled on it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiortc import RTCDtlsParameters, RTCIceCandidate, RTCIceParameters, RTCRtpCodecParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from aiortc.sdp import SessionDescription, candidate_to_sdp

from callcenter.errors import Invalid
from callcenter.telephony.adapters.opus import BITS_A_SECOND
from callcenter.telephony.ports import SAMPLE_RATE, BrowserCodec

_DIRECTIONS: Final = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_MOST_CANDIDATES = 32
_NEEDS = "offer one audio line with {codecs}, ICE, DTLS and all candidates"
_FORMATS: Final[dict[BrowserCodec, tuple[str, str]]] = {
    "pcmu": ("PCMU/8000", ""),
    "opus": (
        "opus/48000/2",  # whatever it holds (RFC 7587 7)
        # What we play is telephone sound, and our decoder cannot use error correction.
        f"minptime=10;maxplaybackrate={SAMPLE_RATE};sprop-maxcapturerate={SAMPLE_RATE};"
        f"maxaveragebitrate={BITS_A_SECOND};useinbandfec=0",
    ),
}
"""As SDP writes them, and what is said of each."""
_LIKE_RTCP = range(64, 96)
"""Payload types that look like RTCP on the same port (RFC 5761 4)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is needed of a browser's offer. `others` are the lines to be refused: kind and mid.

    `error_correction`: its decoder can use what Opus has of that.
    """

    audio_at: int
    mid: str
    direction: str
    codec: BrowserCodec
    payload_type: int
    error_correction: bool
    setup: str
    ice: RTCIceParameters
    dtls: RTCDtlsParameters
    candidates: list[RTCIceCandidate]
    others: dict[int, tuple[str, str]]

    @property
    def knows_loopback(self) -> bool:
        """Whether the browser sits on this machine and says so."""
        return any(candidate.ip.startswith("127.") for candidate in self.candidates)


def parse_offer(sdp: str, codecs: Sequence[BrowserCodec] = ("pcmu",)) -> Offer:
    """Read an offer; of `codecs` the first that it has. Raises Invalid with what it would need."""
    needs = _NEEDS.format(codecs=" or ".join(_FORMATS[codec][0] for codec in codecs))
    try:
        description = SessionDescription.parse(sdp)
    except (ValueError, AssertionError, IndexError, KeyError, AttributeError) as error:
        raise Invalid(f"the offer is no SDP that can be read; {needs}", {"sdp": "broken"}) from (
            error
        )
    for index, media in enumerate(description.media):
        if media.kind != "audio" or media.port == 0:
            continue
        taken = _taken(media.rtp.codecs, codecs)
        ice, dtls = media.ice, media.dtls
        if taken is None or ice is None or dtls is None or not dtls.fingerprints:
            break
        if not (ice.usernameFragment and ice.password):
            break
        codec, format_ = taken
        return Offer(
            audio_at=index,
            mid=media.rtp.muxId,
            direction=media.direction or "sendrecv",
            codec=codec,
            payload_type=format_.payloadType or 0,
            error_correction=str(format_.parameters.get("useinbandfec")) == "1",
            setup={"server": "passive", "client": "active"}.get(dtls.role, "actpass"),
            ice=ice,
            dtls=dtls,
            candidates=[
                candidate for candidate in media.ice_candidates if _is_address(candidate.ip)
            ][:_MOST_CANDIDATES],
            others={
                at: (other.kind, other.rtp.muxId)
                for at, other in enumerate(description.media)
                if at != index
            },
        )
    raise Invalid(f"the offer cannot be met; {needs}", {"sdp": "not usable"})


def _taken(
    offered: list[RTCRtpCodecParameters], codecs: Sequence[BrowserCodec]
) -> tuple[BrowserCodec, RTCRtpCodecParameters] | None:
    """The first of `codecs` that is offered, and how."""
    for codec in codecs:
        for format_ in offered:
            is_it = format_.mimeType.lower() == f"audio/{codec}"
            if is_it and format_.payloadType not in _LIKE_RTCP:
                return codec, format_
    return None


def _is_address(host: str) -> bool:
    """Whether it is an address and no mDNS name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def answer(
    offer: Offer,
    *,
    ice: RTCIceParameters,
    fingerprints: list[RTCDtlsFingerprint],
    candidates: list[RTCIceCandidate],
    ssrc: int,
    cname: str,
) -> str:
    """The answer to `offer`: its audio line taken with one codec, every other line refused."""
    lines = [
        "v=0",
        f"o=- {ssrc} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {offer.mid}",
        "a=msid-semantic:WMS *",
    ]
    audio = _audio_line(offer, ice, fingerprints, candidates, ssrc, cname)
    for at in range(len(offer.others) + 1):
        lines += audio if at == offer.audio_at else _refused_line(*offer.others[at])
    return "\r\n".join(lines) + "\r\n"


def _refused_line(kind: str, mid: str) -> list[str]:
    profile = "UDP/DTLS/SCTP webrtc-datachannel" if kind == "application" else "UDP/TLS/RTP/SAVPF 0"
    return [f"m={kind} 0 {profile}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=inactive"]


def _audio_line(
    offer: Offer,
    ice: RTCIceParameters,
    fingerprints: list[RTCDtlsFingerprint],
    candidates: list[RTCIceCandidate],
    ssrc: int,
    cname: str,
) -> list[str]:
    setup = "passive" if offer.setup == "active" else "active"
    name, parameters = _FORMATS[offer.codec]
    return [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {offer.payload_type}",
        "c=IN IP4 0.0.0.0",
        f"a={_DIRECTIONS[offer.direction]}",
        f"a=mid:{offer.mid}",
        "a=msid:callcenter callcenter-sound",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=rtcp-mux",
        f"a=rtpmap:{offer.payload_type} {name}",
        *([f"a=fmtp:{offer.payload_type} {parameters}"] if parameters else []),
        "a=ptime:20",
        f"a=ssrc:{ssrc} cname:{cname}",
        f"a=ice-ufrag:{ice.usernameFragment}",
        f"a=ice-pwd:{ice.password}",
        *(f"a=fingerprint:{print_.algorithm} {print_.value}" for print_ in fingerprints),
        f"a=setup:{setup}",
        *(f"a=candidate:{candidate_to_sdp(candidate)}" for candidate in candidates),
        "a=end-of-candidates",
    ]
