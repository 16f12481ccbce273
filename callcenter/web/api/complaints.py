"""Complaints: the ISO 10002 stages."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.errors import Forbidden
from callcenter.web import auth, records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.shapes import (
    CleanLongText,
    CleanText,
    ComplaintView,
    Id,
    In,
    Moment,
    Named,
    Page,
    PageQuery,
    Severity,
    Stage,
)

blueprint = APIBlueprint("complaints", __name__, tag="Complaints")
_LEADS_ONLY = ("closed", "reopened", "appealed")


class QuoteIn(In):
    """An utterance to quote; its words are taken from the transcript."""

    utterance: Id
    leg: str | None = None
    text: CleanLongText | None = None
    t0: float | None = None
    t1: float | None = None


class ComplaintIn(In):
    """A new complaint."""

    customer: Id | None = None
    interaction: Id | None = None
    subject: Named
    description: CleanLongText = ""
    severity: Severity = "normal"
    owner: Id | None = None
    quotes: list[QuoteIn | Id] = Field(default=[], max_length=100)


class ComplaintPatch(In):
    """What changes; `version` is the one that was shown."""

    subject: Named | None = None
    description: CleanLongText | None = None
    severity: Severity | None = None
    owner: Id | None = None
    due: Moment | None = None
    version: int | None = None


class Transition(In):
    """The next stage. `responded` needs a decision, `communicated` a channel."""

    to: Stage
    note: CleanLongText = ""
    decision: CleanLongText = ""
    channel: CleanText = ""


class ComplaintsQuery(PageQuery):
    """Filters."""

    stage: Stage | None = None
    customer: Id | None = None
    interaction: Id | None = None
    owner: Id | None = Field(None, description="a user's id, or `me`")
    open: bool | None = Field(None, description="true: not closed; false: closed")
    overdue: bool | None = Field(None, description="true: the customer waits beyond `due`")


@blueprint.get("/complaints")
@blueprint.input(ComplaintsQuery, location="query", arg_name="query")
@blueprint.output(Page[ComplaintView])
@auth.requires(Permission.COMPLAINTS_READ)
def index(query: ComplaintsQuery) -> Any:
    """Complaints, newest first."""
    filters = query.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
    if query.owner == "me":
        filters["owner"] = who().id
    if (is_open := filters.pop("open", None)) is not None:
        filters.setdefault("stage", "open" if is_open else "closed")
    with services().reading() as session:
        return records.complaints(session, filters, query.limit, query.cursor)


@blueprint.post("/complaints")
@blueprint.input(ComplaintIn, location="json", arg_name="body")
@blueprint.output(ComplaintView, status_code=201)
@auth.requires(Permission.COMPLAINTS_CREATE)
def create(body: ComplaintIn) -> Any:
    """Register a complaint, with the words of the call that it quotes."""
    values = body.model_dump(exclude={"quotes"})
    quotes = [one if isinstance(one, str) else one.utterance for one in body.quotes]
    if quotes and body.interaction:
        with services().reading() as session:
            talked = records.interaction_row(session, body.interaction).talked
        auth.own_only(Permission.CONVERSATION, *talked)
    return records.open_complaint(services(), values, quotes, who().id)


@blueprint.get("/complaints/<id>")
@blueprint.output(ComplaintView)
@auth.requires(Permission.COMPLAINTS_READ)
def show(id: str) -> Any:
    """One complaint with its history and quotes."""
    with services().reading() as session:
        return records.complaint(session, id)


@blueprint.patch("/complaints/<id>")
@blueprint.input(ComplaintPatch, location="json", arg_name="body")
@blueprint.output(ComplaintView)
@auth.requires(Permission.COMPLAINTS_WORK)
def change(id: str, body: ComplaintPatch) -> Any:
    """Change a complaint; an agent only their own."""
    changes = body.model_dump(exclude_unset=True)
    version = changes.pop("version", None)
    with services().writing() as session:
        row = records.complaint_row(session, id)
        _mine(row)
        return records.change_complaint(session, row, changes, version)


@blueprint.post("/complaints/<id>/transitions")
@blueprint.input(Transition, location="json", arg_name="body")
@blueprint.output(ComplaintView)
@auth.requires(Permission.COMPLAINTS_WORK)
def go(id: str, body: Transition) -> Any:
    """Take a complaint to its next stage; closing before the decision was told → 409."""
    with services().writing() as session:
        row = records.complaint_row(session, id)
        _mine(row)
        records.check_step(row, body.model_dump())
        if body.to in _LEADS_ONLY:
            auth.allow(Permission.COMPLAINTS_CLOSE)
        return records.move_complaint(session, row, body.model_dump(), who().id)


def _mine(row: Any) -> None:
    """An agent works on complaints that they own or registered; others they may only read."""
    person, scope = auth.allow(Permission.COMPLAINTS_WORK)
    if scope is Scope.OWN and person.id not in (row.owner, row.created_by):
        raise Forbidden("this complaint is another person's; ask its owner or a supervisor")
