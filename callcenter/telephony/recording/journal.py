"""The journal of one call, without the disk: where each frame belongs, and what is written when.

A leg's file is headerless µ-law at 8 kHz: byte *n* is sample *n*, so a cut file plays up to
the cut, and a late frame is put in its place by its offset alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from callcenter.errors import RecordingError
from callcenter.events import LegName
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec, Journal

LEGS: tuple[LegName, LegName] = ("agent", "customer")
"""In the order of the channels: left, right."""

SILENCE = bytes([Codec.PCMU.silence])
MOST_FRAMES = 3000
"""Frames a leg keeps in memory while the disk stalls: one minute."""

Span = tuple[int, int | None]
"""First sample and the one after the last; None while it lasts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`data` belongs at byte `offset` of the leg's file."""

    offset: int
    data: bytes


class Pauses:
    """Spans of which nothing may reach the disk. Read as a whole, so no lock is needed."""

    def __init__(self) -> None:
        self.spans: tuple[Span, ...] = ()

    def pause(self, position: int) -> None:
        """Silence from `position` on; a second pause changes nothing."""
        if not self.spans or self.spans[-1][1] is not None:
            self.spans = (*self.spans, (position, None))

    def resume(self, position: int) -> None:
        """Sound again from `position` on."""
        if self.spans and self.spans[-1][1] is None:
            start = self.spans[-1][0]
            self.spans = (*self.spans[:-1], (start, max(start, position)))


class LegBuffer:
    """Frames of one leg between the media loop and the disk.

    `write` is called by the media loop: it only appends. `pieces` and `written` are called by
    the one thread that syncs. What was not confirmed by `wrote` comes again next time, so a
    full disk loses nothing that still fits in memory.
    """

    def __init__(self) -> None:
        self.length = 0
        self._inbox: deque[tuple[int, bytes, Codec]] = deque(maxlen=MOST_FRAMES)
        self._pending: list[tuple[int, bytes]] = []
        self._spans: tuple[Span, ...] = ()

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """Take a frame; see FrameSink."""
        self._inbox.append((position, payload, codec))

    def pieces(self, position: int, spans: tuple[Span, ...]) -> list[Piece]:
        """What has to be written so that the file holds everything before `position`.

        First the new block, gaps as silence, then late frames and late pauses in their places.
        """
        self._drain()
        end = max(position, self.length)
        block = bytearray(SILENCE * (end - self.length))
        late: list[Piece] = []
        for start, data in self._pending:
            self._place(start, data, block, end, late)
        late += [piece for span in spans if span not in self._spans for piece in self._blank(span)]
        found = [Piece(self.length, bytes(block))] if block else []
        return [_silenced(piece, spans) for piece in found + late]

    def wrote(self, position: int, spans: tuple[Span, ...]) -> None:
        """The pieces of `pieces(position, spans)` are on the disk."""
        self.length = max(position, self.length)
        self._spans = spans
        self._pending = [
            (start, data) for start, data in self._pending if start + len(data) > self.length
        ]

    def _drain(self) -> None:
        # popleft is atomic in CPython; the media loop may append meanwhile.
        for _ in range(len(self._inbox)):
            position, payload, codec = self._inbox.popleft()
            self._pending.append((position, g711.convert(payload, codec, Codec.PCMU)))
        del self._pending[:-MOST_FRAMES]

    def _place(
        self, start: int, data: bytes, block: bytearray, end: int, late: list[Piece]
    ) -> None:
        if start < 0:
            start, data = 0, data[-start:]
        before = data[: max(0, self.length - start)]
        if before:
            late.append(Piece(start, before))
        inside = data[len(before) : max(0, end - start)]
        at = start + len(before) - self.length
        block[at : at + len(inside)] = inside

    def _blank(self, span: Span) -> list[Piece]:
        """Silence over what was written before the pause became known."""
        start = max(0, span[0])
        stop = self.length if span[1] is None else min(span[1], self.length)
        return [Piece(start, SILENCE * (stop - start))] if stop > start else []


def _silenced(piece: Piece, spans: tuple[Span, ...]) -> Piece:
    data = bytearray(piece.data)
    end = piece.offset + len(data)
    for start, stop in spans:
        first = max(start, piece.offset)
        last = end if stop is None else min(stop, end)
        if last > first:
            data[first - piece.offset : last - piece.offset] = SILENCE * (last - first)
    return Piece(piece.offset, bytes(data))


def sync_one(journal: Journal, position: int) -> RecordingError | None:
    """Sync it; what it raised."""
    try:
        journal.sync(position)
    except RecordingError as error:
        return error
    return None


class Manifest(msgspec.Struct, kw_only=True, frozen=True):
    """`journal.json`: what the raw files beside it are. Positions in samples."""

    call: str
    started: datetime
    node: str = ""
    codec: str = "pcmu"
    sample_rate: int = 8000
    legs: tuple[str, ...] = LEGS
    answered_position: int = 0
    complete: bool = False
    pauses: tuple[Span, ...] = ()
    failure: str | None = None


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `journal.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"


def decode_manifest(call: str, data: bytes) -> Manifest:
    """The manifest; a torn one is replaced by what the call's id tells."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError:
        return Manifest(call=call, started=born(call) or datetime.now(UTC))


def born(call: str) -> datetime | None:
    """When a UUIDv7 was made (RFC 9562 section 5.7), None for any other id."""
    try:
        value = UUID(call)
    except ValueError:
        return None
    if value.version != 7:
        return None
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
