"""The shapes of the review that cross the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from callcenter.events import LegName
from callcenter.web.prose import Prose
from callcenter.web.shapes import CleanLongText, In, Moment, PersonView, View


class MarkView(View):
    """Something that happened in a call; seconds from the answer."""

    kind: Literal["hold", "transfer", "conference", "pause", "redacted", "talk_over", "dead_air"]
    t0: float
    t1: float


class PhraseMarkView(View):
    """Something was said that supervisors listen for; seconds from the answer."""

    t0: float
    t1: float
    leg: LegName
    phrase: str = Field(description="as it stands in the list")
    name: str = Field(description="of the list")
    severity: Literal["note", "warning", "urgent"]


class SideView(View):
    """How one of the two spoke."""

    seconds: float = Field(description="of speech")
    share: float = Field(description="of all speech, 0 to 1")
    longest: float = Field(description="seconds of the longest monologue")
    words: int
    pace: float | None = Field(description="words a minute of own speech; null: too little")


class ConversationView(View):
    """What a conversation was like; the figures are 0 until `state` is `measured`."""

    state: Literal["waiting", "measured", "nothing"]
    seconds: float
    agent: SideView
    customer: SideView
    both_seconds: float = Field(description="of talk-over: both speak for half a second or more")
    silence_seconds: float = Field(description="nobody speaks, nobody is on hold")
    hold_seconds: float = Field(description="hold, transfer and pause")
    talk_overs: int
    dead_airs: int = Field(description="silences of five seconds or more")
    marks: list[MarkView]
    phrases: list[PhraseMarkView]
    quiet: list[list[float]] = Field(description="stretches that a player may skip")


Second = Annotated[FiniteFloat, Field(ge=-86_400, le=86_400)]


class CommentIn(In):
    """A remark at `t0`, or from `t0` to `t1`; seconds from the answer."""

    text: Prose
    t0: Second
    t1: Second | None = None


class CommentView(View):
    """A remark on a call."""

    id: str
    t0: float
    t1: float | None = Field(None, description="null: at a moment, not on a span")
    text: str
    by: PersonView | None = None
    at: Moment
    mine: bool = Field(description="whether this person may take it back")


class CommentsView(View):
    """All remarks on a call, in the order of its moments."""

    items: list[CommentView]


class MomentIn(In):
    """A link to second `t0`, which opens for `days` days."""

    t0: Second
    days: int = Field(7, ge=1, le=30)


class MomentLinkView(View):
    """Where to send people: they sign in, and need the right to hear the call."""

    path: str
    expires_at: Moment


class MomentView(View):
    """Where a link leads."""

    interaction: str
    t0: float
    expires_at: Moment


class CorrectionIn(In):
    """What was really said; `was` is the text that the person saw."""

    text: CleanLongText
    was: CleanLongText


class CorrectionView(View):
    """A sentence that somebody put right."""

    id: str
    utterance: str
    before: str
    after: str
    by: PersonView | None = None
    at: Moment


class CorrectionsView(View):
    """Every correction in a call, the oldest first."""

    items: list[CorrectionView]
