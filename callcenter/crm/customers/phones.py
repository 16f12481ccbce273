"""Telephone numbers as people and switches write them, made canonical. Pure.

A number has two keys: E.164 (`+989121234567`), and the national significant number
(`9121234567`), by which a number written without its country still finds its owner. What is
an extension is split off first and never takes part in matching.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

from callcenter.crm.text import fold_digits
from callcenter.errors import Invalid

_EXTENSION = re.compile(
    r"\s*(?:;\s*ext\s*=|[,;#]+|\bext(?:ension)?\b\.?|\bext\.?(?=\d)|x|داخلی|داخلي|שלוחה|שלוחת)"
    r"[\s.:#]*(\d{1,10})\s*#?\s*$",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(r";(?!\s*ext\s*=)\s*[a-z-]+=.*$", re.IGNORECASE)
_DRESS = re.compile(r"[\s()\[\]/._\-‐-―−·•*~]+")
_SHORTEST = 5  # of a number worth storing
_SHORTEST_KEY, _LONGEST_KEY = 7, 15  # shorter ones are service numbers: every country has them


@dataclass(frozen=True, slots=True)
class Number:
    """A canonical number. `international`: it came with its country code, no guess needed."""

    e164: str
    national: str
    extension: str | None
    international: bool
    region: str | None
    """The country the number belongs to, where it is known."""


def canonical(text: str | None, region: str) -> Number | None:
    """The number in the text, read as in `region`; None for what is no number or withheld."""
    plain, extension = _split(text or "")
    digits = plain.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return None
    explicit = plain.startswith("+")
    parsed = _parse(plain, region) if explicit else _guess(digits, region)
    if parsed is None:
        return None
    number, sure = parsed
    # Without leading zeros (Italy keeps them): two countries' spellings then meet.
    national = phonenumbers.national_significant_number(number).lstrip("0")
    if len(national) < _SHORTEST:
        return None
    return Number(
        e164=phonenumbers.format_number(number, PhoneNumberFormat.E164),
        national=national,
        extension=extension,
        international=explicit or sure,
        region=phonenumbers.region_code_for_number(number),
    )


def required(text: str, region: str, *, field: str = "number") -> Number:
    """The canonical number; Invalid names the field where there is none."""
    number = canonical(text, region)
    if number is None:
        raise Invalid(
            "this is no telephone number: write it with its area code or with + and country",
            {field: "is no telephone number"},
        )
    return number


@dataclass(frozen=True, slots=True)
class Keys:
    """What to look a number up by; `national` alone where the region does not know it."""

    e164: str | None
    national: str | None
    international: bool


def keys(text: str | None, region: str) -> Keys | None:
    """The keys of the number in the text; None for what is no number or withheld.

    A number that cannot be one of the region may still be one of another, written as at home:
    it is looked up by its digits without the leading zero.
    """
    number = canonical(text, region)
    if number is not None:
        return Keys(number.e164, _key(number.national), number.international)
    plain, _ = _split(text or "")
    if not plain.isascii() or not plain.isdigit():
        return None
    national = _key(plain.lstrip("0"))
    return Keys(None, national, False) if national else None


def _key(national: str) -> str | None:
    return national if _SHORTEST_KEY <= len(national) <= _LONGEST_KEY else None


def _split(text: str) -> tuple[str, str | None]:
    """(`+` and digits, extension); the first part keeps whatever is no number."""
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = unicodedata.normalize("NFKC", fold_digits(text)).strip()
    text = re.sub(r"^(?:sips?|tel|callto):", "", text, flags=re.IGNORECASE).split("@")[0]
    text = _PARAMETERS.sub("", text)
    extension = None
    if found := _EXTENSION.search(text):
        head = text[: found.start()]
        if sum(char.isdigit() for char in head) >= 3:
            text, extension = head, found[1]
    text = re.sub(r"^\s*\((\+[^)]*)\)", r"\1", text)
    if text.startswith(("+", "00")):
        text = text.replace("(0)", "")
    plain = _DRESS.sub("", text)
    # What people write behind a number in right-to-left text: 912…98+
    if plain.endswith("+") and plain[:-1].isdigit():
        plain = "+" + plain[:-1]
    if plain.startswith("00") and len(plain) > 7:
        plain = "+" + plain[2:]
    return plain, extension


def _parse(text: str, region: str | None) -> tuple[PhoneNumber, bool] | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    return (number, True) if phonenumbers.is_possible_number(number) else None


def _guess(digits: str, region: str) -> tuple[PhoneNumber, bool] | None:
    """First as in the region; where that is no number in use, with the country code inside."""
    here = _parse(digits, region)
    if here and phonenumbers.is_valid_number(here[0]):
        inside = digits.startswith(str(here[0].country_code)) and len(digits) > 10
        return here[0], inside
    abroad = _parse("+" + digits, None) if not digits.startswith("0") else None
    if abroad and phonenumbers.is_valid_number(abroad[0]):
        return abroad[0], False
    best = here or abroad
    return (best[0], False) if best else None
