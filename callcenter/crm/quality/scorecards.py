"""Scorecards: editing a draft, publishing it, retiring the whole. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.quality.models import Scorecard, ScorecardVersion
from callcenter.crm.quality.scoring import (
    MOST_QUESTIONS,
    MOST_SCALE,
    MOST_SECTIONS,
    MOST_WEIGHT,
    Question,
    Section,
)
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import now


def get_or_raise(session: Session, scorecard: str) -> Scorecard:
    """The scorecard with that id, else NotFound."""
    found = session.get(Scorecard, scorecard)
    if found is None:
        raise NotFound("there is no such scorecard")
    return found


def create(session: Session, *, by: str, name: str, sections: Sequence[Section]) -> Scorecard:
    """A new scorecard, whose first version is a draft."""
    made = Scorecard(name=checked("name", name, most=200, needed=True), created_by=by)
    session.add(made)
    session.flush()
    _draft(session, made, 1, sections, by)
    return made


def edit(
    session: Session,
    scorecard: Scorecard,
    *,
    by: str,
    name: str | None = None,
    sections: Sequence[Section] | None = None,
) -> Scorecard:
    """Change the draft; a published version stays, and a new draft begins beside it."""
    if scorecard.retired_at:
        raise Conflict("this scorecard is retired: make a new one")
    if name is not None:
        scorecard.name = checked("name", name, most=200, needed=True)
    if sections is not None:
        newest = versions(session, scorecard)[0]
        if newest.published_at:
            _draft(session, scorecard, newest.number + 1, sections, by)
        else:
            newest.sections = _stored(sections)
            newest.edited_by, newest.edited_at = by, now()
    session.flush()
    return scorecard


def publish(session: Session, scorecard: Scorecard, *, by: str) -> ScorecardVersion:
    """From now on calls are judged by the draft; evaluations already begun keep their version."""
    newest = versions(session, scorecard)[0]
    if newest.published_at:
        raise Conflict("there is no draft to publish: change the scorecard first")
    if scorecard.retired_at:
        raise Conflict("this scorecard is retired: make a new one")
    check(sections_of(newest))
    newest.published_by, newest.published_at = by, now()
    session.flush()
    return newest


def retire(session: Session, scorecard: Scorecard, *, by: str) -> Scorecard:
    """No call is judged by it any more; doing it twice changes nothing."""
    if scorecard.retired_at is None:
        scorecard.retired_by, scorecard.retired_at = by, now()
        session.flush()
    return scorecard


def listed(session: Session, *, retired: bool = False) -> Sequence[Scorecard]:
    """Scorecards by name, 200 at most; those that are retired only when asked for."""
    query = select(Scorecard).order_by(Scorecard.name, Scorecard.id).limit(200)
    if not retired:
        query = query.where(Scorecard.retired_at.is_(None))
    return session.scalars(query).all()


def versions(session: Session, scorecard: Scorecard) -> Sequence[ScorecardVersion]:
    """All its versions, the newest first."""
    query = select(ScorecardVersion).where(ScorecardVersion.scorecard_id == scorecard.id)
    return session.scalars(query.order_by(ScorecardVersion.number.desc())).all()


def newest(session: Session, scorecards: Iterable[str]) -> dict[str, list[ScorecardVersion]]:
    """Scorecard → its draft and its last published version, the newest first, in one query."""
    last = (
        select(ScorecardVersion.scorecard_id, func.max(ScorecardVersion.number).label("number"))
        .where(ScorecardVersion.scorecard_id.in_(set(scorecards)))
        .group_by(ScorecardVersion.scorecard_id, ScorecardVersion.published_at.is_(None))
        .subquery()
    )
    query = select(ScorecardVersion).join(
        last,
        (last.c.scorecard_id == ScorecardVersion.scorecard_id)
        & (last.c.number == ScorecardVersion.number),
    )
    found: dict[str, list[ScorecardVersion]] = {}
    for version in session.scalars(query.order_by(ScorecardVersion.number.desc())):
        found.setdefault(version.scorecard_id, []).append(version)
    return found


def in_force(session: Session, scorecard: Scorecard) -> ScorecardVersion:
    """The version that calls are judged by now. Conflict where there is none."""
    published = [one for one in versions(session, scorecard) if one.published_at]
    if scorecard.retired_at or not published:
        raise Conflict("this scorecard is not in force: publish it, or take another one")
    return published[0]


def sections_of(version: ScorecardVersion) -> Sequence[Section]:
    """What is asked in that version."""
    return msgspec.convert(version.sections, tuple[Section, ...])


def question_texts(session: Session, scorecard: Scorecard) -> dict[str, str]:
    """Question → its text in the newest version that has it, in the order of the versions."""
    found: dict[str, str] = {}
    for version in versions(session, scorecard):
        for section in sections_of(version):
            for question in section.questions:
                found.setdefault(question.id, question.text)
    return found


def check(sections: Sequence[Section]) -> None:
    """Raises Invalid for a scorecard that no call can be judged by."""
    questions = [question for section in sections for question in section.questions]
    if not questions or any(not section.questions for section in sections):
        raise _wrong("every section needs a question")
    if len(sections) > MOST_SECTIONS or len(questions) > MOST_QUESTIONS:
        raise _wrong(f"at most {MOST_SECTIONS} sections and {MOST_QUESTIONS} questions")
    ids = [section.id for section in sections] + [question.id for question in questions]
    if len(set(ids)) < len(ids):
        raise _wrong("every section and question needs an id of its own")
    if not all(1 <= section.weight <= MOST_WEIGHT for section in sections):
        raise _wrong(f"a weight is 1 to {MOST_WEIGHT}")
    for question in questions:
        _check_question(question)
    if not all(section.title.strip() for section in sections):
        raise _wrong("every section needs a title")


def _check_question(question: Question) -> None:
    if not question.text.strip():
        raise _wrong("every question needs a text")
    if not 1 <= question.scale <= MOST_SCALE:
        raise _wrong(f"a scale ends at 1 to {MOST_SCALE}")
    if not 1 <= question.points <= MOST_WEIGHT:
        raise _wrong(f"a question is worth 1 to {MOST_WEIGHT} points")


def _wrong(sentence: str) -> Invalid:
    return Invalid(sentence, {"sections": sentence})


def _draft(
    session: Session, scorecard: Scorecard, number: int, sections: Sequence[Section], by: str
) -> None:
    session.add(
        ScorecardVersion(
            scorecard_id=scorecard.id, number=number, sections=_stored(sections), edited_by=by
        )
    )
    session.flush()


def _stored(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """A draft may be unfinished, but every text in it can be stored."""
    for section in sections:
        checked("sections", section.title, most=200)
        for question in section.questions:
            checked("sections", question.text, most=500)
            checked("sections", question.help, most=2_000)
    stored: list[dict[str, Any]] = msgspec.to_builtins(tuple(sections))
    return list(stored)
