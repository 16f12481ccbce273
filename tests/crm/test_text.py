from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.crm.text import checked, fold_digits, normalize
from callcenter.errors import Invalid


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("شركت", "شرکت"),
        ("علي", "علی"),
        ("موسى", "موسی"),
        ("فاطمة", "فاطمه"),
        ("خانۀ", "خانه"),
        ("خانهٔ", "خانه"),
        ("آب", "اب"),
        ("أحمد", "احمد"),
        ("مسئول", "مسيول"),
        ("مؤمن", "مومن"),
        ("مُحَمَّد", "محمد"),
        ("ســلام", "سلام"),
        ("می\u200cخواهم", "می خواهم"),
        ("۱۲۳", "123"),
        ("٤٥٦", "456"),
        ("שָׁלוֹם", "שלום"),
        ("צה״ל", "צהל"),
        ("דואר־אלקטרוני", "דואר אלקטרוני"),
        ("Café", "CAFE"),
        ("STRASSE", "straße"),
        ("O'Brien", "OBrien"),
        ("ﻻ", "لا"),
        ("a\u200eb", "ab"),
    ],
)
def test_two_spellings_are_one_for_search(one: str, other: str) -> None:
    assert normalize(one) == normalize(other) != ""


def test_different_words_stay_different() -> None:
    assert (
        len({normalize(word) for word in ("سلام", "کلام", "שלום", "שלומי", "hello", "hell")}) == 6
    )


@given(st.text(max_size=60))
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once


@given(st.text(alphabet="۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩0123456789", max_size=20))
def test_digits_of_every_script_become_ascii(text: str) -> None:
    assert fold_digits(text).isascii()
    assert len(fold_digits(text)) == len(text)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 11])
def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked("notes", text, most=10)
    assert list(refused.value.fields) == ["notes"]


@pytest.mark.parametrize("text", ["' OR 1=1;--", "👩‍👩‍👧", "می‌خواهم", "ي ك", "שלום"])
def test_what_people_write_is_stored_as_they_wrote_it(text: str) -> None:
    assert checked("notes", text, most=100) == text
