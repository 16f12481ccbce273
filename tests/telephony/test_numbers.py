"""Numbers as agents type them and as trunks want them."""

from __future__ import annotations

import pytest

from callcenter.telephony.numbers import Style, dialled, written


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("0912 123 4567", "IR", "+989121234567"),
        ("۰۹۱۲-۱۲۳-۴۵۶۷", "IR", "+989121234567"),
        ("\u200f912 123 4567\u200e", "IR", "+989121234567"),
        ("(+98) 912 123 4567", "IL", "+989121234567"),
        ("00972 50 234 5678", "IR", "+972502345678"),
        ("050-234-5678", "IL", "+972502345678"),
        ("989121234567+", "IR", "+989121234567"),
    ],
)
def test_what_people_type_is_read_with_the_region(text: str, region: str, e164: str) -> None:
    number = dialled(text, region)
    assert number is not None
    assert number.e164 == e164
    assert number.valid
    assert not number.costly


@pytest.mark.parametrize(
    "text", ["", "112", "911", "hello", "sip:boss@evil.example", "*21*5#", "+"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    number = dialled(text, "IR")
    assert number is None or not number.valid


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+1 900 555 1234", "premium"),
        ("+972 1 900 123456", "premium"),
        ("+44 70 1234 5678", "personal"),
        ("+49 180 5 123456", "shared cost"),
        ("+8816 1234 5678", "satellite"),
        ("+881 6 31 123456", "satellite"),
        ("+882 13 000000", "network"),
        ("+883 5100 001234", "network"),
        ("+870 773 111 632", "satellite"),
        ("+979 123 456 789", "premium"),
    ],
)
def test_costly_numbers_are_known(text: str, why: str) -> None:
    number = dialled(text, "IR")
    assert number is None or number.costly, why


@pytest.mark.parametrize(
    ("style", "region", "prefix", "expected"),
    [
        ("e164", "IR", "", "+989121234567"),
        ("digits", "IR", "", "989121234567"),
        ("national", "IR", "", "09121234567"),
        ("national", "IR", "9", "909121234567"),
        ("national", "IL", "", "00989121234567"),
        ("international", "IR", "", "00989121234567"),
        ("international", "US", "", "011989121234567"),
    ],
)
def test_a_trunk_gets_numbers_as_it_wants_them(
    style: Style, region: str, prefix: str, expected: str
) -> None:
    assert written("+989121234567", style, region, prefix) == expected
