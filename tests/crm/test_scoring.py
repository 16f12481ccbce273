"""The arithmetic of a score, worked out by hand."""

from __future__ import annotations

import random

import pytest

from callcenter.crm.quality.scoring import Answers, Question, Section, check_answer, score
from callcenter.errors import Invalid

GREETING = Section(
    id="greeting",
    title="Greeting",
    weight=1,
    questions=[
        Question(id="name", text="Says own name?"),
        Question(id="tone", text="Tone", points=3, scale=4),
    ],
)
SOLVING = Section(
    id="solving",
    title="Solving",
    weight=3,
    questions=[
        Question(id="understood", text="Understood?", points=2),
        Question(id="solved", text="Solved?", points=2),
        Question(id="identity", text="Checked the identity?", knock_out=True, optional=False),
    ],
)
CARD = [GREETING, SOLVING]
BEST: dict[str, int | None] = {
    "name": 1, "tone": 4, "understood": 1, "solved": 1, "identity": 1,
}  # fmt: skip


def total(**changes: int | None) -> float | None:
    return score(CARD, BEST | changes).total


def test_everything_right_is_a_hundred_and_everything_wrong_nothing() -> None:
    assert total() == 100.0
    assert score(CARD, dict.fromkeys(BEST, 0)).total == 0.0


def test_points_count_within_a_section_and_weights_between_them() -> None:
    # greeting: (1 + 3 × 2/4) of 4 = 0.625; solving: (2 + 0 + 1) of 5 = 0.6
    found = score(CARD, BEST | {"tone": 2, "solved": 0})
    assert found.shares == {"greeting": 0.625, "solving": 0.6}
    assert found.total == round(100 * (1 * 0.625 + 3 * 0.6) / 4, 1) == 60.6


def test_what_does_not_apply_neither_helps_nor_harms() -> None:
    # greeting without its name: 3 × 2/4 of 3 = 0.5; solving is 1
    assert total(name=None, tone=2) == round(100 * (0.5 + 3) / 4, 1)
    assert total(name=None) == 100.0


def test_a_section_of_which_nothing_applies_is_left_out_with_its_weight() -> None:
    found = score(CARD, BEST | {"name": None, "tone": None, "solved": 0})
    assert found.shares == {"greeting": None, "solving": 0.6}
    assert found.total == 60.0


def test_where_nothing_applies_there_is_no_score() -> None:
    found = score(CARD, dict.fromkeys(BEST, None))
    assert (found.total, set(found.shares.values())) == (None, {None})
    assert (found.knocked_out, found.missing) == ([], [])
    assert score([], {}).total is None


def test_a_knock_out_makes_the_whole_nothing_and_is_named() -> None:
    found = score(CARD, BEST | {"identity": 0})
    assert (found.total, found.knocked_out) == (0.0, ["identity"])
    assert found.shares["greeting"] == 1.0
    assert total(identity=None) == 100.0


def test_a_knock_out_on_a_scale_knocks_out_at_its_end_only() -> None:
    card = [
        Section(id="s", title="S", questions=[Question(id="q", text="Q", scale=3, knock_out=True)])
    ]
    assert score(card, {"q": 1}).total == 33.3
    assert score(card, {"q": 0}).total == 0.0
    assert score(card, {"q": 0}).knocked_out == ["q"]


def test_the_score_so_far_is_of_what_was_answered() -> None:
    found = score(CARD, {"name": 1, "tone": 0})
    assert (found.total, found.shares["solving"]) == (25.0, None)
    assert found.missing == ["understood", "solved", "identity"]


@pytest.mark.parametrize("seed", range(25))
def test_a_better_answer_never_lowers_a_score_and_it_stays_within_its_bounds(seed: int) -> None:
    source = random.Random(seed)
    questions = [one for section in CARD for one in section.questions]
    answers: dict[str, int | None] = {
        one.id: source.choice([None, *range(one.scale + 1)]) for one in questions
    }
    before = score(CARD, answers).total
    assert before is None or 0 <= before <= 100
    for one in questions:
        value = answers[one.id]
        if before is not None and value is not None and value < one.scale:
            better = score(CARD, answers | {one.id: value + 1}).total
            assert better is not None
            assert better >= before


@pytest.mark.parametrize("factor", [2, 7])
def test_only_the_ratio_of_weights_counts(factor: int) -> None:
    scaled = [
        Section(id=one.id, title=one.title, weight=one.weight * factor, questions=one.questions)
        for one in CARD
    ]
    answers: Answers = BEST | {"tone": 1, "solved": 0}
    assert score(scaled, answers).total == score(CARD, answers).total


def test_answers_that_a_question_does_not_take_are_refused() -> None:
    tone, identity = GREETING.questions[1], SOLVING.questions[2]
    for value in (0, 4, None):
        check_answer(tone, value)
    for question, value in ((tone, 5), (tone, -1), (identity, None), (identity, 2)):
        with pytest.raises(Invalid):
            check_answer(question, value)
