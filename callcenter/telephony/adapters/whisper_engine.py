"""faster-whisper behind the ports: segments live, whole recordings after the call.

Whisper pads whatever it gets to 30 s and pays for all of it. Live segments are encoded over a
window cut to their length instead: a third of the CPU with the same text. Where the decoder
loops (the known risk of a short window) the segment is done again over the full one.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import soxr
import webrtcvad
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from callcenter.errors import ModelMissing
from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import SAMPLE_RATE, Heard, Recogniser
from callcenter.telephony.speech.models import Installed
from callcenter.telephony.speech.segmented import SegmentRecogniser
from callcenter.telephony.speech.segments import IsVoice, Segmenter

WHISPER_RATE = 16_000
_FULL_WINDOW = 30.0  # seconds
_ROOM = 4.0  # seconds of silence after the segment; with less the decoder repeats itself
_LEAST_WINDOW = 8.0
_MAX_TOKENS_PER_SECOND = 12  # nobody says more; bounds the CPU of a loop
_LOOP_RATIO = 2.4  # text that compresses better than this repeats itself
_LEAST_LOGPROB = {"en": -1.0}
_LEAST_LOGPROB_ELSEWHERE = -1.4  # the model is less sure of every other language
_LONGEST_SEGMENT = 24.0  # seconds, of the second pass
_VAD_MODE = 2


def voice_judge(mode: int = _VAD_MODE) -> IsVoice:
    """Google's WebRTC detector; one judge per leg, it adapts to the leg's noise."""
    vad = webrtcvad.Vad(mode)
    return lambda frame: bool(vad.is_speech(frame, SAMPLE_RATE))


def _open(model: Installed, threads: int) -> WhisperModel:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are files here, never a download
    try:
        return WhisperModel(
            str(model.path),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=1,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelMissing(f"{model.name} cannot be loaded: fetch it again") from error


def _resample(samples: Samples) -> NDArray[np.float32]:
    sound = samples.astype(np.float32) / 32768
    at_16k: NDArray[np.float32] = soxr.resample(sound, SAMPLE_RATE, WHISPER_RATE, "HQ")
    return at_16k


def loops(text: str) -> bool:
    """Whether the decoder repeated itself instead of writing what was said."""
    data = text.encode()
    if len(data) / len(zlib.compress(data)) > _LOOP_RATIO:
        return True
    words = text.lower().replace(".", " ").replace(",", " ").split()
    half, odd = divmod(len(words), 2)
    return not odd and half >= 3 and words[:half] == words[half:]


class _Ear:
    """A loaded model that turns one stretch of speech into text."""

    def __init__(self, model: Installed, *, threads: int, beam: int) -> None:
        self._model = _open(model, threads)
        self._beam = beam
        self._lock = threading.Lock()  # CTranslate2 serves one segment at a time anyway
        self._tokenizers: dict[str, Tokenizer] = {}

    def text(self, samples: Samples, language: str) -> str:
        """The text of one segment (8 kHz, up to 30 s); "" when it is none."""
        sound = _resample(samples)
        window = max(_LEAST_WINDOW, len(samples) / SAMPLE_RATE + _ROOM)
        with self._lock:
            text, logprob = self._decode(sound, language, min(window, _FULL_WINDOW))
            if loops(text):
                text, logprob = self._decode(sound, language, _FULL_WINDOW)
        sure = logprob >= _LEAST_LOGPROB.get(language, _LEAST_LOGPROB_ELSEWHERE)
        return text if sure and not loops(text) else ""

    def _decode(
        self, sound: NDArray[np.float32], language: str, window: float
    ) -> tuple[str, float]:
        """Text and mean log probability of its tokens."""
        tokenizer = self._tokenizer(language)
        padded = np.pad(sound, (0, max(0, int(window * WHISPER_RATE) - len(sound))))
        frames = int(window * 100) // 2 * 2
        features = self._model.feature_extractor(padded)[:, :frames]
        encoded = self._model.encode(features)
        most = int(len(sound) / WHISPER_RATE * _MAX_TOKENS_PER_SECOND) + 16
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=self._beam,
            max_length=min(448, len(prompt) + most),
            return_scores=True,
            suppress_blank=True,
        )[0]
        tokens = result.sequences_ids[0]
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1) if tokens else -9.0
        text: str = tokenizer.decode([token for token in tokens if token < tokenizer.eot])
        return text.strip(), logprob

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer,
                self._model.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]


class WhisperEngine:
    """Live captions: small beam, window cut to the segment."""

    name = "whisper"

    def __init__(
        self,
        model: Installed,
        *,
        threads: int = 1,
        may_preview: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ear = _Ear(model, threads=threads, beam=2)
        self._may_preview = may_preview
        self._ear.text(np.zeros(SAMPLE_RATE, np.int16), "en")  # first use is slow: have it now

    def recogniser(self, language: str) -> Recogniser:
        """See RecogniserEngine."""
        return SegmentRecogniser(
            Segmenter(voice_judge()),
            lambda samples: self._ear.text(samples, language),
            may_preview=self._may_preview,
        )


class WhisperTranscriber:
    """The second pass: the whole leg at once, so longer segments, and a wide beam.

    Segments keep the times true; Whisper's own run over a whole leg drifts across silence and
    loses what stands at a window's edge (measured).
    """

    def __init__(self, model: Installed, *, threads: int = 1) -> None:
        self._ear = _Ear(model, threads=threads, beam=5)
        self.name = model.name

    def transcribe(self, samples: NDArray[np.int16], language: str) -> Iterator[Heard]:
        """See Transcriber."""
        segmenter = Segmenter(voice_judge(), maximum=_LONGEST_SEGMENT)
        for part in (segmenter.feed(samples), segmenter.finish()):
            for segment in part:
                text = self._ear.text(segment.samples, language)
                if text:
                    yield Heard("final", text, segment.t0, segment.t0 + segment.seconds)
