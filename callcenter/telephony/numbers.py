"""Numbers that are dialled: read as a person wrote them, written as a trunk wants them. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

Style = Literal["e164", "digits", "international", "national"]

_DRESS = re.compile(r"[\s()\[\]/._\-‐-―−·•]+")
_COSTLY_TYPES = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
# Codes of no country (ITU-T E.164, list of assigned codes): satellites 870 and 881, networks
# 882 and 883, universal personal 878, premium 979, shared cost 808, and 88x not yet given away.
_COSTLY_CODES = frozenset({808, 870, 878, 881, 882, 883, 888, 979})


@dataclass(frozen=True, slots=True)
class Dialled:
    """A number to call. `valid`: of a range that is in use, as far as is known."""

    e164: str
    region: str | None
    valid: bool
    costly: bool


def dialled(text: str, region: str) -> Dialled | None:
    """What somebody typed, read as in `region`; None for what is no telephone number."""
    plain = _plain(text)
    try:
        number = phonenumbers.parse(plain, region)
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    kind = phonenumbers.number_type(number)
    return Dialled(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        region=phonenumbers.region_code_for_number(number),
        valid=phonenumbers.is_valid_number(number),
        costly=kind in _COSTLY_TYPES or number.country_code in _COSTLY_CODES,
    )


def written(e164: str, style: Style, region: str, prefix: str = "") -> str:
    """The number as a trunk in `region` wants it, `prefix` before it."""
    if style == "e164":
        return prefix + e164
    if style == "digits":
        return prefix + e164.removeprefix("+")
    number = phonenumbers.parse(e164, None)
    at_home = number.country_code == phonenumbers.country_code_for_region(region)
    if style == "national" and at_home:
        text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        return prefix + re.sub(r"\D", "", text)
    return prefix + _abroad(region) + e164.removeprefix("+")


def _abroad(region: str) -> str:
    """What is dialled there before a country code; 00 where there are several (ITU-T E.164)."""
    known = phonenumbers.PhoneMetadata.metadata_for_region(region)
    usual = (known.preferred_international_prefix or known.international_prefix) if known else ""
    return usual if usual and usual.isdecimal() else "00"


def _plain(text: str) -> str:
    """Digits of every script as 0–9, without what people put between them."""
    shown = "".join(char for char in text if unicodedata.category(char) != "Cf")
    shown = "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in unicodedata.normalize("NFKC", shown)
    )
    plain = _DRESS.sub("", shown)
    return "+" + plain[:-1] if plain.endswith("+") and plain[:-1].isdigit() else plain
