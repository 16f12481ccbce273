"""Saved views: named filters of the list of recordings, own ones and those shared with all."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.crm.recordings import operations
from callcenter.web import auth, recording_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.recording_shapes import (
    SavedViewIn,
    SavedViewPatch,
    SavedViewsView,
    SavedViewView,
    ViewFilters,
)

blueprint = APIBlueprint("views", __name__, tag="Recordings")


@blueprint.get("/views")
@blueprint.output(SavedViewsView)
@auth.requires(Permission.INTERACTIONS_READ)
def index() -> Any:
    """Own views and shared ones, by name."""
    with services().reading() as session:
        return recording_records.views(session, who().id)


@blueprint.post("/views")
@blueprint.input(SavedViewIn, location="json", arg_name="body")
@blueprint.output(SavedViewView, status_code=201)
@auth.requires(Permission.INTERACTIONS_READ)
def save(body: SavedViewIn) -> Any:
    """Keep filters under a name."""
    if body.shared:
        auth.allow(Permission.VIEWS_SHARE)
    with services().writing() as session:
        made = operations.save(
            session,
            owner=who().id,
            name=body.name,
            filters=_plain(body.filters),
            shared=body.shared,
        )
        return recording_records.view(session, made, who().id)


@blueprint.patch("/views/<id>")
@blueprint.input(SavedViewPatch, location="json", arg_name="body")
@blueprint.output(SavedViewView)
@auth.requires(Permission.INTERACTIONS_READ)
def change(id: str, body: SavedViewPatch) -> Any:
    """Another name, other filters, shared or not any more; the owner's to do."""
    if body.shared:
        auth.allow(Permission.VIEWS_SHARE)
    with services().writing() as session:
        found = operations.change(
            session,
            id,
            by=who().id,
            name=body.name,
            filters=None if body.filters is None else _plain(body.filters),
            shared=body.shared,
        )
        return recording_records.view(session, found, who().id)


@blueprint.post("/views/<id>/retraction")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.INTERACTIONS_READ)
def take_back(id: str) -> Any:
    """Take an own view back: nobody sees it any more."""
    with services().writing() as session:
        operations.take_back(session, id, by=who().id)
    return ""


def _plain(filters: ViewFilters) -> dict[str, Any]:
    """As they are kept: what is open is left out."""
    return filters.model_dump(mode="json", by_alias=True, exclude_none=True)
