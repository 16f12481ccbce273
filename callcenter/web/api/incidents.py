"""Incidents: several complaints of one cause, which agents see with the next caller."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.crm.complaints import incidents
from callcenter.web import auth
from callcenter.web import complaint_records as desk
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.prose import Prose, Short
from callcenter.web.shapes import CleanText, Id, In, IncidentView, Page

blueprint = APIBlueprint("incidents", __name__, tag="Complaints")


class IncidentIn(In):
    """A new incident and the complaints that belong to it."""

    cause: Id
    product: CleanText = ""
    title: Short = ""
    advice: Prose = ""
    complaints: list[Id] = Field(default=[], max_length=500)


class IncidentPatch(In):
    """What changes. `closing` ends it: what was done about the cause."""

    title: Short | None = None
    advice: Prose | None = None
    closing: Prose | None = None
    version: int | None = None


class IncidentsQuery(In):
    """Which ones."""

    open: bool | None = None


@blueprint.get("/incidents")
@blueprint.input(IncidentsQuery, location="query", arg_name="query")
@blueprint.output(Page[IncidentView])
@auth.requires(Permission.COMPLAINTS_READ)
def index(query: IncidentsQuery) -> Any:
    """Incidents, newest first; 200 at most."""
    with services().reading() as session:
        found = incidents.listed(session, is_open=query.open)
        return {"items": desk.incident_rows(session, found), "next": None}


@blueprint.post("/incidents")
@blueprint.input(IncidentIn, location="json", arg_name="body")
@blueprint.output(IncidentView, status_code=201)
@auth.requires(Permission.INCIDENTS_MANAGE)
def create(body: IncidentIn) -> Any:
    """Open an incident by hand; one of the same cause and product that is open → 409."""
    with services().writing() as session:
        row = incidents.open_incident(session, by=who().id, **body.model_dump())
        shown = desk.incident(session, row.id)
    desk.announce(services())
    return shown


@blueprint.get("/incidents/<id>")
@blueprint.output(IncidentView)
@auth.requires(Permission.COMPLAINTS_READ)
def show(id: str) -> Any:
    """One incident."""
    with services().reading() as session:
        return desk.incident(session, id)


@blueprint.patch("/incidents/<id>")
@blueprint.input(IncidentPatch, location="json", arg_name="body")
@blueprint.output(IncidentView)
@auth.requires(Permission.INCIDENTS_MANAGE)
def change(id: str, body: IncidentPatch) -> Any:
    """What agents read of it, or its end."""
    with services().writing() as session:
        row = incidents.get_or_raise(session, id)
        incidents.change(session, row, title=body.title, advice=body.advice, version=body.version)
        if body.closing is not None:
            incidents.close(session, row, by=who().id, why=body.closing)
        shown = desk.incident(session, id)
    desk.announce(services())
    return shown
