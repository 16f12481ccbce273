"""Coaching: tasks for agents, with the moments that show why."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.crm.quality import coaching
from callcenter.crm.quality.coaching import MomentOfCall
from callcenter.web import auth, coaching_records
from callcenter.web.coaching_shapes import (
    CoachingQuery,
    CoachingStepIn,
    CoachingTaskIn,
    CoachingTaskView,
)
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.shapes import Page

blueprint = APIBlueprint("coaching", __name__, tag="Quality")


@blueprint.get("/coaching-tasks")
@blueprint.input(CoachingQuery, location="query", arg_name="query")
@blueprint.output(Page[CoachingTaskView])
@auth.requires(Permission.QUALITY_READ)
def index(query: CoachingQuery) -> Any:
    """Tasks, the newest first; an agent sees the own ones."""
    with services().reading() as session:
        page = coaching.page(
            session,
            agent=who().id if query.agent == "me" else query.agent,
            among=auth.reach(Permission.QUALITY_READ),
            state=query.state,
            limit=query.limit,
            cursor=query.cursor,
        )
        return {"items": coaching_records.tasks(session, page.items), "next": page.next}


@blueprint.post("/coaching-tasks")
@blueprint.input(CoachingTaskIn, location="json", arg_name="body")
@blueprint.output(CoachingTaskView, status_code=201)
@auth.requires(Permission.QUALITY_EVALUATE)
def give(body: CoachingTaskIn) -> Any:
    """A task for an agent."""
    auth.own_only(Permission.QUALITY_EVALUATE, body.agent)
    fields = body.model_dump()
    moments = [MomentOfCall(**one) for one in fields.pop("moments")]
    with services().writing() as session:
        made = coaching.give(session, by=who().id, moments=moments, **fields)
        return coaching_records.tasks(session, [made])[0]


@blueprint.post("/coaching-tasks/<id>/steps")
@blueprint.input(CoachingStepIn, location="json", arg_name="body")
@blueprint.output(CoachingTaskView)
@auth.requires(Permission.QUALITY_REPLY)
def step(id: str, body: CoachingStepIn) -> Any:
    """The agent is done; or a supervisor has checked it, or gives it back."""
    with services().writing() as session:
        task = coaching.readable(session, id, among=auth.reach(Permission.QUALITY_REPLY))
        coaching.take(session, task, body.kind, by=who().id, note=body.note)
        return coaching_records.tasks(session, [task])[0]
