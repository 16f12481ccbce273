"""Phrases that supervisors listen for: lists, matching, marks of calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from crm_floor import Counter, Floor
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_subscribers import of, said

from callcenter.crm.phrases import operations, queries
from callcenter.crm.phrases.matching import heard, may_have_begun, wording
from callcenter.crm.phrases.models import PhraseList, PhraseMark
from callcenter.crm.search.queries import Narrowing, transcripts
from callcenter.errors import Conflict, Invalid
from callcenter.events import PhraseHeard, TranscriptCompleted
from callcenter.log import EventLog


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("cancel my contract", "Please, CANCEL my contract!", True),
        ("cancel my contract", "cancel the contract", False),
        ("cancel", "cancelling it", False),
        ("cancel*", "I am cancelling it", True),
        ("cancel my*", "cancel myself", True),
        ("art", "start the cart", False),
        ("می\u200cخواهم لغو کنم", "ميخواهم لغو كنم", True),
        ("میخواهم لغو کنم", "می خواهم لغو کنم لطفا", True),
        ("حمایت از مصرف\u200cکننده", "به سازمان حمایت از مصرف کننده شکایت می‌کنم", True),
        ("הרשות להגנת הצרכן", "אני פונה לָרשות, הרשות להגנת הצרכן", True),
        ("לבטל את החוזה", "רוצה לבטל את ההסכם", False),
        ("consumer office", "office consumer", False),
    ],
)
def test_a_phrase_is_heard_in_any_spelling_at_borders_of_words(
    phrase: str, text: str, found: bool
) -> None:
    assert (heard([wording(phrase)], text) is not None) == found


@pytest.mark.parametrize(
    ("before", "text", "found"),
    [
        ("I want to cancel", "my contract", True),
        ("I want to cancel my", "contract now", True),
        ("cancel my contract", "now", False),
        ("I want to cancel", "your contract", False),
        ("cancel", "my contractor", False),
    ],
)
def test_a_phrase_may_begin_in_the_sentence_before(before: str, text: str, found: bool) -> None:
    phrases = [wording("cancel my contract")]
    result = heard(phrases, text, before)
    assert (result is not None and result.earlier) == found
    assert may_have_begun(phrases, text) or not found
    assert not may_have_begun(phrases, "nothing of it")


def leaving(session: Session, **fields: Any) -> PhraseList:
    made = {"name": "Leaving", "language": "en", "phrases": ["cancel my contract", "leave you*"]}
    row = operations.create(session, by="s1", **(made | fields))
    session.commit()
    return row


def marks(session: Session, call: str) -> list[tuple[str, float]]:
    session.expire_all()
    return [(mark.phrase, mark.t0) for mark, _ in queries.marks(session, of(session, call))]


def told(floor: Floor, call: str) -> list[PhraseHeard]:
    facts = [entry.fact for entry in EventLog(floor.engine).of_call(call)]
    return [fact for fact in facts if isinstance(fact, PhraseHeard)]


def test_a_call_is_marked_at_the_moment_and_told_once(session: Session, floor: Floor) -> None:
    one = leaving(session)
    call, other = floor.talk("a1"), floor.talk("a1")
    floor.happened(
        said(call, "I cancel my contract", t0=3.0),
        said(call, "and leave yours", t0=9.0),
        said(other, "nothing of it"),
    )
    assert marks(session, call) == [("cancel my contract", 3.0), ("leave you*", 9.0)]
    assert marks(session, other) == []
    assert [(fact.list, fact.t0) for fact in told(floor, call)] == [(one.id, 3.0)]


def test_a_phrase_over_two_sentences_is_marked_where_it_began(
    session: Session, floor: Floor
) -> None:
    leaving(session)
    call, late, other = floor.talk("a1"), floor.talk("a1"), floor.talk("a1")
    floor.happened(
        said(call, "I want to cancel", t0=3.0),
        said(call, "my contract", t0=5.0),
        said(late, "I want to cancel", t0=3.0),
        said(late, "my contract", t0=50.0),
        said(other, "I want to cancel", t0=3.0),
        replace(said(other, "my contract", t0=5.0), leg="agent"),
    )
    assert marks(session, call) == [("cancel my contract", 3.0)]
    assert marks(session, late) == marks(session, other) == []


def test_the_second_pass_marks_again_and_nothing_is_double(session: Session, floor: Floor) -> None:
    leaving(session)
    call = floor.talk("a1")
    better = said(call, "I will cancel my contract", t0=3.2, revision=2)
    floor.happened(said(call, "cancel my contract", t0=3.0), better, better)
    assert marks(session, call) == [("cancel my contract", 3.0)]
    floor.happened(
        TranscriptCompleted(call=call, revision=2, engine="whisper", language="en", utterances=1)
    )
    assert marks(session, call) == [("cancel my contract", 3.2)]
    assert len(session.scalars(select(PhraseMark)).all()) == 2
    assert len(told(floor, call)) == 1


def test_language_speaker_and_notice_of_a_list_count(session: Session, floor: Floor) -> None:
    leaving(session, name="of agents", leg="agent")
    leaving(session, name="Persian", language="fa")
    quiet = leaving(session, name="quiet", notice=False)
    call = floor.talk("a1")
    floor.happened(said(call, "cancel my contract"))
    assert [one.id for _, one in queries.marks(session, of(session, call))] == [quiet.id]
    assert told(floor, call) == []


def test_a_changed_list_counts_from_the_next_sentence_on(session: Session, floor: Floor) -> None:
    one = leaving(session)
    call = floor.talk("a1")
    floor.happened(said(call, "consumer office", t0=1.0))
    operations.change(session, one, by="s1", phrases=["consumer office"])
    session.commit()
    floor.happened(said(call, "consumer office", t0=2.0), said(call, "cancel my contract", t0=3.0))
    assert marks(session, call) == [("consumer office", 2.0)]
    operations.change(session, one, by="s1", retired=True)
    session.commit()
    floor.happened(said(call, "consumer office", t0=4.0))
    assert marks(session, call) == [("consumer office", 2.0)]


def test_lists_are_not_read_for_each_sentence(
    session: Session, floor: Floor, statements: Counter
) -> None:
    leaving(session)
    call = floor.talk("a1")
    floor.happened(said(call, "good morning"))
    with statements() as seen:
        floor.happened(*(said(call, f"nothing {n}") for n in range(5)))
    assert [one for one in seen if "phrase_" in one] == []


def test_sentences_of_marked_calls_are_found(session: Session, floor: Floor) -> None:
    one = leaving(session)
    marked, plain = floor.talk("a1"), floor.talk("a1")
    floor.happened(
        said(marked, "cancel my contract"), said(marked, "my parcel"), said(plain, "your parcel")
    )
    found = transcripts(session, "parcel", Narrowing(mark=one.id)).items
    assert [hit.utterance.text for hit in found] == ["my parcel"]
    assert session.scalars(queries.calls_marked(one.id)).all() == [marked]


def test_what_is_no_list_is_refused(session: Session) -> None:
    with pytest.raises(Invalid, match="needs a word"):
        leaving(session, phrases=["--"])
    with pytest.raises(Invalid, match="1 to 500"):
        leaving(session, phrases=["", " "])
    with pytest.raises(Invalid, match="language"):
        leaving(session, language="xx")
    session.rollback()
    one = leaving(session, phrases=["Cancel", "cancel", "leave"])
    assert one.phrases == ["Cancel", "leave"]
    with pytest.raises(Conflict):
        operations.change(session, one, by="s2", version=0, name="x")
