"""The shapes of quality that cross the API: scorecards, evaluations."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from callcenter.crm.quality.drawing import Method
from callcenter.crm.quality.models import SampledMark
from callcenter.crm.quality.sampling import MOST_NUMBER
from callcenter.crm.quality.scoring import MOST_QUESTIONS, MOST_SCALE, MOST_SECTIONS, MOST_WEIGHT
from callcenter.crm.quality.trends import By
from callcenter.web.prose import Prose
from callcenter.web.review_shapes import Second
from callcenter.web.shapes import (
    CleanLongText,
    CleanText,
    CustomerBrief,
    Id,
    In,
    Moment,
    Named,
    PageQuery,
    PersonView,
    View,
)

Worth = Annotated[int, Field(ge=1, le=MOST_WEIGHT)]
Scale = Annotated[int, Field(ge=1, le=MOST_SCALE)]

# --- Scorecards ------------------------------------------------------------------------------


class QuestionIn(In):
    """Something that is judged; `id` stays the same from version to version, for trends."""

    id: Id
    text: CleanLongText
    help: CleanLongText = ""
    points: Worth = 1
    scale: Scale = 1
    knock_out: bool = False
    optional: bool = True


class SectionIn(In):
    """Questions that count together."""

    id: Id
    title: CleanText
    weight: Worth = 1
    questions: list[QuestionIn] = Field([], max_length=MOST_QUESTIONS)


class ScorecardIn(In):
    """A new scorecard; its sections may be unfinished until it is published."""

    name: Named
    sections: list[SectionIn] = Field([], max_length=MOST_SECTIONS)


class ScorecardPatch(In):
    """What changes: the sections are those of the draft."""

    name: Named | None = None
    sections: list[SectionIn] | None = Field(None, max_length=MOST_SECTIONS)


class QuestionView(View):
    """Something that is judged."""

    id: str
    text: str
    help: str
    points: int = Field(description="what it is worth within its section")
    scale: int = Field(description="the highest answer; 1: no or yes")
    knock_out: bool = Field(description="answered with 0, the whole score is 0")
    optional: bool = Field(description="it may not apply (N/A)")


class SectionView(View):
    """Questions that count together."""

    id: str
    title: str
    weight: int = Field(description="relative to the other sections")
    questions: list[QuestionView]


class ScorecardVersionView(View):
    """What is asked from one publication to the next; a draft has no `published_at`."""

    id: str
    number: int
    sections: list[SectionView]
    edited_by: PersonView | None = None
    edited_at: Moment
    published_by: PersonView | None = None
    published_at: Moment | None = None


class ScorecardView(View):
    """By what calls are judged."""

    id: str
    name: str
    created_by: PersonView | None = None
    created_at: Moment
    retired_by: PersonView | None = None
    retired_at: Moment | None = None
    published: ScorecardVersionView | None = Field(None, description="in force, unless retired")
    draft: ScorecardVersionView | None = None


class ScorecardsView(View):
    """Scorecards by name."""

    items: list[ScorecardView]


class ScorecardVersionsView(View):
    """Every version of one, the newest first."""

    items: list[ScorecardVersionView]


class ScorecardsQuery(In):
    """Which ones."""

    retired: bool = Field(False, description="also those that are retired")


# --- Which calls are evaluated ------------------------------------------------------------


class SamplingRuleIn(In):
    """So many calls of each agent and week (`number`), or that share of them (`share`, 0 to 1)."""

    name: Named
    scorecard: Id
    evaluator: Id = Field(description="the supervisor who gets the calls")
    method: Method
    amount: float = Field(gt=0, le=MOST_NUMBER)
    mark: SampledMark | None = Field(None, description="only calls in which this happened")
    queue: CleanText | None = None
    least_seconds: float = Field(0, ge=0, le=86_400)


class SamplingRuleView(View):
    """Which calls are drawn, how many, for whom."""

    id: str
    name: str
    scorecard: str
    evaluator: PersonView | None = None
    method: Method
    amount: float
    mark: SampledMark | None = None
    queue: str | None = None
    least_seconds: float
    seed: int = Field(description="the same seed draws the same calls")
    created_by: PersonView | None = None
    created_at: Moment
    ended_by: PersonView | None = None
    ended_at: Moment | None = None


class SamplingRulesView(View):
    """All rules, those in force first."""

    items: list[SamplingRuleView]


class SampledCallView(View):
    """A call that was drawn for this person to evaluate."""

    id: str
    interaction: str
    customer: CustomerBrief | None = None
    call_at: Moment
    talk_seconds: float | None = None
    agent: PersonView | None = None
    scorecard: str
    week: date = Field(description="the first day of the week it was drawn from")
    evaluation: str | None = Field(None, description="a draft that was begun")


class PassIn(In):
    """Why a drawn call is not evaluated."""

    why: Prose


# --- Evaluations -----------------------------------------------------------------------------

EvaluationStateName = Literal["draft", "submitted"]


class EvaluationsQuery(PageQuery):
    """Filters; `from` and `to` are about the call."""

    agent: Id | None = Field(None, description="a user's id, or `me`")
    evaluator: Id | None = Field(None, description="a user's id, or `me`")
    interaction: Id | None = None
    scorecard: Id | None = None
    state: EvaluationStateName | None = None
    acknowledged: bool | None = None
    from_: Moment | None = Field(None, alias="from")
    to: Moment | None = None


class EvaluationIn(In):
    """Begin one; `agent` may be left out where only one talked in the call."""

    interaction: Id
    scorecard: Id
    agent: Id | None = None


class EvaluationAnswerIn(In):
    """`value` null: does not apply. `t0`: the moment of the call that shows it."""

    question: Id
    value: int | None = Field(ge=0, le=MOST_SCALE)
    t0: Second | None = None
    remark: Prose = ""


class EvaluationPatch(In):
    """The draft as it stands: all answers given so far."""

    answers: list[EvaluationAnswerIn] = Field(max_length=MOST_QUESTIONS)
    summary: Prose | None = None
    version: int | None = None


class NoteIn(In):
    """What somebody says about an evaluation."""

    text: Prose


class EvaluationAnswerView(View):
    """The answer to one question."""

    question: str
    value: int | None = None
    t0: float | None = Field(None, description="seconds from the answer of the call")
    remark: str


class SectionShareView(View):
    """What a section came to, 0 to 1; null where nothing in it applies."""

    section: str
    share: float | None = None


class EvaluationNoteView(View):
    """What was said about an evaluation, or that it was acknowledged."""

    id: str
    kind: Literal["reply", "answer", "acknowledged"]
    by: PersonView | None = None
    at: Moment
    text: str


class EvaluationBriefView(View):
    """An evaluation, as much as a list needs."""

    id: str
    calibration: str | None = Field(None, description="it is a part of; the agent does not see it")
    interaction: str
    customer: CustomerBrief | None = None
    call_at: Moment
    scorecard: str
    scorecard_name: str
    number: int = Field(description="the version of the scorecard it is scored by")
    agent: PersonView | None = None
    evaluator: PersonView | None = None
    state: EvaluationStateName
    score: float | None = Field(None, description="0 to 100; null where nothing applies")
    knocked_out: bool
    created_at: Moment
    updated_at: Moment
    submitted_at: Moment | None = None
    acknowledged_at: Moment | None = None


class EvaluationView(EvaluationBriefView):
    """An evaluation with its questions, answers and what is said about it."""

    sections: list[SectionView]
    answers: list[EvaluationAnswerView]
    shares: list[SectionShareView]
    missing: list[str] = Field(description="questions without an answer")
    failed: list[str] = Field(description="knock-outs that made the score 0")
    summary: str
    notes: list[EvaluationNoteView]
    version: int = Field(description="send it back with a change; 409 when it is old")
    mine: bool = Field(description="whether this person may still change it")
    about_me: bool = Field(description="whether this person was evaluated")


# --- Trends ----------------------------------------------------------------------------------


class TrendQuery(In):
    """The last `weeks` weeks of the site, this one included."""

    weeks: int = Field(12, ge=1, le=52)
    agent: Id | None = Field(None, description="a user's id, or `me`")


class ScoreTrendQuery(TrendQuery):
    """Of one scorecard, all its versions."""

    scorecard: Id


class ConversationTrendQuery(TrendQuery):
    """By whom."""

    by: By = "agent"


class ScoredView(View):
    """A week of an agent (mean score, 0 to 100) or a question (mean share of its scale, 0 to 1)."""

    week: int = Field(description="place in `weeks`")
    count: int
    mean: float
    worst: int = Field(description="knocked out, or answered with 0")


class SpokenView(View):
    """A week of conversations."""

    week: int
    count: int
    share: float = Field(description="the agent's share of the talking, 0 to 1")
    talk_over: float = Field(description="share of the calls' time, 0 to 1")
    silence: float = Field(description="share of the calls' time, 0 to 1")
    longest: float = Field(description="mean of the agent's longest monologues, in seconds")
    pace: float | None = Field(None, description="the agent's words a minute")


class ScoreTrendView(View):
    """One agent or question; `name` as it stands now."""

    key: str
    name: str
    weeks: list[ScoredView]


class ScoreTrendsView(View):
    """Weeks by their first day, the oldest first; weeks without a call are left out of rows."""

    weeks: list[date]
    items: list[ScoreTrendView]


class SpokenTrendView(View):
    """One agent or queue."""

    key: str
    name: str
    weeks: list[SpokenView]


class SpokenTrendsView(View):
    """As scores."""

    weeks: list[date]
    items: list[SpokenTrendView]
