"""Complaints: the ISO 10002 stages, the board, the figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.crm.complaints import operations as desk_operations
from callcenter.crm.complaints import queries as desk_queries
from callcenter.errors import Forbidden, Invalid
from callcenter.events import LegName, now
from callcenter.web import auth, records
from callcenter.web import complaint_records as desk
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.prose import Line, Prose
from callcenter.web.shapes import (
    BoardView,
    CauseView,
    CleanText,
    ComplaintDetailView,
    ComplaintView,
    FiguresView,
    Id,
    In,
    Level,
    Moment,
    Page,
    PageQuery,
    Remedy,
    Severity,
    Stage,
)

blueprint = APIBlueprint("complaints", __name__, tag="Complaints")
_LEADS_ONLY = ("closed", "reopened", "appealed")


class QuoteIn(In):
    """An utterance to quote; its words are taken from the transcript."""

    utterance: Id
    leg: LegName | None = None
    text: Prose | None = None
    t0: float | None = None
    t1: float | None = None


class ComplaintIn(In):
    """A new complaint."""

    customer: Id | None = None
    interaction: Id | None = None
    subject: Line
    description: Prose = ""
    severity: Severity = "normal"
    owner: Id | None = None
    product: CleanText = ""
    wanted: Prose = ""
    quotes: list[QuoteIn | Id] = Field(default=[], max_length=100)


class ComplaintPatch(In):
    """What changes; `version` is the one that was shown."""

    subject: Line | None = None
    description: Prose | None = None
    severity: Severity | None = None
    owner: Id | None = None
    customer: Id | None = None
    due: Moment | None = None
    product: CleanText | None = None
    wanted: Prose | None = None
    safety: bool | None = None
    impact: Level | None = None
    complexity: Level | None = None
    cause: Id | None = None
    corrective: Prose | None = None
    remedy: Remedy | None = None
    remedy_cost: float | None = Field(None, ge=0, le=1e13, allow_inf_nan=False)
    incident: Id | None = None
    why: Prose = Field("", description="kept in the history beside each changed field")
    version: int | None = None


class Transition(In):
    """The next stage. `responded` needs a decision, `communicated` a channel."""

    to: Stage
    note: Prose = ""
    decision: Prose = ""
    channel: CleanText = ""
    accepted: bool | None = Field(None, description="closing: does the customer take it")


class CallIn(In):
    """A further contact about the complaint, with what is quoted of it."""

    interaction: Id
    quotes: list[Id] = Field(default=[], max_length=100)


class BoardQuery(In):
    """Whose complaints."""

    owner: Id | None = Field(None, description="a user's id, or `me`")


class FiguresQuery(In):
    """Complaints received from `since` until before `until`; the last 90 days by default."""

    since: Moment | None = None
    until: Moment | None = None


class ComplaintsQuery(PageQuery):
    """Filters."""

    stage: Stage | None = None
    customer: Id | None = None
    interaction: Id | None = None
    owner: Id | None = Field(None, description="a user's id, or `me`")
    open: bool | None = Field(None, description="true: not closed; false: closed")
    overdue: bool | None = Field(None, description="true: the customer waits beyond `due`")
    escalated: bool | None = Field(None, description="true: a lead was told that it is late")
    cause: Id | None = None
    incident: Id | None = None


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
        return desk.page(session, filters, query.limit, query.cursor, services().desk)


@blueprint.get("/complaints/board")
@blueprint.input(BoardQuery, location="query", arg_name="query")
@blueprint.output(BoardView)
@auth.requires(Permission.COMPLAINTS_READ)
def board(query: BoardQuery) -> Any:
    """Every stage with its complaints, the most urgent first; 50 a stage, of closed ones 10."""
    owner = who().id if query.owner == "me" else query.owner
    with services().reading() as session:
        return desk.board(session, owner, services().desk)


@blueprint.get("/complaints/causes")
@blueprint.output(Page[CauseView])
@auth.requires(Permission.COMPLAINTS_READ)
def causes() -> Any:
    """What a complaint's cause may be."""
    with services().reading() as session:
        return {"items": list(desk_queries.causes(session)), "next": None}


