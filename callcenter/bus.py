"""The bus: signals to whoever listens, commands to one service with an answer.

Nothing on the bus is durable; facts are in the event log, and the bus only says that it
advanced. `LocalBus` speaks over one Unix socket to the `Hub` that the supervisor holds;
`redis_bus.RedisBus` is the same for several machines.
Handlers run on the bus's own threads and may block; a service's commands of one kind of
caller are answered in parallel.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from callcenter import events
from callcenter.errors import CallcenterError, Unavailable, by_slug
from callcenter.events import BusRejoined, Command, Signal

S = TypeVar("S", bound=Signal)
Answer = dict[str, Any]
Handler = Callable[[Any], Answer | None]

_LOGGER = structlog.get_logger()


class Bus(Protocol):
    """What every process sees of the others."""

    def publish(self, signal: Signal) -> None:
        """Tell everybody; never blocks for long, never raises when nobody listens."""

    def subscribe(self, kind: type[S], handler: Callable[[S], None]) -> None:
        """Call `handler` with every signal of that kind, in their order."""

    def request(self, service: str, command: Command, *, timeout: float = 5.0) -> Answer:
        """Order and wait. Raises the service's error, or Unavailable."""

    def serve(self, service: str, handlers: Mapping[type[Any], Handler]) -> None:
        """Answer commands addressed to `service`, each kind by its handler."""

    def close(self) -> None:
        """Leave the bus."""


class MemoryBus:
    """The bus inside one process: for unit tests and for a part that runs alone."""

    def __init__(self) -> None:
        self._listeners: list[tuple[type[Any], Callable[[Any], None]]] = []
        self._services: dict[str, dict[type[Any], Handler]] = {}

    def publish(self, signal: Signal) -> None:
        """Call the listeners at once, in the order in which they subscribed."""
        for kind, handler in list(self._listeners):
            if isinstance(signal, kind):
                deliver(handler, signal)

    def subscribe(self, kind: type[S], handler: Callable[[S], None]) -> None:
        """See Bus."""
        self._listeners.append((kind, handler))

    def request(self, service: str, command: Command, *, timeout: float = 5.0) -> Answer:
        """See Bus; the time limit is not needed here."""
        handlers = self._services.get(service)
        if handlers is None:
            raise Unavailable(f"{service} is not running")
        return answer_to(handlers, service, command)

    def serve(self, service: str, handlers: Mapping[type[Any], Handler]) -> None:
        """See Bus."""
        self._services.setdefault(service, {}).update(handlers)

    def close(self) -> None:
        """Forget everybody."""
        self._listeners.clear()
        self._services.clear()


def deliver(handler: Callable[[Any], None], signal: Signal) -> None:
    """Call one listener; its failure is its own."""
    try:
        handler(signal)
    except Exception:
        _LOGGER.exception("signal not handled", kind=type(signal).__name__)


def answer_to(handlers: Mapping[type[Any], Handler], service: str, command: Command) -> Answer:
    """What the service says. Raises the error of its handler, or Unavailable where it has none."""
    handler = handlers.get(type(command))
    if handler is None:
        raise Unavailable(f"{service} does not know {type(command).__name__}")
    return handler(command) or {}


# --- Local: one Unix socket, a hub in the supervisor -----------------------------------------
#
# A frame is a JSON array: ["signal", kind, payload] · ["serve", service]
# · ["request", n, service, kind, payload] · ["reply", n, answer] · ["error", n, slug, detail].
# The hub numbers the requests of all its clients, so that a reply finds its way back.

PEER_SECONDS = 2.0
"""So long the hub waits for a process that takes nothing from it."""
HUB_SECONDS = 10.0
"""So long a process waits for the hub at its start."""

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder().decode


def socket_path(run_dir: Path) -> Path:
    """Where the hub listens."""
    return run_dir / "bus.sock"


def _key(run_dir: Path) -> bytes:
    """The shared key of this data directory; made at first use, readable by the owner only."""
    path = run_dir / "bus.key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(os.urandom(32))
    return path.read_bytes()


