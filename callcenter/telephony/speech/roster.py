"""Which engine serves which language now; loads models when they are needed or appear."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import structlog

from callcenter.config import Language
from callcenter.errors import ModelMissing, SpeechError
from callcenter.telephony.ports import RecogniserEngine, Transcriber
from callcenter.telephony.speech import models
from callcenter.telephony.speech.models import EngineName, Installed

LiveEngine = Literal["vosk", "whisper", "off"]
LoadEngine = Callable[[Installed], RecogniserEngine]
LoadTranscriber = Callable[[Installed], Transcriber]
_LOGGER = structlog.get_logger()


class Roster:
    """The loaded models of one process. Safe to use from several threads."""

    def __init__(
        self,
        live: Mapping[Language, LiveEngine],
        models_dir: Path,
        loaders: Mapping[EngineName, LoadEngine],
        load_transcriber: LoadTranscriber,
    ) -> None:
        self._live: dict[str, LiveEngine] = {str(key): value for key, value in live.items()}
        self._models_dir = models_dir
        self._loaders = loaders
        self._load_transcriber = load_transcriber
        self._lock = threading.Lock()
        self._engines: dict[str, RecogniserEngine] = {}
        self._transcribers: dict[str, Transcriber] = {}
        self._broken: dict[str, float] = {}
        self._models: list[Installed] = []
        self.look()

    def look(self) -> bool:
        """Look for models again; whether something changed."""
        found = models.available(self._models_dir)
        changed = found != self._models
        self._models = found
        return changed

    def choice(self, language: str) -> Installed | None:
        """The model for live captions of the language, None without one."""
        engine = self._live.get(language, "whisper")
        if engine == "off":
            return None
        return models.choose(language, engine, "live", self._usable())

    def is_off(self, language: str) -> bool:
        """Whether live captions of the language are switched off."""
        return self._live.get(language) == "off"

    def engine(self, language: str) -> RecogniserEngine:
        """The loaded engine for live captions; loads it at first use.

        Raises ModelMissing. A model that cannot be loaded gives way to the next.
        """
        while model := self.choice(language):
            with self._lock:
                if model.name in self._engines:
                    return self._engines[model.name]
                try:
                    self._engines[model.name] = self._loaders[model.engine](model)
                except SpeechError as error:
                    _LOGGER.error("model unusable", model=model.name, error=error.detail)
                    self._broken[model.name] = _changed_at(model)
                else:
                    _LOGGER.info("model loaded", model=model.name)
        raise ModelMissing(f"no speech model for {language}: run `callcenter models fetch`")

    def transcriber(self, language: str) -> Transcriber:
        """The model for the second pass; loads it at first use. Raises ModelMissing."""
        model = models.choose(language, "whisper", "second_pass", self._usable())
        if model is None:
            raise ModelMissing(f"no speech model for {language}: run `callcenter models fetch`")
        if model.name not in self._transcribers:
            self._transcribers = {model.name: self._load_transcriber(model)}
        return self._transcribers[model.name]

    def release_transcriber(self) -> None:
        """Give the memory of the second pass back."""
        self._transcribers = {}

    def preload(self) -> None:
        """Load what the languages need, so that the first call does not wait for it."""
        for language in self._live:
            try:
                self.engine(language)
            except ModelMissing:
                _LOGGER.info("no live captions", language=language)

    def status(self) -> tuple[dict[str, str], dict[str, str]]:
        """Language → engine in use, and language → why there is none."""
        engines: dict[str, str] = {}
        missing: dict[str, str] = {}
        for language in self._live:
            model = self.choice(language)
            if model:
                engines[language] = model.engine
            else:
                missing[language] = "off" if self.is_off(language) else "no_model"
        return engines, missing

    def _usable(self) -> list[Installed]:
        """Without models that failed to load, until they change on disk."""
        return [m for m in self._models if self._broken.get(m.name) != _changed_at(m)]


def _changed_at(model: Installed) -> float:
    try:
        return model.path.stat().st_mtime
    except OSError:
        return -1.0