@blueprint.get("/complaints/figures")
@blueprint.input(FiguresQuery, location="query", arg_name="query")
@blueprint.output(FiguresView)
@auth.requires(Permission.COMPLAINTS_READ)
def figures(query: FiguresQuery) -> Any:
    """Open by stage and age, times, causes, reopened, by product and queue."""
    until = query.until or now()
    since = query.since or until - timedelta(days=90)
    if since.tzinfo is None or until.tzinfo is None or since >= until:
        raise Invalid("since must be before until", {"since": "must be before until"})
    parts = services()
    with parts.reading() as session:
        currency = parts.settings.complaints.currency
        return desk.figures(session, since, until, parts.desk, currency)


@blueprint.post("/complaints")
@blueprint.input(ComplaintIn, location="json", arg_name="body")
@blueprint.output(ComplaintDetailView, status_code=201)
@auth.requires(Permission.COMPLAINTS_CREATE)
def create(body: ComplaintIn) -> Any:
    """Register a complaint, with the words of the call that it quotes; sends the receipt."""
    values = body.model_dump(exclude={"quotes"})
    quotes = [one if isinstance(one, str) else one.utterance for one in body.quotes]
    if quotes and body.interaction:
        _may_quote(body.interaction)
    return desk.register(services(), values, quotes, who().id, services().desk)


@blueprint.get("/complaints/<id>")
@blueprint.output(ComplaintDetailView)
@auth.requires(Permission.COMPLAINTS_READ)
def show(id: str) -> Any:
    """One complaint with its history, quotes, contacts and messages."""
    with services().reading() as session:
        return desk.detail(session, desk.row_of(session, id), services().desk)


@blueprint.patch("/complaints/<id>")
@blueprint.input(ComplaintPatch, location="json", arg_name="body")
@blueprint.output(ComplaintDetailView)
@auth.requires(Permission.COMPLAINTS_WORK)
def change(id: str, body: ComplaintPatch) -> Any:
    """Change a complaint; an agent only their own. Every changed field is kept with its why."""
    changes = body.model_dump(exclude_unset=True)
    version = changes.pop("version", None)
    if "customer" in changes:
        changes["customer_id"] = changes.pop("customer")
    with services().writing() as session:
        row = desk.row_of(session, id)
        _mine(row)
        shown = desk.change(session, row, changes, version, who().id, services().desk)
    desk.announce(services())
    return shown


@blueprint.post("/complaints/<id>/transitions")
@blueprint.input(Transition, location="json", arg_name="body")
@blueprint.output(ComplaintDetailView)
@auth.requires(Permission.COMPLAINTS_WORK)
def go(id: str, body: Transition) -> Any:
    """Take a complaint to its next stage; closing before the decision was told → 409."""
    with services().writing() as session:
        row = desk.row_of(session, id)
        _mine(row)
        desk.check_step(row, body.model_dump())
        if body.to in _LEADS_ONLY:
            auth.allow(Permission.COMPLAINTS_CLOSE)
        shown = desk.move(session, row, body.model_dump(), who().id, services().desk)
    desk.announce(services())
    return shown


@blueprint.post("/complaints/<id>/calls")
@blueprint.input(CallIn, location="json", arg_name="body")
@blueprint.output(ComplaintDetailView)
@auth.requires(Permission.COMPLAINTS_WORK)
def add_call(id: str, body: CallIn) -> Any:
    """A further contact was about this complaint; its words may be quoted too."""
    if body.quotes:
        _may_quote(body.interaction)
    with services().writing() as session:
        row = desk.row_of(session, id)
        _mine(row)
        desk_operations.add_call(session, row, body.interaction, by=who().id)
        desk_operations.quote(session, row, body.quotes, call=body.interaction)
        return desk.detail(session, row, services().desk)


def _may_quote(interaction: str) -> None:
    with services().reading() as session:
        talked = records.interaction_row(session, interaction).talked
    auth.own_only(Permission.CONVERSATION, *talked)


def _mine(row: Any) -> None:
    """An agent works on complaints that they own or registered, a supervisor on those of the team
    and of nobody in a team; others they may only read."""
    person, among = who(), auth.reach(Permission.COMPLAINTS_WORK)
    concerned = desk_queries.concerned(row)
    if among is None or concerned & set(among):
        return
    of_team = person.scope(Permission.COMPLAINTS_WORK) is Scope.TEAM
    if not of_team or services().access.in_teams(concerned):
        raise Forbidden("this complaint is another person's; ask its owner or a supervisor")
