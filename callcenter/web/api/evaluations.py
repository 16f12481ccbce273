"""Evaluations: a call judged by a scorecard, read and answered by the agent."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from callcenter.crm.quality import evaluations, queries, sampling
from callcenter.crm.quality.evaluations import Given
from callcenter.crm.quality.queries import Filters
from callcenter.errors import NotFound
from callcenter.web import auth, records
from callcenter.web import quality_records as quality
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.quality_shapes import (
    EvaluationBriefView,
    EvaluationIn,
    EvaluationPatch,
    EvaluationsQuery,
    EvaluationView,
    NoteIn,
)
from callcenter.web.shapes import Page

blueprint = APIBlueprint("evaluations", __name__, tag="Quality")


@blueprint.get("/evaluations")
@blueprint.input(EvaluationsQuery, location="query", arg_name="query")
@blueprint.output(Page[EvaluationBriefView])
@auth.requires(Permission.QUALITY_READ)
def index(query: EvaluationsQuery) -> Any:
    """Evaluations, the newest first. Agents read what is about them, once it is submitted."""
    me = who().id
    filters = Filters(
        agent=me if query.agent == "me" else query.agent,
        evaluator=me if query.evaluator == "me" else query.evaluator,
        interaction=query.interaction,
        scorecard=query.scorecard,
        state=query.state,
        acknowledged=query.acknowledged,
        since=query.from_,
        until=query.to,
    )
    with services().reading() as session:
        found = queries.page(
            session,
            filters,
            reader=me,
            own=quality.reads_own_only(),
            among=auth.reach(Permission.QUALITY_READ),
            limit=query.limit,
            cursor=query.cursor,
        )
        return quality.evaluation_page(session, found)


@blueprint.post("/evaluations")
@blueprint.input(EvaluationIn, location="json", arg_name="body")
@blueprint.output(EvaluationView, status_code=201)
@auth.requires(Permission.QUALITY_EVALUATE)
def begin(body: EvaluationIn) -> Any:
    """Begin to judge a call, or go on with one's draft of it."""
    with services().reading() as session:
        call = records.interaction_row(session, body.interaction)
        services().access.open_conversation(call, None, request.remote_addr)
    agent = quality.judged(body.agent, call.talked)
    with services().writing() as session:
        made = evaluations.begin(session, call, scorecard=body.scorecard, agent=agent, by=who().id)
        sampling.begun(session, made)
        return quality.evaluation(session, made)


@blueprint.get("/evaluations/<id>")
@blueprint.output(EvaluationView)
@auth.requires(Permission.QUALITY_READ)
def show(id: str) -> Any:
    """One evaluation with its questions."""
    with services().reading() as session:
        return quality.evaluation(session, quality.readable(session, id))


@blueprint.patch("/evaluations/<id>")
@blueprint.input(EvaluationPatch, location="json", arg_name="body")
@blueprint.output(EvaluationView)
@auth.requires(Permission.QUALITY_EVALUATE)
def save(id: str, body: EvaluationPatch) -> Any:
    """Keep the draft; the answer carries the score so far."""
    answers = [Given(**one) for one in body.model_dump()["answers"]]
    with services().writing() as session:
        row = quality.readable(session, id)
        evaluations.save(
            session,
            row,
            by=who().id,
            answers=answers,
            summary=body.summary,
            version=body.version,
        )
        return quality.evaluation(session, row)


@blueprint.post("/evaluations/<id>/submission")
@blueprint.output(EvaluationView)
@auth.requires(Permission.QUALITY_EVALUATE)
def submit(id: str) -> Any:
    """Freeze it and show it to the agent; 422 names questions without an answer."""
    with services().writing() as session:
        row = evaluations.submit(session, quality.readable(session, id), by=who().id)
        return quality.evaluation(session, row)


@blueprint.post("/evaluations/<id>/notes")
@blueprint.input(NoteIn, location="json", arg_name="body")
@blueprint.output(EvaluationView, status_code=201)
@auth.requires(Permission.QUALITY_REPLY)
def say(id: str, body: NoteIn) -> Any:
    """The agent replies, or a supervisor answers."""
    with services().writing() as session:
        row = quality.readable(session, id)
        evaluations.say(session, row, by=who().id, text=body.text)
        return quality.evaluation(session, row)


@blueprint.post("/evaluations/<id>/acknowledgement")
@blueprint.output(EvaluationView)
@auth.requires(Permission.QUALITY_REPLY)
def acknowledge(id: str) -> Any:
    """Whoever was evaluated has read it."""
    with services().writing() as session:
        row = quality.readable(session, id)
        if row.agent != who().id:
            raise NotFound("there is no evaluation of yours with that id")
        evaluations.acknowledge(session, row, by=who().id)
        return quality.evaluation(session, row)
