"""Sealing of small secrets that have to be read again: AES-256-GCM with a key from a file."""

from __future__ import annotations

import base64
import secrets
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callcenter.crm.chains import keys
from callcenter.errors import ConfigError

FILE = "factors.secret"
_NONCE = 12


class Seal:
    """The key is read, or made, when it is needed first."""

    def __init__(self, folder: Path, file: Path | None = None) -> None:
        self._own = folder / FILE
        self._file = file

    @cached_property
    def _cipher(self) -> AESGCM:
        key = keys.read(self._file) if self._file else keys.read_or_make(self._own)
        return AESGCM(bytes.fromhex(key.mac(b"callcenter factors 1")))

    def close(self, secret: bytes, owner: str) -> str:
        """The secret, readable again with this key for this owner only. Raises ConfigError."""
        nonce = secrets.token_bytes(_NONCE)
        return base64.b64encode(
            nonce + self._cipher.encrypt(nonce, secret, owner.encode())
        ).decode()

    def open(self, sealed: str, owner: str) -> bytes:
        """What was sealed for that owner. Raises ConfigError."""
        data = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], owner.encode())
        except InvalidTag as error:
            raise ConfigError(
                [f"{self._file or self._own} is not the key that sealed this: put the old one back"]
            ) from error
