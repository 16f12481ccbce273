"""The scripted twin of the recognisers: says at given seconds what the script says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.ports import SAMPLE_RATE, Heard


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the script says from second `t0` to `t1` of the sound fed."""

    t0: float
    t1: float
    text: str


class ScriptedRecogniser:
    """Recogniser: the first word as a partial when it begins, the final when it ends.

    `cost` is how many seconds of work a second of sound takes: slower than the sound above 1.
    """

    def __init__(self, script: Sequence[Said], cost: float = 0.0) -> None:
        self._script = list(script)
        self._cost = cost
        self._fed = 0
        self._shown = False

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        """See Recogniser."""
        samples = len(pcm) // 2
        if self._cost:
            time.sleep(samples / SAMPLE_RATE * self._cost)
        self._fed += samples
        yield from self._known(self._fed / SAMPLE_RATE)

    def finish(self) -> Iterator[Heard]:
        """See Recogniser: what has begun is said to its end."""
        fed = self._fed / SAMPLE_RATE
        for said in self._script:
            if said.t0 < fed:
                yield Heard("final", said.text, said.t0, min(said.t1, fed))
        self._script = []

    def _known(self, fed: float) -> Iterator[Heard]:
        while self._script:
            said = self._script[0]
            if said.t0 < fed and not self._shown:
                self._shown = True
                yield Heard("partial", said.text.split()[0], said.t0, min(fed, said.t1))
            if fed < said.t1:
                return
            del self._script[0]
            self._shown = False
            yield Heard("final", said.text, said.t0, said.t1)


class ScriptedEngine:
    """RecogniserEngine: every recogniser says the script."""

    name = "scripted"

    def __init__(self, script: Sequence[Said], cost: float = 0.0) -> None:
        self._script = script
        self._cost = cost

    def recogniser(self, language: str) -> ScriptedRecogniser:
        """See RecogniserEngine."""
        return ScriptedRecogniser(self._script, self._cost)


class ScriptedTranscriber:
    """Transcriber: says what of the script lies within the sound."""

    name = "scripted"

    def __init__(self, script: Sequence[Said]) -> None:
        self._script = script

    def transcribe(self, samples: NDArray[np.int16], language: str) -> Iterator[Heard]:
        """See Transcriber."""
        seconds = len(samples) / SAMPLE_RATE
        for said in self._script:
            if said.t0 < seconds:
                yield Heard("final", said.text, said.t0, min(said.t1, seconds))
