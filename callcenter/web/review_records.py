"""From the rows of the review to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.phrases import queries as phrases
from callcenter.crm.review import corrections, queries
from callcenter.crm.review.models import Comment, Conversation
from callcenter.web.records import people

Row = dict[str, Any]
_SIDE = ("seconds", "share", "longest", "words", "pace")
# fmt: off
_COPIED = (
    "state", "seconds", "both_seconds", "silence_seconds", "hold_seconds", "talk_overs",
    "dead_airs", "marks", "quiet",
)
# fmt: on
_NOTHING: Row = {
    **dict.fromkeys(_COPIED, 0),
    "state": "nothing",
    "marks": [],
    "quiet": [],
    **{leg: {**dict.fromkeys(_SIDE, 0), "pace": None} for leg in ("agent", "customer")},
}


def conversation(session: Session, interaction: Interaction) -> Row:
    """What the conversation was like; nothing where there is neither sound nor text."""
    row = queries.conversation(session, interaction)
    shown = conversation_view(row) if row else _NOTHING
    return {**shown, "phrases": _phrases(session, interaction)}


def _phrases(session: Session, interaction: Interaction) -> list[Row]:
    """What was said that somebody listens for."""
    return [
        {
            **{name: getattr(mark, name) for name in ("t0", "t1", "leg", "phrase")},
            "name": one.name,
            "severity": one.severity,
        }
        for mark, one in phrases.marks(session, interaction)
    ]


def conversation_view(row: Conversation) -> Row:
    """The figures of one call."""
    sides = {
        leg: {name: getattr(row, f"{leg}_{name}") for name in _SIDE}
        for leg in ("agent", "customer")
    }
    return {**{name: getattr(row, name) for name in _COPIED}, **sides}


def comments(session: Session, interaction: Interaction, me: str) -> Row:
    """The comments on a call."""
    return {"items": _comments(session, queries.comments(session, interaction), me)}


def comment(session: Session, row: Comment, me: str) -> Row:
    """One comment."""
    return _comments(session, [row], me)[0]


def _comments(session: Session, rows: Sequence[Comment], me: str) -> list[Row]:
    named = people(session, [row.by for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in ("id", "t0", "t1", "text", "at")},
            "by": named.get(row.by),
            "mine": row.by == me,
        }
        for row in rows
    ]


def corrections_of(session: Session, interaction: Interaction) -> Row:
    """What people put right in a call."""
    rows = corrections.of_call(session, interaction)
    named = people(session, [row.by for row in rows])
    copied = ("id", "utterance", "before", "after", "at")
    return {
        "items": [
            {**{name: getattr(row, name) for name in copied}, "by": named.get(row.by)}
            for row in rows
        ]
    }
