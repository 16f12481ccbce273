"""Tombstones: who was erased, written outside of the database before anything is removed.

A line is an HMAC of the customer's id with the key of the chains: it names nobody to who has the
file alone, and finds the customer in a backup that is brought back. The file lies beside the daily
heads (`trust.heads_dir`); it only grows.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from callcenter.crm.chains.keys import Key, KeyRing
from callcenter.errors import StartError

FILE = "erasures.jsonl"


class Tombstone(msgspec.Struct, frozen=True):
    """One line: `mac` of a customer's id, made with the key that `key` names."""

    mac: str
    key: str
    at: str


def mac_of(key: Key, customer: str) -> str:
    """What stands for the customer: 64 hexadecimal digits."""
    return key.mac(b"tombstone\0" + customer.encode())


@dataclass(frozen=True)
class Tombstones:
    """The file."""

    path: Path

    def add(self, stone: Tombstone) -> None:
        """Append it, unless it is there; it is on the disk when this returns. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if any(known.mac == stone.mac for known in self.read()):
                return
            whole = self.path.read_bytes().rpartition(b"\n")
            file.truncate(len(whole[0] + whole[1]))  # of a line that was cut off by a power cut
            file.write(msgspec.json.encode(stone) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self) -> Iterator[Tombstone]:
        """Every line. Raises StartError where one cannot be read: it must not be passed over."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StartError(f"{self.path} cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            try:
                yield msgspec.json.decode(line, type=Tombstone)
            except msgspec.MsgspecError as error:
                if number == len(lines):
                    return  # cut off while it was written: what it stands for was not begun
                raise StartError(
                    f"{self.path} line {number} is no tombstone: bring the file back as it was"
                ) from error


def holder(stone: Tombstone, keys: KeyRing) -> Key:
    """The key it was made with. Raises StartError where that is not here."""
    key = keys.known.get(stone.key)
    if key is None:
        raise StartError(
            f"a customer was erased, and the key {stone.key} that says who is not here: "
            "bring it back into data_dir/keys"
        )
    return key
