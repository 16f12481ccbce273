"""Exports: all that is kept of one customer, as an archive that is there for a day."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import Response, request

from callcenter.crm.exports.operations import get_or_raise
from callcenter.errors import Forbidden
from callcenter.web import auth, export_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.prose import Reason
from callcenter.web.shapes import Moment, Page, PageQuery, PersonView, View

blueprint = APIBlueprint("exports", __name__, tag="Customers")
_ARCHIVE: Any = {
    "description": "The archive",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}


class CustomerExportView(View):
    """An export; `done` of `total` calls are in it, `size` in bytes."""

    id: str
    customer_id: str
    reason: str
    asked_by: PersonView | None
    asked_at: Moment
    state: Literal["waiting", "ready", "failed", "expired"]
    done: int
    total: int
    size: int | None
    ready_at: Moment | None
    expires_at: Moment | None


def _whole() -> None:
    """An archive holds the calls of every team."""
    _, scope = auth.allow(Permission.CUSTOMERS_EXPORT)
    if scope is Scope.TEAM:
        raise Forbidden("an archive holds other teams' calls too: ask a manager for it")


@blueprint.get("/customers/<id>/exports")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[CustomerExportView])
@auth.requires(Permission.CUSTOMERS_EXPORT)
def of_customer(id: str, query: PageQuery) -> Any:
    """The exports of one customer, newest first."""
    _whole()
    services().access.open_customer(id, request.remote_addr)
    with services().reading() as session:
        return export_records.page(session, id, query.limit, query.cursor)


@blueprint.post("/customers/<id>/exports")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(CustomerExportView, status_code=202)
@auth.requires(Permission.CUSTOMERS_EXPORT)
def ask(id: str, body: Reason) -> Any:
    """Ask for all that is kept of a customer; 409 while one is being made."""
    _whole()
    services().access.open_customer(id, request.remote_addr)
    with services().writing() as session:
        return export_records.ask(session, id, body.reason, who().id, request.remote_addr)


@blueprint.get("/exports/<id>/archive")
@blueprint.doc(responses={200: _ARCHIVE})
@auth.requires(Permission.CUSTOMERS_EXPORT)
def archive(id: str) -> Response:
    """The archive; every download is in the audit. 409 until it is ready, 410 after its day."""
    _whole()
    parts = services()
    with parts.reading() as session:
        customer = get_or_raise(session, id).customer_id
    parts.access.open_customer(customer, request.remote_addr)
    with parts.writing() as session:
        export_records.note_download(session, id, who().id, request.remote_addr)
    return export_records.send(parts.settings, parts.keys, id)
