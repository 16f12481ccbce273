"""Recordings: the sound, in parts as the player asks, and its waveform."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from callcenter.web import audio, auth, records
from callcenter.web.context import services
from callcenter.web.permissions import Permission
from callcenter.web.shapes import In, PeaksView, RecordingView

blueprint = APIBlueprint("recordings", __name__, tag="Recordings")
_SOUND: Any = {
    "description": "The sound; 206 for a Range request",
    "content": {"audio/ogg": {"schema": {"type": "string", "format": "binary"}}},
}


class PeaksQuery(In):
    """How fine the waveform is."""

    columns: int | None = Field(None, ge=1, le=20_000, description="values a leg, at most")


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
    return audio.send(parts.settings.recordings_dir, row.path, row.format, row.file_sha256)


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
    return audio.peaks(parts.settings.recordings_dir, row, query.columns)
