"""Wrapping one key with another: AES-256-GCM under a random nonce, bound to whose key it is."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcenter.errors import RecordingError

KEY_BYTES = 32
_NONCE_BYTES = 12


def new_key() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(KEY_BYTES)


def name_of(master: bytes) -> str:
    """Names a master key and tells nothing of it: 16 hexadecimal digits."""
    return hashlib.sha256(b"callcenter master key\0" + master).hexdigest()[:16]


def wrap(wrapping: bytes, key: bytes, owner: str) -> bytes:
    """Nonce and `key` under `wrapping`; opens only for the same `owner`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(wrapping).encrypt(nonce, key, owner.encode())


def unwrap(wrapping: bytes, wrapped: bytes, owner: str) -> bytes:
    """The key. Raises RecordingError where it is not as it was wrapped."""
    try:
        opener = AESGCM(wrapping)
        return opener.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], owner.encode())
    except (InvalidTag, ValueError) as error:
        raise RecordingError(f"the key of {owner} was changed in the database") from error
