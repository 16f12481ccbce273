"""The comparison of judges: how large a difference is, and which comes first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from quality_desk import sections

from callcenter.crm.quality.comparison import compare, unanimous
from callcenter.crm.quality.scoring import Question, Section


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ([4, 4], 0.0),
        ([4, 3], 0.25),
        ([4, 3, 0], 1.0),
        ([1, 2, 3], 0.5),
        ([None, None], 0.0),
        ([None, 4], 1.0),
        ([None, 2, 2], 1.0),
        ([2], 0.0),
        ([], 0.0),
    ],
)
def test_a_difference_is_a_share_of_the_scale(given: Sequence[int | None], size: float) -> None:
    asked = [Section(id="s", title="S", questions=[Question(id="q", text="Q", scale=4)])]
    (found,) = compare(asked, {str(n): {"q": value} for n, value in enumerate(given)})
    assert found.size == size
    assert list(found.values.values()) == given


def test_the_largest_difference_comes_first_else_the_order_of_the_scorecard() -> None:
    found = compare(
        sections(),
        {"a": {"name": 1, "tone": 4, "identity": 1}, "b": {"name": 1, "tone": 2, "identity": 0}},
    )
    assert [(one.question.id, one.size) for one in found] == [
        ("identity", 1.0),
        ("tone", 0.5),
        ("name", 0.0),
    ]
    assert found[1].values == {"a": 4, "b": 2}
    assert unanimous(found) == {"name": 1}
    assert [one.question.id for one in compare(sections(), {})] == ["name", "tone", "identity"]
    assert unanimous(compare(sections(), {})) == {}


def test_what_nobody_holds_to_apply_is_unanimous_too() -> None:
    found = compare(sections(), {"a": {"tone": None}, "b": {"tone": None}})
    assert unanimous(found) == {"tone": None}
