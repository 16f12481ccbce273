"""Scorecards: by what calls are judged; drafts, versions in force, retired ones."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.crm.quality import scorecards
from callcenter.web import auth
from callcenter.web import quality_records as quality
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.quality_shapes import (
    ScorecardIn,
    ScorecardPatch,
    ScorecardsQuery,
    ScorecardsView,
    ScorecardVersionsView,
    ScorecardView,
)

blueprint = APIBlueprint("scorecards", __name__, tag="Quality")


@blueprint.get("/scorecards")
@blueprint.input(ScorecardsQuery, location="query", arg_name="query")
@blueprint.output(ScorecardsView)
@auth.requires(Permission.QUALITY_READ)
def index(query: ScorecardsQuery) -> Any:
    """Scorecards by name; 200 at most."""
    with services().reading() as session:
        found = scorecards.listed(session, retired=query.retired)
        return {"items": quality.scorecard_rows(session, found)}


@blueprint.post("/scorecards")
@blueprint.input(ScorecardIn, location="json", arg_name="body")
@blueprint.output(ScorecardView, status_code=201)
@auth.requires(Permission.QUALITY_MANAGE)
def create(body: ScorecardIn) -> Any:
    """A new scorecard; it is a draft until it is published."""
    sections = quality.sections_in(body.model_dump()["sections"])
    with services().writing() as session:
        made = scorecards.create(session, by=who().id, name=body.name, sections=sections)
        return quality.scorecard(session, made)


@blueprint.get("/scorecards/<id>")
@blueprint.output(ScorecardView)
@auth.requires(Permission.QUALITY_READ)
def show(id: str) -> Any:
    """One scorecard."""
    with services().reading() as session:
        return quality.scorecard(session, scorecards.get_or_raise(session, id))


@blueprint.get("/scorecards/<id>/versions")
@blueprint.output(ScorecardVersionsView)
@auth.requires(Permission.QUALITY_READ)
def versions(id: str) -> Any:
    """Every version, the newest first."""
    with services().reading() as session:
        return quality.versions(session, scorecards.get_or_raise(session, id))


@blueprint.patch("/scorecards/<id>")
@blueprint.input(ScorecardPatch, location="json", arg_name="body")
@blueprint.output(ScorecardView)
@auth.requires(Permission.QUALITY_MANAGE)
def change(id: str, body: ScorecardPatch) -> Any:
    """Change the draft; what is published stays as it is until the draft is published."""
    given = body.model_dump()["sections"]
    sections = None if given is None else quality.sections_in(given)
    with services().writing() as session:
        row = scorecards.get_or_raise(session, id)
        scorecards.edit(session, row, by=who().id, name=body.name, sections=sections)
        return quality.scorecard(session, row)


@blueprint.post("/scorecards/<id>/publication")
@blueprint.output(ScorecardView)
@auth.requires(Permission.QUALITY_MANAGE)
def publish(id: str) -> Any:
    """Judge calls by the draft from now on; 422 names what is wrong with it."""
    with services().writing() as session:
        row = scorecards.get_or_raise(session, id)
        scorecards.publish(session, row, by=who().id)
        return quality.scorecard(session, row)


@blueprint.post("/scorecards/<id>/retirement")
@blueprint.output(ScorecardView)
@auth.requires(Permission.QUALITY_MANAGE)
def retire(id: str) -> Any:
    """Judge no call by it any more; evaluations keep it."""
    with services().writing() as session:
        row = scorecards.get_or_raise(session, id)
        return quality.scorecard(session, scorecards.retire(session, row, by=who().id))
