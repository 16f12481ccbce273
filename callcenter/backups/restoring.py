"""Bringing a backup back into an installation that has no records yet.

Keys, then files, then every byte compared, and only then the database. What was cut off before that
is begun anew by the next run: a mark in the folder of recordings says that they are not used yet.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from callcenter import migrations
from callcenter.backups import archive
from callcenter.backups.archive import Description
from callcenter.backups.making import Places, Progress, keys_beside
from callcenter.errors import BackupError

MARK = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was brought back."""

    description: Description
    files: int
    keys: int


def restore(
    places: Places, source: Path, keys: Path | None, progress: Progress, *, without_keys: bool
) -> Restored:
    """Bring `source` back, and the keys from `keys` or the file beside it.

    Nothing that is there is written over: raises BackupError where there are records already, where
    other keys are there, where the backup is damaged, cut off, of another kind of database or of a
    newer callcenter. The database is as it was then; its shape may be older than ours.
    """
    found = archive.describe(source)
    _fits(places, found, source)
    _is_free(places)
    number = 0 if without_keys else _bring_keys(places, source, keys)
    total, done = source.stat().st_size, 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress("files", done, total)

    (places.recordings / MARK).parent.mkdir(parents=True, exist_ok=True)
    (places.recordings / MARK).touch(0o600)
    with ExitStack() as stack:
        # on the recordings' disk it would be a copy; beside the database it is a rename
        folder = stack.enter_context(_scratch(places))
        dump = Path(folder, places.dump.member)
        heads = Path(folder, "heads")
        folders = {**places.of_records(), "heads": heads, places.dump.member: dump}
        files = archive.unpack(source, _inside(folders, source), told)
        _bring_heads(heads, places.heads)
        os.sync()
        progress("database", total, total)
        places.dump.load(dump)
    (places.recordings / MARK).unlink()
    return Restored(found, files, number)


def _fits(places: Places, found: Description, source: Path) -> None:
    if found.holds != "records":
        raise BackupError(f"{source} holds the keys of a backup: give the backup itself")
    if found.database != places.dump.kind:
        raise BackupError(
            f"{source} holds a {found.database} database and database_url names "
            f"{places.dump.kind}: give one of the same kind"
        )
    if not migrations.knows(found.shape):
        raise BackupError(
            f"{source} was made by callcenter {found.program} with a database of shape "
            f"{found.shape}, which this one does not know: install that version or a newer one"
        )


def _is_free(places: Places) -> None:
    if not places.dump.is_empty():
        raise BackupError(
            "there are records already: bring the backup back with another --data-dir "
            "or into an empty database"
        )
    folder = places.recordings
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise BackupError(f"there are recordings already in {folder}: move them away first")


def _bring_keys(places: Places, source: Path, keys: Path | None) -> int:
    file = keys or keys_beside(source)
    if not file.exists():
        raise BackupError(
            f"{file} with the keys is not there: give --keys FILE, or --without-keys to bring back "
            "what can be read without them"
        )
    described = archive.describe(file)
    if described.holds != "keys":
        raise BackupError(f"{file} holds no keys")
    with tempfile.TemporaryDirectory(dir=_made(places.keys.parent), prefix=".keys-") as folder:
        aside = {name: Path(folder, name) for name in places.of_keys()}
        number = archive.unpack(file, _inside(aside, file))
        news: list[tuple[Path, Path]] = []
        for name, target in places.of_keys().items():
            for made in sorted(path for path in aside[name].rglob("*") if path.is_file()):
                place = target / made.relative_to(aside[name])
                if not place.exists():
                    news.append((made, place))
                elif place.read_bytes() != made.read_bytes():
                    raise BackupError(
                        f"{place} is there already and is another one than in {file}: "
                        "move it away, or use another --data-dir"
                    )
        for made, place in news:
            _made(place.parent)
            made.rename(place)
    return number


def _bring_heads(found: Path, target: Path) -> None:
    """Those that are there are newer: they know more than the backup, also who was erased since."""
    for file in sorted(found.glob("*")):
        if not (target / file.name).exists():
            _made(target)
            shutil.copyfile(file, target / file.name)
            (target / file.name).chmod(0o600)


def _inside(folders: dict[str, Path], source: Path) -> Callable[[str], Path]:
    """Where a file goes: its first name says which folder."""

    def place(name: str) -> Path:
        first, _, rest = name.partition("/")
        if first not in folders:
            raise BackupError(f"{source}: {name!r} has no business in a backup")
        return folders[first] / rest if rest else folders[first]

    return place


def _scratch(places: Places) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=_made(places.keys.parent), prefix=".restoring-")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
