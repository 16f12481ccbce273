"""A `Recogniser` made of a segmenter and a function that transcribes one segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import Heard
from callcenter.telephony.speech.segments import Segment, Segmenter

TranscribeSegment = Callable[[Samples], str]
"""8 kHz samples of one stretch of speech in, its text out; "" when it is none."""


class SegmentRecogniser:
    """Finals when a pause ends a segment; partials in between while there is CPU to spare."""

    def __init__(
        self,
        segmenter: Segmenter,
        transcribe: TranscribeSegment,
        *,
        partial_seconds: float = 2.0,
        may_preview: Callable[[], bool] = lambda: False,
    ) -> None:
        self._segmenter = segmenter
        self._transcribe = transcribe
        self._partial_seconds = partial_seconds
        self._may_preview = may_preview
        self._previewed = 0.0

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        """See Recogniser."""
        for segment in self._segmenter.feed(np.frombuffer(pcm, np.int16)):
            yield from self._final(segment)
        yield from self._preview()

    def finish(self) -> Iterator[Heard]:
        """See Recogniser."""
        for segment in self._segmenter.finish():
            yield from self._final(segment)

    def _final(self, segment: Segment) -> Iterator[Heard]:
        shown, self._previewed = self._previewed > 0, 0.0
        text = self._transcribe(segment.samples)
        if text or shown:
            yield Heard("final", text, segment.t0, segment.t0 + segment.seconds)

    def _preview(self) -> Iterator[Heard]:
        segment = self._segmenter.so_far()
        if segment is None or segment.seconds < self._previewed + self._partial_seconds:
            return
        if not self._may_preview():
            return
        text = self._transcribe(segment.samples)
        if text:
            self._previewed = segment.seconds
            yield Heard("partial", text, segment.t0, segment.t0 + segment.seconds)
