from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from callcenter.errors import SpeechError
from callcenter.events import (
    CaptionHeard,
    TranscriptCompleted,
    TranscriptPending,
    UtteranceHeard,
)
from callcenter.telephony.fakes.speech import Said, ScriptedRecogniser
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec, Heard
from callcenter.telephony.speech import wire
from callcenter.telephony.speech.captions import Caption, Ear, as_facts, as_signal
from callcenter.telephony.speech.ledger import Ledger
from callcenter.telephony.speech.segmented import SegmentRecogniser
from callcenter.telephony.speech.segments import Segment, Segmenter
from callcenter.telephony.speech.timeline import Timeline

RATE = 8000
Samples = g711.Samples


def sound(seconds: float, level: int = 1000) -> Samples:
    return np.full(round(seconds * RATE), level, np.int16)


def loud(frame: bytes) -> bool:
    return bool(np.abs(np.frombuffer(frame, np.int16)).max() > 100)


# --- Timeline ------------------------------------------------------------------------------


def test_a_short_gap_is_fed_as_silence() -> None:
    timeline = Timeline()
    timeline.take(0, sound(0.1))
    fed = timeline.take(1600, sound(0.1))
    assert len(fed) == 1600
    assert not fed[:800].any()
    assert (fed[800:] == 1000).all()
    assert timeline.seconds(0.25) == pytest.approx(0.25)


def test_a_long_gap_costs_one_second_and_times_stay_true() -> None:
    timeline = Timeline()
    timeline.take(0, sound(1))
    fed = timeline.take(60 * RATE, sound(1))
    assert len(fed) == 2 * RATE
    assert timeline.seconds(0.5) == pytest.approx(0.5)
    assert timeline.seconds(2.5) == pytest.approx(60.5)


def test_sound_that_starts_late_keeps_its_place() -> None:
    timeline = Timeline()
    assert len(timeline.take(30 * RATE, sound(0.1))) == 800
    assert timeline.seconds(0.05) == pytest.approx(30.05)


def test_sound_that_comes_twice_is_fed_once() -> None:
    timeline = Timeline()
    timeline.take(0, sound(0.2))
    assert len(timeline.take(800, sound(0.2))) == 800
    assert len(timeline.take(0, sound(0.1))) == 0
    assert len(timeline.take(2400, sound(0.1))) == 800


# --- Segmenter -----------------------------------------------------------------------------


def segments(parts: list[Samples], **options: float) -> list[Segment]:
    segmenter = Segmenter(loud, **options)
    fed = np.concatenate(parts)
    found = [s for at in range(0, len(fed), 700) for s in segmenter.feed(fed[at : at + 700])]
    return found + list(segmenter.finish())


def test_two_sentences_with_a_pause_are_two_segments_in_their_places() -> None:
    found = segments([sound(1, 0), sound(2), sound(1, 0), sound(1.5), sound(1, 0)])
    assert [s.t0 for s in found] == pytest.approx([0.7, 3.7])  # 0.3 s lead-in
    assert [s.seconds for s in found] == pytest.approx([2.5, 2.0])  # and 0.2 s tail


def test_a_breath_within_the_hang_over_does_not_cut() -> None:
    found = segments([sound(1), sound(0.5, 0), sound(1), sound(1, 0)])
    assert len(found) == 1


def test_a_click_is_no_speech() -> None:
    assert segments([sound(1, 0), sound(0.2), sound(1, 0)]) == []


def test_speech_at_the_end_of_the_call_is_kept() -> None:
    found = segments([sound(0.5, 0), sound(1)])
    assert [s.t0 for s in found] == pytest.approx([0.2])


def test_a_monologue_is_cut_at_its_quietest_place_and_nothing_is_lost() -> None:
    parts = [sound(9), sound(0.2, 200), sound(6), sound(1, 0)]
    found = segments(parts, maximum=10.0)
    assert len(found) == 2
    assert found[0].seconds == pytest.approx(9.1, abs=0.1)
    assert found[1].start == found[0].start + len(found[0].samples)
    assert found[1].t0 + found[1].seconds == pytest.approx(15.4, abs=0.05)


# --- Recogniser made of segments -------------------------------------------------------------


def seconds_of(samples: Samples) -> str:
    return f"{len(samples) / RATE:.1f} seconds"


def heard(
    parts: list[Samples], may_preview: Callable[[], bool], transcribe: Callable[[Samples], str]
) -> list[Heard]:
    recogniser = SegmentRecogniser(Segmenter(loud), transcribe, may_preview=may_preview)
    fed = np.concatenate(parts)
    found = [h for at in range(0, len(fed), 800) for h in recogniser.feed(fed[at:][:800].tobytes())]
    return found + list(recogniser.finish())


def test_partials_come_while_speech_grows_and_the_final_after_the_pause() -> None:
    found = heard([sound(5), sound(1, 0)], lambda: True, seconds_of)
    assert [(h.kind, h.text) for h in found] == [
        ("partial", "2.0 seconds"),
        ("partial", "4.0 seconds"),
        ("final", "5.2 seconds"),
    ]


