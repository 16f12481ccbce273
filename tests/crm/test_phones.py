from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.crm.customers.phones import canonical, required
from callcenter.errors import Invalid

MOBILE = "+989121234567"
SAME = [
    "09121234567",
    "0912 123 4567",
    "0912-123-4567",
    "0912/123 4567",
    "(0912) 123-4567",
    "0912.123.4567",
    "0912_123_4567",
    "912 123 4567",
    "9121234567",
    "+989121234567",
    "+98 912 123 4567",
    "+98 (0) 912 123 4567",
    "+98-912-123-4567",
    "(+98) 912 1234567",
    "00989121234567",
    "0098 912 123 4567",
    "00 98 912 123 4567",
    "989121234567",
    "۰۹۱۲۱۲۳۴۵۶۷",
    "۰۹۱۲ ۱۲۳ ۴۵۶۷",
    "٠٩١٢١٢٣٤٥٦٧",
    "+۹۸۹۱۲۱۲۳۴۵۶۷",
    "۰۰۹۸۹۱۲۱۲۳۴۵۶۷",
    "＋９８９１２１２３４５６７",
    "\u200e+98 912 123 4567\u200f",
    "\u202a+989121234567\u202c",
    "\u2066+989121234567\u2069",
    " 09121234567\n",
    "0912\u00a0123\u00a04567",
    "0912\u2011123\u20114567",
    "0912–123–4567",
    "tel:+989121234567",
    "sip:+989121234567@trunk.example",
    "sips:09121234567@10.0.0.1",
    "+989121234567;phone-context=example.org",
    "09121234567 ext 12",
    "09121234567 ext. 12",
    "09121234567x12",
    "09121234567 x 12",
    "09121234567;ext=12",
    "09121234567#12",
    "09121234567,12",
    "09121234567,,12#",
    "09121234567 extension 12",
    "۰۹۱۲۱۲۳۴۵۶۷ داخلی ۱۲",
    "09121234567 שלוחה 12",
]


@pytest.mark.parametrize("typed", SAME)
def test_every_spelling_of_an_iranian_mobile_is_the_same_number(typed: str) -> None:
    number = canonical(typed, "IR")
    assert number is not None
    assert number.e164 == MOBILE
    assert number.national == "9121234567"


@pytest.mark.parametrize(
    ("typed", "region", "e164"),
    [
        ("021 8888 1234", "IR", "+982188881234"),
        ("054-123-4567", "IL", "+972541234567"),
        ("+972-54-123-4567", "IR", "+972541234567"),
        ("00972541234567", "IR", "+972541234567"),
        ("972541234567", "IL", "+972541234567"),
        ("972541234567", "IR", "+972541234567"),
        ("03-6123456", "IL", "+97236123456"),
        ("020 7031 3000", "GB", "+442070313000"),
        ("+44 (0)20 7031 3000", "IR", "+442070313000"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("1-202-555-0123", "US", "+12025550123"),
        ("06 6982 1234", "IT", "+390669821234"),
        ("030 901820", "DE", "+4930901820"),
    ],
)
def test_a_number_without_its_country_is_read_as_of_the_region(
    typed: str, region: str, e164: str
) -> None:
    number = canonical(typed, region)
    assert number is not None
    assert number.e164 == e164


@pytest.mark.parametrize("typed", SAME[35:])
def test_an_extension_is_split_off(typed: str) -> None:
    number = canonical(typed, "IR")
    assert number is not None
    assert number.extension == "12"


@pytest.mark.parametrize(
    "typed",
    [
        None,
        "",
        " ",
        "anonymous",
        "Anonymous",
        "sip:anonymous@anonymous.invalid",
        "Restricted",
        "unavailable",
        "unknown",
        "private",
        "withheld",
        "asterisk",
        "+",
        "++989121234567",
        "alice1234567",
        "201",
        "12",
        "+98",
        "98765432109876543210",
        "\0",
        "' OR 1=1;--",
        "🙂🙂🙂",
        "½½½½½½½½",
    ],
)
def test_withheld_names_and_nonsense_are_no_number(typed: str | None) -> None:
    assert canonical(typed, "IR") is None


def test_what_is_no_number_is_refused_with_the_field_that_holds_it() -> None:
    with pytest.raises(Invalid) as refused:
        required("hello", "IR", field="phones.2.number")
    assert list(refused.value.fields) == ["phones.2.number"]


@given(st.text(max_size=40), st.sampled_from(["IR", "IL", "US", "ZZ"]))
def test_no_text_breaks_the_reader(text: str, region: str) -> None:
    number = canonical(text, region)
    assert number is None or number.e164.startswith("+")


@given(st.integers(min_value=9_100_000_000, max_value=9_199_999_999))
def test_the_canonical_form_is_its_own_canonical_form(national: int) -> None:
    number = canonical(f"0{national}", "IR")
    assert number is not None
    again = canonical(number.e164, "US")
    assert again is not None
    assert (again.e164, again.national) == (number.e164, number.national)
