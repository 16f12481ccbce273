"""The keys of the chains: made at first use, in a file that only its owner can read.

New links take the ring's first key. Others in its folder are known too: those of before, and those
of other machines that write into the same database.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from callcenter.errors import ConfigError

LEAST_BYTES = 32
FILE = "chain.key"


@dataclass(frozen=True, repr=False, slots=True)
class Key:
    """A secret for HMAC-SHA-256 (RFC 2104)."""

    secret: bytes

    @property
    def id(self) -> str:
        """Names the key and tells nothing of it: 16 hexadecimal digits."""
        return self.mac(b"id")[:16]

    def mac(self, data: bytes) -> str:
        """64 hexadecimal digits that only a holder of the key can make."""
        return hmac.new(self.secret, data, hashlib.sha256).hexdigest()


class KeyRing:
    """The key for new links, and all that old ones may have been made with; read when needed."""

    def __init__(
        self, signing: Callable[[], Key], others: Callable[[], list[Key]] = lambda: []
    ) -> None:
        self._signing, self._others = signing, others

    @cached_property
    def signing(self) -> Key:
        """What new links are made with. Raises ConfigError."""
        return self._signing()

    @cached_property
    def known(self) -> Mapping[str, Key]:
        """Every key by its id. Raises ConfigError."""
        return {key.id: key for key in [*self._others(), self.signing]}


def ring(folder: Path, file: Path | None = None) -> KeyRing:
    """The keys in `folder`; `file` holds the first one where it lies elsewhere."""

    def others() -> list[Key]:
        return [read(path) for path in sorted(folder.glob("*.key"))]

    if file is not None:
        return KeyRing(lambda: read(file), others)
    return KeyRing(lambda: read_or_make(folder / FILE), others)


def read(path: Path) -> Key:
    """Raises ConfigError: it cannot be read, others can read it, it is too short."""
    secret = read_secret(path)
    if len(secret) < LEAST_BYTES:
        raise ConfigError([f"{path}: found {len(secret)} bytes, allowed: {LEAST_BYTES} or more"])
    return Key(secret)


def read_secret(path: Path) -> bytes:
    """What a file of secrets holds. Raises ConfigError: it cannot be read, others can read it."""
    try:
        mode, secret = path.stat().st_mode, path.read_bytes().strip()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from error
    if mode & 0o077:
        raise ConfigError([f"{path} can be read by others; run: chmod 600 {path}"])
    return secret


def make_secret(path: Path) -> None:
    """A file with a new secret, unless there is one: `LEAST_BYTES` as hexadecimal digits.

    Several processes may come here at once: one file appears, whole. Raises ConfigError.
    """
    if path.exists():
        return
    try:
        _make(path)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be made ({error.strerror})"]) from error


def read_or_make(path: Path) -> Key:
    """The key in a file, made where there is none. Raises ConfigError."""
    make_secret(path)
    return read(path)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{secrets.token_hex(LEAST_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return  # another process was faster: that key counts
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink()
