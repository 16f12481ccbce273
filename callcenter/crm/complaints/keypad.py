"""Codes on the keys of a telephone: letters by the key on which they stand (ITU-T E.161). Pure."""

from __future__ import annotations

_KEYS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


def pressed(code: str) -> str:
    """The seven keys of a code: `C-7K3F9XA` is 7 5 3 3 9 9 2. Other codes may have the same."""
    return code.removeprefix("C-").translate(_KEYS)
