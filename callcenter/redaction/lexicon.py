"""The words with which numbers are spoken in English, Persian and Hebrew."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Role = Literal["unit", "ten", "teen", "add_ten", "hundred", "thousand", "repeat", "times", "and"]


@dataclass(frozen=True, slots=True)
class NumberWord:
    """What a word does in a number.

    unit 0–9, teen 10–19, ten 20–90. add_ten: Hebrew «עשרה», 10 alone and teen after a unit.
    hundred, thousand: multiplies what stands before it where `value` is 100 or 1000, else it is
    the value itself («دویست»). repeat: "double". times: «تا», after how often. `joins`: whether
    a ten takes its unit only after "and" (Persian, Hebrew).
    """

    role: Role
    value: int = 0
    joins: bool = False


def _numbered(
    words: str, first: int, step: int, role: Role, *, joins: bool
) -> dict[str, NumberWord]:
    """Words in their order; forms of one number are parted by a slash."""
    return {
        form: NumberWord(role, first + step * place, joins)
        for place, forms in enumerate(words.split())
        for form in forms.split("/")
    }


_AND = NumberWord("and", joins=True)
_WORDS: dict[str, NumberWord] = {
    # English
    **_numbered("zero/oh/o/nought/naught one two three four five six seven eight nine/niner",
                0, 1, "unit", joins=False),
    **_numbered("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
                10, 1, "teen", joins=False),
    **_numbered("twenty thirty forty/fourty fifty sixty seventy eighty ninety",
                20, 10, "ten", joins=False),
    "hundred": NumberWord("hundred", 100),
    "thousand": NumberWord("thousand", 1000),
    "and": NumberWord("and"),
    "double": NumberWord("repeat", 2),
    "triple": NumberWord("repeat", 3),
    "treble": NumberWord("repeat", 3),
    "quadruple": NumberWord("repeat", 4),
    # Persian
    **_numbered("صفر یک دو سه چهار/چار پنج شش/شیش هفت هشت نه", 0, 1, "unit", joins=True),
    **_numbered(
        "ده یازده دوازده سیزده چهارده/چارده پانزده/پونزده شانزده/شونزده "
        "هفده/هیفده هجده/هیجده نوزده",
        10, 1, "teen", joins=True),
    **_numbered("بیست سی چهل/چل پنجاه شصت/شص هفتاد هشتاد نود", 20, 10, "ten", joins=True),
    **_numbered("صد دویست سیصد چهارصد/چارصد پانصد/پونصد ششصد/شیشصد هفتصد هشتصد نهصد",
                100, 100, "hundred", joins=True),
    "هزار": NumberWord("thousand", 1000, joins=True),
    "و": _AND,
    "تا": NumberWord("times"),
    # Hebrew: feminine forms count, masculine ones are heard as well
    **_numbered(
        "אפס אחת/אחד שתיים/שניים/שתים/שנים/שתי/שני שלוש/שלושה/שלושת ארבע/ארבעה/ארבעת "
        "חמש/חמישה/חמשת/חמישת שש/שישה/ששה/ששת שבע/שבעה/שבעת שמונה/שמונת תשע/תשעה/תשעת",
        0, 1, "unit", joins=True),
    "עשר": NumberWord("add_ten", 10, joins=True),
    "עשרה": NumberWord("add_ten", 10, joins=True),
    **_numbered("עשרים שלושים ארבעים חמישים/חמשים שישים/ששים שבעים שמונים תשעים",
                20, 10, "ten", joins=True),
    "מאה": NumberWord("hundred", 100, joins=True),
    "מאות": NumberWord("hundred", 100, joins=True),
    "מאתיים": NumberWord("hundred", 200, joins=True),
    "אלף": NumberWord("thousand", 1000, joins=True),
    "אלפים": NumberWord("thousand", 1000, joins=True),
    "אלפיים": NumberWord("thousand", 2000, joins=True),
    "פעמיים": NumberWord("repeat", 2),
    "כפול": NumberWord("repeat", 2),
}  # fmt: skip

_BETWEEN = """
    uh um er erm ah hm hmm mm eh okay ok yes yeah yep right so then next now dash hyphen space
    stroke to for please comma sorry again
    بعد بعدش بعدی سپس خب خوب اوکی بله آره درسته یعنی اه آ ام فاصله خط تیره
    אה אמ אממ אוקיי אוקי כן ואז אז אחר כך אחרי רווח מקף קו נכון טוב יופי הבא
"""
_OF_AMOUNTS = """
    toman tomans rial rials dollar dollars euro euros pound pounds shekel shekels percent cent cents
    million millions billion billions thousand hundred years year days day months month hours hour
    minutes minute kilometers kilometres
    تومان تومن ریال دلار یورو درصد میلیون میلیارد سال ماه روز ساعت دقیقه نفر
    שקל שקלים שח דולר דולרים יורו אחוז אחוזים מיליון מיליארד שנים שנה ימים יום חודשים שעות דקות
"""
FILLERS = frozenset(_BETWEEN.split())
"""Words between two pieces of a number that do not end it."""

UNITS = frozenset(_OF_AMOUNTS.split())
"""What follows a number that is an amount."""

_MARKS = re.compile("[\u0591-\u05c7\u064b-\u0652\u0640'’׳״\"]")
_LETTERS = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "أ": "ا", "إ": "ا"})


def key(word: str) -> str:
    """The word as it stands in the tables here."""
    return _MARKS.sub("", unicodedata.normalize("NFC", word)).translate(_LETTERS).casefold()


def number_words(word: str) -> tuple[NumberWord, ...]:
    """What a spoken word (see `key`) is in a number; () where it is none.

    "And" may hang on the word: before it in Hebrew («ושלוש»), behind it in Persian («بیستو»).
    """
    if word in _WORDS:
        return (_WORDS[word],)
    if word.startswith("ו") and word[1:] in _WORDS:
        return (_AND, _WORDS[word[1:]])
    if word.endswith("و") and (stem := _WORDS.get(word[:-1])) and stem.role in ("ten", "hundred"):
        return (stem, _AND)
    return ()
