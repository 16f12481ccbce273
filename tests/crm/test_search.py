from __future__ import annotations

import pytest
from crm_floor import Counter, Floor
from sqlalchemy.orm import Session
from test_subscribers import said

from callcenter.crm.search.queries import marked, transcripts


def texts(session: Session, q: str, visible_to: str | None = None) -> list[str]:
    found = transcripts(session, q, visible_to=visible_to).items
    return sorted(hit.utterance.text for hit in found)


@pytest.mark.parametrize(
    ("spoken", "q"),
    [
        ("شرکت ما بسته را نفرستاد", "شركت"),
        ("می‌خواهم پولم را پس بگیرم", "می خواهم"),
        ("شماره ۱۲۳۴۵ است", "12345"),
        ("שָׁלוֹם לכולם", "שלום"),
        ("החבילה לא הגיעה", "לא החבילה"),
        ("My Parcel never came", "parcel PAR"),
        ("don't", "dont"),
    ],
)
def test_what_was_said_is_found_in_any_spelling(
    session: Session, floor: Floor, spoken: str, q: str
) -> None:
    floor.happened(said(floor.talk("a1"), spoken), said(floor.talk("a1"), "zzz"))
    assert texts(session, q) == [spoken]


@pytest.mark.parametrize(
    "q", ["", " ", '"', '" OR "', "*", "a OR b", "NEAR(", "text:zzz", "-zzz", "' OR 1=1;--", "\0"]
)
def test_no_query_breaks_the_index(session: Session, floor: Floor, q: str) -> None:
    floor.happened(said(floor.talk("a1"), "words of no interest"))
    assert texts(session, q) == []


def test_an_agent_finds_only_own_calls(session: Session, floor: Floor) -> None:
    floor.happened(
        said(floor.talk("a1"), "parcel of mine"), said(floor.talk("a2"), "parcel of theirs")
    )
    assert texts(session, "parcel", visible_to="a1") == ["parcel of mine"]
    assert texts(session, "parcel") == ["parcel of mine", "parcel of theirs"]


def test_a_hit_marks_the_words_and_keeps_the_text() -> None:
    pieces = marked("شركت ما، پست نيست", "شرکت پس")
    assert "".join(piece.text for piece in pieces) == "شركت ما، پست نيست"
    assert [piece.text for piece in pieces if piece.hit] == ["شركت", "پست"]
    assert [piece.hit for piece in marked("nothing here", "parcel")] == [False]


def test_hits_come_in_pages_with_one_query_each(
    session: Session, floor: Floor, statements: Counter
) -> None:
    call = floor.talk("a1")
    floor.happened(*(said(call, f"parcel {place}") for place in range(5)))
    with statements() as seen:
        page = transcripts(session, "parcel", limit=3)
    assert len(seen) == 2
    rest = transcripts(session, "parcel", limit=3, cursor=page.next)
    shown = [hit.utterance.text for hit in [*page.items, *rest.items]]
    assert shown == [f"parcel {place}" for place in (4, 3, 2, 1, 0)]
    assert rest.next is None
    assert {hit.interaction.call_id for hit in page.items} == {call}
