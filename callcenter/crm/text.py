"""Text as people write it, made comparable: letters, digits, invisible marks.

The same `normalize()` runs before indexing and before searching, so that «شركت» finds
«شرکت» and «שָׁלוֹם» finds «שלום». Stored text is never changed.
"""

from __future__ import annotations

import re
import unicodedata

from callcenter.errors import Invalid

_LETTERS = str.maketrans(
    {
        "ي": "ی", "ى": "ی", "ئ": "ی", "ې": "ی", "ێ": "ی",
        "ك": "ک", "ڪ": "ک",
        "ة": "ه", "ۀ": "ه", "ە": "ه", "ہ": "ه", "ھ": "ه", "ۂ": "ه", "ۃ": "ه",
        "آ": "ا", "أ": "ا", "إ": "ا", "ٱ": "ا",
        "ؤ": "و", "ء": None, "ـ": None,
        "ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ",
        "׳": None, "״": None, "'": None, "’": None, '"': None,
        "\u200c": " ", "\u00ad": None, "־": " ",
    }
)  # fmt: skip
_WORD = re.compile(r"\w+")


def fold_digits(text: str) -> str:
    """Every decimal digit of any script as 0-9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def normalize(text: str) -> str:
    """The text as it is indexed and searched: words in lower case, one space between them.

    Arabic letters become their Persian ones, Hebrew final letters their common form, digits
    0-9; vowel points, accents, tatweel and invisible marks go; the zero-width non-joiner
    parts words.
    """
    spread = unicodedata.normalize("NFKD", _compose(text).translate(_LETTERS))
    kept = "".join(
        char for char in spread.translate(_LETTERS) if unicodedata.category(char) not in _DROPPED
    )
    return " ".join(_WORD.findall(fold_digits(kept).casefold()))


_DROPPED = {"Mn", "Me", "Cf", "Cs"}


def _compose(text: str) -> str:
    """Letter and hamza as one character, so that the table of letters finds it."""
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The normalised words of the text, in their order."""
    return normalize(text).split()


_OVERRIDES = {code: f"[U+{code:04X}]" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def visible(text: str) -> str:
    """The text with controls that turn the order of letters round written out, as [U+202E].

    They can make `gpj.exe` look like `exe.jpg`; what a stranger chose is shown as it is.
    """
    return text.translate(_OVERRIDES)


def checked(field: str, text: str, *, most: int, needed: bool = False) -> str:
    """The text without blanks around it; Invalid names the field that cannot be stored."""
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise Invalid(f"{field} holds a character that is no text", {field: "is no text"})
    text = text.strip()
    if needed and not text:
        raise Invalid(f"{field} is needed", {field: "must not be empty"})
    if len(text) > most:
        raise Invalid(f"{field} is too long", {field: f"must have at most {most} characters"})
    return text
