"""From the rows of quality to the shapes of the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from callcenter.crm.interactions import queries as interaction_queries
from callcenter.crm.paging import Page
from callcenter.crm.quality import evaluations, queries, scorecards
from callcenter.crm.quality.models import Evaluation, Scorecard, ScorecardVersion
from callcenter.crm.quality.scoring import Section, score
from callcenter.errors import Invalid
from callcenter.web import auth
from callcenter.web.context import who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.records import briefs, people

Row = dict[str, Any]
# fmt: off
_COPIED = (
    "id", "call_at", "state", "score", "knocked_out", "created_at", "updated_at", "submitted_at",
    "acknowledged_at",
)
# fmt: on


def sections_in(given: Iterable[Row]) -> Sequence[Section]:
    """Sections as they come in, as the CRM takes them."""
    return msgspec.convert(list(given), tuple[Section, ...])


def scorecard_rows(session: Session, rows: Sequence[Scorecard]) -> list[Row]:
    """These scorecards with their draft and the version in force."""
    found = scorecards.newest(session, [row.id for row in rows])
    listed = [version for versions in found.values() for version in versions]
    named = _named(session, rows, listed)
    return [_scorecard(row, found.get(row.id, []), named) for row in rows]


def scorecard(session: Session, row: Scorecard) -> Row:
    """One scorecard."""
    return scorecard_rows(session, [row])[0]


def versions(session: Session, row: Scorecard) -> Row:
    """Every version of a scorecard."""
    found = scorecards.versions(session, row)
    named = _named(session, [], found)
    return {"items": [_version(one, named) for one in found]}


def _named(
    session: Session, cards: Sequence[Scorecard], listed: Sequence[ScorecardVersion]
) -> dict[str | None, Row]:
    involved = [one for card in cards for one in (card.created_by, card.retired_by)]
    involved += [one for version in listed for one in (version.edited_by, version.published_by)]
    return people(session, involved)


def _scorecard(
    row: Scorecard, listed: Sequence[ScorecardVersion], named: dict[str | None, Row]
) -> Row:
    shown = {bool(one.published_at): _version(one, named) for one in reversed(listed)}
    return {
        **{name: getattr(row, name) for name in ("id", "name", "created_at", "retired_at")},
        "created_by": named.get(row.created_by),
        "retired_by": named.get(row.retired_by),
        "published": shown.get(True),
        "draft": shown.get(False),
    }


def _version(row: ScorecardVersion, named: dict[str | None, Row]) -> Row:
    copied = ("id", "number", "sections", "edited_at", "published_at")
    return {
        **{name: getattr(row, name) for name in copied},
        "edited_by": named.get(row.edited_by),
        "published_by": named.get(row.published_by),
    }


def evaluation_page(session: Session, page: Page[Evaluation]) -> Row:
    """A page of evaluations."""
    return {"items": evaluation_rows(session, page.items), "next": page.next}


def evaluation_rows(session: Session, rows: Sequence[Evaluation]) -> list[Row]:
    """These evaluations, as much as a list needs."""
    cards = queries.cards_of(session, [row.version_id for row in rows])
    named = people(session, [one for row in rows for one in (row.agent, row.evaluator)])
    calls = interaction_queries.by_ids(session, [row.interaction_id for row in rows])
    customer_of = {call.id: call.customer_id for call in calls}
    known = briefs(session, customer_of.values())
    return [
        {
            **{name: getattr(row, name) for name in _COPIED},
            "interaction": row.interaction_id,
            "calibration": row.calibration_id,
            "customer": known.get(customer_of.get(row.interaction_id)),
            "scorecard": row.scorecard_id,
            "scorecard_name": cards[row.version_id][1].name,
            "number": cards[row.version_id][0].number,
            "agent": named.get(row.agent),
            "evaluator": named.get(row.evaluator),
        }
        for row in rows
    ]


def evaluation(session: Session, row: Evaluation) -> Row:
    """One evaluation with all that belongs to it."""
    sections = evaluations.sections_of(session, row)
    found = score(sections, evaluations.values(row))
    named = people(session, [note.by for note in row.notes])
    me = who().id
    return {
        **evaluation_rows(session, [row])[0],
        "sections": msgspec.to_builtins(sections),
        "answers": list(row.answers),
        "shares": [{"section": key, "share": share} for key, share in found.shares.items()],
        "missing": list(found.missing),
        "failed": list(found.knocked_out),
        "summary": row.summary,
        "notes": [
            {
                **{name: getattr(one, name) for name in ("id", "kind", "at", "text")},
                "by": named.get(one.by),
            }
            for one in row.notes
        ],
        "version": row.version,
        "mine": row.evaluator == me and row.state == "draft",
        "about_me": row.agent == me,
    }


def readable(session: Session, id: str) -> Evaluation:
    """The evaluation, for somebody who may read it; else NotFound."""
    return queries.readable(
        session,
        id,
        reader=who().id,
        own=reads_own_only(),
        among=auth.reach(Permission.QUALITY_READ),
    )


def reads_own_only() -> bool:
    """Whether this person reads only what is about them."""
    return who().scope(Permission.QUALITY_READ) is Scope.OWN


def judged(agent: str | None, talked: set[str]) -> str:
    """Who is to be judged: the only one who talked, where nobody is named. Of one's team only."""
    if agent is None and len(talked) == 1:
        agent = next(iter(talked))
    if agent is None:
        raise Invalid("say whose part of the call it is", {"agent": "is needed"})
    auth.own_only(Permission.QUALITY_EVALUATE, agent)
    return agent
