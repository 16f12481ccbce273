"""Trends: scores by agent and question, figures of conversations by agent and queue, by week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from callcenter.crm.quality import scorecards, trends
from callcenter.crm.quality.trends import Scored, Spoken
from callcenter.crm.quality.weeks import Week, weeks_of
from callcenter.crm.users import queries as users
from callcenter.events import now
from callcenter.web import auth
from callcenter.web import quality_records as quality
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.quality_shapes import (
    ConversationTrendQuery,
    ScoreTrendQuery,
    ScoreTrendsView,
    SpokenTrendsView,
    TrendQuery,
)

blueprint = APIBlueprint("trends", __name__, tag="Quality")


@blueprint.get("/trends/scores")
@blueprint.input(ScoreTrendQuery, location="query", arg_name="query")
@blueprint.output(ScoreTrendsView)
@auth.requires(Permission.QUALITY_READ)
def scores(query: ScoreTrendQuery) -> Any:
    """Mean scores by agent; an agent sees the own one only."""
    weeks = _weeks(query)
    with services().reading() as session:
        found = trends.scores(session, weeks, query.scorecard, agents=_agents(query))
        return _table(weeks, found, _by_name(users.names(session, {one.key for one in found})))


@blueprint.get("/trends/questions")
@blueprint.input(ScoreTrendQuery, location="query", arg_name="query")
@blueprint.output(ScoreTrendsView)
@auth.requires(Permission.QUALITY_READ)
def questions(query: ScoreTrendQuery) -> Any:
    """Mean answers by question, in the order of the scorecard."""
    weeks = _weeks(query)
    with services().reading() as session:
        card = scorecards.get_or_raise(session, query.scorecard)
        found = trends.questions(session, weeks, card.id, agents=_agents(query))
        return _table(weeks, found, scorecards.question_texts(session, card))


@blueprint.get("/trends/conversations")
@blueprint.input(ConversationTrendQuery, location="query", arg_name="query")
@blueprint.output(SpokenTrendsView)
@auth.requires(Permission.QUALITY_READ)
def conversations(query: ConversationTrendQuery) -> Any:
    """Talk share, talk-over, silence, longest monologue and pace."""
    weeks = _weeks(query)
    with services().reading() as session:
        found = trends.conversations(session, weeks, query.by, agents=_agents(query))
        keys = {one.key for one in found}
        names = users.names(session, keys) if query.by == "agent" else {one: one for one in keys}
        return _table(weeks, found, _by_name(names))


def _by_name(names: dict[str, str]) -> dict[str, str]:
    return dict(sorted(names.items(), key=lambda item: item[1]))


def _weeks(query: TrendQuery) -> Sequence[Week]:
    return weeks_of(services().desk.rules.calendar).last(query.weeks, now())


def _agents(query: TrendQuery) -> tuple[str, ...] | None:
    """Whose figures: those asked for among those that may be read; None: everybody's."""
    among = auth.reach(Permission.QUALITY_READ)
    asked = who().id if query.agent == "me" else query.agent
    if quality.reads_own_only() or asked is None:
        return among
    return (asked,) if among is None or asked in among else ()


def _table(
    weeks: Sequence[Week], found: Iterable[Scored | Spoken], names: dict[str, str]
) -> dict[str, Any]:
    """Rows in the order of `names`; the rest, of which nobody knows a name any more, behind."""
    rows: dict[str, list[Any]] = {key: [] for key in names}
    for one in sorted(found, key=lambda one: one.week):
        rows.setdefault(one.key, []).append(asdict(one))
    return {
        "weeks": [week.first for week in weeks],
        "items": [
            {"key": key, "name": names.get(key, key), "weeks": cells}
            for key, cells in rows.items()
            if cells
        ],
    }
