"""Exports of a customer as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.wsgi import wrap_file

from callcenter.config import Settings
from callcenter.crm.audit import operations as audit
from callcenter.crm.exports import operations, queries
from callcenter.crm.exports.models import CustomerExport
from callcenter.telephony.recording.cipher_file import CallKeys, open_sealed
from callcenter.web.audio import place
from callcenter.web.records import Row, people

_COPIED = (
    "id", "customer_id", "reason", "asked_at", "state", "done", "total", "size", "ready_at",
    "expires_at",
)  # fmt: skip


def page(session: Session, customer: str, limit: int, cursor: str | None) -> Row:
    """The exports of one customer."""
    found = queries.page(session, customer, limit=limit, cursor=cursor)
    return {"items": _shown(session, found.items), "next": found.next}


def ask(session: Session, customer: str, reason: str, by: str, address: str | None) -> Row:
    """A new export, which waits."""
    export = operations.ask(session, customer, reason=reason, by=by, address=address)
    return _shown(session, [export])[0]


def note_download(session: Session, export: str, by: str, address: str | None) -> None:
    """Nobody gets an archive that the audit did not take. Raises NotFound, Conflict, Expired."""
    row = operations.get_or_raise(session, export)
    operations.ready_or_raise(row)
    audit.record(
        session, by, "export.download", "customer", row.customer_id, reason=row.id, address=address
    )


def send(settings: Settings, keys: CallKeys, export: str) -> Response:
    """The archive, opened while it is sent. Raises NotFound, KeyGone, RecordingError."""
    path = place(settings.exports_dir, f"{export}.zip")
    file = open_sealed(path, keys)
    size = file.seek(0, 2)
    file.seek(0)
    response = Response(
        wrap_file(request.environ, file), mimetype="application/zip", direct_passthrough=True
    )
    response.content_length = size
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Disposition"] = f'attachment; filename="customer-{export}.zip"'
    return response


def _shown(session: Session, exports: Sequence[CustomerExport]) -> list[Row]:
    named = people(session, [one.asked_by for one in exports])
    return [
        {**{name: getattr(one, name) for name in _COPIED}, "asked_by": named.get(one.asked_by)}
        for one in exports
    ]
