"""Words that people put right: the text that is shown, found and counted changes, what stood there
before stays readable with who changed it and when."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.interactions.models import Interaction, Utterance
from callcenter.crm.review import asking
from callcenter.crm.review.models import Correction
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.redaction.finding import MASK, Rules, mask

MOST_TEXT = 20_000


def correct(
    session: Session,
    interaction: Interaction,
    utterance: str,
    *,
    by: str,
    text: str,
    was: str,
    rules: Rules,
) -> Correction:
    """Say what was really said. `was` is the text that the person saw: Conflict when it is old.

    `rules`: the numbers that may not be kept are taken out of what was typed, too.
    """
    if interaction.ended_at is None or interaction.transcript_state == "pending":
        raise Conflict("this text is still being written: correct it when it is complete")
    said = session.scalar(select(Utterance).where(Utterance.id == utterance))
    if said is None or said.call_id != interaction.call_id:
        raise NotFound("there is no such sentence in this call")
    if said.revision != interaction.transcript_revision or said.text != was:
        raise Conflict("this sentence was changed meanwhile: load it again")
    text = checked("text", text, most=MOST_TEXT, needed=True)
    if text.count(MASK) != said.text.count(MASK):
        raise Invalid("what was taken out stays taken out: keep its marks", {"text": "lost a mark"})
    text, masks = mask(text, rules, said.masks)
    if text == said.text:
        raise Conflict("this is what stands there already")
    made = Correction(call_id=said.call_id, utterance=said.id, before=said.text, after=text, by=by)
    session.add(made)
    fts.remove(session, {said.number: said.text})
    fts.add(session, said.number, text)
    said.text, said.masks = text, masks
    session.flush()
    asking.ask(session, said.call_id)  # words are counted anew
    return made


def of_call(session: Session, interaction: Interaction) -> Sequence[Correction]:
    """Every correction in a call, the oldest first."""
    query = select(Correction).where(Correction.call_id == interaction.call_id)
    return session.scalars(query.order_by(Correction.at, Correction.id)).all()
