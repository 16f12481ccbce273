"""Journals and sealed recordings on the disk.

    recordings/.journal/<call-id>/journal.json  agent.pcmu  customer.pcmu
    recordings/YYYY/MM/DD/<call-id>.opus  <call-id>.json  <call-id>.peaks

The writer holds a lock (flock) on a leg's file as long as it lives, so the sealer sees by
itself whether a journal without its end is being written or was left by a crash.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import av
import msgspec
import numpy as np
import structlog

from callcenter.errors import NoSpace, RecordingError
from callcenter.events import LegName
from callcenter.ids import new_id
from callcenter.telephony.adapters import sealed_file
from callcenter.telephony.adapters.sealed_sound import read_sound
from callcenter.telephony.media import g711
from callcenter.telephony.ports import SAMPLE_RATE, Journal, JournalLeg
from callcenter.telephony.recording import peaks, sealing
from callcenter.telephony.recording.cipher_file import CallKeys, encrypt, is_encrypted, open_sealed
from callcenter.telephony.recording.journal import (
    LEGS,
    SILENCE,
    LegBuffer,
    Manifest,
    Pauses,
    Piece,
    Span,
    decode_manifest,
    encode_manifest,
    sync_one,
)
from callcenter.telephony.recording.sealing import (
    Format,
    NothingRecorded,
    Sealed,
    Silence,
    StillRecording,
)

_LOGGER = structlog.get_logger()
_MANY = 8  # journals: for so many one order to the disk costs less than one for each
_syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
_SAFE_NAME = re.compile(r"[\w-][\w.-]{0,99}")


Written = tuple[int, tuple[Span, ...]]
"""Up to which sample, and which pauses were known."""


class DiskJournal:
    """See Journal. `failure` says what the disk refused last, None while all is well."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.failure: str | None = None
        self._folder = folder
        self._manifest = manifest
        self._buffers = {name: LegBuffer() for name in LEGS}
        self._pauses = Pauses()
        self._lock = threading.Lock()  # of the threads that sync; the media loop never takes it
        self._files: dict[LegName, int] = {}
        try:
            self._open(folder, manifest)
        except BaseException:
            self._close_files()
            raise

    def _open(self, folder: Path, manifest: Manifest) -> None:
        with _failures("a recording cannot be started"):
            _make_folders(folder.parent)
            folder.mkdir()
            _write_whole(folder / "journal.json", encode_manifest(manifest))
            for name in LEGS:
                self._files[name] = os.open(
                    _leg_path(folder, name), os.O_WRONLY | os.O_CREAT, 0o600
                )
            fcntl.flock(self._files[LEGS[0]], fcntl.LOCK_EX)
            _sync_folder(folder)
            _sync_folder(folder.parent)

    def leg(self, name: LegName) -> JournalLeg:
        """See Journal."""
        return self._buffers[name]

    def pause(self, position: int) -> None:
        """See Journal."""
        self._pauses.pause(position)

    def resume(self, position: int) -> None:
        """See Journal."""
        self._pauses.resume(position)

    def sync(self, position: int) -> None:
        """See Journal. Raises RecordingError; what was not written is tried again next time."""
        with self._lock:
            if self._files:
                self._sync(position)

    def close(self, position: int) -> None:
        """See Journal. Raises RecordingError; the files are closed in any case."""
        with self._lock:
            if not self._files:
                return
            try:
                self._sync(position)
                with self._noting():
                    self._rewrite(complete=True)
            finally:
                self._close_files()

    def discard(self) -> None:
        """See Journal."""
        with self._lock:
            self._close_files()
        _remove(self._folder)

    def write(self, position: int) -> Written | None:
        """The first half of `sync`: hand what is due to the system. Raises RecordingError.

        What is returned is for `wrote`, once it is on the disk; None: it is closed.
        """
        with self._lock:
            return self._write(position) if self._files else None

    def wrote(self, written: Written) -> None:
        """The other half: what `write` handed over is on the disk."""
        with self._lock:
            self._wrote(written)

    def _sync(self, position: int) -> None:
        written = self._write(position)
        with self._noting():
            for handle in self._files.values():
                os.fdatasync(handle)
        self._wrote(written)

    def _write(self, position: int) -> Written:
        spans = self._pauses.spans
        with self._noting():
            if spans != self._manifest.pauses:
                self._rewrite(pauses=spans)
            for name, buffer in self._buffers.items():
                for piece in buffer.pieces(position, spans):
                    _write_piece(self._files[name], piece)
        return position, spans

    def _wrote(self, written: Written) -> None:
        for buffer in self._buffers.values():
            buffer.wrote(*written)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            with _failures("the recording cannot be written"):
                yield
        except RecordingError as error:
            self.failure = error.detail
            raise

    def _rewrite(self, **changes: Any) -> None:
        manifest = msgspec.structs.replace(self._manifest, failure=self.failure, **changes)
        temporary = self._folder / "journal.json.new"
        _write_whole(temporary, encode_manifest(manifest))
        temporary.replace(self._folder / "journal.json")
        _sync_folder(self._folder)
        self._manifest = manifest

    def _close_files(self) -> None:
        for handle in self._files.values():
            os.close(handle)
        self._files = {}


