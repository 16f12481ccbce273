"""Codes of complaints that people can say and type: `C-7K3F9X`. Pure.

Crockford's base 32 (no I, L, O, U) without Z, which leaves a prime number of characters. The
last one checks the others: any single wrong character and any swap of two neighbours is seen,
so that a slip of the tongue never finds somebody else's complaint.
"""

from __future__ import annotations

import re
import secrets

from callcenter.crm.text import fold_digits

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXY"
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})
LENGTH = 6


def new_code() -> str:
    """A fresh code; 31⁶ (887 million) are possible."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"C-{body}{check(body)}"


def check(body: str) -> str:
    """The check character: the weighted sum modulo 31."""
    total = sum((place + 2) * ALPHABET.index(char) for place, char in enumerate(body))
    return ALPHABET[total % len(ALPHABET)]


def read(text: str) -> str | None:
    """The code in what somebody typed; None where it is none or its check fails."""
    plain = re.sub(r"[\W_]", "", fold_digits(text)).upper()
    if plain.startswith("C") and len(plain) == LENGTH + 2:
        plain = plain[1:]
    plain = plain.translate(_ALIKE)
    if len(plain) != LENGTH + 1 or any(char not in ALPHABET for char in plain):
        return None
    return f"C-{plain}" if check(plain[:-1]) == plain[-1] else None