class _Peer:
    """A connection that several threads may write to."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, frame: list[Any]) -> bool:
        """False when the other side is gone."""
        data = _ENCODE(frame)
        try:
            with self._lock:
                self.connection.send_bytes(data)
        except (OSError, ValueError):
            return False
        return True

    def receive(self) -> list[Any] | None:
        """The next frame, None at the end."""
        try:
            frame: list[Any] = _DECODE(self.connection.recv_bytes())
        except (EOFError, OSError, TypeError):
            return None
        return frame

    def limit_sending(self, seconds: float) -> None:
        """From now on `send` gives up on a side that has taken nothing for so long."""
        whole = int(seconds)
        interval = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
        with contextlib.suppress(OSError), socket.socket(fileno=self._duplicate()) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)

    def hang_up(self) -> None:
        """Wake the thread that reads, here and on the other side; it closes the connection.

        Closing it under that thread would leave it waiting on a file number that may become
        somebody else's.
        """
        with contextlib.suppress(OSError), socket.socket(fileno=self._duplicate()) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _duplicate(self) -> int:
        return os.dup(self.connection.fileno())


class Hub:
    """Passes frames between the processes of one data directory."""

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        path = socket_path(run_dir)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._listener = Listener(str(path), family="AF_UNIX", backlog=64, authkey=_key(run_dir))
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._peers: set[_Peer] = set()
        self._services: dict[str, list[_Peer]] = {}
        self._waiting: dict[int, tuple[_Peer, int, _Peer]] = {}
        self._numbers = itertools.count(1)
        self._open = True
        self._acceptor = threading.Thread(target=self._accept, name="bus-hub", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """End every connection."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.connect(str(self._listener.address))  # the thread that accepts wakes and ends
        self._acceptor.join(5.0)
        self._listener.close()
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            peer.hang_up()

    def _accept(self) -> None:
        while self._open:
            try:
                peer = _Peer(self._listener.accept())
            except (AuthenticationError, EOFError, ConnectionError):
                continue
            except OSError:
                if self._open:
                    continue
                return
            peer.limit_sending(PEER_SECONDS)
            with self._lock:
                self._peers.add(peer)
            threading.Thread(target=self._pump, args=(peer,), daemon=True).start()

    def _pump(self, peer: _Peer) -> None:
        while (frame := peer.receive()) is not None:
            self._route(peer, frame)
        self._forget(peer)

    def _route(self, peer: _Peer, frame: list[Any]) -> None:
        what = frame[0]
        if what == "signal":
            with self._lock:
                others = list(self._peers)
            for other in others:
                self._send(other, frame)
        elif what == "serve":
            with self._lock:
                self._services.setdefault(frame[1], []).append(peer)
        elif what == "request":
            self._forward(peer, frame)
        else:
            with self._lock:
                asked = self._waiting.pop(frame[1], None)
            if asked:
                self._send(asked[0], [what, asked[1], *frame[2:]])

    @staticmethod
    def _send(peer: _Peer, frame: list[Any]) -> bool:
        """A process that stands still is dropped, or all others would wait for it; it joins
        again when it goes on."""
        sent = peer.send(frame)
        if not sent:
            peer.hang_up()
        return sent

    def _forward(self, peer: _Peer, frame: list[Any]) -> None:
        _, theirs, service, kind, payload = frame
        with self._lock:
            servers = self._services.get(service)
            server = servers[-1] if servers else None
            number = next(self._numbers)
            if server:
                self._waiting[number] = (peer, theirs, server)
        request = ["request", number, service, kind, payload]
        sent = server is not None and self._send(server, request)
        if not sent:
            with self._lock:
                self._waiting.pop(number, None)
            self._send(peer, ["error", theirs, Unavailable.slug, f"{service} is not running"])

    def _forget(self, peer: _Peer) -> None:
        with self._lock:
            self._peers.discard(peer)
            for servers in self._services.values():
                while peer in servers:
                    servers.remove(peer)
            lost = [n for n, (_, _, server) in self._waiting.items() if server is peer]
            asked = [self._waiting.pop(n) for n in lost]
        for client, theirs, _ in asked:
            self._send(client, ["error", theirs, Unavailable.slug, "the service stopped meanwhile"])
        peer.connection.close()


