"""Legal holds: what is kept whatever else is due, on a customer or on one call."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import request

from callcenter.web import auth, hold_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.prose import Reason
from callcenter.web.shapes import Moment, Page, PageQuery, PersonView, View

blueprint = APIBlueprint("holds", __name__, tag="Administration")


class LegalHoldView(View):
    """A hold; without `released_at` it is in force."""

    id: str
    kind: Literal["interaction", "customer"]
    object: str
    reason: str
    set_by: PersonView | None
    set_at: Moment
    released_by: PersonView | None
    released_at: Moment | None
    release_reason: str | None


@blueprint.get("/customers/<id>/holds")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[LegalHoldView])
@auth.requires(Permission.HOLDS_READ)
def of_customer(id: str, query: PageQuery) -> Any:
    """The holds of one customer, newest first, released ones too."""
    with services().reading() as session:
        return hold_records.page(session, "customer", id, query.limit, query.cursor)


@blueprint.post("/customers/<id>/holds")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(LegalHoldView, status_code=201)
@auth.requires(Permission.HOLDS_MANAGE)
def hold_customer(id: str, body: Reason) -> Any:
    """Keep all of one customer until the hold is released."""
    with services().writing() as session:
        return hold_records.put(session, "customer", id, body.reason, who().id, request.remote_addr)


@blueprint.get("/interactions/<id>/holds")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[LegalHoldView])
@auth.requires(Permission.HOLDS_READ)
def of_interaction(id: str, query: PageQuery) -> Any:
    """The holds of one call itself, newest first, released ones too."""
    with services().reading() as session:
        return hold_records.page(session, "interaction", id, query.limit, query.cursor)


@blueprint.post("/interactions/<id>/holds")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(LegalHoldView, status_code=201)
@auth.requires(Permission.HOLDS_MANAGE)
def hold_interaction(id: str, body: Reason) -> Any:
    """Keep one call until the hold is released."""
    with services().writing() as session:
        return hold_records.put(
            session, "interaction", id, body.reason, who().id, request.remote_addr
        )


@blueprint.post("/holds/<id>/release")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(LegalHoldView)
@auth.requires(Permission.HOLDS_MANAGE)
def release(id: str, body: Reason) -> Any:
    """End a hold; 409 when it ended already."""
    with services().writing() as session:
        return hold_records.release(session, id, body.reason, who().id, request.remote_addr)
