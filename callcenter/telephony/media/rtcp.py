"""RTCP compound packets (RFC 3550 section 6): octets in and out, nothing kept."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SR, RR, SDES, BYE = 200, 201, 202, 203
_CNAME = 1
_HEAD = struct.Struct("!BBH")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_SSRC = struct.Struct("!I")
_SIGN = 1 << 23


class Block(NamedTuple):
    """What one party says of the stream `ssrc` that it receives (RFC 3550 6.4.1).

    `fraction` in 1/256, since its last report; `lost` in all, negative where duplicates are more;
    `jitter` in timestamp units; `last_sr` and `delay` in 1/65536 s, 0 where there was no SR.
    """

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    delay: int


class Sender(NamedTuple):
    """How far the sender is: NTP time (64 bit), its RTP timestamp, packets and payload octets."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


class Report(NamedTuple):
    """An SR (with `sender`) or an RR (without)."""

    ssrc: int
    sender: Sender | None
    blocks: tuple[Block, ...]


class Description(NamedTuple):
    """The CNAME of a source (RFC 3550 6.5.1)."""

    ssrc: int
    cname: str


class Goodbye(NamedTuple):
    """These sources end (RFC 3550 6.6)."""

    ssrcs: tuple[int, ...]


Part = Report | Description | Goodbye


def is_rtcp(data: memoryview) -> bool:
    """Whether a datagram on a port of both is RTCP (RFC 5761 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


def parse(data: bytes | memoryview) -> list[Part] | None:
    """What a compound packet says; None when it is none that is whole (RFC 3550 A.2).

    Types that are not in RFC 3550, and APP, are passed over.
    """
    parts: list[Part] = []
    data, at = bytes(data), 0
    while at < len(data):
        if len(data) - at < 4:
            return None
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        begins_well = at > 0 or (kind in (SR, RR) and not first & 0x20)
        if first >> 6 != 2 or end > len(data) or not begins_well:
            return None
        body = _unpadded(data[at + 4 : end], padded=bool(first & 0x20), last=end == len(data))
        found = None if body is None else _part(kind, first & 0x1F, body)
        if found is None:
            return None
        parts += found
        at = end
    return parts or None


def _unpadded(body: bytes, *, padded: bool, last: bool) -> bytes | None:
    if not padded:
        return body
    if not last or not body or not 0 < body[-1] <= len(body) or body[-1] % 4:
        return None
    return body[: -body[-1]]


def _part(kind: int, count: int, body: bytes) -> list[Part] | None:
    """What one packet of the compound says; None where it is cut off."""
    try:
        if kind in (SR, RR):
            return [_report(kind, count, body)]
        if kind == SDES:
            return list(_descriptions(count, body))
        if kind == BYE:
            return [Goodbye(struct.unpack_from(f"!{count}I", body))]
    except (struct.error, IndexError):
        return None
    return []


def _report(kind: int, count: int, body: bytes) -> Report:
    (ssrc,) = _SSRC.unpack_from(body)
    at, sender = 4, None
    if kind == SR:
        sender = Sender(*_SENDER.unpack_from(body, at))
        at += _SENDER.size
    blocks = []
    for _ in range(count):
        source, loss, *rest = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        blocks.append(Block(source, loss >> 24, lost - 2 * (lost & _SIGN), *rest))
        at += _BLOCK.size
    return Report(ssrc, sender, tuple(blocks))


def _descriptions(count: int, body: bytes) -> Iterator[Description]:
    at = 0
    for _ in range(count):
        (ssrc,) = _SSRC.unpack_from(body, at)
        at += 4
        while body[at]:
            kind, size = body[at], body[at + 1]
            text = body[at + 2 : at + 2 + size]
            if len(text) < size:
                raise IndexError
            if kind == _CNAME:
                yield Description(ssrc, text.decode("utf-8", "replace"))
            at += 2 + size
        at += 4 - at % 4  # one to four null octets end a chunk


def compound(report: Report, cname: str, *, bye: bool = False) -> bytes:
    """A report with the CNAME that goes with every one, at the end with BYE (RFC 3550 6.1)."""
    name = cname.encode()[:255]
    chunk = _SSRC.pack(report.ssrc) + bytes([_CNAME, len(name)]) + name
    chunk += bytes(4 - len(chunk) % 4)
    parts = [_written(report), _packet(SDES, 1, chunk)]
    if bye:
        parts.append(_packet(BYE, 1, _SSRC.pack(report.ssrc)))
    return b"".join(parts)


def _written(report: Report) -> bytes:
    body = _SSRC.pack(report.ssrc)
    if report.sender is not None:
        body += _SENDER.pack(*report.sender)
    return _packet(
        RR if report.sender is None else SR,
        len(report.blocks),
        body + b"".join(_blocks(report.blocks)),
    )


def _blocks(blocks: Iterable[Block]) -> Iterator[bytes]:
    for block in blocks:
        lost = min(max(block.lost, -_SIGN), _SIGN - 1) & 0xFFFFFF
        yield _BLOCK.pack(block.ssrc, block.fraction << 24 | lost, *block[3:])


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body
