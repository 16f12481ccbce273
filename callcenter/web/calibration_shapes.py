"""The shapes of calibrations that cross the API."""

from __future__ import annotations

from pydantic import Field

from callcenter.crm.quality.calibrations import LEAST_JUDGES, MOST_JUDGES
from callcenter.web.quality_shapes import EvaluationStateName
from callcenter.web.shapes import Id, In, Moment, PersonView, View


class CalibrationIn(In):
    """One call for several supervisors; `agent` may be left out where only one talked in it."""

    interaction: Id
    scorecard: Id
    agent: Id | None = None
    judges: list[Id] = Field(min_length=LEAST_JUDGES, max_length=MOST_JUDGES)


class JudgementView(View):
    """One judge; evaluation and score are there once they may be seen by this person."""

    judge: PersonView | None = None
    state: EvaluationStateName
    evaluation: str | None = None
    score: float | None = None
    knocked_out: bool = False


class CalibrationBriefView(View):
    """A calibration, as much as a list needs."""

    id: str
    interaction: str
    call_at: Moment
    scorecard_name: str
    number: int = Field(description="the version of the scorecard")
    agent: PersonView | None = None
    created_by: PersonView | None = None
    created_at: Moment
    closed_by: PersonView | None = None
    closed_at: Moment | None = None
    revealed: bool = Field(description="all have submitted, or it is closed")
    judgements: list[JudgementView]
    agreed: JudgementView | None = None


class JudgedView(View):
    """The answer of one judge; null: does not apply."""

    judge: str
    value: int | None = None
    remark: str


class DifferenceView(View):
    """A question with everybody's answers."""

    question: str
    text: str
    scale: int
    size: float = Field(description="highest less lowest, 0 to 1 of the scale; 1 also for N/A")
    answers: list[JudgedView]
    agreed: JudgedView | None = None


class CalibrationView(CalibrationBriefView):
    """A calibration; the differences, largest first, are empty while it is blind."""

    differences: list[DifferenceView]
    reason: str = Field(description="why they agree on what they agree on")
