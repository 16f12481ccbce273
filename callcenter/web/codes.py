"""Codes that people type: time-based ones (RFC 6238), recovery codes, and the picture to scan."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from callcenter.crm.text import fold_digits

PERIOD = 30  # seconds that a code is shown
DIGITS = 6
LENIENT = 1  # codes before and after are taken too: clocks differ, people type slowly (section 5.2)
SECRET_BYTES = 20
RECOVERY_CODES = 10
_GROUPS, _GROUP = 4, 6  # 24 characters of 32: 120 bits, so a plain hash keeps them safe


def new_secret() -> bytes:
    """160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(SECRET_BYTES)


def spelled(secret: bytes) -> str:
    """The secret as authenticator apps take it by hand."""
    return base64.b32encode(secret).decode()


def code_at(secret: bytes, step: int) -> str:
    """The code of that time step (Unix time // PERIOD)."""
    return _generator(secret).generate(step).decode()


def step_of(secret: bytes, code: str, at: float) -> int | None:
    """The time step that the code belongs to, near `at` (Unix time); None for a wrong code."""
    typed, now = plain(code).encode(), int(at) // PERIOD
    found = None
    for step in range(max(0, now - LENIENT), now + LENIENT + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), typed):
            found = step
    return found


def address(secret: bytes, username: str, issuer: str) -> str:
    """The otpauth:// address that an authenticator app reads."""
    generator = TOTP(secret, DIGITS, SHA1(), PERIOD)  # noqa: S303 - what every app knows
    return generator.get_provisioning_uri(username, issuer.replace(":", " "))


def picture(text: str) -> str:
    """A QR code as a data: address of an SVG, dark on white in every theme."""
    return str(segno.make(text, error="m").svg_data_uri(scale=5, border=3, light="#fff"))


def recovery_codes() -> list[str]:
    """Codes such as abcdef-ghijkl-mnopqr-stuvwx, each for one use."""
    return [_recovery_code() for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> str:
    """Under which a recovery code is kept."""
    return hashlib.sha256(plain(code).encode()).hexdigest()


def plain(code: str) -> str:
    """What was typed, without what only helps reading; digits of any script."""
    folded = fold_digits(code).lower()
    return "".join(char for char in folded if char.isalnum())


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(15)).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, _GROUPS * _GROUP, _GROUP))


def _generator(secret: bytes) -> HOTP:
    return HOTP(secret, DIGITS, SHA1())  # noqa: S303 - what every authenticator app knows
