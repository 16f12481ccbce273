"""The shapes of the search that cross the API."""

from __future__ import annotations

from pydantic import Field

from callcenter.events import LegName
from callcenter.web.shapes import InteractionView, Page, View


class PieceView(View):
    """A part of a sentence; `hit` when it is what was looked for."""

    text: str
    hit: bool


class SentenceView(View):
    """Something that was said; `t0` and `t1` in seconds from the answer."""

    id: str
    leg: LegName
    language: str
    t0: float
    t1: float
    pieces: list[PieceView] = Field(description="joined they are the sentence")
    interaction: InteractionView


class AlsoView(View):
    """A word that nobody said, and those that were looked for instead."""

    typed: str
    words: list[str]


class SentencesView(Page[SentenceView]):
    """A page of sentences. One with `next` may be short or empty: few of those looked at fit."""

    also: list[AlsoView]
