"""Changing saved views: only their owner does."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.recordings.models import SavedView
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Forbidden, NotFound
from callcenter.events import now

MOST_NAME = 100
MOST_VIEWS = 100
"""Of one person: they are chips on a page."""


def save(
    session: Session, *, owner: str, name: str, filters: dict[str, Any], shared: bool
) -> SavedView:
    """A new view. Raises Conflict where the owner has enough of them."""
    own = select(func.count()).where(SavedView.owner == owner, SavedView.removed_at.is_(None))
    if (session.scalar(own) or 0) >= MOST_VIEWS:
        raise Conflict(f"you have {MOST_VIEWS} views already: take one back first")
    made = SavedView(owner=owner, name=_named(name), filters=filters, shared=shared)
    session.add(made)
    session.flush()
    return made


def change(
    session: Session,
    view: str,
    *,
    by: str,
    name: str | None = None,
    filters: dict[str, Any] | None = None,
    shared: bool | None = None,
) -> SavedView:
    """Another name, other filters, shared or not any more; None leaves it."""
    found = _own(session, view, by)
    if name is not None:
        found.name = _named(name)
    if filters is not None:
        found.filters = filters
    if shared is not None:
        found.shared = shared
    session.flush()
    return found


def take_back(session: Session, view: str, *, by: str) -> None:
    """Nobody sees the view any more; the row stays."""
    _own(session, view, by).removed_at = now()
    session.flush()


def _named(name: str) -> str:
    return checked("name", name, most=MOST_NAME, needed=True)


def _own(session: Session, view: str, person: str) -> SavedView:
    """NotFound for a view that this person does not see, Forbidden for one of somebody else."""
    found = session.get(SavedView, view)
    if found is None or found.removed_at or not (found.shared or found.owner == person):
        raise NotFound("there is no such view")
    if found.owner != person:
        raise Forbidden("only who saved a view may change it: save one of your own")
    return found
