"""Which digits may not be kept: card numbers and national ids, by their check digits.

A check digit fits one number in ten by chance, so the form counts as well: who issues cards
(ISO/IEC 7812), what telephone numbers look like. Where somebody spoke of a card or an id
shortly before (a *cue*) less is asked: recognisers miscount repeated digits.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

from callcenter.redaction import lexicon

Country = Literal["ir", "il"]
Cue = Literal["card", "national_id"]

LEAST_CARD, MOST_CARD = 13, 19
_MISCOUNTED = range(15, 22)
"""Digits of a card number of 16 in which the recogniser lost or doubled some."""
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{17,18})"  # Visa
    r"|(?:5[1-5]|2[2-7])\d{14}"  # Mastercard, Mir
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35\d{14,17}"  # JCB
    r"|(?:50|5[6-9]|6\d)\d{11,17}"  # the Iranian banks, UnionPay, Discover, Maestro
)
_OF_CARDS = """
    card cards visa mastercard amex maestro credit debit
    کارت کارتم کارتتون کارتتان ویزا عابربانک
    כרטיס הכרטיס בכרטיס אשראי האשראי ויזה
"""
_OF_IDS = """
    identity identification passport کدملی ملی شناسنامه זהות הזהות תז
"""
_CUES: dict[Cue, frozenset[str]] = {
    "card": frozenset(_OF_CARDS.split()),
    "national_id": frozenset(_OF_IDS.split()) | {"national id", "id number"},
}
_WORD = re.compile(r"[^\W\d_]+(?:['\"״׳][^\W\d_]+)?")


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def is_card(digits: str, *, cued: bool = False) -> bool:
    """Whether the digits are a card number."""
    if digits[:1] in ("", "0"):  # telephone numbers begin with 0, cards do not
        return False
    if LEAST_CARD <= len(digits) <= MOST_CARD and luhn(digits) and len(set(digits)) > 1:
        return cued or len(digits) == 16 or bool(_ISSUERS.fullmatch(digits))
    return cued and len(digits) in _MISCOUNTED


def issued_card(digits: str) -> bool:
    """Whether a known issuer's card number checks; asked of a part of a longer run."""
    return bool(_ISSUERS.fullmatch(digits)) and luhn(digits)


def is_national_id(digits: str, country: Country, *, cued: bool = False) -> bool:
    """Whether the digits are an id of that country.

    Iran: ten digits, the last checks the others modulo 11. Israel: nine, as Luhn's.
    """
    if len(set(digits)) < 2:
        return False
    if country == "ir":
        return len(digits) == 10 and _checks_ir(digits) and (cued or digits[0] != "9")
    like_phone = digits[:1] == "5" or digits[:2] in ("02", "03", "04", "08", "09")
    return len(digits) == 9 and luhn(digits) and (cued or not like_phone)


def _checks_ir(digits: str) -> bool:
    rest = sum(int(char) * (10 - place) for place, char in enumerate(digits[:9])) % 11
    return int(digits[9]) == (rest if rest < 2 else 11 - rest)


def cues(text: str) -> frozenset[Cue]:
    """Of what the text speaks."""
    words = [lexicon.key(word) for word in _WORD.findall(text)]
    said = {*words, *(" ".join(pair) for pair in pairwise(words))}
    return frozenset(cue for cue, known in _CUES.items() if said & known)
