"""Frames between the media loop and a speech worker: bytes in, objects out, no sockets.

A frame is `length(4) kind(1) line(4) body`, big-endian, the length without itself. Bodies:
open: MessagePack of call, leg, language, resumed · sound: `position(8) codec(1) payload`
· behind, close: empty. `line` is a number that the sender chose for one leg of one call.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from callcenter.errors import SpeechError
from callcenter.events import LegName
from callcenter.telephony.ports import Codec

_HEAD = struct.Struct(">IBI")
_SOUND = struct.Struct(">qB")
_SOUND_HEAD = struct.Struct(">IBIqB")
_LENGTH = struct.Struct(">I")
MAX_FRAME = 1 << 16
_OPEN, _SOUND_KIND, _BEHIND, _CLOSE = range(1, 5)


class Opening(msgspec.Struct, frozen=True):
    """What a line is. `resumed`: the worker was away, so earlier sound is missing."""

    call: str
    leg: LegName
    language: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """From here on sound of this line comes."""

    line: int
    opening: Opening


@dataclass(frozen=True, slots=True)
class Sound:
    """G.711 sound; `position` in samples from the answer."""

    line: int
    position: int
    codec: Codec
    payload: bytes


@dataclass(frozen=True, slots=True)
class Behind:
    """Sound of this line had to be dropped before it was sent."""

    line: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The leg's sound is over."""

    line: int


Frame = Opened | Sound | Behind | Closed
_OPENING = msgspec.msgpack.Decoder(Opening)


def encode(frame: Frame) -> bytes:
    """The frame as bytes."""
    match frame:
        case Opened(line, opening):
            return _frame(_OPEN, line, msgspec.msgpack.encode(opening))
        case Sound(line, position, codec, payload):
            return sound(line, position, codec, payload)
        case Behind(line):
            return _frame(_BEHIND, line, b"")
        case Closed(line):
            return _frame(_CLOSE, line, b"")


def sound(line: int, position: int, codec: Codec, payload: bytes | bytearray) -> bytes:
    """`encode(Sound(…))`, which is nearly every frame, without the object."""
    length = _SOUND_HEAD.size - _LENGTH.size + len(payload)
    return _SOUND_HEAD.pack(length, _SOUND_KIND, line, position, codec.value) + payload


def _frame(kind: int, line: int, body: bytes) -> bytes:
    return _HEAD.pack(_HEAD.size - _LENGTH.size + len(body), kind, line) + body


class Decoder:
    """Cuts a stream into frames; raises SpeechError for bytes that are none."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that became complete."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not _HEAD.size - _LENGTH.size <= length <= MAX_FRAME:
                raise SpeechError("the sender is no telephony process of this version")
            if len(self._buffer) < _LENGTH.size + length:
                return
            frame = bytes(self._buffer[: _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            yield _decode(frame)


def _decode(frame: bytes) -> Frame:
    _, kind, line = _HEAD.unpack_from(frame)
    body = frame[_HEAD.size :]
    try:
        if kind == _OPEN:
            return Opened(line, _OPENING.decode(body))
        if kind == _SOUND_KIND:
            position, codec = _SOUND.unpack_from(body)
            return Sound(line, position, Codec(codec), body[_SOUND.size :])
        if kind == _BEHIND:
            return Behind(line)
        if kind == _CLOSE:
            return Closed(line)
    except (msgspec.DecodeError, struct.error, ValueError) as error:
        raise SpeechError("the sender is no telephony process of this version") from error
    raise SpeechError("the sender is no telephony process of this version")