class DiskRecordings:
    """See RecordingStore and SealedStore.

    `keys` open encrypted files; what is sealed is encrypted with them where `encrypted` says so.
    """

    def __init__(
        self,
        folder: Path,
        *,
        format: Format = "opus",
        node: str = "",
        keys: CallKeys | None = None,
        encrypted: bool = True,
    ) -> None:
        self._folder, self._journals = folder, folder / ".journal"
        self._format = format
        self._node = node
        self._keys = keys
        self._locks = keys if encrypted else None

    def open_journal(self, call: str, *, answered_position: int = 0) -> DiskJournal:
        """See RecordingStore."""
        manifest = Manifest(
            call=call,
            started=datetime.now(UTC),
            node=self._node,
            answered_position=answered_position,
        )
        return DiskJournal(self._journal(call), manifest)

    def sync_all(self, due: Sequence[tuple[Journal, int]]) -> list[RecordingError | None]:
        """See RecordingStore. Many together cost one order to the disk (syncfs(2)) and not two
        for each call; where that fails each finds out for itself."""
        ours = [(one, position) for one, position in due if isinstance(one, DiskJournal)]
        if len(due) < _MANY or len(ours) < len(due):
            return [sync_one(one, position) for one, position in due]
        written: list[Written | RecordingError | None] = []
        for one, position in ours:
            try:
                written.append(one.write(position))
            except RecordingError as error:
                written.append(error)
        on_disk = sync_filesystem(self._journals)  # it may be a mount of its own
        outcomes: list[RecordingError | None] = []
        for (one, position), what in zip(ours, written, strict=True):
            if isinstance(what, RecordingError) or what is None:
                outcomes.append(what)
            elif on_disk:
                one.wrote(what)
                outcomes.append(None)
            else:
                outcomes.append(sync_one(one, position))
        return outcomes

    def journals(self) -> list[str]:
        """See SealedStore."""
        root = self._journals
        return (
            sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        )

    def last_position(self, call: str) -> int | None:
        """See RecordingStore."""
        folder = self._journal(call)
        return _length(folder) if folder.is_dir() else None

    def free_bytes(self) -> int:
        """See SealedStore."""
        place = self._folder
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def discard(self, call: str) -> None:
        """See SealedStore."""
        _remove(self._journal(call))

    def seal(self, call: str, silences: Sequence[Silence] = ()) -> Sealed:
        """See SealedStore."""
        folder = self._journal(call)
        there = self._sealed(_manifest(folder, call))
        if there:
            return there
        with _failures("the recording cannot be sealed"), _abandoned(folder):
            return self._make(folder, _manifest(folder, call), list(silences))

    def silence(self, path: str, silences: Sequence[Silence]) -> Sealed:
        """See SealedStore."""
        target = self._folder / path
        with _failures("a recording cannot be redacted"):
            sealed = _read_sidecar(target.with_suffix(".json"))
            more = [one for one in silences if one not in sealed.silences]
            return self._silenced(target, sealed, more) if more else sealed

    def sha256(self, path: str) -> str | None:
        """Of a sealed file, by its path in the folder; None where there is none."""
        try:
            return _sha256(self._folder / path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """The sealed file and what stands beside it; where there is nothing nothing happens."""
        file = self._folder / path
        with _failures("a recording cannot be removed"):
            for one in (file, file.with_suffix(".peaks"), file.with_suffix(".json")):
                one.unlink(missing_ok=True)
            if file.parent.is_dir():
                _sync_folder(file.parent)

    def levels(self, path: str) -> peaks.Peaks | None:
        """The peaks beside the sealed file `path`; None where there are none to read."""
        try:
            with open_sealed((self._folder / path).with_suffix(".peaks"), self._keys) as file:
                return peaks.read(file.read())
        except (OSError, RecordingError):
            return None

    def _sealed(self, manifest: Manifest) -> Sealed | None:
        """What an earlier attempt left in place, complete and unchanged."""
        sidecar = self._folder.joinpath(sealing.names(manifest, self._format).sidecar)
        with suppress(OSError, RecordingError):
            sealed = _read_sidecar(sidecar)
            if _sha256(self._folder / sealed.path) == sealed.sha256:
                return sealed
        return None

    def _silenced(self, target: Path, sealed: Sealed, more: list[Silence]) -> Sealed:
        samples = round(sealed.seconds * SAMPLE_RATE)
        sound = read_sound(target, self._keys)
        locks = self._keys if is_encrypted(target) else self._locks
        legs: list[bytes] = []
        for channel, name in enumerate(LEGS):
            own = np.zeros(samples, np.int16)
            heard = sound[channel][:samples]
            own[: len(heard)] = heard
            offset = sealed.legs[name]["offset"]
            for first, last in sealing.places(more, name, offset, samples):
                own[first:last] = 0
            legs.append(g711.encode(own))
        temporary = target.with_name(f".{target.name}.part")
        heard_now = self._encode(
            (BytesIO(legs[0]), BytesIO(legs[1])), samples, temporary, target, locks
        )
        silenced = msgspec.structs.replace(
            sealed,
            size=temporary.stat().st_size,
            sha256=_sha256(temporary),
            silences=[*sealed.silences, *more],
        )
        self._put_in_place(temporary, silenced, heard_now, locks)
        return silenced

    def _make(self, folder: Path, manifest: Manifest, silences: list[Silence]) -> Sealed:
        samples = _length(folder)
        _silence_journal(folder, manifest, silences)
        if not samples or _is_silent(folder):
            raise NothingRecorded("nothing was recorded")
        names = sealing.names(manifest, self._format)
        target = self._folder / names.sound
        _make_folders(target.parent)
        temporary = target.with_name(f".{target.name}.part")
        with ExitStack() as stack:
            left, right = (stack.enter_context(_open_leg(folder, name)) for name in LEGS)
            heard = self._encode((left, right), samples, temporary, target, self._locks)
        sealed = Sealed(
            call=manifest.call,
            recording=new_id(),
            path=str(names.sound),
            peaks=str(names.peaks),
            format=self._format,
            seconds=round(samples / SAMPLE_RATE, 3),
            size=temporary.stat().st_size,
            sha256=_sha256(temporary),
            legs=sealing.leg_table(manifest, samples),
            started=manifest.started.isoformat(),
            node=manifest.node,
            interrupted=not manifest.complete,
            pauses=sealing.pause_table(manifest, samples),
            problem=manifest.failure,
            silences=silences,
        )
        self._put_in_place(temporary, sealed, heard, self._locks)
        return sealed

    def _encode(
        self,
        legs: tuple[BinaryIO, BinaryIO],
        samples: int,
        temporary: Path,
        target: Path,
        locks: CallKeys | None,
    ) -> peaks.Peaks:
        """Write what becomes `target`. What is not encrypted yet has no name on the disk."""
        form = cast(Format, target.suffix.removeprefix("."))
        if locks is None:
            with temporary.open("w+b") as file:
                return _encode(legs, samples, file, form)
        with TemporaryFile(dir=target.parent) as file:
            heard = _encode(legs, samples, file, form)
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            encrypt(file, length, temporary, target, locks.make(target.stem))
        return heard

    def _put_in_place(
        self, temporary: Path, sealed: Sealed, heard: peaks.Peaks, locks: CallKeys | None
    ) -> None:
        """The side-car comes last: where it stands, the rest is in place."""
        target, drawn = self._folder / sealed.path, self._folder / sealed.peaks
        data = peaks.write(heard)
        if locks is None:
            _write_whole(drawn, data)
        else:
            encrypt(BytesIO(data), len(data), drawn, drawn, locks.make(drawn.stem))
        temporary.replace(target)
        _sync_folder(target.parent)
        self._write_sidecar(target.with_suffix(".json"), sealed)

    def _write_sidecar(self, path: Path, sealed: Sealed) -> None:
        temporary = path.with_name(f".{path.name}.part")
        _write_whole(temporary, msgspec.json.format(msgspec.json.encode(sealed)) + b"\n")
        temporary.replace(path)
        _sync_folder(path.parent)

    def _journal(self, call: str) -> Path:
        if not _SAFE_NAME.fullmatch(call):
            raise RecordingError("this is no id of a call")
        return self._journals / call


def _encode(
    legs: tuple[BinaryIO, BinaryIO], samples: int, file: BinaryIO, form: Format
) -> peaks.Peaks:
    """Write the file to the disk and read it back."""
    try:
        heard = sealed_file.encode(legs, samples, file, form)
    except av.FFmpegError as error:
        raise RecordingError(f"the recording cannot be encoded as {form}") from error
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    sealed_file.verify(file, samples)
    return heard


def _silence_journal(folder: Path, manifest: Manifest, silences: Sequence[Silence]) -> None:
    """Also a journal that cannot be sealed, and therefore stays, keeps nothing of it."""
    offset = manifest.answered_position / SAMPLE_RATE
    for name in LEGS:
        path = _leg_path(folder, name)
        samples = path.stat().st_size if path.exists() else 0
        spans = sealing.places(silences, name, offset, samples)
        if not spans:
            continue
        with path.open("rb+") as file:
            for first, last in spans:
                _write_piece(file.fileno(), Piece(first, SILENCE * (last - first)))
            os.fdatasync(file.fileno())


def _read_sidecar(path: Path) -> Sealed:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sealed)
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path.name} beside a recording is damaged") from error


