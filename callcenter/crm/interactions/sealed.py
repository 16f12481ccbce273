"""Sealed recordings and their redactions are chained: a row and its link are written together.

A redaction replaces the file and leaves the row of the recording as it was: a row of its own, in a
chain of its own, says what the file's sha256 is from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.chains import operations as chains
from callcenter.crm.chains.links import spelled
from callcenter.crm.interactions.models import Recording, Redaction


def keep(session: Session, recording: Recording) -> None:
    """Add a recording with its link. Its sha256 ties the file in."""
    end = chains.lock(session, RECORDINGS)
    session.add(recording)
    session.flush()
    end.add(recording.id, _content(recording))


def keep_redaction(session: Session, redaction: Redaction) -> None:
    """Add a redaction with its link. Its sha256 ties the new file in."""
    end = chains.lock(session, REDACTIONS)
    session.add(redaction)
    session.flush()
    end.add(redaction.id, _redacted(redaction))


def _content(row: Recording) -> bytes:
    """Every column; a new one must not change what is written of old rows."""
    return spelled(
        row.id,
        row.call_id,
        row.path,
        row.format,
        float(row.seconds),
        row.size,
        row.sha256,
        row.legs,
        row.interrupted,
        row.problem,
        row.sealed_at.astimezone(UTC).isoformat(),
    )


def _page(session: Session, after: str, limit: int) -> chains.Rows:
    """By id: it begins with the moment of its making."""
    query = select(Recording).where(Recording.id > after).order_by(Recording.id).limit(limit)
    return [(row.id, _content(row)) for row in session.scalars(query)]


def _some(session: Session, items: Sequence[str]) -> chains.Rows:
    rows = session.scalars(select(Recording).where(Recording.id.in_(items)))
    return [(row.id, _content(row)) for row in rows]


RECORDINGS = chains.Chain("recordings", _page, _some)
"""The chain over sealed recordings."""


def _redacted(row: Redaction) -> bytes:
    """Every column, as in `_content`."""
    at = row.redacted_at.astimezone(UTC).isoformat()
    return spelled(row.id, row.recording_id, row.sha256, row.size, row.silences, at)


def _redactions_page(session: Session, after: str, limit: int) -> chains.Rows:
    query = select(Redaction).where(Redaction.id > after).order_by(Redaction.id).limit(limit)
    return [(row.id, _redacted(row)) for row in session.scalars(query)]


def _some_redactions(session: Session, items: Sequence[str]) -> chains.Rows:
    rows = session.scalars(select(Redaction).where(Redaction.id.in_(items)))
    return [(row.id, _redacted(row)) for row in rows]


REDACTIONS = chains.Chain("redactions", _redactions_page, _some_redactions)
"""The chain over what was taken out of sealed recordings."""
