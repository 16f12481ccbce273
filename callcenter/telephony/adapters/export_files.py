"""Archives of customers on the disk, beside the recordings: all machines reach them there.

    recordings/.exports/<export-id>.zip

The plain archive has no name while it is written, so that a kill leaves nothing of it behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, cast

from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.recording.cipher_file import CallKeys, encrypt, open_sealed


class DiskExports:
    """See crm.exports.making.Files."""

    def __init__(self, recordings_dir: Path, folder: Path, keys: CallKeys) -> None:
        self._recordings, self._folder = recordings_dir, folder
        self._keys = keys

    def sound(self, path: str) -> IO[bytes]:
        """See Files."""
        return open_sealed(self._recordings / path, self._keys)

    def write(self, export: str, key: bytes | None, fill: Callable[[IO[bytes]], None]) -> int:
        """See Files."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._folder / f"{export}.zip"
        temporary = target.with_name(f".{target.name}.part")
        with TemporaryFile(dir=self._folder) as file:
            fill(file)
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            temporary.unlink(missing_ok=True)
            temporary.touch(0o600)
            if key is None:
                _copy(cast(BinaryIO, file), temporary)
            else:
                encrypt(cast(BinaryIO, file), length, temporary, target, key)
        temporary.replace(target)
        _sync(self._folder)
        return length

    def remove(self, export: str) -> None:
        """See Files."""
        target = self._folder / f"{export}.zip"
        target.unlink(missing_ok=True)
        target.with_name(f".{target.name}.part").unlink(missing_ok=True)


class ErasedFiles:
    """See crm.erasures.eraser.Files."""

    def __init__(self, recordings: DiskRecordings, exports: DiskExports) -> None:
        self._recordings, self._exports = recordings, exports

    def remove(self, path: str) -> None:
        """See Files."""
        self._recordings.remove(path)

    def discard(self, call: str) -> None:
        """See Files."""
        self._recordings.discard(call)

    def remove_export(self, export: str) -> None:
        """See Files."""
        self._exports.remove(export)


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("r+b") as file:
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
