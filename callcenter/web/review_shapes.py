"""The shapes of the review that cross the API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from callcenter.web.shapes import View


class MarkView(View):
    """Something that happened in a call; seconds from the answer."""

    kind: Literal["hold", "transfer", "pause", "talk_over", "dead_air"]
    t0: float
    t1: float


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
    quiet: list[list[float]] = Field(description="stretches that a player may skip")
