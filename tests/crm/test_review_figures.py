"""The figures of a conversation: stretches, speech in peaks, figures, and who measures when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from crm_floor import Floor, rang
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.review import measuring, queries
from callcenter.crm.review.figures import Mark, count_words, measure
from callcenter.crm.review.measuring import Measurer, away
from callcenter.crm.review.models import Conversation
from callcenter.crm.review.spans import at_least, both, joined, within, without
from callcenter.crm.review.speech import spoken, threshold
from callcenter.events import now
from callcenter.ids import new_id


@pytest.fixture(autouse=True)
def rounds_that_end_on_slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked is what a round does, not how much of it in two seconds."""
    monkeypatch.setattr(measuring, "ROUND_SECONDS", 120.0)


# --- Stretches -------------------------------------------------------------------------------


def test_stretches_are_joined_cut_and_laid_over_each_other() -> None:
    assert joined([(3, 4), (0, 1), (1, 2), (3.5, 5)]) == [(0, 2), (3, 5)]
    assert joined([(0, 1), (1.5, 2)], gap=0.5) == [(0, 2)]
    assert without([(0, 10)], [(1, 2), (4, 6), (9, 12)]) == [(0, 1), (2, 4), (6, 9)]
    assert without([(0, 1), (5, 6)], [(0, 10)]) == []
    assert both([(0, 4), (6, 9)], [(3, 7), (8, 20)]) == [(3, 4), (6, 7), (8, 9)]
    assert within([(-3, 1), (8, 20), (30, 31)], 10) == [(0, 1), (8, 10)]
    assert at_least([(0, 1), (2, 2.4)], 0.5) == [(0, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_cut_and_what_is_left_are_the_whole(seed: int) -> None:
    import random

    source = random.Random(seed)

    def some() -> list[tuple[float, float]]:
        starts = [source.uniform(0, 100) for _ in range(12)]
        return joined((start, start + source.uniform(0.1, 6)) for start in starts)

    one, other = some(), some()
    whole = sum(end - start for start, end in one)
    parts = sum(end - start for start, end in [*without(one, other), *both(one, other)])
    assert parts == pytest.approx(whole)


# --- Speech in peaks -------------------------------------------------------------------------


def levels(*parts: tuple[float, int], noise: int = 0) -> bytes:
    """Levels, 50 a second: (seconds, level) one after the other."""
    return b"".join(bytes([max(level, noise)]) * round(seconds * 50) for seconds, level in parts)


def test_speech_is_what_is_louder_than_the_line() -> None:
    heard = levels((1, 0), (2, 90), (0.2, 0), (1, 60), (2, 0))
    assert spoken(heard, 50) == [(1.0, 4.2)]
    assert spoken(heard, 50, offset=1.0) == [(0.0, 3.2)]
    assert spoken(levels((5, 0)), 50) == []
    assert spoken(b"", 50) == []


def test_a_humming_line_is_no_speech_and_speech_on_it_is() -> None:
    hum = levels((2, 0), (1, 80), (2, 0), noise=5)
    assert spoken(hum, 50) == [(2.0, 3.0)]
    assert spoken(levels((10, 3)), 50) == []


def test_a_click_is_no_speech() -> None:
    assert spoken(levels((1, 0), (0.04, 255), (1, 0)), 50) == []


def test_who_never_pauses_is_heard_all_the_same() -> None:
    assert threshold(bytes([80]) * 1000) == 26
    assert spoken(levels((10, 80)), 50) == [(0.0, 10.0)]


# --- Figures ---------------------------------------------------------------------------------


def test_the_figures_of_a_conversation_worked_out_by_hand() -> None:
    """Agent 0-10 and 30-40, customer 9-20: 1 s over each other, 20-30 nobody, 40-60 on hold."""
    found = measure(
        60,
        {"agent": [(0, 10), (30, 40)], "customer": [(9, 20)]},
        {"agent": 40, "customer": 22},
        [Mark("hold", 40, 60)],
    )
    assert (found.agent.seconds, found.customer.seconds) == (20, 11)
    assert (found.agent.share, found.customer.share) == (0.645, 0.355)
    assert (found.agent.pace, found.customer.pace) == (120.0, 120.0)
    assert (found.both_seconds, found.silence_seconds, found.hold_seconds) == (1, 10, 20)
    assert [(m.kind, m.t0, m.t1) for m in found.marks] == [
        ("talk_over", 9, 10),
        ("dead_air", 20, 30),
        ("hold", 40, 60),
    ]
    assert found.quiet == [(20, 30), (40, 60)]
    assert found.customer.longest == 10


def test_a_yes_in_between_ends_no_monologue_and_is_no_talk_over() -> None:
    found = measure(30, {"agent": [(0, 10), (12, 25)], "customer": [(5, 5.4)]}, {})
    assert found.agent.longest == 25
    assert found.count("talk_over") == 0
    answer = measure(30, {"agent": [(0, 10), (12, 25)], "customer": [(10, 12)]}, {})
    assert answer.agent.longest == 13


def test_what_is_spoken_on_hold_is_no_conversation() -> None:
    found = measure(20, {"customer": [(5, 15)]}, {"customer": 9}, [Mark("hold", 5, 15)])
    assert found.customer.seconds == 0
    assert found.customer.pace is None
    assert found.count("dead_air") == 2


def test_a_call_without_a_word_is_one_silence() -> None:
    found = measure(12, {}, {})
    assert (found.agent.share, found.silence_seconds, found.count("dead_air")) == (0, 12, 1)


def test_words_are_counted_as_people_write_them() -> None:
    assert count_words("سفارش من هنوز نمی‌رسد – ۴۸۲۱۷!") == 5
    assert count_words("לא הגיע, עדיין") == 3
    assert count_words("  — … ") == 0


def test_holds_transfers_and_pauses_are_read_from_the_log() -> None:
    began = now()

    def at(seconds: float) -> Any:
        return began + timedelta(seconds=seconds)

    facts: list[events.Fact] = [
        events.CallAnswered(call="c", agent="a", queue="q", wait_seconds=1, at=began),
        events.CallHeld(call="c", by="agent", at=at(10)),
        events.CallResumed(call="c", by="agent", at=at(20)),
        events.RecordingPaused(call="c", by="a", position=27, at=at(25)),
        events.RecordingResumed(call="c", by="a", position=32, at=at(30)),
        events.CallHeld(call="c", by="agent", at=at(40)),
        events.CallTransferred(call="c", from_agent="a", to_agent="b", at=at(45)),
        events.CallAnswered(call="c", agent="b", queue="q", wait_seconds=1, at=at(50)),
        events.CallHeld(call="c", by="agent", at=at(55)),
    ]
    assert [(m.kind, m.t0, m.t1) for m in away(facts, 60, offset=2)] == [
        ("hold", 10, 20),
        ("pause", 25, 30),
        ("hold", 40, 45),
        ("transfer", 45, 50),
        ("hold", 55, 60),
    ]
    assert away([], 60) == []


def test_a_conference_is_marked_and_counts_as_talk() -> None:
    began, whom = now(), {"agent": "a", "colleague": "b"}

    def at(seconds: float) -> Any:
        return began + timedelta(seconds=seconds)

    asked: dict[str, Any] = {"call": "c", **whom}
    facts: list[events.Fact] = [
        events.CallAnswered(call="c", agent="a", queue="q", wait_seconds=1, at=began),
        events.CallHeld(call="c", by="agent", at=at(5)),
        events.ConsultationOffered(**asked, at=at(5)),
        events.ConsultationAnswered(**asked, at=at(8)),
        events.CallResumed(call="c", by="agent", at=at(10)),
        events.ConferenceBegan(**asked, at=at(10)),
        events.ConsultationEnded(**asked, reason="left", at=at(20)),
        events.CallHeld(call="c", by="agent", at=at(30)),
        events.ConsultationOffered(**asked, at=at(30)),
        events.ConsultationEnded(**asked, reason="declined", at=at(35)),
        events.CallResumed(call="c", by="agent", at=at(40)),
    ]
    marks = away(facts, 60)
    assert [(m.kind, m.t0, m.t1) for m in marks] == [
        ("hold", 5, 10),
        ("conference", 10, 20),
        ("hold", 30, 40),
    ]
    words: dict[events.LegName, int] = {"agent": 5, "customer": 9}
    found = measure(60, {"agent": [(12, 14)], "customer": [(14, 18)]}, words, marks)
    assert found.hold_seconds == 15
    assert (found.agent.seconds, found.customer.seconds) == (2, 4)
    assert "conference" in [one.kind for one in found.marks]


def test_what_the_agent_says_to_a_colleague_between_is_hold_each_time() -> None:
    """To and fro between the two; the customer holds, too, and takes it back first."""
    began = now()

    def at(seconds: float) -> Any:
        return began + timedelta(seconds=seconds)

    asked: dict[str, Any] = {"call": "c", "agent": "a", "colleague": "b"}
    facts: list[events.Fact] = [
        events.CallAnswered(call="c", agent="a", queue="q", wait_seconds=1, at=began),
        events.CallHeld(call="c", by="agent", at=at(5)),
        events.ConsultationOffered(**asked, at=at(5)),
        events.ConsultationAnswered(**asked, at=at(8)),
        events.ConsultationHeld(**asked, at=at(10)),
        events.CallResumed(call="c", by="agent", at=at(10)),
        events.CallHeld(call="c", by="agent", at=at(20)),
        events.ConsultationResumed(**asked, at=at(20)),
        events.CallHeld(call="c", by="customer", at=at(25)),
        events.CallResumed(call="c", by="agent", at=at(30)),
        events.CallResumed(call="c", by="customer", at=at(32)),
        events.ConferenceBegan(**asked, at=at(40)),
        events.ConsultationEnded(**asked, reason="returned", at=at(50)),
    ]
    marks = away(facts, 60)
    assert [(m.kind, m.t0, m.t1) for m in marks] == [
        ("hold", 5, 10),
        ("hold", 20, 32),
        ("conference", 40, 50),
    ]
    words: dict[events.LegName, int] = {"agent": 5, "customer": 9}
    found = measure(60, {"agent": [(12, 14)], "customer": [(6, 9), (14, 18)]}, words, marks)
    assert found.hold_seconds == 17
    assert (found.agent.seconds, found.customer.seconds) == (2, 4)  # what music hears counts not


def test_what_a_number_outside_says_is_not_the_agents_talk() -> None:
    """Handed over it is a transfer to the end of the call."""
    began = now()

    def at(seconds: float) -> Any:
        return began + timedelta(seconds=seconds)

    asked: dict[str, Any] = {"call": "c", "agent": "a", "colleague": "", "number": "+9821"}
    facts: list[events.Fact] = [
        events.CallAnswered(call="c", agent="a", queue="q", wait_seconds=1, at=began),
        events.CallHeld(call="c", by="agent", at=at(5)),
        events.ConsultationOffered(**asked, outside="o", at=at(5)),
        events.ConsultationAnswered(**asked, outside="o", at=at(8)),
        events.ConsultationEnded(**asked, outside="o", reason="handed_over", at=at(10)),
        events.CallTransferred(call="c", from_agent="a", to_number="+9821", outside="o", at=at(10)),
        events.CallEnded(call="c", reason="completed", by="customer", at=at(60)),
    ]
    marks = away(facts, 60)
    assert [(m.kind, m.t0, m.t1) for m in marks] == [("hold", 5, 10), ("transfer", 10, 60)]
    words: dict[events.LegName, int] = {"agent": 5, "customer": 9}
    found = measure(60, {"agent": [(1, 3), (20, 40)], "customer": [(3, 4), (41, 50)]}, words, marks)
    assert (found.agent.seconds, found.customer.seconds) == (2, 1)


# --- Who measures when -----------------------------------------------------------------------


@dataclass
class Heard:
    agent: bytes
    customer: bytes
    per_second: int = 50


def said(call: str, leg: Any, t0: float, t1: float, text: str, revision: int = 1) -> Any:
    return events.UtteranceHeard(
        call=call,
        utterance=new_id(),
        leg=leg,
        text=text,
        t0=t0,
        t1=t1,
        language="en",
        engine="vosk",
        revision=revision,
    )


def sealed(call: str) -> events.RecordingSealed:
    legs = {"channel": 0.0, "offset": 1.0, "seconds": 11.0}
    return events.RecordingSealed(
        call=call,
        recording=new_id(),
        path=f"{call}.opus",
        format="opus",
        seconds=11.0,
        size=1,
        sha256="0" * 64,
        legs={"agent": legs, "customer": legs},
    )


def figures_of(session: Session, call: str) -> Conversation:
    session.expire_all()
    interaction = by_call(session, call)
    assert interaction is not None
    found = queries.conversation(session, interaction)
    assert found is not None
    return found


def test_a_sealed_call_is_measured_from_its_sound_and_again_with_its_words(floor: Floor) -> None:
    call = floor.talk("a1")
    sound = Heard(levels((2, 0), (3, 90), (6, 0)), levels((6, 0), (4, 90), (1, 0)))
    measurer = Measurer(floor.engine, lambda path: sound if path == f"{call}.opus" else None)
    assert measurer.round() == 0
    floor.happened(sealed(call))
    assert figures_of(floor.session, call).state == "waiting"
    floor.session.commit()
    assert measurer.round() == 1
    first = figures_of(floor.session, call)
    assert (first.state, first.seconds, first.agent_seconds, first.customer_seconds) == (
        "measured",
        10.0,
        3.0,
        4.0,
    )
    assert (first.agent_words, first.agent_pace) == (0, None)
    assert first.quiet == []
    floor.happened(
        said(call, "agent", 1, 4, "one two three four five six", 2),
        events.TranscriptCompleted(
            call=call, revision=2, engine="whisper", language="en", utterances=1
        ),
    )
    assert measurer.round() == 1
    again = figures_of(floor.session, call)
    assert (again.agent_words, again.agent_pace) == (6, 120.0)
    floor.session.commit()
    assert measurer.round() == 0


def test_without_a_recording_the_sentences_are_measured(floor: Floor) -> None:
    call = new_id()
    floor.happened(
        rang(call),
        events.CallAnswered(call=call, agent="a1", queue="q", wait_seconds=1),
        said(call, "customer", 1, 5, "where is my order"),
        events.CallEnded(call=call, reason="completed", by="agent", agent="a1", talk_seconds=9),
    )
    assert Measurer(floor.engine, lambda _: None).round() == 1
    found = figures_of(floor.session, call)
    assert (found.customer_seconds, found.customer_share, found.seconds) == (4.0, 1.0, 9.0)


def test_a_broken_file_stops_nobody(floor: Floor) -> None:
    first, second = floor.talk("a1"), floor.talk("a1")
    floor.happened(sealed(first), sealed(second))

    def broken(path: str) -> Heard:
        if path == f"{second}.opus":
            raise RuntimeError("no such thing")
        return Heard(levels((11, 90)), levels((11, 0)))

    assert Measurer(floor.engine, broken).round() == 2
    assert figures_of(floor.session, first).state == "measured"
    assert figures_of(floor.session, second).state == "nothing"


def test_what_is_asked_again_meanwhile_is_not_lost(floor: Floor) -> None:
    call = floor.talk("a1")
    floor.happened(sealed(call))

    def slowly(_: str) -> Heard:
        floor.happened(
            events.TranscriptCompleted(
                call=call, revision=2, engine="whisper", language="en", utterances=0
            )
        )
        return Heard(levels((11, 90)), levels((11, 0)))

    measurer = Measurer(floor.engine, slowly)
    measurer._measure(call, 1)
    assert figures_of(floor.session, call).state == "waiting"
