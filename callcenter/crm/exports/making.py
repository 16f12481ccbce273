"""The jobs process's making of exports: the archive is written to the disk call by call.

    customer.json  complaints.json  calls/<id>/call.json  calls/<id>/sound.opus

What is not finished has no name on the disk; killed, it begins anew when the lease is over. An
archive is sealed with a key of its own that hangs at the customer's key: it goes with it.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import PurePath
from typing import IO, Any, Protocol
from zipfile import ZipFile

import msgspec
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm.exports import content, operations
from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.vault import operations as vault
from callcenter.database import reading
from callcenter.errors import RecordingError
from callcenter.events import now

BATCH = 20
_LOGGER = structlog.get_logger()


class Files(Protocol):
    """Where sound is and archives go."""

    def sound(self, path: str) -> IO[bytes]:
        """A recording's plain content. Raises OSError, RecordingError (its key is gone, …)."""

    def write(self, export: str, key: bytes | None, fill: Callable[[IO[bytes]], None]) -> int:
        """The archive, sealed with `key` where there is one; bytes of its plain content.

        It is on the disk, whole, when this returns. Raises OSError, RecordingError.
        """

    def remove(self, export: str) -> None:
        """The archive; where there is none nothing happens."""


class Exporter:
    """`encrypted`: archives are sealed, as recordings are."""

    def __init__(
        self,
        engine: Engine,
        files: Files,
        *,
        encrypted: bool,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._engine, self._files = engine, files
        self._encrypted, self._clock = encrypted, clock

    def round(self) -> None:
        """Remove what is over, then make what waits."""
        self._expire()
        while (export := self._claim()) is not None:
            self._attempt(export)

    def _expire(self) -> None:
        with Session(self._engine) as session, session.begin():
            over = operations.expired(session, self._clock(), BATCH)
            for export in over:
                self._files.remove(export)
            operations.expire(session, over)

    def _claim(self) -> CustomerExport | None:
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            return operations.claim(session, self._clock())

    def _attempt(self, export: CustomerExport) -> None:
        try:
            size = self._files.write(
                export.id, self._key(export), lambda file: self._fill(export, file)
            )
        except Exception as error:
            with Session(self._engine) as session, session.begin():
                last = operations.fail(session, export.id, self._clock())
            _LOGGER.error(
                "an export failed", export=export.id, last=last, error=type(error).__name__
            )
            return
        with Session(self._engine) as session, session.begin():
            operations.finish(session, export.id, size)
        _LOGGER.info("export ready", export=export.id, bytes=size)

    def _key(self, export: CustomerExport) -> bytes | None:
        if not self._encrypted:
            return None
        with Session(self._engine) as session, session.begin():
            return vault.key_for(session, export.id, export.customer_id)

    def _fill(self, export: CustomerExport, file: IO[bytes]) -> None:
        with ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            with Session(reading(self._engine)) as session:
                total = content.count_calls(session, export.customer_id)
                _put(archive, "customer.json", content.customer(session, export.customer_id))
                _put(archive, "complaints.json", content.complaints(session, export.customer_id))
            self._progress(export, 0, total)
            self._calls(export, archive, total)

    def _calls(self, export: CustomerExport, archive: ZipFile, total: int) -> None:
        last, done = "", 0
        while batch := self._batch(export, last):
            for call, path in batch:
                last = call["id"]
                if path is not None:
                    call["sound"], call["sound_problem"] = self._sound(archive, last, path)
                _put(archive, f"calls/{last}/call.json", call)
                done += 1
                self._progress(export, done, max(total, done))

    def _batch(self, export: CustomerExport, last: str) -> list[tuple[content.Row, str | None]]:
        with Session(reading(self._engine)) as session:
            return content.calls(session, export.customer_id, last, BATCH)

    def _sound(self, archive: ZipFile, call: str, path: str) -> tuple[str | None, str | None]:
        """(name in the archive, why there is none or not all)."""
        name = f"calls/{call}/sound{PurePath(path).suffix}"
        try:
            with self._files.sound(path) as source:
                info = zipfile.ZipInfo(name, _TIME)
                with archive.open(info, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
        except FileNotFoundError:
            return None, "removed"
        except RecordingError as error:
            return None, error.slug
        return name, None

    def _progress(self, export: CustomerExport, done: int, total: int) -> None:
        with Session(self._engine) as session, session.begin():
            operations.progress(session, export.id, done, total)


_TIME = (1980, 1, 1, 0, 0, 0)
"""Of sound in the archive: what matters is when the call was, and that stands in call.json."""


def _put(archive: ZipFile, name: str, found: Any) -> None:
    archive.writestr(name, msgspec.json.format(msgspec.json.encode(found)) + b"\n")
