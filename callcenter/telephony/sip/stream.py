"""Messages out of a stream of octets (RFC 3261 18.3): TCP and TLS have no datagrams."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from callcenter.telephony.sip.message import field_key
from callcenter.telephony.sip.parser import MAX_SIZE

PING = b"\r\n\r\n"  # RFC 5626 4.4.1: the peer asks whether the way is still open
PONG = b"\r\n"

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"[ \t]*(\d{1,10})[ \t]*")


class Signal(Enum):
    """What a stream says besides messages."""

    PING = "ping"  # to be answered with PONG
    BROKEN = "broken"  # nobody knows where the next message begins: close


class StreamFramer:
    """Cuts one connection's octets into messages; bad lengths and sizes end the stream.

    What cannot be framed is handed out once as it stands, so that its sender can be told.
    """

    def __init__(self, limit: int = MAX_SIZE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._blank = b""  # CRLFs between messages, up to a ping
        self._broken = False

    @property
    def waiting(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes | Signal]:
        """Take octets; yields complete messages and signals in their order."""
        self._buffer += data
        while not self._broken and self._buffer:
            if self._buffer[0] in b"\r\n":
                yield from self._skip_blank()
                continue
            size = self._size()
            if size is None:
                return
            self._blank = b""
            message = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield message
            if self._broken:
                self._buffer.clear()
                yield Signal.BROKEN

    def _skip_blank(self) -> Iterator[Signal]:
        """RFC 3261 7.5: empty lines before a message are passed over; two of them are a ping."""
        count = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
        self._blank += bytes(self._buffer[:count])
        del self._buffer[:count]
        while self._blank.startswith(PING):
            self._blank = self._blank[len(PING) :]
            yield Signal.PING

    def _size(self) -> int | None:
        """Octets of the message that begins here, None while too few are there to tell."""
        end = _END_OF_HEAD.search(self._buffer)
        if end is None:
            return self._unless_too_large(None)
        length = _content_length(bytes(self._buffer[: end.start()]))
        if length is None:
            self._broken = True
            return end.end()
        size = end.end() + length
        return size if size <= min(len(self._buffer), self._limit) else self._unless_too_large(size)

    def _unless_too_large(self, size: int | None) -> int | None:
        """Wait for more, or give up: what is there goes out, large enough to be answered 513."""
        if len(self._buffer) <= self._limit and (size is None or len(self._buffer) < size):
            return None
        self._broken = True
        return len(self._buffer)


def _content_length(head: bytes) -> int | None:
    """The Content-Length that a stream must have (RFC 3261 20.14), None when it cannot be told."""
    found = None
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.rstrip(b"\r").partition(b":")
        if not colon or field_key(name.decode("latin-1").strip()) != "content-length":
            continue
        match = _LENGTH.fullmatch(value)
        if match is None or found is not None:
            return None
        found = int(match[1])
    return found
