"""Sound of sealed recordings, in the parts that a player asks for (RFC 9110 section 14)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import structlog
from flask import Response, abort, request, send_file

from callcenter.errors import NotFound
from callcenter.telephony.recording import peaks_file

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


def send(root: Path, relative: str, format_: str, sha256: str) -> Response:
    """The whole file, or 206 with the asked range, or 416."""
    file = place(root, relative)
    size = file.stat().st_size
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked and not _possible(asked[1], asked[2], size):
        abort(Response(status=416, headers={"Content-Range": f"bytes */{size}"}))
    response = send_file(
        file, mimetype=TYPES.get(format_, "application/octet-stream"), conditional=True, etag=sha256
    )
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"
    return response


def _possible(first: str, last: str, size: int) -> bool:
    if first:
        return int(first) < size and (not last or int(last) >= int(first))
    return bool(last) and int(last) > 0


def peaks(root: Path, row: Any, columns: int | None = None) -> dict[str, Any]:
    """The waveform that was stored beside the file, `columns` values a leg at most.

    Raises NotFound where there is none.
    """
    file = place(root, str(Path(row.path).with_suffix(".peaks")))
    found = peaks_file.read(file.read_bytes())
    length = len(found.agent) / found.per_second
    found = found.thinned(columns) if columns else found
    rate = len(found.agent) / length if length else float(found.per_second)
    channels = {"agent": list(found.agent), "customer": list(found.customer)}
    return {"rate": rate, "seconds": row.seconds, "channels": channels}
