"""The Unix socket between the media loop and the speech workers, both ends.

`SpeechSocket` is the media loop's: writing to a line only puts bytes on a bounded queue. A thread
per worker sends, connects again when the worker was restarted, and opens the running lines
anew. `SpeechListener` is the worker's.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from callcenter.errors import SpeechError, StartError
from callcenter.events import LegName
from callcenter.telephony.ports import SAMPLE_RATE, Codec
from callcenter.telephony.speech import wire

_BATCH = SAMPLE_RATE // 10  # samples in a frame
_QUEUE_FRAMES = 3000  # 300 s of one leg's sound, 2.5 MB
_GATHER_SECONDS = 0.02  # all lines write at the same tick of the media loop: one send for all
_MOST_AT_ONCE = 512  # frames in a send, so that a slow worker is not taken for a dead one
_IDLE_SECONDS = 0.25
_RETRY_SECONDS = 0.25
_SEND_SECONDS = 10.0  # a worker that takes nothing for so long is given up
_LOGGER = structlog.get_logger()


def socket_path(run_dir: Path, index: int) -> Path:
    """Where speech worker `index` listens."""
    return run_dir / f"speech-{index}.sock"


# --- The media loop's end ------------------------------------------------------------------------


class SpeechSocket:
    """SpeechLink over Unix sockets; both legs of a call go to the same worker."""

    def __init__(self, run_dir: Path, *, workers: int = 1) -> None:
        self._ways = [_Way(socket_path(run_dir, index)) for index in range(workers)]
        self._calls: dict[str, tuple[_Way, int]] = {}
        self._numbers = itertools.count(1)

    def open(self, call: str, leg: LegName, language: str) -> Line:
        """See SpeechLink."""
        idlest = min(self._ways, key=lambda way: len(way.lines))
        way, users = self._calls.get(call, (idlest, 0))
        self._calls[call] = (way, users + 1)
        opening = wire.Opening(call, leg, language)
        line = Line(next(self._numbers), opening, way, lambda: self._closed(call))
        way.begin(line)
        return line

    def close(self) -> None:
        """Send what waits, for a second at most, and hang up."""
        for way in self._ways:
            way.stop()

    def _closed(self, call: str) -> None:
        way, users = self._calls[call]
        if users > 1:
            self._calls[call] = (way, users - 1)
        else:
            del self._calls[call]


class Line:
    """SpeechLine: gathers a tenth of a second, then queues it."""

    def __init__(
        self, number: int, opening: wire.Opening, way: _Way, on_close: Callable[[], None]
    ) -> None:
        self.number = number
        self.opening = opening
        self._way = way
        self._on_close = on_close
        self._start = 0
        self._codec = Codec.PCMU
        self._batch = bytearray()
        self._behind = False
        self._open = True

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """See FrameSink."""
        if not self._open:
            return
        if position != self._start + len(self._batch) or codec is not self._codec:
            self._flush()
            self._start, self._codec = position, codec
        if not self._batch and len(payload) == _BATCH:  # what the media loop brings as a rule
            self._send(payload)
            return
        self._batch += payload
        if len(self._batch) >= _BATCH:
            self._flush()

    def close(self) -> None:
        """See SpeechLine."""
        if self._open:
            self._flush()
            self._open = False
            self._way.end(self)
            self._on_close()

    def _flush(self) -> None:
        if self._batch:
            self._send(bytes(self._batch))
            self._batch.clear()

    def _send(self, payload: bytes) -> None:
        sound = wire.sound(self.number, self._start, self._codec, payload)
        self._start += len(payload)
        if self._behind and self._way.send(wire.encode(wire.Behind(self.number))):
            self._behind = False
        self._behind |= not self._way.send(sound)


class _Way:
    """The connection to one worker; `lines` are those that are open now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[bytes] = deque()
        self._some = threading.Event()  # set where something waits
        self._lock = threading.Lock()
        self.lines: dict[int, Line] = {}
        self._told: set[int] = set()  # lines that a worker heard of, now or before
        self._connected = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="speech-link", daemon=True)
        self._thread.start()

    def begin(self, line: Line) -> None:
        """Announce the line, now or when the worker is there."""
        with self._lock:
            self.lines[line.number] = line
        if self.send(wire.encode(wire.Opened(line.number, line.opening))):
            self._told.add(line.number)

    def end(self, line: Line) -> None:
        """The line is over."""
        with self._lock:
            self.lines.pop(line.number, None)
            self._told.discard(line.number)
        while self._connected and not self.send(wire.encode(wire.Closed(line.number))):
            with contextlib.suppress(IndexError):  # its end matters more than old sound
                self._waiting.popleft()

    def send(self, frame: bytes) -> bool:
        """Queue the frame; False when it had to be dropped. Never blocks."""
        if not self._connected or len(self._waiting) >= _QUEUE_FRAMES:
            return False
        self._waiting.append(frame)
        if not self._some.is_set():
            self._some.set()
        return True

    def stop(self) -> None:
        """Let the thread send what waits and end."""
        self._stopping.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._dial() as connection:
                    self._pump(connection)
            except OSError:
                self._connected = False
                self._stopping.wait(_RETRY_SECONDS)

    def _dial(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_SEND_SECONDS)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection

    def _pump(self, connection: socket.socket) -> None:
        self._greet()
        while not (self._stopping.is_set() and not self._waiting):
            if not self._some.wait(_IDLE_SECONDS):
                _check(connection)
                continue
            self._some.clear()
            self._stopping.wait(_GATHER_SECONDS)
            frames = self._take(_MOST_AT_ONCE)
            if self._waiting:
                self._some.set()
            connection.sendall(b"".join(frames))

    def _take(self, most: int) -> list[bytes]:
        """Up to so many frames that are queued now."""
        frames: list[bytes] = []
        with contextlib.suppress(IndexError):  # `end` takes from it, too
            while len(frames) < most:
                frames.append(self._waiting.popleft())
        return frames

    def _greet(self) -> None:
        """Forget what waited for the worker before, and open the running lines."""
        self._waiting.clear()
        with self._lock:
            for line in self.lines.values():
                opening = line.opening
                again = line.number in self._told
                opened = wire.Opened(line.number, opening if not again else _resumed(opening))
                self._waiting.append(wire.encode(opened))
                self._told.add(line.number)
            if self._waiting:
                self._some.set()
            self._connected = True


