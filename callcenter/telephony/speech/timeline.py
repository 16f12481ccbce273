"""The two clocks of a leg: its own sound, in samples from the answer, and what was fed of it.

A recogniser counts what it hears. Gaps are made silence for it, so that its times stay true; a
long gap (hold, a worker that was restarted) is cut to `max_silence` and the difference noted.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import SAMPLE_RATE

MAX_SILENCE_SECONDS = 1.0
"""More is not needed to end any utterance."""


class Timeline:
    """Turns placed sound into a gapless stream and the stream's times back into the leg's."""

    def __init__(self, max_silence: float = MAX_SILENCE_SECONDS) -> None:
        self._max_silence = round(max_silence * SAMPLE_RATE)
        self._fed: list[int] = []  # parallel: from stream sample _fed[i] on …
        self._places: list[int] = []  # … the leg's sample is _places[i] + distance
        self._stream = 0
        self._next = 0

    def take(self, position: int, samples: Samples) -> Samples:
        """What to feed for sound at `position`: silence for the gap before it, then the sound
        without what was there already."""
        if not self._places:
            self._next = position
            self._anchor(position)
        gap = position - self._next
        if gap < 0:
            samples = samples[-gap:]
            position = self._next
            gap = 0
        silence = min(gap, self._max_silence)
        self._stream += silence
        if gap > silence:
            self._anchor(position)
        self._stream += len(samples)
        self._next = position + len(samples)
        return np.concatenate([np.zeros(silence, np.int16), samples]) if silence else samples

    def seconds(self, fed: float) -> float:
        """The leg's second of a second of the stream."""
        sample = fed * SAMPLE_RATE
        if not self._places:
            return fed
        at = max(bisect_right(self._fed, sample) - 1, 0)
        return max(0.0, (self._places[at] + sample - self._fed[at]) / SAMPLE_RATE)

    def _anchor(self, place: int) -> None:
        self._fed.append(self._stream)
        self._places.append(place)
