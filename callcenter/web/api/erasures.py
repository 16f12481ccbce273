"""Erasures: a lead asks for one, an administrator runs it, nothing of the customer is left."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import request

from callcenter.web import auth, erasure_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.prose import Reason
from callcenter.web.shapes import Moment, Page, PageQuery, PersonView, View

blueprint = APIBlueprint("erasures", __name__, tag="Administration")


class ErasureView(View):
    """An erasure; `done` of `total` calls are erased. `waits_for`: why it stands still."""

    id: str
    customer_id: str
    state: Literal["asked", "running", "done", "withdrawn"]
    reason: str
    asked_by: PersonView | None
    asked_at: Moment
    run_by: PersonView | None
    run_at: Moment | None
    done: int
    total: int
    waits_for: Literal["hold", "call", "recording", "transcript", "database", "failure"] | None
    done_at: Moment | None


@blueprint.get("/erasures")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[ErasureView])
@auth.requires(Permission.ERASURES_READ)
def index(query: PageQuery) -> Any:
    """All erasures, newest first."""
    with services().reading() as session:
        return erasure_records.page(session, None, query.limit, query.cursor)


@blueprint.get("/customers/<id>/erasures")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[ErasureView])
@auth.requires(Permission.ERASURES_READ)
def of_customer(id: str, query: PageQuery) -> Any:
    """The erasures of one customer, newest first; also of one who is erased."""
    with services().reading() as session:
        return erasure_records.page(session, id, query.limit, query.cursor)


@blueprint.post("/customers/<id>/erasures")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(ErasureView, status_code=201)
@auth.requires(Permission.ERASURES_ASK)
def ask(id: str, body: Reason) -> Any:
    """Ask for a customer to be erased; 409 while a hold or an open complaint is in the way."""
    with services().writing() as session:
        return erasure_records.ask(session, id, body.reason, who().id, request.remote_addr)


@blueprint.post("/erasures/<id>/run")
@blueprint.output(ErasureView, status_code=202)
@auth.requires(Permission.ERASURES_RUN)
def run(id: str) -> Any:
    """Let it be done; there is no way back. 403 for who asked for it."""
    with services().writing() as session:
        return erasure_records.run(session, id, who().id, request.remote_addr)


@blueprint.post("/erasures/<id>/withdrawal")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(ErasureView)
@auth.requires(Permission.ERASURES_WITHDRAW)
def withdraw(id: str, body: Reason) -> Any:
    """It is not to be done; 409 when it runs already."""
    with services().writing() as session:
        return erasure_records.withdraw(session, id, body.reason, who().id, request.remote_addr)