def _resumed(opening: wire.Opening) -> wire.Opening:
    return wire.Opening(opening.call, opening.leg, opening.language, resumed=True)


def _check(connection: socket.socket) -> None:
    """Raises OSError when the worker is gone; it never sends anything."""
    connection.settimeout(0)
    try:
        if connection.recv(1) == b"":
            raise ConnectionResetError
    except BlockingIOError:
        connection.settimeout(_SEND_SECONDS)


# --- The worker's end ----------------------------------------------------------------------------


class Desk(Protocol):
    """What the listener hands frames to; one for each connection."""

    def take(self, frame: wire.Frame) -> None:
        """The next frame, in order."""

    def gone(self) -> None:
        """The other side is gone: its lines are over."""


class SpeechListener:
    """Accepts telephony processes and reads their frames, a thread each."""

    def __init__(self, path: Path, new_desk: Callable[[], Desk]) -> None:
        self._new_desk = new_desk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(str(path))
        except OSError as error:
            self._socket.close()
            raise StartError(f"{path} cannot be made: {error.strerror or error}") from error
        path.chmod(0o600)
        self._socket.listen()
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="speech-accept", daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.add(connection)
            threading.Thread(
                target=self._read, args=(connection,), name="speech-read", daemon=True
            ).start()

    def _read(self, connection: socket.socket) -> None:
        desk, decoder = self._new_desk(), wire.Decoder()
        try:
            with connection:
                while data := connection.recv(1 << 16):
                    for frame in decoder.feed(data):
                        desk.take(frame)
        except SpeechError as error:
            _LOGGER.error("speech line refused", error=error.detail)
        except OSError:
            _LOGGER.warning("telephony is gone")
        finally:
            self._connections.discard(connection)
            desk.gone()
