from __future__ import annotations

from typing import Any

import pytest
from crm_floor import Counter, Floor
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_subscribers import said

from callcenter.crm import fts
from callcenter.crm.fts import finding
from callcenter.crm.fts.models import VocabularyForm, VocabularyWord
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.search import queries
from callcenter.crm.search.queries import Narrowing, transcripts


def texts(session: Session, q: str, visible_to: str | None = None) -> list[str]:
    found = transcripts(session, q, visible_to=(visible_to,) if visible_to else None).items
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


def test_hits_come_in_pages_with_few_queries_each(
    session: Session, floor: Floor, statements: Counter
) -> None:
    call = floor.talk("a1")
    floor.happened(*(said(call, f"parcel {place}") for place in range(5)))
    with statements() as seen:
        page = transcripts(session, "parcel", limit=3)
    assert len(seen) == 5  # two about the vocabulary, the index, the rows, their agents
    rest = transcripts(session, "parcel", limit=3, cursor=page.next)
    shown = [hit.utterance.text for hit in [*page.items, *rest.items]]
    assert shown == [f"parcel {place}" for place in (4, 3, 2, 1, 0)]
    assert rest.next is None
    assert {hit.interaction.call_id for hit in page.items} == {call}


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ('"cancel my contract"', ["please cancel my contract"]),
        ("cancel contract", ["cancel it: the contract", "please cancel my contract"]),
        ("cancel ~1 contract", ["please cancel my contract"]),
        ("contract ~1 cancel", ["please cancel my contract"]),
        ("cancel ~2 contract", ["cancel it: the contract", "please cancel my contract"]),
        ('"please cancel" ~1 contract', ["please cancel my contract"]),
        ("contract -please", ["cancel it: the contract", "the contract my uncle signed"]),
        ('contract -"my contract" -uncle', ["cancel it: the contract"]),
        ("uncl*", ["the contract my uncle signed"]),
        ('"contract my"', ["the contract my uncle signed"]),
        ("-contract", []),
    ],
)
def test_phrases_nearness_and_without(
    session: Session, floor: Floor, q: str, found: list[str]
) -> None:
    call = floor.talk("a1")
    texts_ = (
        "please cancel my contract",
        "cancel it: the contract",
        "the contract my uncle signed",
    )
    floor.happened(*(said(call, one) for one in texts_))
    assert texts(session, q) == found


@pytest.mark.parametrize(
    ("spoken", "q", "also"),
    [
        ("the invoice is wrong", "invocie", {"invocie": ["invoice"]}),
        ("the invoice is wrong", "invoise wrong", {"invoise": ["invoice"]}),
        ("the invoice is wrong", '"the invoicce"', {"invoicce": ["invoice"]}),
        ("قراردادم را لغو کنید", "قرردادم", {"قرردادم": ["قراردادم"]}),
        ("قراردادم را لغو کنید", "قراردادن", {"قراردادن": ["قراردادم"]}),
        ("אני רוצה לבטל את החוזה", "לבטול", {"לבטול": ["לבטל"]}),
        ("החשבונית לא נכונה", "חשבונית", {"חשבונית": ["החשבונית"]}),
        ("می خواهم بروم", "میخواهم", {"میخواهم": ["می خواهم"]}),
        ("میخواهم بروم", "می\u200cخواهم", {}),
    ],
)
def test_slips_of_typing_are_forgiven_where_the_word_was_never_said(
    session: Session, floor: Floor, spoken: str, q: str, also: dict[str, list[str]]
) -> None:
    floor.happened(said(floor.talk("a1"), spoken), said(floor.talk("a1"), "zzz"))
    found = transcripts(session, q)
    assert [hit.utterance.text for hit in found.items] == [spoken]
    assert found.also == also
    assert any(piece.hit for piece in found.items[0].snippet)


