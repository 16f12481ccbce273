"""Reading phrase lists and the marks of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.paging import MOST
from callcenter.crm.phrases.models import PhraseList, PhraseMark


def lists(session: Session) -> Sequence[PhraseList]:
    """All lists by language and name, those in use first; 200 at most."""
    retired = PhraseList.retired_at.is_not(None)
    query = select(PhraseList).order_by(retired, PhraseList.language, PhraseList.name)
    return session.scalars(query.limit(MOST)).all()


def marks(session: Session, interaction: Interaction) -> list[tuple[PhraseMark, PhraseList]]:
    """What was said in a call that a list listens for, in the order of time."""
    query = (
        select(PhraseMark, PhraseList)
        .join(PhraseList, PhraseList.id == PhraseMark.list_id)
        .where(
            PhraseMark.call_id == interaction.call_id,
            PhraseMark.revision == interaction.transcript_revision,
        )
        .order_by(PhraseMark.t0, PhraseMark.id)
    )
    return [(mark, one) for mark, one in session.execute(query)]


def mark_of(session: Session, utterance: str, list_: str) -> tuple[PhraseMark, PhraseList] | None:
    """The mark that a list has set on an utterance."""
    query = (
        select(PhraseMark, PhraseList)
        .join(PhraseList, PhraseList.id == PhraseMark.list_id)
        .where(PhraseMark.utterance == utterance, PhraseMark.list_id == list_)
    )
    for mark, one in session.execute(query):
        return mark, one
    return None


def calls_marked(list_: str) -> Select[Any]:
    """The calls in which a phrase of that list was said, as they are shown now."""
    return (
        select(PhraseMark.call_id)
        .join(Interaction, Interaction.call_id == PhraseMark.call_id)
        .where(
            PhraseMark.list_id == list_,
            PhraseMark.revision == Interaction.transcript_revision,
        )
    )
