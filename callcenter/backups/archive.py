"""The file of a backup: an uncompressed tar (POSIX.1-2001 pax) that is written and read in one go.

    callcenter-backup.json      what it is (`Description`), always first
    …                           files, in folders of their kind
    SHA256SUMS                  always last, for `sha256sum -c`: a file without it is cut off

It is not compressed: recordings are encrypted, and PostgreSQL's dump is compressed already.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from callcenter.errors import BackupError

DESCRIPTION = "callcenter-backup.json"
SUMS = "SHA256SUMS"
_BLOCK = 2**20


class Description(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    holds: Literal["records", "keys"]
    made: str
    """RFC 3339, UTC."""
    program: str
    """The version of callcenter that made it."""
    database: Literal["sqlite", "postgresql"]
    shape: str
    """The revision of the database's tables."""


class Writer:
    """Puts files into a backup; see `writing`."""

    def __init__(self, raw: IO[bytes], description: Description) -> None:
        self._tar = tarfile.open(fileobj=raw, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._sums: list[tuple[str, str]] = []
        self.files = 0
        self.bytes = 0
        text = description.model_dump_json(indent=1).encode() + b"\n"
        self._add(DESCRIPTION, io.BytesIO(text), len(text), 0)

    def add(self, name: str, source: Path) -> bool:
        """Put the file in under `name`; False where it is not there (any more).

        Of a file that grows meanwhile what it held at first is taken.
        """
        try:
            with source.open("rb") as stream:
                found = os.fstat(stream.fileno())
                self._add(name, stream, found.st_size, found.st_mtime)
        except FileNotFoundError:
            return False
        self.files += 1
        self.bytes += found.st_size
        return True

    def close(self) -> None:
        """Put the sums behind the files."""
        text = "".join(f"{digest}  {name}\n" for digest, name in self._sums).encode()
        self._add(SUMS, io.BytesIO(text), len(text), 0)
        self._tar.close()

    def _add(self, name: str, stream: IO[bytes], size: int, modified: float) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, int(modified), 0o600
        counted = _Counted(stream, size)
        self._tar.addfile(member, counted)
        self._sums.append((counted.digest.hexdigest(), name))


class _Counted:
    """Exactly `size` bytes of a stream; zeros where it ends before (its file was cut meanwhile)."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        self.digest.update(data)
        return data


@contextmanager
def writing(target: Path, description: Description) -> Iterator[Writer]:
    """A backup at `target`, readable by its owner only; there only once it is whole.

    Raises BackupError where something is there already or cannot be written.
    """
    if target.exists():
        raise BackupError(f"{target} is there already: give another name, or move it away")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            writer = Writer(raw, description)
            yield writer
            writer.close()
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(target)
        _sync(target.parent)
    except OSError as error:
        what = error.filename or target
        raise BackupError(f"the backup cannot be made: {what}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def describe(source: Path) -> Description:
    """What the backup says of itself. Raises BackupError where it is none."""
    with _reading(source) as tar:
        return _first(tar, source)[0]


def unpack(
    source: Path, place: Callable[[str], Path], progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write every file of a backup where `place` says; how many there were.

    `progress` is told how many bytes came since it was told last. Each byte is compared with the
    sums at the end: raises BackupError that names the first file that is not as it was written,
    or says that the backup is cut off. Files that are in their place already are written anew.
    """
    with _reading(source) as tar:
        found = {DESCRIPTION: _first(tar, source)[1]}
        while (member := tar.next()) is not None:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is None or not _is_harmless(member.name):
                raise BackupError(f"{source}: {member.name!r} has no business in a backup")
            if member.name == SUMS:
                _compare(found, stream.read().decode("utf-8", "replace"), source)
                return len(found) - 1
            found[member.name] = _write(stream, place(member.name), member, progress)
    raise BackupError(f"{source} is cut off: its list of sums is missing; nothing was brought back")


def _write(
    stream: IO[bytes], target: Path, member: tarfile.TarInfo, progress: Callable[[int], None]
) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        while data := stream.read(_BLOCK):
            digest.update(data)
            file.write(data)
            progress(len(data))
    os.utime(target, (member.mtime, member.mtime))
    return digest.hexdigest()


def _compare(found: dict[str, str], text: str, source: Path) -> None:
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in _lines(text))}
    for name in [*found, *wanted]:
        if found.get(name) != wanted.get(name):
            raise BackupError(
                f"{source} is damaged: {name} is not as it was written; nothing was brought back"
            )


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


@contextmanager
def _reading(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with source.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
            yield tar
    except (tarfile.ReadError, EOFError) as error:
        raise BackupError(f"{source} is no backup of callcenter, or it is cut off") from error
    except OSError as error:
        raise BackupError(f"{error.filename or source}: {error.strerror or error}") from error


def _first(tar: tarfile.TarFile, source: Path) -> tuple[Description, str]:
    """The description and its SHA-256."""
    first = tar.next()
    stream = tar.extractfile(first) if first and first.name == DESCRIPTION else None
    if stream is None:
        raise BackupError(f"{source} is no backup of callcenter")
    text = stream.read()
    try:
        return Description.model_validate_json(text), hashlib.sha256(text).hexdigest()
    except ValidationError as error:
        raise BackupError(f"{source} was made by a newer callcenter than this one") from error


def _is_harmless(name: str) -> bool:
    """A path below the folder that it is unpacked into."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
