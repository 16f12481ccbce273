"""What a scorecard is, and the arithmetic of its score. Pure.

A question is answered with 0 to `scale` (a scale of 1 is no or yes) and is worth `points`:

    earned of a question   points × answer ÷ scale
    share of a section     Σ earned ÷ Σ points, over its questions that were answered
    score                  100 × Σ (weight × share) ÷ Σ weight, over its sections that have a share

A question that does not apply (N/A) is left out of both sums, so that it neither helps nor harms;
a section of nothing but N/A is left out with its weight. A knock-out answered with 0 makes the
whole 0. Where nothing applies there is no score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from callcenter.errors import Invalid

MOST_SECTIONS, MOST_QUESTIONS = 20, 60
MOST_SCALE, MOST_WEIGHT = 9, 100
Answers = Mapping[str, int | None]
"""Question → 0 to its scale, None for N/A; who is not in it was not answered yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Something that is judged. `optional`: it may not apply to a call."""

    id: str
    text: str
    help: str = ""
    points: int = 1
    scale: int = 1
    knock_out: bool = False
    optional: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Questions that count together; `weight` is relative to that of the other sections."""

    id: str
    title: str
    weight: int = 1
    questions: Sequence[Question] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """`total` 0 to 100; shares 0 to 1 by section; None where nothing applies (yet)."""

    total: float | None
    shares: Mapping[str, float | None]
    knocked_out: Sequence[str]  # questions that made it 0
    missing: Sequence[str]  # questions without an answer


def score(sections: Sequence[Section], answers: Answers) -> Score:
    """The score of the answers so far; of an evaluation that is done, `missing` is empty."""
    asked = [question for section in sections for question in section.questions]
    failed = [one.id for one in asked if one.knock_out and answers.get(one.id) == 0]
    shares = {section.id: _share(section.questions, answers) for section in sections}
    total = _weighted((section.weight, shares[section.id]) for section in sections)
    return Score(
        total=0.0 if failed else total,
        shares=shares,
        knocked_out=failed,
        missing=[one.id for one in asked if one.id not in answers],
    )


def check_answer(question: Question, value: int | None) -> None:
    """Raises Invalid for an answer that the question does not take."""
    if value is None:
        if not question.optional:
            raise Invalid("this question always applies", {question.id: "always applies"})
    elif not 0 <= value <= question.scale:
        sentence = f"must be 0 to {question.scale}"
        raise Invalid(f"the answer {sentence}", {question.id: sentence})


def _share(questions: Sequence[Question], answers: Answers) -> float | None:
    applied = [(one, value) for one in questions if (value := answers.get(one.id)) is not None]
    possible = sum(question.points for question, _ in applied)
    if not possible:
        return None
    return sum(one.points * value / one.scale for one, value in applied) / possible


def _weighted(parts: Iterable[tuple[int, float | None]]) -> float | None:
    counted = [(weight, share) for weight, share in parts if share is not None]
    weights = sum(weight for weight, _ in counted)
    if not weights:
        return None
    return round(100 * sum(weight * share for weight, share in counted) / weights, 1)
