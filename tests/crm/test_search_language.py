"""What people type into the search, and what the index is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.crm.fts.query import MOST_TERMS, Part, Query, Term, parse
from callcenter.crm.fts.spelling import forms, slips
from callcenter.crm.fts.wanted import Chain, Wanted, fts5, marked, tsquery, vector


def phrase(text: str, *, joint: bool = False) -> Part:
    terms = (Term(word.rstrip("*"), word.endswith("*")) for word in text.split())
    return Part((tuple(terms),), joint=joint)


def near(one: str, other: str, apart: int) -> Part:
    return Part((phrase(one).phrases[0], phrase(other).phrases[0]), apart)


@pytest.mark.parametrize(
    ("typed", "must", "without"),
    [
        ("refund invoice", [phrase("refund"), phrase("invoice*")], []),
        ('"cancel my contract"', [phrase("cancel my contract")], []),
        ("«لغو قرارداد» فوری", [phrase("لغو قرارداد"), phrase("فوری*")], []),
        ("“a b” c", [phrase("a b"), phrase("c")], []),
        ("refund ~3 invoice", [near("refund", "invoice", 3)], []),
        ("refund ~ invoice", [near("refund", "invoice", 5)], []),
        ("refund ~۳ invoice", [near("refund", "invoice", 3)], []),
        ("refund ~999 invoice", [near("refund", "invoice", 20)], []),
        ('"cancel my" ~2 contract', [near("cancel my", "contract", 2)], []),
        ("a ~1 b ~2 c", [near("a", "b", 1), near("b", "c", 2)], []),
        ("invoice -refund", [phrase("invoice")], [phrase("refund")]),
        ('invoice -"my boss"', [phrase("invoice")], [phrase("my boss")]),
        ("can* invoice", [phrase("can*"), phrase("invoice*")], []),
        ('צה"ל גדול', [phrase("צהל"), phrase("גדול*")], []),
        ('"צה"ל גדול" מאוד', [phrase("צהל גדול"), phrase("מאוד*")], []),
        ("می\u200cخواهم پول", [phrase("می خواهم", joint=True), phrase("پول*")], []),
        ("twenty-five euros", [phrase("twenty five", joint=True), phrase("euros*")], []),
        ('open "quote to the end', [phrase("open"), phrase("quote to the end")], []),
        ("~ alone", [phrase("alone*")], []),
        ("alone ~4", [phrase("alone*")], []),
        ("a - b", [phrase("a"), phrase("b")], []),
        ("-only -without", [], [phrase("only"), phrase("without")]),
        ("", [], []),
        ("* \" -- ~ '", [], []),
    ],
)
def test_what_is_typed_is_understood(typed: str, must: list[Part], without: list[Part]) -> None:
    assert parse(typed) == Query(tuple(must), tuple(without))


@given(st.text(alphabet="ab ~-*\"«»12\0'()א\u200cی", max_size=80))
def test_nothing_that_is_typed_is_an_error(typed: str) -> None:
    query = parse(typed)
    assert len(query.terms) <= 2 * MOST_TERMS
    assert all(term.text and " " not in term.text for term in query.terms)
    chains = tuple(
        (Chain(tuple(_plain(p) for p in part.phrases), part.apart),) for part in query.must
    )
    for spelled in (fts5(Wanted(chains)), tsquery(Wanted(chains))):
        assert spelled.count("(") == spelled.count(")")


def _plain(terms: tuple[Term, ...]) -> tuple[str, ...]:
    return tuple(term.text for term in terms)


def test_both_databases_are_asked_for_the_same() -> None:
    wanted = Wanted(
        must=(
            (Chain((("refund",),)), Chain((("re", "fund"),))),
            (Chain((("my",), ("bad", "boss")), apart=1),),
        ),
        without=((Chain((("never",),)),),),
    )
    assert fts5(wanted) == (
        '(("refund" OR "re fund") AND (NEAR("my" "bad boss", 1))) NOT (("never"))'
    )
    assert tsquery(wanted) == (
        "(('refund') | ('re' <-> 'fund')) & ((('my') & ('bad' <-> 'boss') & "
        "(('my') <1> ('bad' <-> 'boss')|"
        "('bad' <-> 'boss') <1> ('my')|('my') <2> ('bad' <-> 'boss')|"
        "('bad' <-> 'boss') <2> ('my')))) & !(('never'))"
    )
    assert vector(["no", "no", "thanks"]) == "'no':1,2 'thanks':3"


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("invoice", "invoice", 0),
        ("invoice", "invoise", 1),
        ("invoice", "invoic", 1),
        ("invoice", "invvoice", 1),
        ("invoice", "invocie", 1),
        ("קבלה", "חבלה", 1),
        ("قرارداد", "غرارداد", 1),
        ("kitten", "sitting", 3),
    ],
)
def test_slips_are_counted_as_people_make_them(one: str, other: str, count: int) -> None:
    assert slips(one, other) == slips(other, one) == count
    if count == 1:
        assert forms(one) & forms(other)


def test_a_hit_marks_the_words_and_keeps_the_text() -> None:
    wanted = Wanted(must=((Chain((("شرکت",),)),), (Chain((("پست", "نیست"),)),)))
    pieces = marked("شركت ما، پست نيست و پست", wanted)
    assert "".join(piece.text for piece in pieces) == "شركت ما، پست نيست و پست"
    assert [piece.text for piece in pieces if piece.hit] == ["شركت", "پست نيست"]
    assert [piece.hit for piece in marked("nothing here", wanted)] == [False]


def test_a_word_with_a_joiner_is_marked_whole() -> None:
    wanted = Wanted(must=((Chain((("می", "خواهم"),)),),))
    pieces = marked("پول می\u200cخواهم!", wanted)
    assert [piece.text for piece in pieces if piece.hit] == ["می\u200cخواهم!"]
