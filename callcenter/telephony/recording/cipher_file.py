"""Files of sealed recordings, encrypted or plain, read as one: the only door to their content.

A file's name says whose it is: `<call-id>.opus` is the call's "sound", `<call-id>.peaks` its
"peaks". Frames pass one by one; no file is ever in memory as a whole.
"""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from callcenter.errors import RecordingError
from callcenter.telephony.recording import cipher

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class KeyGone(RecordingError):
    """The key was destroyed: nobody can hear this any more."""

    slug = "recording-erased"
    status = 410


class CallKeys(Protocol):
    """Where the keys of calls are: 32 bytes each."""

    def make(self, call: str) -> bytes:
        """The call's key, made when it has none."""

    def find(self, call: str) -> bytes | None:
        """The call's key; None when it never had one or it was destroyed."""


def part_of(path: Path) -> str:
    """What the file holds."""
    return "peaks" if path.suffix == ".peaks" else "sound"


def is_encrypted(path: Path) -> bool:
    """Whether only a key opens the file. Raises OSError, RecordingError."""
    with path.open("rb") as file:
        return cipher.decode(file.read(cipher.HEADER_BYTES)) is not None


def open_sealed(path: Path, keys: CallKeys | None) -> BinaryIO:
    """The plain content, seekable, whether the file is encrypted or not.

    Raises OSError, KeyGone, or RecordingError: it was cut off or changed (also while reading).
    """
    file = path.open("rb")
    try:
        header = cipher.decode(file.read(cipher.HEADER_BYTES))
        if header is None:
            file.seek(0)
            return file
        if path.stat().st_size != header.file_bytes:
            raise RecordingError("this recording is not as long as it was sealed: it was cut off")
        key = keys.find(path.stem) if keys else None
        if key is None:
            raise KeyGone("the key of this recording is gone: it was erased")
        opened = _Opened(file, cipher.Cipher(key, header, path.stem, part_of(path)))
        return cast(BinaryIO, io.BufferedReader(opened, cipher.FRAME_BYTES))
    except BaseException:
        file.close()
        raise


def encrypt(source: BinaryIO, length: int, target: Path, path: Path, key: bytes) -> None:
    """Write `length` bytes of `source` to `target`, on the disk when it returns.

    `path` is the name that the file will have.
    """
    header = cipher.Header(length, secrets.token_bytes(cipher.SALT_BYTES))
    made = cipher.Cipher(key, header, path.stem, part_of(path))
    with target.open("wb") as file:
        file.write(header.encode())
        for number in range(header.frames):
            file.write(made.seal(number, source.read(header.frame)))
        file.flush()
        os.fsync(file.fileno())


class _Opened(io.RawIOBase):
    """The plain content of an encrypted file; opens the frame that is asked for."""

    def __init__(self, file: BinaryIO, opener: cipher.Cipher) -> None:
        self._file, self._cipher, self._at = file, opener, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always: any second can be opened alone."""
        return True

    def tell(self) -> int:
        """Place in the plain file."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As io.IOBase.seek."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._cipher.header.length}
        self._at = max(0, start[whence] + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """At most the rest of one frame."""
        view = memoryview(buffer).cast("B")
        header = self._cipher.header
        if self._at >= header.length or not len(view):
            return 0
        number, skipped = divmod(self._at, header.frame)
        offset, size = header.place(number)
        self._file.seek(offset)
        plain = self._cipher.open(number, self._file.read(size))
        found = plain[skipped : skipped + len(view)]
        view[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        """With the file below."""
        self._file.close()
        super().close()
