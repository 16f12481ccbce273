"""Sound of sealed recordings, in the parts that a player asks for (RFC 9110 section 14)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import structlog
from flask import Response, abort, request
from werkzeug.wsgi import wrap_file

from callcenter.crm.interactions.models import Recording
from callcenter.errors import NotFound
from callcenter.telephony.recording import peaks_file
from callcenter.telephony.recording.cipher_file import CallKeys, open_sealed

TYPES = {"opus": "audio/ogg", "flac": "audio/flac", "wav": "audio/wav"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)(?:\s*,.*)?")
_LOGGER = structlog.get_logger()


def place(root: Path, relative: str) -> Path:
    """The file inside `root`. Raises NotFound for a way out of it or a missing file."""
    inside = root.resolve()
    try:
        file = (inside / relative).resolve(strict=True)
    except (OSError, ValueError) as error:
        raise NotFound("no such thing") from error
    if not file.is_relative_to(inside) or not file.is_file():
        _LOGGER.warning("SECURITY recording outside of recordings_dir refused")
        raise NotFound("no such thing")
    return file


def send(root: Path, row: Recording, keys: CallKeys) -> Response:
    """The whole sound, or 206 with the asked range, or 416; an encrypted file is opened for it.

    Raises NotFound, KeyGone, RecordingError.
    """
    file = open_sealed(place(root, row.path), keys)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked and not _possible(asked[1], asked[2], size):
        file.close()
        abort(Response(status=416, headers={"Content-Range": f"bytes */{size}"}))
    response = Response(
        wrap_file(request.environ, file),
        mimetype=TYPES.get(row.format, "application/octet-stream"),
        direct_passthrough=True,
    )
    response.content_length = size
    response.set_etag(row.file_sha256)
    response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"
    return response


def _possible(first: str, last: str, size: int) -> bool:
    if first:
        return int(first) < size and (not last or int(last) >= int(first))
    return bool(last) and int(last) > 0


def peaks(root: Path, row: Recording, keys: CallKeys, columns: int | None = None) -> dict[str, Any]:
    """The waveform that was stored beside the file, `columns` values a leg at most.

    Raises NotFound where there is none, KeyGone, RecordingError.
    """
    with open_sealed(place(root, str(Path(row.path).with_suffix(".peaks"))), keys) as file:
        found = peaks_file.read(file.read())
    length = len(found.agent) / found.per_second
    found = found.thinned(columns) if columns else found
    rate = len(found.agent) / length if length else float(found.per_second)
    channels = {"agent": list(found.agent), "customer": list(found.customer)}
    return {"rate": rate, "seconds": row.seconds, "channels": channels}
