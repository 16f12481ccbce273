"""Where several people who judged the same call differ, question by question. Pure.

The difference of a question is the highest answer less the lowest, as shares of its scale: 0 is
agreement, 1 is no against yes. Who holds that a question does not apply (N/A) and who answers it
differ wholly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callcenter.crm.quality.scoring import Answers, Question, Section


@dataclass(frozen=True, slots=True)
class Difference:
    """A question with the answers to it by judge; `size` 0 to 1."""

    question: Question
    values: Mapping[str, int | None]
    size: float


def compare(sections: Sequence[Section], judged: Mapping[str, Answers]) -> Sequence[Difference]:
    """Every question, the largest difference first, else in the order of the scorecard.

    `judged`: judge → answers. Who has not answered a question is left out of it.
    """
    asked = [question for section in sections for question in section.questions]
    found = [_difference(question, judged) for question in asked]
    return sorted(found, key=lambda one: -one.size)


def unanimous(differences: Sequence[Difference]) -> dict[str, int | None]:
    """Question → the answer that everybody gave."""
    return {
        one.question.id: next(iter(one.values.values()))
        for one in differences
        if one.values and not one.size
    }


def _difference(question: Question, judged: Mapping[str, Answers]) -> Difference:
    values = {
        judge: answers[question.id] for judge, answers in judged.items() if question.id in answers
    }
    return Difference(question, values, _size(question, list(values.values())))


def _size(question: Question, values: Sequence[int | None]) -> float:
    given = [value for value in values if value is not None]
    if not given:
        return 0.0
    if len(given) < len(values):
        return 1.0
    return (max(given) - min(given)) / question.scale
