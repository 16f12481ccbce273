"""From the rows of sampling to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.interactions import queries as interaction_queries
from callcenter.crm.quality.models import SampledCall, SamplingRule
from callcenter.web.records import briefs, people

Row = dict[str, Any]
# fmt: off
_RULE = (
    "id", "name", "method", "amount", "mark", "queue", "least_seconds", "seed", "created_at",
    "ended_at",
)
# fmt: on


def rules(session: Session, rows: Sequence[SamplingRule]) -> list[Row]:
    """These rules."""
    involved = [one for row in rows for one in (row.evaluator, row.created_by, row.ended_by)]
    named = people(session, involved)
    return [
        {
            **{name: getattr(row, name) for name in _RULE},
            "scorecard": row.scorecard_id,
            **{
                name: named.get(getattr(row, name))
                for name in ("evaluator", "created_by", "ended_by")
            },
        }
        for row in rows
    ]


def calls(session: Session, rows: Sequence[SampledCall]) -> list[Row]:
    """These drawn calls."""
    named = people(session, [row.agent for row in rows])
    found = interaction_queries.by_ids(session, [row.interaction_id for row in rows])
    known = {call.id: call for call in found}
    customers = briefs(session, [call.customer_id for call in found])
    return [
        {
            "id": row.id,
            "interaction": row.interaction_id,
            "customer": customers.get(known[row.interaction_id].customer_id),
            "call_at": known[row.interaction_id].started_at,
            "talk_seconds": known[row.interaction_id].talk_seconds,
            "agent": named.get(row.agent),
            "scorecard": row.scorecard_id,
            "week": row.week,
            "evaluation": row.evaluation_id,
        }
        for row in rows
    ]
