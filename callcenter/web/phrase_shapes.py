"""The shapes of the phrase lists that cross the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from callcenter.events import LegName
from callcenter.web.shapes import CleanText, In, LanguageName, Moment, Named, PersonView, View

SeverityName = Literal["note", "warning", "urgent"]
Phrases = Annotated[list[CleanText], Field(min_length=1, max_length=500)]


class PhraseListIn(In):
    """A new list. `cancel*` stands for every word that begins so."""

    name: Named
    language: LanguageName
    phrases: Phrases
    severity: SeverityName = "warning"
    leg: LegName | None = Field(None, description="who says it; null: either")
    notice: bool = Field(True, description="tell supervisors while the call lasts")


class PhraseListPatch(In):
    """What changes; a list that is retired marks no more calls."""

    name: Named | None = None
    language: LanguageName | None = None
    phrases: Phrases | None = None
    severity: SeverityName | None = None
    leg: LegName | None = None
    notice: bool | None = None
    retired: bool | None = None
    version: int | None = None


class PhraseListView(View):
    """Phrases of one language with one meaning."""

    id: str
    name: str
    language: LanguageName
    phrases: list[str]
    severity: SeverityName
    leg: LegName | None
    notice: bool
    by: PersonView | None = None
    changed_at: Moment
    retired_at: Moment | None = None
    version: int = Field(description="send it back with a change; 409 when it is old")
