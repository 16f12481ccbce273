"""Offer and answer (RFC 3264) for one G.711 stream with RFC 4733 digits, plain or as SRTP.

G.722 is the last resort, for peers that have no G.711.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from callcenter.errors import TelephonyError
from callcenter.telephony.ports import G722, Address, Codec, Direction, MediaDescription, SrtpKeys
from callcenter.telephony.sip.sdes import Crypto, Keyring, SrtpPolicy, cryptos
from callcenter.telephony.sip.sdp import Line, Media, Part, SessionDescription

TELEPHONE_EVENT = 101  # the payload type we offer digits under
_G722 = (str(G722), "G722/8000")  # a clock of 8000 for 16,000 samples: RFC 3551 4.5.2
PTIME = 20  # milliseconds in a packet where nobody wishes something else
MOST_PTIME = 60

_PLAIN, _SECURE = "RTP/AVP", "RTP/SAVP"
_TIMES = frozenset(str(number) for number in range(1, 1000))
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_PAYLOAD_TYPES = frozenset(str(number) for number in range(128))

_DIRECTIONS = {direction.value: direction for direction in Direction}
_MIRROR = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


class NothingInCommon(TelephonyError):
    """No stream of the peer's is one we can take part in: 488."""

    slug = "nothing-in-common"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who describes the session, and which version of it this is (`o=`, RFC 8866 5.2)."""

    session: int
    version: int = 1

    def next(self) -> Origin:
        """The origin of a changed description."""
        return replace(self, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What we want of a peer's sound: whether it may or must be SRTP.

    "optional" takes what the peer has and prefers SRTP; our own offer is then of the kind that a
    peer without SRTP can take too (plain profile with keys: RFC 8643). `encrypted`: the signalling
    is. Where it is not, keys are neither told nor taken (RFC 4568 7): no SRTP, and with "required"
    nothing can be agreed on.
    """

    srtp: SrtpPolicy = "never"
    encrypted: bool = False
    keys: Keyring = field(default_factory=Keyring)

    @property
    def possible(self) -> bool:
        """Whether anything can be agreed on."""
        return self.encrypted or self.srtp != "required"

    @property
    def protects(self) -> bool:
        """Whether keys are offered and taken."""
        return self.encrypted and self.srtp != "never"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our answer, and what the peer's offer asks of us."""

    answer: SessionDescription
    media: MediaDescription


def answer(
    offer: SessionDescription, local: Address, origin: Origin, terms: Terms | None = None
) -> Agreement:
    """Our answer: one stream that we can take, the others refused with port 0 (RFC 3264 6).

    The first that is protected where `terms` want that, else the first. Raises NothingInCommon.
    """
    terms = terms or Terms()
    found = [
        (media.srtp is None, index, media, crypto)
        for index, stream in enumerate(offer.media)
        for media, crypto in [_usable(offer, stream, local, terms, cryptos(stream))]
        if media is not None
    ]
    if not found:
        raise NothingInCommon(_wanted(terms))
    _, index, media, crypto = min(found, key=lambda one: one[:2])
    stream = offer.media[index]
    taken = _stream(local.port, media, _MIRROR[media.direction], profile=stream.protocol)
    streams = [_refused(other) for other in offer.media]
    streams[index] = replace(taken, lines=(*taken.lines, *_answered(stream, media, crypto, terms)))
    times = tuple(line for line in offer.session.lines if line[0] == "t") or (("t", "0 0"),)
    return Agreement(SessionDescription(_session(local, origin, times), tuple(streams)), media)


def offer(
    local: Address, origin: Origin, codecs: tuple[Codec, ...], terms: Terms | None = None
) -> SessionDescription:
    """Our offer of one audio stream, `codecs` by preference (RFC 3264 5).

    Raises NothingInCommon where the terms cannot be met at all.
    """
    terms = terms or Terms()
    if not terms.possible:
        raise NothingInCommon(_wanted(terms))
    wish = MediaDescription(local, codecs[0], telephone_event=TELEPHONE_EVENT, g722=True)
    profile = _SECURE if terms.srtp == "required" else _PLAIN
    stream = _stream(local.port, wish, Direction.SENDRECV, codecs, profile)
    keys = [crypto.line() for crypto in terms.keys.offered()] if terms.protects else []
    lines = (*stream.lines, ("a", f"maxptime:{MOST_PTIME}"), ("a", "rtcp-mux"), *keys)
    times = (("t", "0 0"),)
    return SessionDescription(_session(local, origin, times), (replace(stream, lines=lines),))


