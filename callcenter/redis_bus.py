"""The bus over Redis, for processes on several machines: the same promises as `LocalBus`.

    <prefix>:signals          everybody listens:  [kind, payload]
    <prefix>:inbox:<member>   one process listens: ["request", n, from, service, kind, payload]
                              · ["reply", n, answer] · ["error", n, slug, detail]
    <prefix>:serve:<service>  sorted set of members, the newest is asked first

`PUBLISH` says how many listened: a member that is gone is noticed at once, taken off the list, and
the next one is asked. A member that dies with an order in hand is noticed by looking at its inbox
while the answer is awaited. Nothing is kept in Redis that could not be told again: after a
reconnection every process names its services anew and `BusRejoined` tells its own listeners that
signals may have been lost.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import redis
import structlog

from callcenter import events
from callcenter.bus import Answer, Handler, answer_to, deliver
from callcenter.errors import CallcenterError, Unavailable, by_slug
from callcenter.events import BusRejoined, Command, Signal
from callcenter.ids import new_id

S = TypeVar("S", bound=Signal)
LOOK_SECONDS = 0.25
"""So often a waiting asker looks whether the one it asked is still there."""
_PATIENCE = 2.0  # seconds of one talk with Redis; it answers in one thousandth of that
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder().decode
_LOGGER = structlog.get_logger()


def prefix_of(url: str) -> str:
    """Channels are common to all numbered databases of a Redis, so the number is in the name."""
    return f"callcenter:{urlsplit(url).path.strip('/') or '0'}"


class RedisBus:
    """A process's place on the bus; see `callcenter.bus.Bus`."""

    def __init__(self, url: str, *, patience: float = 10.0) -> None:
        self._prefix = prefix_of(url)
        self._member = new_id()
        self._redis: Any = redis.Redis.from_url(  # its types are those of two answers in one
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            socket_keepalive=True,
            health_check_interval=5,
        )
        self._lock = threading.Lock()
        self._listeners: list[tuple[type[Any], Callable[[Any], None]]] = []
        self._services: dict[str, dict[type[Any], Handler]] = {}
        self._waiting: dict[int, Future[Answer]] = {}
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="bus-command")
        self._open = True
        self._pubsub = self._join(patience)
        self._reader = threading.Thread(target=self._read, name="bus", daemon=True)
        self._reader.start()

    # --- Bus ---

    def publish(self, signal: Signal) -> None:
        """See Bus. What is said while Redis is away is lost, as signals may be."""
        frame = [type(signal).__name__, events.pack(signal)]
        self._say(f"{self._prefix}:signals", frame)

    def subscribe(self, kind: type[S], handler: Callable[[S], None]) -> None:
        """See Bus."""
        self._listeners.append((kind, handler))

    def request(self, service: str, command: Command, *, timeout: float = 5.0) -> Answer:
        """See Bus."""
        number = next(self._numbers)
        future: Future[Answer] = Future()
        with self._lock:
            self._waiting[number] = future
        order = [service, type(command).__name__, events.pack(command)]
        try:
            asked = self._ask(service, ["request", number, self._member, *order])
            return self._await(future, service, asked, timeout)
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def serve(self, service: str, handlers: Mapping[type[Any], Handler]) -> None:
        """See Bus."""
        self._services.setdefault(service, {}).update(handlers)
        with suppress(redis.RedisError):  # it is named again as soon as Redis is back
            self._name(service)

    def close(self) -> None:
        """See Bus."""
        self._open = False
        with suppress(redis.RedisError):
            for service in self._services:
                self._redis.zrem(self._list(service), self._member)
        if threading.current_thread() is not self._reader:
            self._reader.join(5.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._redis.close()

    # --- Asking ---

    def _ask(self, service: str, frame: list[Any]) -> str:
        """Hand the order to the newest member that listens; returns its name."""
        try:
            for member in self._redis.zrevrange(self._list(service), 0, -1):
                name = str(member, "ascii")
                if self._redis.publish(self._inbox(name), _ENCODE(frame)):
                    return name
                self._redis.zrem(self._list(service), member)
        except redis.RedisError as error:
            raise Unavailable("the bus is not reachable") from error
        raise Unavailable(f"{service} is not running")

    def _await(self, future: Future[Answer], service: str, member: str, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return future.result(max(0.0, min(left, LOOK_SECONDS)))
            except FutureTimeout:
                if left <= LOOK_SECONDS:
                    raise Unavailable(f"{service} did not answer within {timeout:g} s") from None
            if not self._listens(member):
                raise Unavailable("the service stopped meanwhile")

    def _listens(self, member: str) -> bool:
        try:
            return bool(self._redis.pubsub_numsub(self._inbox(member))[0][1])
        except redis.RedisError:
            return True  # nobody knows; the time limit holds

    # --- The thread that reads ---

    def _join(self, patience: float) -> Any:
        """Listen to signals and our inbox, name our services. Unavailable after `patience` s."""
        deadline = time.monotonic() + patience
        while True:
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                pubsub.subscribe(f"{self._prefix}:signals", self._inbox(self._member))
                for service in list(self._services):
                    self._name(service)
                return pubsub
            except redis.RedisError as error:
                pubsub.close()
                if time.monotonic() > deadline or not self._open:
                    where = self._redis.connection_pool.connection_kwargs
                    place = f"{where.get('host')}:{where.get('port')}"
                    raise Unavailable(
                        f"no Redis at {place} ({type(error).__name__}): start it or set bus_url"
                    ) from error
                time.sleep(0.1)

    def _read(self) -> None:
        while self._open:
            try:
                message = self._pubsub.get_message(timeout=0.5)
            except (redis.RedisError, OSError, ValueError):
                self._again()
                continue
            if message and message["type"] == "message":
                self._take(message["channel"], message["data"])
        self._pubsub.close()

    def _again(self) -> None:
        """Redis went away: fail what waits, join anew, say that something may be missing."""
        self._pubsub.close()
        with self._lock:
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for future in waiting:
            with suppress(Exception):  # answered at the same moment
                future.set_exception(Unavailable("the bus went away"))
        while self._open:
            with suppress(Unavailable):
                self._pubsub = self._join(5.0)
                _LOGGER.info("the bus is back")
                self._signal(BusRejoined.__name__, {})
                return

    def _take(self, channel: bytes, data: bytes) -> None:
        try:
            frame = _DECODE(data)
            if channel.endswith(b":signals"):
                self._signal(*frame)
            elif frame[0] == "request":
                self._pool.submit(self._answer, *frame[1:])
            else:
                self._answered(*frame)
        except Exception as error:  # of another version: this thread must not end by it
            _LOGGER.error("message not understood", error=type(error).__name__)

    def _signal(self, kind: str, payload: dict[str, Any]) -> None:
        wanted = [handler for of, handler in list(self._listeners) if of.__name__ == kind]
        if wanted:
            signal = events.unpack(kind, payload)
            for handler in wanted:
                deliver(handler, signal)

    def _answered(self, what: str, number: int, *rest: Any) -> None:
        with self._lock:
            future = self._waiting.pop(number, None)
        if future and what == "reply":
            future.set_result(rest[0])
        elif future:
            future.set_exception(by_slug(rest[0], rest[1]))

    def _answer(
        self, number: int, asker: str, service: str, kind: str, payload: dict[str, Any]
    ) -> None:
        try:
            command = events.unpack(kind, payload)
            answer = answer_to(self._services.get(service, {}), service, command)
            reply = ["reply", number, msgspec.to_builtins(answer)]
        except CallcenterError as error:
            reply = ["error", number, error.slug, error.detail]
        except Exception:
            _LOGGER.exception("command failed", kind=kind)
            reply = ["error", number, CallcenterError.slug, f"{service} failed; see its log"]
        self._say(self._inbox(asker), reply)

    # --- Redis ---

    def _say(self, channel: str, frame: list[Any]) -> None:
        try:
            self._redis.publish(channel, _ENCODE(frame))
        except redis.RedisError as error:
            _LOGGER.warning("not said on the bus", error=type(error).__name__)

    def _name(self, service: str) -> None:
        """By the server's clock, so that the newest is the newest on whatever machine it is."""
        seconds, microseconds = self._redis.time()
        self._redis.zadd(self._list(service), {self._member: seconds + microseconds / 1e6})

    def _inbox(self, member: str) -> str:
        return f"{self._prefix}:inbox:{member}"

    def _list(self, service: str) -> str:
        return f"{self._prefix}:serve:{service}"
