"""The shapes of coaching that cross the API."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from callcenter.crm.quality.coaching import MOST_MOMENTS
from callcenter.crm.quality.models import StepKind, TaskState
from callcenter.web.prose import Prose
from callcenter.web.review_shapes import Second
from callcenter.web.shapes import Id, In, Moment, PageQuery, PersonView, View


class MomentOfCallIn(In):
    """A moment that shows why; seconds from the answer."""

    interaction: Id
    t0: Second


class CoachingTaskIn(In):
    """What an agent is to work on; `evaluation`: the one that it was born from."""

    agent: Id
    text: Prose
    due: date | None = None
    evaluation: Id | None = None
    moments: list[MomentOfCallIn] = Field([], max_length=MOST_MOMENTS)


class CoachingQuery(PageQuery):
    """Which ones."""

    agent: Id | None = Field(None, description="a user's id, or `me`")
    state: TaskState | None = None


class CoachingStepIn(In):
    """`done` by the agent; `checked` or `returned` (with a note) by a supervisor."""

    kind: Literal["done", "checked", "returned"]
    note: Prose = ""


class MomentOfCallView(View):
    """A moment that shows why."""

    interaction: str
    t0: float


class CoachingStepView(View):
    """What happened with a task."""

    kind: StepKind
    by: PersonView | None = None
    at: Moment
    note: str


class CoachingTaskView(View):
    """What an agent is to work on."""

    id: str
    agent: PersonView | None = None
    evaluation: str | None = None
    text: str
    moments: list[MomentOfCallView]
    due: date | None = None
    state: TaskState
    created_at: Moment
    about_me: bool
    steps: list[CoachingStepView]
