"""Vosk behind the `Recogniser` port: streaming, with partials after every tenth of a second.

Its models want 16 kHz (small ones refuse 8), a new recogniser stalls for most of a second on its
first sound (so a few wait prewarmed), and memory grows with unbroken speech (so a result is
forced after a while, and freed memory is given back when a call ends).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr
import vosk

from callcenter.errors import ModelMissing
from callcenter.telephony.adapters.whisper_engine import voice_judge
from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Heard, Recogniser
from callcenter.telephony.speech.models import Installed
from callcenter.telephony.speech.timeline import Timeline

VOSK_RATE = 16_000
BATCH = SAMPLE_RATE // 10
_UNBROKEN_SECONDS = 18.0
_SILENCE_FED = 1.0  # seconds of silence that are fed; the rest would cost CPU for nothing
_POOL = 4
_WARM_SECONDS = 1.0


class VoskEngine:
    """A loaded model and a pool of recognisers that are warm already."""

    name = "vosk"

    def __init__(self, model: Installed) -> None:
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(str(model.path))
        except Exception as error:  # vosk raises nothing narrower
            raise ModelMissing(f"{model.name} cannot be loaded: fetch it again") from error
        self._pool: deque[Any] = deque()
        self._filling = threading.Lock()
        self._pool.append(self._warm())

    def recogniser(self, language: str) -> Recogniser:
        """See RecogniserEngine; the model's language is the one it was chosen for."""
        try:
            ready = self._pool.popleft()
        except IndexError:
            ready = self._warm()
        threading.Thread(target=self._fill, name="vosk-warm", daemon=True).start()
        return VoskRecogniser(ready)

    def _fill(self) -> None:
        with self._filling:
            while len(self._pool) < _POOL:
                self._pool.append(self._warm())

    def _warm(self) -> Any:
        made = vosk.KaldiRecognizer(self._model, VOSK_RATE)
        made.SetWords(True)
        made.SetPartialWords(True)
        noise = np.random.default_rng(1).normal(0, 1500, int(_WARM_SECONDS * VOSK_RATE))
        made.AcceptWaveform(noise.astype(np.int16).tobytes())
        made.FinalResult()
        return made


class VoskRecogniser:
    """One leg. Times are seconds of the sound that was fed to it."""

    def __init__(self, recogniser: Any) -> None:
        self._recogniser = recogniser
        self._resampler = soxr.ResampleStream(
            SAMPLE_RATE, VOSK_RATE, 1, dtype="int16", quality="QQ"
        )
        self._is_voice = voice_judge()
        self._rest: Samples = np.zeros(0, np.int16)
        self._timeline = Timeline(max_silence=0)
        self._position = 0  # samples taken
        self._fed = 0  # samples fed to Vosk
        self._since = 0  # samples fed up to the last result
        self._quiet = 0.0  # seconds without voice
        self._partial = ""

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        """See Recogniser."""
        sound = np.concatenate([self._rest, np.frombuffer(pcm, np.int16)])
        whole = len(sound) - len(sound) % BATCH
        self._rest = sound[whole:]
        for at in range(0, whole, BATCH):
            yield from self._batch(sound[at : at + BATCH])

    def finish(self) -> Iterator[Heard]:
        """See Recogniser."""
        if len(self._rest):
            yield from self._batch(np.pad(self._rest, (0, BATCH - len(self._rest))))
        self._rest = np.zeros(0, np.int16)
        last = self._resampler.resample_chunk(np.zeros(0, np.int16), last=True)
        if len(last) and self._recogniser.AcceptWaveform(last.tobytes()):
            yield from self._final(self._recogniser.Result())
        yield from self._final(self._recogniser.FinalResult())
        self._recogniser = None
        _give_memory_back()

    def _batch(self, batch: Samples) -> Iterator[Heard]:
        position, self._position = self._position, self._position + BATCH
        self._quiet = 0.0 if self._has_voice(batch) else self._quiet + BATCH / SAMPLE_RATE
        if self._quiet > _SILENCE_FED and not self._partial:
            return
        self._timeline.take(position, batch)
        self._fed += BATCH
        sound = self._resampler.resample_chunk(batch)
        if self._recogniser.AcceptWaveform(sound.tobytes()):
            yield from self._final(self._recogniser.Result())
        elif (self._fed - self._since) / SAMPLE_RATE >= _UNBROKEN_SECONDS:
            yield from self._final(self._recogniser.FinalResult())
        else:
            yield from self._grown(self._recogniser.PartialResult())

    def _has_voice(self, batch: Samples) -> bool:
        """Every frame is judged: the judge learns the leg's noise from all of them."""
        frames = (batch[at : at + FRAME_SAMPLES] for at in range(0, BATCH, FRAME_SAMPLES))
        return sum(self._is_voice(frame.tobytes()) for frame in frames) > 0

    def _final(self, answer: str) -> Iterator[Heard]:
        result = json.loads(answer)
        text, shown = result.get("text", ""), self._partial
        self._partial, self._since = "", self._fed
        if text or shown:
            yield self._heard("final", text, result.get("result", []))

    def _grown(self, answer: str) -> Iterator[Heard]:
        result = json.loads(answer)
        text = result.get("partial", "")
        if text and text != self._partial:
            self._partial = text
            yield self._heard("partial", text, result.get("partial_result", []))

    def _heard(self, kind: Any, text: str, words: list[dict[str, Any]]) -> Heard:
        """Vosk's clock runs on through every result, and began with the warming."""
        now = self._fed / SAMPLE_RATE
        t0 = words[0]["start"] - _WARM_SECONDS if words else now
        t1 = words[-1]["end"] - _WARM_SECONDS if words else now
        times = tuple(
            (self._place(word["start"]), self._place(word["end"]))
            for word in words
            if kind == "final"
        )
        return Heard(kind, text, self._timeline.seconds(t0), self._timeline.seconds(t1), times)

    def _place(self, second: float) -> float:
        return self._timeline.seconds(second - _WARM_SECONDS)


def _give_memory_back() -> None:
    """glibc keeps what Vosk freed; elsewhere there is nothing to do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
