"""Changing interactions: customer, notes, disposition, who follows up a missed call."""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy.orm import Session

from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.interactions.models import Disposition, Interaction
from callcenter.crm.text import checked
from callcenter.crm.vault import operations as vault
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import Outcome, now

MOST_NOTES = 200_000
MISSED: tuple[Outcome, ...] = ("abandoned", "missed")


def get_or_raise(session: Session, interaction: str) -> Interaction:
    """The interaction with that id, else NotFound."""
    found = session.get(Interaction, interaction)
    if found is None:
        raise NotFound("there is no such interaction")
    return found


def assign_customer(session: Session, interaction: Interaction, customer: str | None) -> None:
    """Say who it was; None takes the customer off again."""
    if customer is not None:
        customer_or_raise(session, customer)
    interaction.customer_id = customer
    vault.relink(session, interaction.call_id, customer)
    session.flush()


def save_draft(
    session: Session, interaction: Interaction, text: str, *, version: int | None
) -> int:
    """Keep notes while they are being written; returns the new version.

    Conflict when somebody else wrote since `version`: nothing is overwritten, and the
    browser still has its text. The saved notes stay as they are until `close`.

    A draft that does not say what it stands on (None) is taken over other drafts, never over
    saved notes: it may be older than they are.
    """
    if version is not None:
        _fresh(interaction, version)
    elif interaction.notes or interaction.closed_at is not None:
        raise Conflict("the notes were saved meanwhile: load them, then send the draft's version")
    if text == interaction.draft:
        return interaction.version
    interaction.draft = _notes(text)
    interaction.version += 1
    session.flush()
    return interaction.version


def change(
    session: Session,
    interaction: Interaction,
    *,
    by: str,
    version: int | None = None,
    **fields: Any,
) -> Interaction:
    """Set any of notes, disposition, outcome, customer. Notes replace the draft."""
    if version is not None:
        _fresh(interaction, version)
    for field, value in fields.items():
        if field == "notes":
            interaction.notes, interaction.draft = _notes(value), None
        elif field == "disposition":
            interaction.disposition = _disposition(session, value)
        elif field == "outcome":
            interaction.outcome = _outcome(interaction, value)
        elif field == "customer":
            assign_customer(session, interaction, value)
        else:
            raise Invalid(f"{field} cannot be changed", {field: "cannot be changed"})
    interaction.version += 1
    session.flush()
    return interaction


def close(
    session: Session,
    interaction: Interaction,
    *,
    by: str,
    disposition: str,
    notes: str | None = None,
    version: int | None = None,
) -> Interaction:
    """The agent is done with it. Without `notes` an unsaved draft becomes the notes."""
    if interaction.ended_at is None:
        raise Conflict("the call still lasts: hang up before closing it")
    kept = interaction.draft if interaction.draft is not None else interaction.notes
    change(
        session,
        interaction,
        by=by,
        version=version,
        disposition=disposition,
        notes=kept if notes is None else notes,
    )
    interaction.closed_at, interaction.closed_by = now(), by
    session.flush()
    return interaction


def mark_handled(session: Session, interaction: Interaction, *, by: str) -> bool:
    """Somebody followed up the missed call; False where somebody had already."""
    if interaction.outcome not in MISSED:
        raise Conflict("only a missed call can be handled")
    if interaction.handled_at is not None:
        return False
    interaction.handled_at, interaction.handled_by = now(), by
    session.flush()
    return True


def _fresh(interaction: Interaction, version: int) -> None:
    if version != interaction.version:
        raise Conflict("somebody changed this interaction meanwhile: load it again")


def _notes(text: str) -> str:
    return checked("notes", text, most=MOST_NOTES)


def _disposition(session: Session, disposition: str | None) -> str | None:
    if disposition is None:
        return None
    found = session.get(Disposition, disposition)
    if found is None or found.system:
        raise Invalid("this disposition does not exist", {"disposition": "is unknown"})
    return disposition


def _outcome(interaction: Interaction, outcome: str) -> Outcome:
    for known in get_args(Outcome):
        if known == outcome and interaction.ended_at is not None:
            return outcome  # type: ignore[return-value]
    if interaction.ended_at is None:
        raise Conflict("the call still lasts: its outcome comes with its end")
    raise Invalid("there is no such outcome", {"outcome": "is unknown"})
