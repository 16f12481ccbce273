"""Two hundred invented customers in three languages, always the same ones.

Plain values; `data.py` makes records of them. Numbers are of ranges kept for fiction where the
country has one (+44 7700 900xxx, +1 xxx 555 01xx) and possible but invented elsewhere.
"""

# ruff: noqa: SIM905 - names read best as a line of words

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

COUNT = 200
SEED = 20_100

_FA_FIRST = (
    "مریم زهرا فاطمه نرگس سارا الهام لیلا شیرین پریسا نازنین "
    "علی محمد حسین رضا امیر مهدی سعید بهرام کاوه آرش"
).split()
_FA_LAST = (
    "احمدی محمدی رضایی کریمی حسینی موسوی جعفری صادقی نوری اکبری قاسمی شریفی رستمی کاظمی فرهادی"
).split()
_FA_FIRMS = (
    "بازرگانی سپهر",
    "صنایع غذایی آفتاب",
    "پخش نوین",
    "شرکت ساختمانی البرز",
    "داروخانه مهر",
)
_FA_PLACES = (
    "تهران، خیابان ولیعصر",
    "اصفهان، چهارباغ",
    "شیراز، خیابان زند",
    "مشهد، بلوار وکیل‌آباد",
)

_HE_FIRST = (
    "נועה תמר שירה יעל מיכל רחל דנה אסתר מאיה הילה דוד יוסף משה איתן אורי יונתן אבי עמית רון גיל"
).split()
_HE_LAST = (
    "כהן לוי מזרחי פרץ ביטון דהן אברהם פרידמן שפירא אזולאי גבאי חדד כץ רוזן ברק שלום"
).split()
_HE_FIRMS = ("גלבוע שיווק", "מאפיית הכרם", "נגריית השרון", "אופק מחשבים", "משתלת הגליל")
_HE_PLACES = ("תל אביב, דיזנגוף", "חיפה, שדרות הנשיא", "ירושלים, יפו", "באר שבע, רגר")

_EN_FIRST = (
    "Grace Emily Sophie Hannah Olivia Ruth Alice Megan Laura Claire "
    "James Daniel Thomas Oliver Henry George Peter Samuel Adam Martin"
).split()
_EN_LAST = (
    "Smith Jones Taylor Brown Wilson Evans Walker Wright Green Hughes Edwards Turner Cooper Ward"
).split()
_EN_FIRMS = (
    "Harbour Foods",
    "Northgate Supplies",
    "Oakfield Dental",
    "Pine Street Books",
    "Delta Lifts",
)
_EN_PLACES = (
    "London, Camden Road",
    "Leeds, Park Row",
    "New York, Broadway",
    "Bristol, Queen Square",
)

Kind = Literal["person", "company"]
Language = Literal["fa", "he", "en"]


@dataclass(frozen=True, slots=True)
class Invented:
    """A customer as the CRM takes one. `phones` are (number, region, label)."""

    name: str
    kind: Kind
    language: Language
    region: str
    phones: tuple[tuple[str, str, str], ...]
    emails: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True)
class _Country:
    first: list[str]
    last: list[str]
    firms: tuple[str, ...]
    places: tuple[str, ...]


_COUNTRIES: dict[Language, _Country] = {
    "fa": _Country(_FA_FIRST, _FA_LAST, _FA_FIRMS, _FA_PLACES),
    "he": _Country(_HE_FIRST, _HE_LAST, _HE_FIRMS, _HE_PLACES),
    "en": _Country(_EN_FIRST, _EN_LAST, _EN_FIRMS, _EN_PLACES),
}


def invent() -> list[Invented]:
    """The customers, in the order in which they became customers."""
    random = Random(SEED)  # noqa: S311 - sample data
    shares: dict[Language, int] = {"fa": 80, "he": 50, "en": COUNT - 130}
    languages = [language for language, share in shares.items() for _ in range(share)]
    random.shuffle(languages)
    return [_one(random, index, language) for index, language in enumerate(languages)]


def _one(random: Random, index: int, language: Language) -> Invented:
    country = _COUNTRIES[language]
    company = random.random() < 0.2
    name = f"{random.choice(country.first)} {random.choice(country.last)}"
    if company:
        name = f"{random.choice(country.firms)} {_digits(index + 1, language)}"
    region = {"fa": "IR", "he": "IL", "en": random.choice(("GB", "US"))}[language]
    phones = [(_number(region, index), region, "mobile")]
    if company or random.random() < 0.25:
        phones.append((_number(region, index + 500), region, "office" if company else "home"))
    place = f"{random.choice(country.places)} {_digits(random.randint(1, 180), language)}"
    emails = (f"customer{index + 1}@example.com",) if random.random() < 0.6 else ()
    kind: Kind = "company" if company else "person"
    return Invented(name, kind, language, region, tuple(phones), emails, place)


def _digits(number: int, language: Language) -> str:
    """As the language writes a number."""
    western = str(number)
    return (
        western.translate({48 + d: 0x06F0 + d for d in range(10)}) if language == "fa" else western
    )


def _number(region: str, index: int) -> str:
    """A number nobody else of these has; `index` below 1000."""
    if region == "IR":
        return f"+98912{3_000_000 + index * 4_271 % 900_000:07d}"
    if region == "IL":
        return f"+97254{2_000_000 + index * 3_877 % 900_000:07d}"
    if region == "GB":
        return f"+447700900{index:03d}"
    area = (212, 415, 312, 617, 206, 303, 404, 512, 713, 702)[index // 100]
    return f"+1{area}55501{index % 100:02d}"