class LocalBus:
    """A process's place on the hub; connects again by itself when the hub returns."""

    def __init__(self, run_dir: Path, *, patience: float = HUB_SECONDS) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()
        self._listeners: list[tuple[type[Any], Callable[[Any], None]]] = []
        self._services: dict[str, dict[type[Any], Handler]] = {}
        self._waiting: dict[int, Future[Answer]] = {}
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="bus-command")
        self._open = True
        self._peer: _Peer | None = self._connect(patience)
        self._reader = threading.Thread(target=self._read, name="bus", daemon=True)
        self._reader.start()

    def publish(self, signal: Signal) -> None:
        """See Bus."""
        self._send(["signal", type(signal).__name__, events.pack(signal)])

    def subscribe(self, kind: type[S], handler: Callable[[S], None]) -> None:
        """See Bus."""
        self._listeners.append((kind, handler))

    def request(self, service: str, command: Command, *, timeout: float = 5.0) -> Answer:
        """See Bus."""
        number = next(self._numbers)
        future: Future[Answer] = Future()
        with self._lock:
            self._waiting[number] = future
        kind = type(command).__name__
        try:
            if not self._send(["request", number, service, kind, events.pack(command)]):
                raise Unavailable("the bus is not reachable")
            return future.result(timeout)
        except FutureTimeout:
            raise Unavailable(f"{service} did not answer within {timeout:g} s") from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def serve(self, service: str, handlers: Mapping[type[Any], Handler]) -> None:
        """See Bus."""
        self._services.setdefault(service, {}).update(handlers)
        self._send(["serve", service])

    def close(self) -> None:
        """See Bus."""
        self._open = False
        if peer := self._peer:
            peer.hang_up()
        if threading.current_thread() is not self._reader:
            self._reader.join(5.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _connect(self, patience: float) -> _Peer:
        """Retries until `patience` seconds are over, then Unavailable."""
        deadline = time.monotonic() + patience
        path = socket_path(self._run_dir)
        while True:
            try:
                return _Peer(Client(str(path), family="AF_UNIX", authkey=_key(self._run_dir)))
            except (OSError, EOFError, AuthenticationError) as error:
                if time.monotonic() > deadline or not self._open:
                    raise Unavailable(
                        f"no bus at {path}: start `callcenter run`, or set bus_url"
                    ) from error
                time.sleep(0.05)

    def _send(self, frame: list[Any]) -> bool:
        peer = self._peer
        return peer is not None and peer.send(frame)

    def _read(self) -> None:
        while self._open:
            peer = self._peer
            frame = peer.receive() if peer else None
            if frame is not None:
                self._take(frame)
            elif self._open:
                if peer:
                    peer.connection.close()
                self._again()
        if self._peer:
            self._peer.connection.close()

    def _again(self) -> None:
        """The hub went away: fail what waits, connect anew, announce our services again."""
        self._peer = None
        with self._lock:
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for future in waiting:
            future.set_exception(Unavailable("the bus went away"))
        with contextlib.suppress(Unavailable):
            self._peer = self._connect(5.0)
            for service in self._services:
                self._send(["serve", service])
            self._signal(BusRejoined.__name__, {})

    def _take(self, frame: list[Any]) -> None:
        what = frame[0]
        if what == "signal":
            self._signal(frame[1], frame[2])
        elif what == "request":
            self._pool.submit(self._answer, *frame[1:])
        else:
            with self._lock:
                future = self._waiting.pop(frame[1], None)
            if future and what == "reply":
                future.set_result(frame[2])
            elif future:
                future.set_exception(by_slug(frame[2], frame[3]))

    def _signal(self, kind: str, payload: dict[str, Any]) -> None:
        wanted = [handler for of, handler in list(self._listeners) if of.__name__ == kind]
        if not wanted:
            return
        try:
            signal = events.unpack(kind, payload)
        except Exception as error:  # of another version: this thread must not end by it
            _LOGGER.error("signal not understood", kind=kind, error=type(error).__name__)
            return
        for handler in wanted:
            deliver(handler, signal)

    def _answer(self, number: int, service: str, kind: str, payload: dict[str, Any]) -> None:
        try:
            command = events.unpack(kind, payload)
            answer = answer_to(self._services.get(service, {}), service, command)
            self._send(["reply", number, msgspec.to_builtins(answer)])
        except CallcenterError as error:
            self._send(["error", number, error.slug, error.detail])
        except Exception:
            _LOGGER.exception("command failed", kind=kind)
            self._send(["error", number, CallcenterError.slug, f"{service} failed; see its log"])
