"""The real libraries with real models, fetched by the product itself."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any

import jiwer
import numpy as np
import pytest
from speech_clips import clip, manifest

from callcenter.telephony.adapters.vosk_engine import VoskEngine
from callcenter.telephony.adapters.whisper_engine import WhisperEngine, WhisperTranscriber, loops
from callcenter.telephony.fakes.speech import Said, ScriptedEngine
from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import Heard, RecogniserEngine
from callcenter.telephony.speech.models import Installed

pytestmark = pytest.mark.integration  # real sockets, models or processes, in real time

with warnings.catch_warnings():  # an invalid escape in a docstring of theirs
    warnings.simplefilter("ignore")
    from whisper_normalizer.english import EnglishTextNormalizer

ENGLISH = [entry["file"].removesuffix(".wav") for entry in manifest() if entry["lang"] == "en"]
PAUSE = np.zeros(8000, np.int16)


def heard(engine: RecogniserEngine, samples: Samples, language: str = "en") -> list[Heard]:
    """Everything, fed a tenth of a second at a time."""
    recogniser = engine.recogniser(language)
    pieces = (samples[at : at + 800] for at in range(0, len(samples), 800))
    found = [item for piece in pieces for item in recogniser.feed(piece.tobytes())]
    return found + list(recogniser.finish())


def finals(items: list[Heard]) -> str:
    return " ".join(item.text for item in items if item.kind == "final")


_normalise = EnglishTextNormalizer()


def plain(text: str) -> str:
    """Normal English, runs of digits joined."""
    return re.sub(r"(?<=\d) (?=\d)", "", _normalise(text))


@pytest.fixture(scope="module")
def whisper(whisper_base: Installed) -> WhisperEngine:
    return WhisperEngine(whisper_base)


@pytest.fixture(scope="module")
def vosk(korean: Installed) -> VoskEngine:
    return VoskEngine(korean)


# --- The contract that every recogniser keeps ----------------------------------------------------


@pytest.fixture(params=["scripted", "whisper", "vosk"])
def engine_and_language(request: pytest.FixtureRequest) -> tuple[RecogniserEngine, str]:
    if request.param == "scripted":
        return ScriptedEngine([Said(1.5, 4.0, "order number"), Said(7.2, 10.0, "refund")]), "en"
    engine: RecogniserEngine = request.getfixturevalue(request.param)
    return engine, "ko" if request.param == "vosk" else "en"


def test_a_recogniser_tells_what_it_heard_in_order_with_times_of_its_sound(
    engine_and_language: tuple[RecogniserEngine, str],
) -> None:
    engine, language = engine_and_language
    sound = np.concatenate([PAUSE, clip("joe02").samples, PAUSE, clip("joe04").samples, PAUSE])
    seconds = len(sound) / 8000
    items = heard(engine, sound, language)
    said = [item for item in items if item.kind == "final"]
    assert said
    assert all(item.text.strip() for item in items)
    assert all(0 <= item.t0 < item.t1 <= seconds + 0.5 for item in said)
    assert [item.t0 for item in said] == sorted(item.t0 for item in said)
    assert said[0].t0 < 4.5
    assert said[-1].t1 > 7


def test_a_recogniser_says_nothing_about_silence(
    engine_and_language: tuple[RecogniserEngine, str],
) -> None:
    engine, language = engine_and_language
    if engine.name == "scripted":
        engine = ScriptedEngine([])
    assert heard(engine, np.zeros(80_000, np.int16), language) == []


def test_two_recognisers_of_one_engine_do_not_mix(
    engine_and_language: tuple[RecogniserEngine, str],
) -> None:
    engine, language = engine_and_language
    if engine.name == "scripted":
        pytest.skip("the scripted one says its script whatever it hears")
    one, other = engine.recogniser(language), engine.recogniser(language)
    sound = np.concatenate([clip("joe04").samples, PAUSE])
    said: list[Heard] = []
    for at in range(0, len(sound), 800):
        said += one.feed(sound[at : at + 800].tobytes())
        assert not list(other.feed(bytes(1600)))
    assert finals([*said, *one.finish()])
    assert list(other.finish()) == []


# --- Whisper -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transcriber(whisper_base: Installed) -> WhisperTranscriber:
    return WhisperTranscriber(whisper_base)


def live_text(request: pytest.FixtureRequest) -> Callable[[Samples, str], str]:
    engine: WhisperEngine = request.getfixturevalue("whisper")
    return lambda samples, language: finals(heard(engine, samples, language))


def second_text(request: pytest.FixtureRequest) -> Callable[[Samples, str], str]:
    model: WhisperTranscriber = request.getfixturevalue("transcriber")
    return lambda samples, language: finals(list(model.transcribe(samples, language)))


@pytest.mark.parametrize("way", [live_text, second_text])
def test_english_telephone_speech_has_at_most_a_fifth_of_its_words_wrong(
    way: Any, request: pytest.FixtureRequest
) -> None:
    text_of = way(request)
    said = [plain(clip(name).text) for name in ENGLISH]
    got = [plain(text_of(clip(name).samples, "en")) for name in ENGLISH]
    rate = jiwer.wer(said, got)
    print(f"{way.__name__}: word error rate {rate:.3f}")  # noqa: T201
    assert rate <= 0.20, list(zip(said, got, strict=True))


@pytest.mark.parametrize(
    ("name", "language", "script"), [("fa00", "fa", "ARABIC"), ("he00", "he", "HEBREW")]
)
def test_persian_and_hebrew_come_out_in_their_scripts(
    whisper: WhisperEngine, name: str, language: str, script: str
) -> None:
    text = finals(heard(whisper, clip(name).samples, language))
    letters = [letter for letter in text if letter.isalpha()]
    assert len(letters) >= 5
    assert all(unicodedata.name(letter).startswith(script) for letter in letters)


def test_the_second_pass_places_sentences_where_they_were_said(
    transcriber: WhisperTranscriber,
) -> None:
    quiet = np.zeros(30 * 8000, np.int16)
    sound = np.concatenate([quiet, clip("joe04").samples, quiet, clip("slt06").samples])
    one, two = list(transcriber.transcribe(sound, "en"))
    assert one.t0 == pytest.approx(30, abs=1)
    assert one.t1 == pytest.approx(34.9, abs=1)
    assert two.t0 == pytest.approx(64.9, abs=1)
    assert "refund" in one.text
    assert "supervisor" in two.text


def test_partials_of_whisper_lead_to_the_final(whisper_base: Installed) -> None:
    engine = WhisperEngine(whisper_base, may_preview=lambda: True)
    items = heard(engine, np.concatenate([clip("lib0870").samples, PAUSE]))
    assert [item.kind for item in items][-1] == "final"
    partials = [item for item in items if item.kind == "partial"]
    assert len(partials) >= 2
    assert len(partials[0].text) < len(partials[-1].text) <= len(items[-1].text) + 20


def test_text_that_repeats_itself_is_known_as_a_loop() -> None:
    assert loops("Go forward 10 meters. Go forward 10 meters.")
    assert loops("you " * 40)
    assert not loops("I was charged twice for the same invoice and I would like a refund.")
    assert not loops("no no")


# --- Vosk ----------------------------------------------------------------------------------------


def test_vosk_gives_growing_partials_before_the_final(vosk: VoskEngine) -> None:
    items = heard(vosk, np.concatenate([clip("joe04").samples, PAUSE]), "ko")
    first_final = next(at for at, item in enumerate(items) if item.kind == "final")
    assert first_final >= 3
    assert all(item.t0 <= item.t1 for item in items)
    partials = [item.text for item in items[:first_final]]
    assert len(set(partials)) == len(partials)


def test_vosk_keeps_time_across_long_silence(vosk: VoskEngine) -> None:
    quiet = np.zeros(40 * 8000, np.int16)
    sound = np.concatenate([clip("joe04").samples, quiet, clip("joe04").samples, PAUSE])
    said = [item for item in heard(vosk, sound, "ko") if item.kind == "final"]
    assert said[0].t0 < 4.9
    assert said[0].t1 < 4.9
    assert 44.9 < said[-1].t0 < said[-1].t1 <= 50
    assert not [item for item in said if 8 < item.t0 < 43]


def test_vosk_is_made_to_say_something_in_unbroken_speech(vosk: VoskEngine) -> None:
    speech = np.concatenate([clip(name).samples[2000:-2000] for name in ENGLISH])
    said = [item for item in heard(vosk, speech, "ko") if item.kind == "final"]
    assert len(said) >= 2
    assert all(item.t1 - item.t0 <= 19 for item in said)
    assert said[-1].t1 > len(speech) / 8000 - 3
    assert [i.t0 for i in said] == sorted(i.t0 for i in said)


def test_a_broken_model_is_named(tmp_path: Any, fake_model: Callable[[str], Any]) -> None:
    from callcenter.errors import ModelMissing

    path = fake_model("whisper-base")
    with pytest.raises(ModelMissing, match="whisper-base cannot be loaded"):
        WhisperEngine(Installed("whisper-base", "whisper", (), path))