def conclude(
    answer: SessionDescription, local: Address, terms: Terms | None = None
) -> MediaDescription:
    """What the peer's answer to our `offer` agrees to; `terms` as they were offered.

    Raises NothingInCommon.
    """
    terms = terms or Terms()
    stream = answer.media[0] if answer.media else None
    ours = {crypto.tag: crypto.suite for crypto in terms.keys.offered()} if stream else {}
    keys = [one for one in cryptos(stream) if ours.get(one.tag) is one.suite] if stream else []
    media = _usable(answer, stream, local, terms, keys, answers=True)[0] if stream else None
    if media is None:
        raise NothingInCommon("The answer takes none of the codecs and keys that were offered.")
    return media


def _wanted(terms: Terms) -> str:
    if terms.srtp == "required":
        return "SRTP is required and needs TLS signalling and PCMU, PCMA or G722 with keys (SDES)."
    return "The offer has no audio stream of PCMU, PCMA or G722 that can be taken without SRTP."


def _usable(
    description: SessionDescription,
    stream: Media,
    local: Address,
    terms: Terms,
    keys: list[Crypto],
    *,
    answers: bool = False,
) -> tuple[MediaDescription | None, Crypto | None]:
    """What the stream asks of us and its key; None when we cannot take part in it.

    `answers`: it is an answer to an offer of ours.
    """
    crypto = keys[0] if keys and terms.protects else None
    if stream.kind != "audio" or stream.port == 0 or not _protected(stream, terms, crypto):
        return None, None
    codec, g722 = _carried(stream, answers=answers)
    host = description.connection(stream)
    if codec is None or host is None or not _reachable(host, local.host):
        return None, None
    media = MediaDescription(
        address=Address(host, stream.port),
        codec=codec,
        direction=_direction(description, stream, host),
        ptime=_ptime(stream),
        telephone_event=_telephone_event(stream),
        rtcp=_rtcp(stream, host, local),
        rtcp_mux=stream.has("rtcp-mux"),
        srtp=SrtpKeys(crypto.suite, terms.keys.key(crypto.suite), crypto.key) if crypto else None,
        g722=g722,
    )
    return media, crypto


def _protected(stream: Media, terms: Terms, crypto: Crypto | None) -> bool:
    """Whether the stream is as secure as its profile says and we want (RFC 3711, RFC 8643)."""
    if stream.protocol == _SECURE:
        return crypto is not None
    return stream.protocol == _PLAIN and (crypto is not None or terms.srtp != "required")


def _answered(
    stream: Media, media: MediaDescription, crypto: Crypto | None, terms: Terms
) -> list[Line]:
    """Attributes that an answer has because the offer has them."""
    lines: list[Line] = []
    if stream.has("maxptime"):
        lines.append(("a", f"maxptime:{MOST_PTIME}"))
    if media.rtcp_mux:
        lines.append(("a", "rtcp-mux"))
    if crypto is not None:
        lines.append(Crypto(crypto.tag, crypto.suite, terms.keys.key(crypto.suite)).line())
    return lines


def _codec(stream: Media, payload_type: str) -> Codec | None:
    """PCMU or PCMA under its static payload type, unless `a=rtpmap` says something else."""
    for codec in Codec:
        if payload_type == str(codec.value):
            return codec if stream.encoding(codec.value) in (None, _name(codec).lower()) else None
    return None


def _carried(stream: Media, *, answers: bool) -> tuple[Codec | None, bool]:
    """What we take it in, and whether that is G.722 by the way.

    Of an offer G.722 is taken where there is nothing else. Who answers "9 0 8" to ours will send 9.
    """
    known = [_codec(stream, one) for one in stream.formats]
    first = next((place for place, codec in enumerate(known) if codec), None)
    if not _has_g722(stream):
        return (None if first is None else known[first]), False
    if first is None or (answers and stream.formats.index(_G722[0]) < first):
        return Codec.PCMU, True
    return known[first], False


