"""Making a backup while the system goes on.

The order is what makes it whole: journals of calls that are not sealed yet, the database as of one
moment, then the sealed recordings. A call that is sealed meanwhile is in it as a journal, as a
file or as both; the next start seals, tells or tidies up, as after a power cut.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from callcenter import __version__
from callcenter.backups.archive import Description, writing
from callcenter.backups.dumps import Dump
from callcenter.errors import BackupError
from callcenter.events import now

JOURNALS = ".journal"
SPARE = 64 * 2**20
"""Bytes that must stay free beside what a backup is expected to take."""

Progress = Callable[[str, int, int], None]
"""What is being done, bytes done, bytes in all."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is backed up, and where it is brought back to."""

    dump: Dump
    recordings: Path
    heads: Path
    prompts: Path
    keys: Path
    tls: Path

    def of_records(self) -> dict[str, Path]:
        """Folders of the backup itself by their names in it."""
        return {"recordings": self.recordings, "heads": self.heads, "prompts": self.prompts}

    def of_keys(self) -> dict[str, Path]:
        """Folders of the file of keys."""
        return {"keys": self.keys, "tls": self.tls}


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made."""

    files: int
    bytes: int
    keys: int
    """Files of keys; 0: none was asked for."""


def keys_beside(target: Path) -> Path:
    """Where the keys of the backup `target` are: `backup.tar` → `backup.keys.tar`."""
    return target.with_name(f"{target.stem}.keys{target.suffix}")


def make(places: Places, shape: str, target: Path, keys: Path | None, progress: Progress) -> Made:
    """Write the backup to `target` and the keys to `keys`; `shape` is the database's.

    Raises BackupError where something is there already, the disk has no room or a part cannot be
    read; then neither file is there.
    """
    wanted = _size(places)
    _room(target, wanted + places.dump.size())
    told = Description(
        holds="records",
        made=now().isoformat(),
        program=__version__,
        database=places.dump.kind,
        shape=shape,
    )
    number = 0
    if keys is not None:
        with writing(keys, told.model_copy(update={"holds": "keys"})) as writer:
            for name, file in _files(places.of_keys()):
                writer.add(name, file)
            number = writer.files
    try:
        with writing(target, told) as writer, _scratch(target) as folder:
            copy = Path(folder, places.dump.member)
            for name, file in _files({f"recordings/{JOURNALS}": places.recordings / JOURNALS}):
                writer.add(name, file)
            progress("database", writer.bytes, wanted)
            places.dump.save(copy)
            writer.add(places.dump.member, copy)
            copy.unlink()
            for name, file in _files(places.of_records()):
                writer.add(name, file)
                progress("recordings", writer.bytes, wanted)
            return Made(writer.files, writer.bytes, number)
    except BaseException:
        if keys is not None:
            keys.unlink(missing_ok=True)
        raise


def _files(folders: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Names in the backup, and files; what begins with a dot is unfinished or for a day only."""
    for name, folder in folders.items():
        for place, inner, files in os.walk(folder):
            inner[:] = sorted(one for one in inner if not one.startswith("."))
            for file in sorted(one for one in files if not one.startswith(".")):
                path = Path(place, file)
                yield f"{name}/{path.relative_to(folder).as_posix()}", path


def _size(places: Places) -> int:
    total = places.dump.size()
    for _, file in _files(places.of_records()):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _room(target: Path, wanted: int) -> None:
    try:
        free = shutil.disk_usage(target.absolute().parent).free
    except OSError as error:
        raise BackupError(f"{target.absolute().parent}: {error.strerror}") from error
    if free < wanted + SPARE:
        raise BackupError(
            f"{target.absolute().parent} has {free / 2**20:.0f} MiB free and the backup "
            f"takes about {wanted / 2**20:.0f} MiB: give a FILE on another disk"
        )


def _scratch(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for the database's copy, on the disk that is known to have room."""
    return tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".callcenter-backup-")
