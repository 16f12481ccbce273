"""Passwords: which are taken, and their hashes (argon2id, RFC 9106). No Flask here: the command
line uses it too."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from callcenter.errors import Invalid, PasswordLeaked

if TYPE_CHECKING:
    from callcenter.web.leaked import LeakedPasswords

SHORTEST = 8
LONGEST = 1024
_GUESSED = 2
"""zxcvbn's score below which somebody gets in who guesses a few times a minute for a year."""
_LOOKED_AT = 72  # characters: what is longer is judged by its beginning
_HASHER = PasswordHasher()  # 64 MiB, 3 passes, 4 lanes
_AT_ONCE = threading.BoundedSemaphore(2)  # 64 MiB each: a flood of sign-ins must not fill memory


def chosen(
    password: str, *, about: Sequence[str] = (), leaked: LeakedPasswords | None = None
) -> str:
    """The argon2id hash of a password that a person chose.

    `about`: names of the person and the site, which others guess first; `leaked`: the site's
    list. Raises Invalid for one that is no password or is guessed, PasswordLeaked for one in the
    list, Unavailable where the list cannot be used.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        sentence = f"a password has {SHORTEST} to {LONGEST} characters"
        raise Invalid(sentence, {"password": sentence})
    if is_guessed(password, about):
        sentence = "this password is guessed easily: take words that do not belong together"
        raise Invalid(sentence, {"password": sentence})
    if leaked is not None and leaked.holds(password):
        sentence = "this password is in a list of leaked ones: take another, that you use nowhere"
        raise PasswordLeaked(sentence, {"password": sentence})
    return hashed(password)


def hashed(password: str) -> str:
    """The argon2id hash of a password that the system made; it is not judged."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_guessed(password: str, about: Sequence[str] = ()) -> bool:
    """Whether it is among what is tried first: known passwords, names, dates, rows of keys.

    (NIST SP 800-63B 3.1.1.2: no rules about signs, but a list of what is refused.)
    """
    from zxcvbn import zxcvbn  # its lists take a moment; most processes need none

    words = ["callcenter", *(part for one in about for part in (one, *one.split()) if part)]
    return bool(zxcvbn(password[:_LOOKED_AT], user_inputs=words)["score"] < _GUESSED)


def matches(known: str | None, password: str) -> bool:
    """Whether the password belongs to the hash; takes equally long when there is no hash."""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(known or _nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
    return right and known is not None


def _nobody() -> str:
    """A hash that no password has, with the cost of the real ones."""
    global _NOBODY
    if _NOBODY is None:
        _NOBODY = _HASHER.hash(secrets.token_urlsafe(32))
    return _NOBODY


_NOBODY: str | None = None
