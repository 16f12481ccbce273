"""Interactions: one a call (or mail, visit, portal message); notes, outcome, transcript."""

from __future__ import annotations

from typing import Any, Literal, get_args

from apiflask import APIBlueprint
from flask import request
from pydantic import Field

from callcenter.errors import Invalid
from callcenter.events import Outcome
from callcenter.web import auth, records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.prose import Draft, Prose, Reason
from callcenter.web.shapes import (
    AccessView,
    Id,
    In,
    InteractionView,
    Moment,
    Page,
    PageQuery,
    RecordingView,
    TranscriptView,
)

blueprint = APIBlueprint("interactions", __name__, tag="Interactions")
OUTCOMES = get_args(Outcome)


class InteractionsQuery(PageQuery):
    """Filters; `outcome` may be a comma list, `q` searches what was said."""

    q: str | None = Field(None, max_length=200)
    call_id: Id | None = None
    outcome: str | None = Field(None, max_length=200)
    customer: Id | None = None
    agent: Id | None = Field(None, description="a user's id, or `me`")
    queue: str | None = Field(None, max_length=64)
    direction: Literal["inbound", "outbound"] | None = None
    mark: Id | None = Field(None, description="a phrase list whose phrase was said in the call")
    handled: bool | None = Field(None, description="false: missed calls nobody dealt with")
    from_: Moment | None = Field(None, alias="from", description="began at or after")
    to: Moment | None = Field(None, description="began before")


class InteractionPatch(In):
    """What changes. `draft` keeps unsaved notes, `notes` saves them.

    A draft over saved notes needs the `version` that it was written on.
    """

    notes: Prose | None = None
    draft: Draft | None = None
    disposition: Id | None = None
    customer: Id | None = None
    handled: bool | None = None
    version: int | None = None


@blueprint.get("/interactions")
@blueprint.input(InteractionsQuery, location="query", arg_name="query")
@blueprint.output(Page[InteractionView])
@auth.requires(Permission.INTERACTIONS_READ)
def index(query: InteractionsQuery) -> Any:
    """Interactions, newest first."""
    person, reach = auth.allow(Permission.INTERACTIONS_READ)
    filters = query.model_dump(exclude={"limit", "cursor", "outcome", "from_"}, exclude_none=True)
    filters["outcomes"] = tuple(_outcomes(query.outcome))
    filters["since"], filters["until"] = query.from_, filters.pop("to", None)
    if query.agent == "me":
        filters["agent"] = person.id
    if query.q or query.mark:
        filters["agents"] = auth.reach(Permission.CONVERSATION_SEARCH)
    with services().reading() as session:
        found = records.interactions(session, filters, query.limit, query.cursor)
    if reach is Scope.REASON:
        found["items"] = [records.discreet(one) for one in found["items"]]
    return found


@blueprint.get("/interactions/<id>")
@blueprint.output(InteractionView)
@auth.requires(Permission.INTERACTIONS_READ)
def show(id: str) -> Any:
    """One interaction; who needs a reason sees numbers, names and notes after giving it."""
    person, reach = auth.allow(Permission.INTERACTIONS_READ)
    with services().reading() as session:
        found = records.interaction(session, id)
    glass = services().access
    if reach is Scope.REASON and not glass.is_disclosed(person, "interaction", id):
        return records.discreet(found)
    return found


@blueprint.patch("/interactions/<id>")
@blueprint.input(InteractionPatch, location="json", arg_name="body")
@blueprint.output(InteractionView)
@auth.requires(Permission.INTERACTIONS_WRITE)
def change(id: str, body: InteractionPatch) -> Any:
    """Notes, disposition, customer; 409 when somebody else changed it meanwhile, and for a draft
    without `version` where notes are saved."""
    changes = body.model_dump(exclude_unset=True)
    version = changes.pop("version", None)
    with services().writing() as session:
        row = records.interaction_row(session, id)
        free: set[str | None] = {*row.talked} or {row.owner, row.last_offered}
        if row.agent is not None or not _unowned(row):
            auth.own_only(Permission.INTERACTIONS_WRITE, *free)
        return records.change_interaction(session, row, changes, version, who().id)


@blueprint.get("/interactions/<id>/transcript")
@blueprint.output(TranscriptView)
@auth.requires(Permission.CONVERSATION)
def transcript(id: str) -> Any:
    """What was said, with times in seconds from the answer."""
    with services().reading() as session:
        row = records.interaction_row(session, id)
        services().access.open_conversation(row, "transcript.read", request.remote_addr)
        return records.transcript(session, row)


@blueprint.get("/interactions/<id>/recording")
@blueprint.output(RecordingView)
@auth.requires(Permission.CONVERSATION)
def recording(id: str) -> Any:
    """The recording's metadata; 404 until it is sealed."""
    with services().reading() as session:
        row = records.interaction_row(session, id)
        services().access.open_conversation(row, None, request.remote_addr)
        return records.recording_of(session, row)


@blueprint.post("/interactions/<id>/access")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(AccessView, status_code=201)
@auth.requires(Permission.CONVERSATION)
def access(id: str, body: Reason) -> Any:
    """Break-glass: open sound and text for 30 minutes; the reason is kept in the audit."""
    with services().reading() as session:
        row = records.interaction_row(session, id)
    person, glass = auth.own_only(Permission.CONVERSATION, *row.talked), services().access
    return {"until": glass.break_glass(person, "interaction", id, body.reason, request.remote_addr)}


def _unowned(row: Any) -> bool:
    """A missed call without an owner is everybody's."""
    return row.agent is None and row.owner is None


def _outcomes(text: str | None) -> list[str]:
    wanted = [part.strip() for part in (text or "").split(",") if part.strip()]
    for one in wanted:
        if one not in OUTCOMES:
            raise Invalid("outcome is unknown", {"outcome": f"is one of {', '.join(OUTCOMES)}"})
    return wanted
