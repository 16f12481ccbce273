"""The shapes of the list of recordings and of saved views that cross the API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from callcenter.events import Outcome
from callcenter.web.shapes import (
    CleanText,
    CustomerBrief,
    Id,
    In,
    LanguageName,
    Moment,
    Named,
    PageQuery,
    PersonView,
    View,
)

Name = Annotated[CleanText, Field(max_length=64)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]

Score = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Narrowing(In):
    """What recordings are narrowed to, whenever they were made."""

    line: Name | None = None
    queue: Name | None = None
    agent: Id | None = Field(None, description="a user's id, or `me`: talked in the call")
    customer: Id | None = None
    outcome: Outcome | None = None
    min_seconds: Seconds | None = Field(None, description="length of the recording, at least")
    max_seconds: Seconds | None = Field(None, description="length of the recording, at most")
    words: CleanText | None = Field(None, description="words of the transcript")
    language: LanguageName | None = None
    min_score: Score | None = Field(None, description="of a submitted evaluation, at least")
    max_score: Score | None = Field(None, description="of a submitted evaluation, at most")


class RecordingsQuery(PageQuery, Narrowing):
    """Filters of the list."""

    from_: Moment | None = Field(None, alias="from", description="the call began at or after")
    to: Moment | None = Field(None, description="the call began before")


class RecordedView(View):
    """A recording in the list."""

    id: str
    interaction: str
    started_at: Moment
    seconds: float
    interrupted: bool
    direction: str
    from_number: str | None = None
    from_name: str | None = None
    to_number: str | None = None
    customer: CustomerBrief | None = None
    agent: PersonView | None = None
    line: str | None = None
    queue: str | None = None
    outcome: Outcome | None = None
    language: str | None = None
    agent_share: float | None = Field(
        None, description="of all speech, 0 to 1; null: not measured, or the call needs a reason"
    )


class ViewFilters(Narrowing):
    """The filters of a saved view. A period moves with the day; `from` and `to` are days."""

    period: Literal["today", "week", "month"] | None = None
    from_: date | None = Field(None, alias="from", description="the first day")
    to: date | None = Field(None, description="the last day")


class SavedViewIn(In):
    """A new view; `shared` needs the permission views.share."""

    name: Annotated[Named, Field(max_length=100)]
    filters: ViewFilters
    shared: bool = False


class SavedViewPatch(In):
    """What changes."""

    name: Annotated[Named, Field(max_length=100)] | None = None
    filters: ViewFilters | None = None
    shared: bool | None = None


class SavedViewView(View):
    """A named set of filters."""

    id: str
    name: str
    filters: ViewFilters
    shared: bool = Field(description="everybody sees it")
    owner: PersonView | None = None
    mine: bool = Field(description="whether this person may change it or take it back")


class SavedViewsView(View):
    """Every view that this person sees, by name."""

    items: list[SavedViewView]