def _has_g722(stream: Media) -> bool:
    """Under its static payload type, unless `a=rtpmap` says something else."""
    number, name = _G722
    return number in stream.formats and stream.encoding(G722) in (None, name.lower())


def _name(codec: Codec) -> str:
    return f"{codec.name}/8000"


def _reachable(host: str, from_host: str) -> bool:
    """A literal unicast address of our own family; names are not looked up."""
    try:
        theirs, ours = _literal(host), _literal(from_host)
    except ValueError:
        return False
    broadcast = theirs.version == 4 and int(theirs) == 2**32 - 1
    return theirs.version == ours.version and not theirs.is_multicast and not broadcast


@lru_cache(maxsize=512)
def _literal(host: str) -> IPv4Address | IPv6Address:
    return ip_address(host)


def _direction(description: SessionDescription, stream: Media, host: str) -> Direction:
    """The peer's direction; an address of zeros is hold in the old way (RFC 3264 8.4)."""
    lines = (*stream.lines, *description.session.lines)
    words = (value for kind, value in lines if kind == "a" and value in _DIRECTIONS)
    stated = _DIRECTIONS[next(words, "sendrecv")]
    if not _literal(host).is_unspecified:
        return stated
    sends = stated in (Direction.SENDRECV, Direction.SENDONLY)
    return Direction.SENDONLY if sends else Direction.INACTIVE


def _ptime(stream: Media) -> int:
    """Milliseconds in a packet that the peer gets (RFC 8866 6.4): its wish in whole 10 ms."""
    wish, most = _milliseconds(stream, "ptime"), _milliseconds(stream, "maxptime")
    time = min(wish or PTIME, most or MOST_PTIME, MOST_PTIME)
    return max(time // 10 * 10, 10)


def _milliseconds(stream: Media, name: str) -> int:
    """The number of such an attribute; 0 when there is none that is sensible."""
    wish = next(iter(stream.attributes(name)), "")
    return int(wish) if wish in _TIMES else 0


def _rtcp(stream: Media, host: str, local: Address) -> Address | None:
    """Where the peer wants its RTCP, where it says so (RFC 3605): `port [IN IP4 host]`."""
    words = next(iter(stream.attributes("rtcp")), "").split()
    if not words or not _PORT.fullmatch(words[0]) or not 0 < int(words[0]) < 65536:
        return None
    where = words[3] if len(words) == 4 else host
    return Address(where, int(words[0])) if _reachable(where, local.host) else None


def _telephone_event(stream: Media) -> int | None:
    """The payload type of RFC 4733 digits at 8 kHz."""
    numbers = (int(each) for each in stream.formats if each in _PAYLOAD_TYPES)
    return next((n for n in numbers if stream.encoding(n) == "telephone-event/8000"), None)


def _session(local: Address, origin: Origin, times: tuple[Line, ...]) -> Part:
    place = f"IN IP{_literal(local.host).version} {local.host}"
    ours = ("o", f"- {origin.session} {origin.version} {place}")
    return Part((("v", "0"), ours, ("s", "-"), ("c", place), *times))


def _stream(
    port: int,
    media: MediaDescription,
    direction: Direction,
    codecs: tuple[Codec, ...] = (),
    profile: str = _PLAIN,
) -> Media:
    """An audio stream of ours with one codec (an answer) or several (an offer)."""
    told = codecs or (() if media.g722 else (media.codec,))
    kinds = [(str(one.value), _name(one)) for one in told] + [_G722] * media.g722
    lines = [("a", f"rtpmap:{number} {name}") for number, name in kinds]
    formats = [number for number, _ in kinds]
    if (event := media.telephone_event) is not None:
        formats.append(str(event))
        lines += [("a", f"rtpmap:{event} telephone-event/8000"), ("a", f"fmtp:{event} 0-15")]
    lines += [("a", f"ptime:{media.ptime}"), ("a", direction.value)]
    return Media(tuple(lines), "audio", port, profile, tuple(formats))


def _refused(stream: Media) -> Media:
    """The stream with port 0 (RFC 3264 6)."""
    return Media((), stream.kind, 0, stream.protocol, stream.formats[:1])
