"""Offer and answer (RFC 3264) for one G.711 stream with RFC 4733 digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from callcenter.errors import TelephonyError
from callcenter.telephony.ports import Address, Codec, Direction, MediaDescription
from callcenter.telephony.sip.sdp import Line, Media, Part, SessionDescription

TELEPHONE_EVENT = 101  # the payload type we offer digits under
PTIME = 20  # milliseconds in a packet of ours

_PTIMES = frozenset(str(number) for number in range(10, 61))
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
class Agreement:
    """Our answer, and what the peer's offer asks of us."""

    answer: SessionDescription
    media: MediaDescription


def answer(offer: SessionDescription, local: Address, origin: Origin) -> Agreement:
    """Our answer: the first stream that we can take, the others refused with port 0 (RFC 3264 6).

    Raises NothingInCommon.
    """
    for index, stream in enumerate(offer.media):
        media = _usable(offer, stream, local)
        if media is None:
            continue
        taken = _stream(local.port, media, _MIRROR[media.direction])
        streams = [_refused(other) for other in offer.media]
        streams[index] = taken
        times = tuple(line for line in offer.session.lines if line[0] == "t") or (("t", "0 0"),)
        return Agreement(SessionDescription(_session(local, origin, times), tuple(streams)), media)
    raise NothingInCommon("The offer has no audio stream of PCMU or PCMA over plain RTP.")


def offer(local: Address, origin: Origin, codecs: tuple[Codec, ...]) -> SessionDescription:
    """Our offer of one audio stream, `codecs` by preference (RFC 3264 5)."""
    wish = MediaDescription(local, codecs[0], telephone_event=TELEPHONE_EVENT)
    stream = _stream(local.port, wish, Direction.SENDRECV, codecs)
    return SessionDescription(_session(local, origin, (("t", "0 0"),)), (stream,))


def conclude(answer: SessionDescription, local: Address) -> MediaDescription:
    """What the peer's answer to our `offer` agrees to. Raises NothingInCommon."""
    media = _usable(answer, answer.media[0], local) if answer.media else None
    if media is None:
        raise NothingInCommon("The answer takes none of the codecs that were offered.")
    return media


def _usable(
    description: SessionDescription, stream: Media, local: Address
) -> MediaDescription | None:
    """What the stream asks of us, None when we cannot take part in it."""
    if stream.kind != "audio" or stream.protocol != "RTP/AVP" or stream.port == 0:
        return None
    codec = next(filter(None, (_codec(stream, each) for each in stream.formats)), None)
    host = description.connection(stream)
    if codec is None or host is None or not _reachable(host, local.host):
        return None
    return MediaDescription(
        address=Address(host, stream.port),
        codec=codec,
        direction=_direction(description, stream, host),
        ptime=_ptime(stream),
        telephone_event=_telephone_event(stream),
    )


def _codec(stream: Media, payload_type: str) -> Codec | None:
    """PCMU or PCMA under its static payload type, unless `a=rtpmap` says something else."""
    for codec in Codec:
        if payload_type == str(codec.value):
            return codec if stream.encoding(codec.value) in (None, _name(codec).lower()) else None
    return None


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
    """Milliseconds in a packet that the peer wants; 20 when it says nothing sensible."""
    wish = next(iter(stream.attributes("ptime")), "")
    return int(wish) if wish in _PTIMES else PTIME


def _telephone_event(stream: Media) -> int | None:
    """The payload type of RFC 4733 digits at 8 kHz."""
    numbers = (int(each) for each in stream.formats if each in _PAYLOAD_TYPES)
    return next((n for n in numbers if stream.encoding(n) == "telephone-event/8000"), None)


def _session(local: Address, origin: Origin, times: tuple[Line, ...]) -> Part:
    place = f"IN IP{_literal(local.host).version} {local.host}"
    ours = ("o", f"- {origin.session} {origin.version} {place}")
    return Part((("v", "0"), ours, ("s", "-"), ("c", place), *times))


def _stream(
    port: int, media: MediaDescription, direction: Direction, codecs: tuple[Codec, ...] = ()
) -> Media:
    """An audio stream of ours with one codec (an answer) or several (an offer)."""
    codecs = codecs or (media.codec,)
    lines = [("a", f"rtpmap:{codec.value} {_name(codec)}") for codec in codecs]
    formats = [str(codec.value) for codec in codecs]
    if (event := media.telephone_event) is not None:
        formats.append(str(event))
        lines += [("a", f"rtpmap:{event} telephone-event/8000"), ("a", f"fmtp:{event} 0-15")]
    lines += [("a", f"ptime:{PTIME}"), ("a", direction.value)]
    return Media(tuple(lines), "audio", port, "RTP/AVP", tuple(formats))


def _refused(stream: Media) -> Media:
    """The stream with port 0 (RFC 3264 6)."""
    return Media((), stream.kind, 0, stream.protocol, stream.formats[:1])