def test_without_spare_cpu_there_are_only_finals() -> None:
    found = heard([sound(5), sound(1, 0)], lambda: False, seconds_of)
    assert [h.kind for h in found] == ["final"]


def test_noise_without_words_says_nothing() -> None:
    assert heard([sound(3), sound(1, 0)], lambda: True, lambda _samples: "") == []


# --- Captions --------------------------------------------------------------------------------


class Repeats:
    """A recogniser that says what it is told, a list for each feeding."""

    def __init__(self, *answers: list[Heard]) -> None:
        self._answers = iter(answers)

    def feed(self, pcm: bytes) -> Iterator[Heard]:
        yield from next(self._answers)

    def finish(self) -> Iterator[Heard]:
        return iter(())


def ear_of(recogniser: Repeats | ScriptedRecogniser) -> Ear:
    numbers = itertools.count(1)
    return Ear(recogniser, lambda: f"u{next(numbers)}")


def hear(ear: Ear, start: float, seconds: float) -> list[Caption]:
    payload = g711.encode(sound(seconds))
    return list(ear.hear(round(start * RATE), payload, Codec.PCMU))


def test_an_utterance_keeps_its_id_from_the_first_partial_to_the_final() -> None:
    ear = ear_of(ScriptedRecogniser([Said(0.5, 2, "hello there"), Said(3, 4, "good bye")]))
    found = [c for at in range(0, 5) for c in hear(ear, at, 1)] + list(ear.finish())
    assert [(c.kind, c.utterance, c.text) for c in found] == [
        ("partial", "u1", "hello"),
        ("final", "u1", "hello there"),
        ("partial", "u2", "good"),
        ("final", "u2", "good bye"),
    ]
    assert [(c.t0, c.t1) for c in found if c.kind == "final"] == [(0.5, 2.0), (3.0, 4.0)]


def test_captions_after_a_hold_have_the_time_of_the_call() -> None:
    ear = ear_of(ScriptedRecogniser([Said(0, 1, "one moment"), Said(3, 4, "thank you")]))
    found = hear(ear, 0, 2) + hear(ear, 100, 3)
    final = [(c.text, c.t0, c.t1) for c in found if c.kind == "final"]
    assert final == [("one moment", 0.0, 1.0), ("thank you", 100.0, 101.0)]


def test_a_partial_that_turns_out_to_be_nothing_is_taken_back() -> None:
    ear = ear_of(Repeats([Heard("partial", "the", 0, 1)], [Heard("final", " ", 0, 1)]))
    found = hear(ear, 0, 1) + hear(ear, 1, 1)
    assert [(c.kind, c.utterance, c.text) for c in found] == [
        ("partial", "u1", "the"),
        ("partial", "u1", ""),
    ]


def test_a_partial_is_a_signal_and_a_final_a_fact() -> None:
    partial = as_signal(Caption("partial", "u", "hel", 0, 1), "c", "agent")
    (final,) = as_facts(Caption("final", "u", "hello", 0, 1), "c", "agent", "en", "vosk")
    assert isinstance(partial, CaptionHeard)
    assert isinstance(final, UtteranceHeard)
    assert (partial.utterance, final.utterance, final.revision) == ("u", "u", 1)


# --- Ledger ----------------------------------------------------------------------------------


def test_a_call_is_complete_when_its_last_line_closed() -> None:
    ledger = Ledger()
    ledger.opened("c", "en")
    ledger.opened("c", "en")
    ledger.heard("c", "vosk")
    assert ledger.closed("c", "vosk") == []
    (fact,) = ledger.closed("c", "vosk")
    assert isinstance(fact, TranscriptCompleted)
    assert (fact.revision, fact.utterances, fact.engine, fact.language) == (1, 1, "vosk", "en")


def test_a_loss_is_told_once_and_the_call_is_not_complete() -> None:
    ledger = Ledger()
    ledger.opened("c", "en")
    (fact,) = ledger.lost("c", "overload")
    assert isinstance(fact, TranscriptPending)
    assert fact.reason == "overload"
    assert ledger.lost("c", "overload") == []
    assert ledger.closed("c", "vosk") == []


# --- Wire ------------------------------------------------------------------------------------

FRAMES: list[wire.Frame] = [
    wire.Opened(7, wire.Opening("call", "customer", "fa", resumed=True)),
    wire.Sound(7, 16000, Codec.PCMA, b"\xd5" * 800),
    wire.Behind(7),
    wire.Closed(7),
]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_frames_come_out_as_they_went_in_however_they_are_cut(size: int) -> None:
    data = b"".join(wire.encode(frame) for frame in FRAMES)
    decoder = wire.Decoder()
    got = [f for at in range(0, len(data), size) for f in decoder.feed(data[at : at + size])]
    assert got == FRAMES


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\x01\x00\x00\x00\x01",
        b"\x00\x00\x00\x05\x09\x00\x00\x00\x01",
        b"\x00\x00\x00\x06\x01\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x0e\x02\x00\x00\x00\x01" + b"\x00" * 8 + b"\x63",
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_bytes_that_are_no_frames_are_refused(data: bytes) -> None:
    with pytest.raises(SpeechError):
        list(wire.Decoder().feed(data))
