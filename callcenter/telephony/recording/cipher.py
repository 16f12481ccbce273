"""Encrypted recordings, as bytes: a header, then frames that can be opened one by one.

    header  "CCRC", version (u16), 0 (u16), size of a frame (u32), length of the plain file (u64),
            salt (16 bytes); all little-endian, 36 bytes
    frame   AES-256-GCM of so many bytes of the plain file (the last may be shorter), with its tag

The key of a file is HKDF-SHA-256 (RFC 5869) of the call's key with the file's own salt and with
what the file is; so no nonce (the frame's number) comes twice under one key. Header, call, part and
number are authenticated with each frame: a frame that changed, moved, came from another
file or is missing at the end is told. No file and no clock here; `cipher_file` has those.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callcenter.errors import RecordingError

MAGIC = b"CCRC"
FRAME_BYTES = 4096
"""Plain bytes a frame: two seconds of Opus, an eighth of a second of WAV."""
SALT_BYTES = 16
TAG_BYTES = 16
_HEADER = struct.Struct("<4sHHIQ16s")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the frames; `length` is that of the plain file in bytes."""

    length: int
    salt: bytes
    frame: int = FRAME_BYTES

    def encode(self) -> bytes:
        """The first bytes of the file."""
        return _HEADER.pack(MAGIC, 1, 0, self.frame, self.length, self.salt)

    @property
    def frames(self) -> int:
        """How many there are."""
        return -(-self.length // self.frame)

    @property
    def file_bytes(self) -> int:
        """How long the encrypted file is when nothing was cut off or put behind."""
        return HEADER_BYTES + self.length + self.frames * TAG_BYTES

    def place(self, number: int) -> tuple[int, int]:
        """Where frame `number` begins in the encrypted file, and its bytes there."""
        size = min(self.frame, self.length - number * self.frame)
        return HEADER_BYTES + number * (self.frame + TAG_BYTES), size + TAG_BYTES


def decode(data: bytes) -> Header | None:
    """The header that a file begins with; None for a file that is not encrypted.

    Raises RecordingError for one that this program cannot read.
    """
    if data[: len(MAGIC)] != MAGIC:
        return None
    if len(data) < HEADER_BYTES:
        raise RecordingError("this recording was cut off: its header is not whole")
    _, version, _, frame, length, salt = _HEADER.unpack_from(data)
    if version != 1 or not frame:
        raise RecordingError("this recording was encrypted by a newer version of this program")
    return Header(length, salt, frame)


class Cipher:
    """Seals and opens the frames of one file: `part` ("sound", "peaks") of `call`."""

    def __init__(self, call_key: bytes, header: Header, call: str, part: str) -> None:
        self.header = header
        whose = b"\0".join((b"callcenter recording", call.encode(), part.encode()))
        derived = HKDF(SHA256(), 32, header.salt, whose).derive(call_key)
        self._aead = AESGCM(derived)
        self._bound = header.encode() + whose

    def seal(self, number: int, plain: bytes) -> bytes:
        """The frame that holds `plain`."""
        return self._aead.encrypt(_nonce(number), plain, self._associated(number))

    def open(self, number: int, frame: bytes) -> bytes:
        """What frame `number` holds. Raises RecordingError where it is not as it was sealed."""
        try:
            return self._aead.decrypt(_nonce(number), frame, self._associated(number))
        except InvalidTag as error:
            raise RecordingError(
                f"part {number + 1} of this recording is not as it was sealed: "
                "callcenter recordings verify"
            ) from error

    def _associated(self, number: int) -> bytes:
        return self._bound + number.to_bytes(8, "little")


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "little")
