"""Search in what was said: sentences with the words marked, only where one may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.fts.finding import Newest, newest
from callcenter.crm.fts.wanted import Piece, marked
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.interactions.queries import of_agent, of_agents
from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.crm.phrases.queries import calls_marked
from callcenter.errors import Invalid
from callcenter.events import LegName

LOOKED = 2_000
"""Sentences with the words that one page looks at. A narrow filter on frequent words may find
fewer than a page among them; the cursor goes on behind them, so no page takes long."""
UNNARROWED = 4
"""As many times the page where nothing narrows: only replaced revisions are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrowing:
    """Which sentences; None leaves a field open. `since` ≤ beginning of the call < `until`."""

    leg: LegName | None = None
    call: str | None = None
    queue: str | None = None
    agent: str | None = None
    language: str | None = None
    mark: str | None = None  # a phrase list that has marked the call
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An utterance that holds the words, the contact it belongs to, and its marked text."""

    utterance: Utterance
    interaction: Interaction
    snippet: list[Piece]


@dataclass(frozen=True, slots=True)
class Hits(Page[Hit]):
    """A page of hits; `also`: word never said → those looked for instead."""

    also: Mapping[str, Sequence[str]] = field(default_factory=dict)


def transcripts(
    session: Session,
    q: str,
    narrowing: Narrowing = Narrowing(),  # noqa: B008 - frozen
    *,
    visible_to: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Hits:
    """Utterances that the query finds (`fts.query`), the last heard first.

    `visible_to`: agents whose calls are looked at; None: all.
    """
    wanted = fts.wanted(session, q)
    if wanted is None:
        return Hits([])
    before = _number(cursor) if cursor else None
    count = limited(limit)
    open_ = narrowing == Narrowing() and visible_to is None
    most = UNNARROWED * (count + 1) if open_ else LOOKED
    found = newest(session, wanted, before=before, most=most)
    query = _among(found.numbers, narrowing, visible_to).limit(count + 1)
    rows = session.execute(query).all()
    hits = [Hit(said, contact, marked(said.text, wanted)) for said, contact in rows[:count]]
    return Hits(hits, _next(rows, count, found), wanted.also if hits else {})


def _among(
    numbers: Sequence[int], narrowing: Narrowing, visible_to: Sequence[str] | None
) -> Select[Utterance, Interaction]:
    """Those of the utterances that are shown and wanted."""
    query = (
        select(Utterance, Interaction)
        .join(Interaction, Interaction.call_id == Utterance.call_id)
        .where(
            Utterance.number.in_(numbers),
            Utterance.revision == Interaction.transcript_revision,
        )
        .order_by(Utterance.number.desc())
    )
    for column, value in (
        (Utterance.leg, narrowing.leg),
        (Utterance.call_id, narrowing.call),
        (Utterance.language, narrowing.language),
        (Interaction.queue, narrowing.queue),
    ):
        if value is not None:
            query = query.where(column == value)
    if narrowing.agent is not None:
        query = query.where(of_agent(narrowing.agent))
    if visible_to is not None:
        query = query.where(of_agents(visible_to))
    if narrowing.mark is not None:
        query = query.where(Utterance.call_id.in_(calls_marked(narrowing.mark)))
    if narrowing.since is not None:
        query = query.where(Interaction.started_at >= narrowing.since)
    if narrowing.until is not None:
        query = query.where(Interaction.started_at < narrowing.until)
    return query


def _next(rows: Sequence[Any], count: int, found: Newest) -> str | None:
    """Behind the last hit; or behind what was looked at, where there may be more."""
    if len(rows) > count:
        return after(str(rows[count - 1][0].number))
    return after(str(found.down_to)) if found.down_to is not None else None


def _number(cursor: str) -> int:
    (number,) = key_of(cursor, 1)
    if not number.isdigit():
        raise Invalid("cursor is none of ours: start again without it", {"cursor": "unknown"})
    return int(number)
