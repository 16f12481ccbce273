"""A sentence is heard: calls get marks of the lists whose phrases it holds.

Applied twice it changes nothing. The first mark of a list in a call is a fact of its own
(`PhraseHeard`), in the same transaction: supervisors are told of it once.
"""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from callcenter import events, log
from callcenter.crm.db import insert_or
from callcenter.crm.interactions.models import Utterance
from callcenter.crm.phrases.matching import Heard, heard, may_have_begun
from callcenter.crm.phrases.models import PhraseMark
from callcenter.crm.phrases.watching import Watched, watched
from callcenter.ids import new_id

PAUSE = 8.0
"""Seconds between two sentences of one side over which a phrase may go."""


def said(session: Session, fact: events.UtteranceHeard) -> None:
    """Mark the call where a phrase ends in this sentence."""
    lists = [one for one in watched(session) if one.concerns(fact.language, fact.leg)]
    if not lists:
        return
    every = [phrase for one in lists for phrase in one.phrases]
    before = _before(session, fact) if may_have_begun(every, fact.text) else None
    for one in lists:
        found = heard(one.phrases, fact.text, before.text if before else "")
        if found is not None:
            t0 = before.t0 if before and found.earlier else fact.t0
            _mark(session, fact, one, found, t0)


def _before(session: Session, fact: events.UtteranceHeard) -> Utterance | None:
    """What this side said last, a short while ago."""
    query = select(Utterance).where(
        Utterance.call_id == fact.call,
        Utterance.revision == fact.revision,
        Utterance.leg == fact.leg,
        Utterance.t0 < fact.t0,
        Utterance.t1 >= fact.t0 - PAUSE,
    )
    return session.scalars(query.order_by(Utterance.t0.desc()).limit(1)).first()


def _mark(
    session: Session, fact: events.UtteranceHeard, one: Watched, found: Heard, t0: float
) -> None:
    new = insert_or(session, PhraseMark.__table__).values(
        id=new_id(),
        call_id=fact.call,
        list_id=one.id,
        utterance=fact.utterance,
        revision=fact.revision,
        leg=fact.leg,
        phrase=found.text,
        t0=t0,
        t1=fact.t1,
    )
    made = session.scalar(
        new.on_conflict_do_nothing(index_elements=["utterance", "list_id"]).returning(PhraseMark.id)
    )
    if made is None or not one.notice or _marked_before(session, fact.call, one.id, made):
        return
    log.append_within(
        session.connection(),
        events.PhraseHeard(call=fact.call, list=one.id, utterance=fact.utterance, t0=t0),
    )


def _marked_before(session: Session, call: str, list_: str, mark: str) -> bool:
    others = exists().where(
        PhraseMark.list_id == list_, PhraseMark.call_id == call, PhraseMark.id != mark
    )
    return bool(session.scalar(select(others)))
