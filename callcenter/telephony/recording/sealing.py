"""What a sealed recording is: its names, its side-car, and who can make one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import PurePosixPath
from typing import Literal, Protocol

import msgspec

from callcenter.errors import RecordingError
from callcenter.events import LegName, RecordingSealed
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.recording.journal import LEGS, Manifest, born

Format = Literal["opus", "flac", "wav"]
Silence = tuple[LegName, float, float]
"""A leg has to be silent from one second to another, counted from the answer."""


class NothingRecorded(RecordingError):
    """The journal holds no sound."""

    slug = "nothing-recorded"


class StillRecording(RecordingError):
    """A living process writes this journal."""

    slug = "still-recording"


class Sealed(msgspec.Struct, kw_only=True, frozen=True):
    """`<call-id>.json`, the side-car of a sealed recording. Times in seconds.

    `legs` as in RecordingSealed; a leg's `offset` is the place in the file of second 0 (the
    answer): add it to a caption's time. `pauses` are places in the file too. `silences`: where
    sound was taken out, because of what was said there.
    """

    call: str
    recording: str
    path: str
    peaks: str
    format: Format
    seconds: float
    size: int
    sha256: str
    legs: dict[str, dict[str, float]]
    started: str
    node: str = ""
    interrupted: bool = False
    pauses: list[tuple[float, float]] = []
    silences: list[Silence] = []
    problem: str | None = None

    def fact(self, truncated: str | None = None) -> RecordingSealed:
        """What the event log is told; `truncated`: why the end of the sound is missing."""
        problem = f"truncated: {truncated}" if truncated else self.problem
        return RecordingSealed(
            call=self.call,
            recording=self.recording,
            path=self.path,
            format=self.format,
            seconds=self.seconds,
            size=self.size,
            sha256=self.sha256,
            legs=self.legs,
            interrupted=self.interrupted,
            problem=problem,
        )


class SealedStore(Protocol):
    """Where the jobs process finds journals and turns them into sealed files."""

    def journals(self) -> list[str]:
        """The calls that have a journal."""

    def seal(self, call: str, silences: Sequence[Silence] = ()) -> Sealed:
        """Make and verify the sealed file; again after that, the same answer.

        Journal and file are silent at `silences`. Raises NothingRecorded, StillRecording or
        RecordingError. The journal stays.
        """

    def silence(self, path: str, silences: Sequence[Silence]) -> Sealed:
        """Replace the sealed file at this path by one that is silent there too, and verify it.

        Where it is already, nothing is written. Raises RecordingError.
        """

    def sha256(self, path: str) -> str | None:
        """Of a sealed file; None where there is none. Raises RecordingError."""

    def discard(self, call: str) -> None:
        """Remove the journal; without one nothing happens."""

    def free_bytes(self) -> int:
        """Room that is left for recordings."""


@dataclass(frozen=True, slots=True)
class Names:
    """Where the files of a call belong, relative to the folder of recordings."""

    sound: PurePosixPath
    sidecar: PurePosixPath
    peaks: PurePosixPath


def names(manifest: Manifest, form: Format) -> Names:
    """Named by the UTC day on which the call began."""
    day = (born(manifest.call) or manifest.started).astimezone(UTC)
    base = PurePosixPath(f"{day:%Y/%m/%d}")
    return Names(
        base / f"{manifest.call}.{form}",
        base / f"{manifest.call}.json",
        base / f"{manifest.call}.peaks",
    )


def leg_table(manifest: Manifest, samples: int) -> dict[str, dict[str, float]]:
    """The `legs` of a recording of that length: left agent, right customer."""
    return {
        name: {
            "channel": channel,
            "offset": round(manifest.answered_position / SAMPLE_RATE, 3),
            "seconds": round(samples / SAMPLE_RATE, 3),
        }
        for channel, name in enumerate(LEGS)
    }


def places(
    silences: Iterable[Silence], leg: LegName, offset: float, samples: int
) -> list[tuple[int, int]]:
    """Where in `samples` of a leg's file it has to be silent; the answer is at `offset` seconds."""
    spans = (
        (round((t0 + offset) * SAMPLE_RATE), round((t1 + offset) * SAMPLE_RATE))
        for name, t0, t1 in silences
        if name == leg
    )
    cut = ((max(0, first), min(last, samples)) for first, last in spans)
    return [(first, last) for first, last in cut if first < last]


def pause_table(manifest: Manifest, samples: int) -> list[tuple[float, float]]:
    """The pauses as places in the file."""
    return [
        (round(start / SAMPLE_RATE, 3), round(min(stop or samples, samples) / SAMPLE_RATE, 3))
        for start, stop in manifest.pauses
    ]
