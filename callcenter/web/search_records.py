"""From what the search finds to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.search.queries import Hit, Narrowing, transcripts
from callcenter.web import records

Row = dict[str, Any]


def sentences(
    session: Session,
    q: str,
    narrowing: Row,
    visible_to: Sequence[str] | None,
    limit: int,
    cursor: str | None,
) -> Row:
    """Sentences with their calls, the last heard first."""
    page = transcripts(
        session, q, Narrowing(**narrowing), visible_to=visible_to, limit=limit, cursor=cursor
    )
    calls = {hit.interaction.id: hit.interaction for hit in page.items}
    shown = {row["id"]: row for row in records.interaction_rows(session, list(calls.values()))}
    return {
        "items": [_sentence(hit, shown[hit.interaction.id]) for hit in page.items],
        "next": page.next,
        "also": [{"typed": typed, "words": words} for typed, words in page.also.items()],
    }


def _sentence(hit: Hit, interaction: Row) -> Row:
    copied = ("id", "leg", "language", "t0", "t1")
    return {
        **{name: getattr(hit.utterance, name) for name in copied},
        "pieces": hit.snippet,
        "interaction": interaction,
    }
