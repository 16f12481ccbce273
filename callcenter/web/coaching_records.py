"""From the rows of coaching to the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from callcenter.crm.quality.models import CoachingTask
from callcenter.web.context import who
from callcenter.web.records import people

Row = dict[str, Any]


def tasks(session: Session, rows: Sequence[CoachingTask]) -> list[Row]:
    """These tasks with their steps."""
    involved = [one for row in rows for one in (row.agent, *(step.by for step in row.steps))]
    named = people(session, involved)
    return [_task(row, named) for row in rows]


def _task(row: CoachingTask, named: dict[str | None, Row]) -> Row:
    copied = ("id", "text", "moments", "due", "state", "created_at")
    return {
        **{name: getattr(row, name) for name in copied},
        "agent": named.get(row.agent),
        "evaluation": row.evaluation_id,
        "about_me": row.agent == who().id,
        "steps": [
            {
                **{name: getattr(one, name) for name in ("kind", "at", "note")},
                "by": named.get(one.by),
            }
            for one in row.steps
        ],
    }