def sync_filesystem(folder: Path) -> bool:
    """Bring all that was written to the folder's file system to its disk; False where that cannot
    be said (syncfs(2): Linux 5.8 and newer tell of errors)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _syncfs is not None and _syncfs(handle) == 0
    finally:
        os.close(handle)


def _open_leg(folder: Path, name: LegName) -> BinaryIO:
    path = _leg_path(folder, name)
    return path.open("rb") if path.exists() else Path(os.devnull).open("rb")


def _leg_path(folder: Path, name: LegName) -> Path:
    return folder / f"{name}.pcmu"


def _length(folder: Path) -> int:
    """Samples of the longer leg."""
    paths = [_leg_path(folder, name) for name in LEGS]
    return max((path.stat().st_size for path in paths if path.exists()), default=0)


def _is_silent(folder: Path) -> bool:
    for name in LEGS:
        with _open_leg(folder, name) as file:
            while block := file.read(1 << 20):
                if block.count(SILENCE) != len(block):
                    return False
    return True


def _manifest(folder: Path, call: str) -> Manifest:
    path = folder / "journal.json"
    return decode_manifest(call, path.read_bytes() if path.exists() else b"")


@contextmanager
def _abandoned(folder: Path) -> Iterator[None]:
    """Holds the journal's lock, which says that nobody writes it any more."""
    if not folder.is_dir():
        raise RecordingError("the journal of this recording is missing")
    path = _leg_path(folder, LEGS[0])
    if not path.exists():
        yield
        return
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StillRecording("this recording is still being written") from error
        yield


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """The disk's errors as one of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        kind = NoSpace if error.errno in (errno.ENOSPC, errno.EDQUOT) else RecordingError
        raise kind(f"{what}: {reason}; make room or mend the folder") from error


def _write_piece(handle: int, piece: Piece) -> None:
    data, offset = memoryview(piece.data), piece.offset
    while data:
        written = os.pwrite(handle, data, offset)
        data, offset = data[written:], offset + written


def _write_whole(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_folders(folder: Path) -> None:
    """Make the missing folders and make them last."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    def pass_over(_function: Callable[..., object], _path: str, error: object) -> None:
        _LOGGER.warning("journal not removed", reason=repr(error))

    if folder.is_dir():
        shutil.rmtree(folder, onerror=pass_over)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
