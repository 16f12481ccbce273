"""The SDP of a browser's leg (RFC 8829): one audio line, PCMU, everything bundled on it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from aiortc import RTCDtlsParameters, RTCIceCandidate, RTCIceParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from aiortc.sdp import SessionDescription, candidate_to_sdp

from callcenter.errors import Invalid

_DIRECTIONS: Final = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_MOST_CANDIDATES = 32
_NEEDS = "offer one audio line with PCMU/8000, ICE, DTLS and all candidates"


@dataclass(frozen=True, slots=True)
class Offer:
    """What is needed of a browser's offer. `others` are the lines to be refused: kind and mid."""

    audio_at: int
    mid: str
    direction: str
    payload_type: int
    setup: str
    ice: RTCIceParameters
    dtls: RTCDtlsParameters
    candidates: list[RTCIceCandidate]
    others: dict[int, tuple[str, str]]

    @property
    def knows_loopback(self) -> bool:
        """Whether the browser sits on this machine and says so."""
        return any(candidate.ip.startswith("127.") for candidate in self.candidates)


def parse_offer(sdp: str) -> Offer:
    """Read an offer. Raises Invalid with what it would need."""
    try:
        description = SessionDescription.parse(sdp)
    except (ValueError, AssertionError, IndexError, KeyError, AttributeError) as error:
        raise Invalid(f"the offer is no SDP that can be read; {_NEEDS}", {"sdp": "broken"}) from (
            error
        )
    for index, media in enumerate(description.media):
        if media.kind != "audio" or media.port == 0:
            continue
        codec = next((c for c in media.rtp.codecs if c.mimeType.lower() == "audio/pcmu"), None)
        ice, dtls = media.ice, media.dtls
        if codec is None or ice is None or dtls is None or not dtls.fingerprints:
            break
        if not (ice.usernameFragment and ice.password):
            break
        return Offer(
            audio_at=index,
            mid=media.rtp.muxId,
            direction=media.direction or "sendrecv",
            payload_type=codec.payloadType or 0,
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
    raise Invalid(f"the offer cannot be met; {_NEEDS}", {"sdp": "not usable"})


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
    """The answer to `offer`: its audio line taken with PCMU, every other line refused."""
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
    return [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {offer.payload_type}",
        "c=IN IP4 0.0.0.0",
        f"a={_DIRECTIONS[offer.direction]}",
        f"a=mid:{offer.mid}",
        "a=msid:callcenter callcenter-sound",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=rtcp-mux",
        f"a=rtpmap:{offer.payload_type} PCMU/8000",
        "a=ptime:20",
        f"a=ssrc:{ssrc} cname:{cname}",
        f"a=ice-ufrag:{ice.usernameFragment}",
        f"a=ice-pwd:{ice.password}",
        *(f"a=fingerprint:{print_.algorithm} {print_.value}" for print_ in fingerprints),
        f"a=setup:{setup}",
        *(f"a=candidate:{candidate_to_sdp(candidate)}" for candidate in candidates),
        "a=end-of-candidates",
    ]
