"""Master keys: a file or a secret with one key a line, 64 hexadecimal digits, the newest first.

Keys are made with the first one; the others open what was wrapped before a rotation. The file is
read each time, so that a running process knows of a rotation at once.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from callcenter.crm.chains.keys import make_secret, read_secret
from callcenter.crm.vault.wrapping import KEY_BYTES, name_of, new_key
from callcenter.errors import ConfigError, RecordingError

FILE = "master.keys"


class MasterKeys(Protocol):
    """Where they are."""

    def load(self) -> dict[str, bytes]:
        """Keys by their names, the newest first. Raises ConfigError."""

    def add(self) -> str:
        """Put a new key before the others; its name. Raises ConfigError where that cannot be."""

    def keep_only(self, name: str) -> None:
        """Throw the others away."""


class MasterFile:
    """The keys in a file; one with a first key is made where `make` says so."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self._path, self._make = path, make

    def load(self) -> dict[str, bytes]:
        """See MasterKeys."""
        if self._make:
            make_secret(self._path)
        return parsed(read_secret(self._path).decode("ascii", "replace"), str(self._path))

    def add(self) -> str:
        """See MasterKeys."""
        new = new_key()
        self._write({name_of(new): new, **self.load()})
        return name_of(new)

    def keep_only(self, name: str) -> None:
        """See MasterKeys."""
        self._write({name: self.load()[name]})

    def _write(self, keys: Mapping[str, bytes]) -> None:
        part = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.writelines(f"{key.hex()}\n" for key in keys.values())
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            _sync(self._path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigError([f"{self._path}: cannot be written ({error.strerror})"]) from error


class MasterSecret:
    """Keys that came with the settings: we cannot change them."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def load(self) -> dict[str, bytes]:
        """See MasterKeys."""
        return parsed(self._text(), "keys.master")

    def add(self) -> str:
        """See MasterKeys."""
        raise ConfigError(["keys.master: put the new key before the old one there, start again"])

    def keep_only(self, name: str) -> None:
        """Whoever wrote the setting takes the old key out."""


def parsed(text: str, place: str) -> dict[str, bytes]:
    """Keys by their names, in their order. Raises ConfigError that names `place`."""
    keys: dict[str, bytes] = {}
    for word in text.split():
        try:
            key = bytes.fromhex(word)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES or not any(key):
            raise ConfigError([f"{place}: allowed: keys of 64 hexadecimal digits, one a line"])
        keys[name_of(key)] = key
    if not keys:
        raise ConfigError([f"{place}: found no key, allowed: 64 hexadecimal digits"])
    return keys


def of_name(keys: Mapping[str, bytes], name: str) -> bytes:
    """The key of that name. Raises RecordingError where it is not here."""
    if name not in keys:
        raise RecordingError(f"the master key {name} is not here: bring it back (keys.master_file)")
    return keys[name]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
