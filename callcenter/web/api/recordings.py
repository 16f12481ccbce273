"""Recordings: the list, the sound in parts as the player asks, and its waveform."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from callcenter.crm.recordings.queries import Filters
from callcenter.web import audio, auth, recording_records, records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission, Scope
from callcenter.web.recording_shapes import RecordedView, RecordingsQuery
from callcenter.web.shapes import In, Page, PeaksView, RecordingView

blueprint = APIBlueprint("recordings", __name__, tag="Recordings")
_SOUND: Any = {
    "description": "The sound; 206 for a Range request",
    "content": {"audio/ogg": {"schema": {"type": "string", "format": "binary"}}},
}


class PeaksQuery(In):
    """How fine the waveform is."""

    columns: int | None = Field(None, ge=1, le=20_000, description="values a leg, at most")


@blueprint.get("/recordings")
@blueprint.input(RecordingsQuery, location="query", arg_name="query")
@blueprint.output(Page[RecordedView])
@auth.requires(Permission.INTERACTIONS_READ)
def index(query: RecordingsQuery) -> Any:
    """Sealed recordings, newest first; an agent's own are those he talked in."""
    person = who()
    heard = person.scope(Permission.CONVERSATION)
    if query.words:
        auth.allow(Permission.CONVERSATION_SEARCH)
    if query.min_score is not None or query.max_score is not None:
        auth.allow(Permission.QUALITY_READ)
    with services().reading() as session:
        found = recording_records.recordings(
            session,
            _filters(query, person.id),
            visible_to=auth.reach(Permission.CONVERSATION) if heard else (person.id,),
            measured=heard in (Scope.OWN, Scope.TEAM, Scope.ALL),
            limit=query.limit,
            cursor=query.cursor,
        )
    if person.scope(Permission.INTERACTIONS_READ) is Scope.REASON:
        found["items"] = [records.discreet(one) for one in found["items"]]
    return found


def _filters(query: RecordingsQuery, me: str) -> Filters:
    return Filters(
        since=query.from_,
        until=query.to,
        line=query.line,
        queue=query.queue,
        agent=me if query.agent == "me" else query.agent,
        customer=query.customer,
        outcome=query.outcome,
        shortest=query.min_seconds,
        longest=query.max_seconds,
        words=query.words,
        language=query.language,
        lowest=query.min_score,
        highest=query.max_score,
    )


@blueprint.get("/recordings/<id>")
@blueprint.output(RecordingView)
@auth.requires(Permission.CONVERSATION)
def show(id: str) -> Any:
    """A recording's metadata."""
    with services().reading() as session:
        row, interaction = records.recording(session, id)
        services().access.open_conversation(interaction, None, request.remote_addr)
        return records.recording_view(row, interaction)


@blueprint.get("/recordings/<id>/audio")
@blueprint.doc(responses={200: _SOUND})
@auth.requires(Permission.CONVERSATION)
def sound(id: str) -> Response:
    """The sound, with Range requests; every listening is in the audit."""
    parts = services()
    with parts.reading() as session:
        row, interaction = records.recording(session, id)
    parts.access.open_conversation(interaction, "recording.listen", request.remote_addr)
    return audio.send(parts.settings.recordings_dir, row, parts.keys)


@blueprint.get("/recordings/<id>/peaks")
@blueprint.input(PeaksQuery, location="query", arg_name="query")
@blueprint.output(PeaksView)
@auth.requires(Permission.CONVERSATION)
def peaks(id: str, query: PeaksQuery) -> Any:
    """The waveform of both legs, for a player that need not load the sound."""
    parts = services()
    with parts.reading() as session:
        row, interaction = records.recording(session, id)
    parts.access.open_conversation(interaction, None, request.remote_addr)
    return audio.peaks(parts.settings.recordings_dir, row, parts.keys, query.columns)
