"""Shared by the media tests: numbered frames, packets, and a sink that remembers."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from callcenter.telephony.ports import FRAME_SAMPLES, Codec

_SIPP = Path(__file__).resolve().parents[2] / "data" / "sipp"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sipp_{name}", _SIPP / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_MKAUDIO = _load("mkaudio")


def numbered(number: int) -> bytes:
    """The 160 µ-law bytes of the numbered test signal's frame."""
    frame: bytes = _MKAUDIO.frame(number)
    return frame


_NUMBERS = {numbered(number): number for number in range(4000)}


def number_of(frame: bytes) -> int | None:
    """The number a frame carries; None for anything else, silence included."""
    return _NUMBERS.get(bytes(frame))


def numbers_of(frames: Iterable[bytes]) -> list[int]:
    """The numbers of the frames that carry one, in the order heard."""
    return [number for frame in frames if (number := number_of(frame)) is not None]


def packet(
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    kind: int = 0,
    ssrc: int = 0x1234,
    marker: bool = False,
) -> bytes:
    """An RTP packet as a telephone would send it; the counters wrap."""
    second = kind | (0x80 if marker else 0)
    head = struct.pack("!BBHII", 0x80, second, sequence % 65536, timestamp % 2**32, ssrc)
    return head + payload


class Recorder:
    """A FrameSink that remembers everything in order."""

    def __init__(self) -> None:
        self.written: list[tuple[int, bytes, Codec]] = []

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        for at in range(0, len(payload), FRAME_SAMPLES):
            frame = bytes(payload[at : at + FRAME_SAMPLES])
            self.written.append((position + at, frame, codec))

    @property
    def numbers(self) -> list[int]:
        return numbers_of(payload for _, payload, _ in self.written)

    def laid_out(self) -> bytes:
        """The sound as a journal would hold it: gaps are silence."""
        end = max((position + len(payload) for position, payload, _ in self.written), default=0)
        sound = bytearray(b"\xff" * end)
        for position, payload, _ in self.written:
            sound[position : position + len(payload)] = payload
        return bytes(sound)