def test_a_word_that_was_said_is_taken_as_it_is(session: Session, floor: Floor) -> None:
    call = floor.talk("a1")
    floor.happened(said(call, "the form"), said(call, "the from"))
    assert texts(session, '"from"') == ["the from"]
    assert transcripts(session, '"from"').also == {}


def test_nobody_learns_from_corrections_what_others_said(session: Session, floor: Floor) -> None:
    floor.happened(said(floor.talk("a2"), "my divorce"))
    found = transcripts(session, "divorse", visible_to=("a1",))
    assert (found.items, found.also) == ([], {})


def test_hits_are_narrowed_to_speaker_call_queue_agent_and_time(
    session: Session, floor: Floor
) -> None:
    one, other = floor.talk("a1"), floor.talk("a2")
    floor.happened(said(one, "parcel one"), said(other, "parcel other"))
    began = session.scalars(select(Interaction.started_at).order_by(Interaction.id.desc())).first()

    def narrowed(**fields: Any) -> list[str]:
        found = transcripts(session, "parcel", Narrowing(**fields)).items
        return [hit.utterance.text for hit in found]

    everything = ["parcel other", "parcel one"]
    assert narrowed(leg="customer") == everything
    assert narrowed(leg="agent") == []
    assert narrowed(call=one) == ["parcel one"]
    assert narrowed(agent="a2") == ["parcel other"]
    assert narrowed(queue="support") == everything
    assert narrowed(queue="sales") == []
    assert narrowed(language="fa") == []
    assert narrowed(since=began) == ["parcel other"]
    assert narrowed(until=began) == ["parcel one"]


def test_a_narrow_filter_goes_on_behind_what_was_looked_at(
    session: Session, floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKED", 3)
    mine, others = floor.talk("a1"), floor.talk("a2")
    floor.happened(said(mine, "parcel mine"), *(said(others, "parcel") for _ in range(4)))
    first = transcripts(session, "parcel", visible_to=("a1",))
    assert (first.items, first.next is None) == ([], False)
    second = transcripts(session, "parcel", visible_to=("a1",), cursor=first.next)
    assert [hit.utterance.text for hit in second.items] == ["parcel mine"]
    assert second.next is None


def test_numbers_of_people_are_not_in_the_vocabulary(session: Session, floor: Floor) -> None:
    floor.happened(said(floor.talk("a1"), "call 09121234567 or b12 please"))
    assert set(session.scalars(select(VocabularyWord.word))) == {"call", "or", "please"}
    assert texts(session, "09121234567") == ["call 09121234567 or b12 please"]


def test_what_is_taken_out_of_the_index_is_found_no_more(session: Session, floor: Floor) -> None:
    call = floor.talk("a1")
    floor.happened(said(call, "my parcel"), said(call, "my secret"))
    (hit,) = transcripts(session, "secret").items
    fts.remove(session, {hit.utterance.number: hit.utterance.text})
    assert texts(session, "secret") == texts(session, "sekret") == []
    assert texts(session, "my") == ["my parcel"]
    seen = {one.word: one.seen for one in session.scalars(select(VocabularyWord))}
    assert seen == {"my": 1, "parcel": 1}
    assert set(session.scalars(select(VocabularyForm.word))) == {"my", "parcel"}


@pytest.mark.parametrize("enough", [1, 100])
def test_what_is_frequent_is_found_newest_first_without_reading_all(
    session: Session, floor: Floor, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    for name, value in (("SORTED", 0), ("NEWEST", 4), ("ENOUGH", enough)):
        monkeypatch.setattr(finding, name, value)
    call = floor.talk("a1")
    floor.happened(*(said(call, f"{('a parcel', 'a letter')[n % 2]} {n}") for n in range(12)))
    shown: list[str] = []
    cursor = None
    for _ in range(9):
        page = transcripts(session, '"a parcel"', limit=2, cursor=cursor)
        shown += [hit.utterance.text for hit in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert (shown, cursor) == ([f"a parcel {n}" for n in (10, 8, 6, 4, 2, 0)], None)
