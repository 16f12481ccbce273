"""Cuts a leg's sound into stretches of speech, for recognisers that want them whole.

Pure: the judge of a 20 ms frame (voice or not) is handed in. A segment ends after `hang_over`
seconds without voice, or at `maximum` at its quietest place, so that a monologue gets captions
too. What has less than `minimum` seconds of voice (a click, a cough) is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE

IsVoice = Callable[[bytes], bool]
"""Judges 20 ms of 16-bit mono PCM at 8 kHz."""

_QUIET_SEARCH = 2.0  # seconds before `maximum` in which a cut is looked for
_TAIL = 0.2  # seconds of silence kept after the last voice


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech; `start` in samples of the stream."""

    start: int
    samples: Samples

    @property
    def t0(self) -> float:
        """Where it begins, in seconds of the stream."""
        return self.start / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE


class Segmenter:
    """Fed with sound in order, gives the segments that became complete."""

    def __init__(
        self,
        is_voice: IsVoice,
        *,
        hang_over: float = 0.6,
        minimum: float = 0.3,
        maximum: float = 12.0,
        lead_in: float = 0.3,
    ) -> None:
        self._is_voice = is_voice
        self._hang_over = _frames(hang_over)
        self._minimum = _frames(minimum)
        self._maximum = _frames(maximum)
        self._before: deque[Samples] = deque(maxlen=_frames(lead_in))
        self._rest: Samples = np.zeros(0, np.int16)
        self._frames: list[Samples] = []
        self._start = 0  # frame index at which _frames begins
        self._index = 0  # frames taken so far
        self._voiced = 0
        self._silent = 0

    @property
    def speaking(self) -> bool:
        """Whether a segment is under way."""
        return bool(self._frames)

    def so_far(self) -> Segment | None:
        """The segment under way, None without enough voice in it."""
        return self._segment(len(self._frames)) if self._voiced >= self._minimum else None

    def feed(self, samples: Samples) -> Iterator[Segment]:
        """Take the next sound of any length."""
        sound = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(sound) - len(sound) % FRAME_SAMPLES
        self._rest = sound[whole:]
        for at in range(0, whole, FRAME_SAMPLES):
            yield from self._frame(sound[at : at + FRAME_SAMPLES])

    def finish(self) -> Iterator[Segment]:
        """No more sound: the segment under way is complete."""
        yield from self._close(len(self._frames))

    def _frame(self, frame: Samples) -> Iterator[Segment]:
        voice = self._is_voice(frame.tobytes())
        self._index += 1
        if not self._frames and not voice:
            self._before.append(frame)
            return
        if not self._frames:
            self._begin()
        self._frames.append(frame)
        self._voiced += voice
        self._silent = 0 if voice else self._silent + 1
        if self._silent >= self._hang_over:
            yield from self._close(len(self._frames))
        elif len(self._frames) >= self._maximum:
            yield from self._close(self._quietest())

    def _begin(self) -> None:
        self._frames = list(self._before)
        self._before.clear()
        self._start = self._index - 1 - len(self._frames)
        self._voiced = self._silent = 0

    def _close(self, cut: int) -> Iterator[Segment]:
        """End the segment before frame `cut`; what follows begins the next one."""
        rest = self._frames[cut:]
        keep = cut if rest else cut - max(0, self._silent - _frames(_TAIL))
        if self._voiced >= self._minimum:
            yield self._segment(keep)
        self._start += cut
        self._frames = rest
        self._voiced = self._voiced if rest else 0
        if not rest:
            self._silent = 0

    def _segment(self, frames: int) -> Segment:
        return Segment(self._start * FRAME_SAMPLES, np.concatenate(self._frames[:frames]))

    def _quietest(self) -> int:
        """The frame in the last seconds around which the sound is weakest."""
        first = len(self._frames) - _frames(_QUIET_SEARCH)
        power = [float(np.abs(f.astype(np.int32)).mean()) for f in self._frames[first:]]
        smooth = np.convolve(power, np.ones(5), "valid")
        return first + int(np.argmin(smooth)) + 2


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_SECONDS))
