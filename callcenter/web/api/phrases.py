"""Phrase lists: what supervisors listen for in calls."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from sqlalchemy.orm import Session

from callcenter.crm.phrases import operations, queries
from callcenter.crm.phrases.models import PhraseList
from callcenter.web import auth
from callcenter.web.complaint_records import announce
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.phrase_shapes import PhraseListIn, PhraseListPatch, PhraseListView
from callcenter.web.records import people
from callcenter.web.shapes import Page

blueprint = APIBlueprint("phrases", __name__, tag="Phrases")
_COPIED = tuple(name for name in PhraseListView.model_fields if name != "by")


@blueprint.get("/phrase-lists")
@blueprint.output(Page[PhraseListView])
@auth.requires(Permission.PHRASES_MANAGE)
def index() -> Any:
    """All lists, those in use first; 200 at most."""
    with services().reading() as session:
        return {"items": _views(session, *queries.lists(session)), "next": None}


@blueprint.post("/phrase-lists")
@blueprint.input(PhraseListIn, location="json", arg_name="body")
@blueprint.output(PhraseListView, status_code=201)
@auth.requires(Permission.PHRASES_MANAGE)
def create(body: PhraseListIn) -> Any:
    """A new list; it marks calls from the next sentence on."""
    with services().writing() as session:
        made = operations.create(session, by=who().id, **body.model_dump())
        (shown,) = _views(session, made)
    announce(services())
    return shown


@blueprint.patch("/phrase-lists/<id>")
@blueprint.input(PhraseListPatch, location="json", arg_name="body")
@blueprint.output(PhraseListView)
@auth.requires(Permission.PHRASES_MANAGE)
def change(id: str, body: PhraseListPatch) -> Any:
    """What is listened for from now on; marks that calls have stay."""
    fields = body.model_dump(exclude_unset=True)
    fields = {name: value for name, value in fields.items() if value is not None or name == "leg"}
    with services().writing() as session:
        row = operations.get_or_raise(session, id)
        operations.change(session, row, by=who().id, **fields)
        (shown,) = _views(session, row)
    announce(services())
    return shown


def _views(session: Session, *rows: PhraseList) -> list[dict[str, Any]]:
    named = people(session, [row.by for row in rows])
    return [
        {**{name: getattr(row, name) for name in _COPIED}, "by": named.get(row.by)} for row in rows
    ]
