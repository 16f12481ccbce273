"""The telephones' sockets, read and written in compiled code: one system call a packet, no more.

Linux only (epoll, recvmsg(2) and the layout of its structures on 64 bits); `PlainSockets` does the
same by the standard library elsewhere, and the tests compare the two. Both hand on whatever is
not usual: a datagram from a place that was not heard of, RTCP, SRTP, another length or codec.
"""

from __future__ import annotations

import contextlib
import platform
import select
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numba
import numpy as np
import structlog

from callcenter.telephony.media import batch
from callcenter.telephony.media.batch import (
    DONE,
    MADE,
    NOBODY,
    UNUSUAL,
    USUAL_BYTES,
    Arrivals,
    place,
)
from callcenter.telephony.media.compiled import compiled, is_kept
from callcenter.telephony.media.latch import Source
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.rows import Integers, Octets, Rows, Table
from callcenter.telephony.media.rtcp import is_rtcp
from callcenter.telephony.ports import SAMPLE_RATE

_LOGGER = structlog.get_logger()
_SLOT_BYTES = 2048
_MOST = 1024  # datagrams of one look
_ADDRESS_BYTES = 28  # sockaddr_in6
_LONGEST_AGE = 1.0  # seconds: more is a clock that was set
_STAMPED = 35  # SO_TIMESTAMPNS and its control message's type, asm-generic/socket.h
_EPOLLIN = 1

LINUX = sys.platform == "linux" and struct.calcsize("P") == 8
"""Whether `CompiledSockets` can be used here."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """One that waits for a second look; `data` is good for as long as that takes.

    `moment`: when it came, seconds of the loop's clock. `arrival`: when it was read, in samples,
    see `Leg.receive`.
    """

    data: memoryview
    source: Source
    moment: float
    arrival: int


Take = Callable[[Datagram], None]


class RtpSockets(Protocol):
    """The sockets of a media plane."""

    def add(self, sock: socket.socket, take: Take, leg: Leg | None = None) -> int:
        """Read it from now on; `take` gets what is not usual. Its number. Without a leg (RTCP)
        nothing is usual."""

    def aim(self, number: int, target: Source | None, *, trusted: bool) -> None:
        """Sound goes to `target` as it is, None: the leg's carrier sends. `trusted`: what comes
        from there needs no second look. The leg is in the plane's table by now."""

    def remove(self, number: int) -> None:
        """Before it is closed."""

    def receive(self, now: float, epoch: float, arrival: int) -> bool:
        """Take one datagram of each socket that has some; False where none had any.

        `arrival` is loop time `now` in samples since `epoch`, see `Leg.receive`.
        """

    def send(self, legs: Integers, said: Integers, packets: Any) -> None:
        """Send what `Batch.departures` made for legs whose socket (its number, NOBODY: none) is
        aimed; `said` is NOBODY afterwards where that was done."""

    def close(self) -> None:
        """Once, at the end."""


def _hand_on(take: Take, datagram: Datagram) -> None:
    """What one party sends never costs the others their packets."""
    try:
        take(datagram)
    except Exception:
        _LOGGER.exception("a datagram was dropped")


# --- by the standard library ---------------------------------------------------------------------


class PlainSockets:
    """RtpSockets for every system; a datagram came when it is read."""

    def __init__(self, rows: Rows, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._selector = selectors.DefaultSelector()
        self._known: dict[int, _Known] = {}
        self._count = 0

    def add(self, sock: socket.socket, take: Take, leg: Leg | None = None) -> int:
        """See RtpSockets."""
        self._count += 1
        known = self._known[self._count] = _Known(sock, take, leg)
        self._selector.register(sock, selectors.EVENT_READ, known)
        return self._count

    def aim(self, number: int, target: Source | None, *, trusted: bool) -> None:
        """See RtpSockets. Its carrier sends."""
        self._known[number].trusted = target if trusted else None

    def remove(self, number: int) -> None:
        """See RtpSockets."""
        self._selector.unregister(self._known.pop(number).socket)

    def receive(self, now: float, epoch: float, arrival: int) -> bool:
        """See RtpSockets."""
        ready = self._selector.select(0)
        for key, _ in ready:
            known: _Known = key.data
            try:
                data, source = known.socket.recvfrom(_SLOT_BYTES)
            except OSError:
                continue  # nothing there, or an ICMP error of an earlier packet
            view = memoryview(data)
            usual = source == known.trusted and len(data) == USUAL_BYTES and not is_rtcp(view)
            if known.leg and usual:
                self._arrivals.put(known.leg, view, arrival, arrival)
            else:
                _hand_on(known.take, Datagram(view, source, now, arrival))
        self._arrivals.settle()
        return bool(ready)

    def send(self, legs: Integers, said: Integers, packets: Any) -> None:
        """See RtpSockets."""

    def close(self) -> None:
        """See RtpSockets."""
        self._selector.close()


@dataclass(slots=True, eq=False)
class _Known:
    socket: socket.socket
    take: Take
    leg: Leg | None
    trusted: Source | None = None


# --- in compiled code ----------------------------------------------------------------------------

_SOCKET = np.dtype(
    [
        ("descriptor", np.int64),
        ("row", np.int64),  # of its leg, NOBODY: RTCP
        ("trusted", np.bool_),
        ("length", np.int64),  # of the address to send to, 0: the carrier sends
        ("address", np.uint8, _ADDRESS_BYTES),  # a sockaddr
    ],
    align=True,
)
_FOUND = np.dtype(
    [
        ("socket", np.int64),
        ("size", np.int64),  # of the datagram, NOBODY: it was placed
        ("frame", np.int64),  # then: too late for the taps of its leg
        ("moment", np.float64),
    ]
)
# sys/epoll.h: packed on x86 only. Python's epoll puts the descriptor in the lower half of data.
_EVENT = np.dtype(
    [("events", np.uint32), ("descriptor", np.int32), ("rest", np.int32)]
    if platform.machine() in ("x86_64", "AMD64")
    else [
        ("events", np.uint32),
        ("padding", np.uint32),
        ("descriptor", np.int32),
        ("rest", np.int32),
    ]
)
# bits/socket.h on 64 bits
_MESSAGE = np.dtype(
    [
        ("name", np.uint64),
        ("name_length", np.uint32),
        ("vectors", np.uint64),
        ("vector_count", np.uint64),
        ("control", np.uint64),
        ("control_length", np.uint64),
        ("flags", np.int32),
    ],
    align=True,
)
_VECTOR = np.dtype([("base", np.uint64), ("length", np.uint64)])
_CONTROL = np.dtype(
    [
        ("length", np.uint64),
        ("level", np.int32),
        ("type", np.int32),
        ("seconds", np.int64),
        ("nanoseconds", np.int64),
    ]
)
_SOCKET_BYTES = _SOCKET.itemsize
assert _SOCKET.fields is not None
_ADDRESS_AT = _SOCKET.fields["address"][1]

_int, _pointer, _size = numba.types.int32, numba.types.uintp, numba.types.int64


def _of_libc(name: str, result: Any, *given: Any) -> Any:
    return numba.types.ExternalFunction(name, result(*given))


_epoll_wait = _of_libc("epoll_wait", _int, _int, _pointer, _int, _int)
_recvmsg = _of_libc("recvmsg", _size, _int, _pointer, _int)
_sendto = _of_libc("sendto", _size, _int, _pointer, _size, _int, _pointer, numba.types.uint32)


@compiled
def _receive(
    poll: int,
    table: Table,
    ring: Octets,
    filled: Octets,
    sockets: Table,
    numbers: Integers,
    events: Table,
    message: Table,
    vector: Table,
    control: Table,
    slots: Octets,
    names: Octets,
    found: Table,
    arrival: int,
    now: float,
    epoch: float,
    behind: float,
) -> tuple[int, int]:
    """One datagram of each socket that has some, placed where it is usual. How many had some, and
    of how many `found` tells; the datagrams in `slots`, their sources in `names`.

    `numbers`: of the descriptors' sockets. `behind`: loop time is so much behind the time of day.
    """
    ready = _epoll_wait(poll, events.ctypes.data, len(events), 0)
    count = 0
    for at in range(ready):
        number = numbers[events[at]["descriptor"]]
        one = sockets[number]
        vector[0]["base"] = slots[count].ctypes.data
        message[0]["name"] = names[count].ctypes.data
        message[0]["name_length"] = _ADDRESS_BYTES
        message[0]["control_length"] = 64
        control[0]["type"] = 0
        size = _recvmsg(one["descriptor"], message.ctypes.data, 0)
        if size < 0:
            continue  # nothing there, or an ICMP error of an earlier packet
        moment = now
        if control[0]["type"] == _STAMPED:
            stamp = control[0]["seconds"] + control[0]["nanoseconds"] * 1e-9 - behind
            if abs(now - stamp) < _LONGEST_AGE:
                moment = stamp
        length = message[0]["name_length"]
        if one["trusted"] and size == USUAL_BYTES and length == one["length"]:
            same = True
            for octet in range(length):
                same &= names[count, octet] == one["address"][octet]
            precise = (moment - epoch) * SAMPLE_RATE
            if same:
                packet = slots[count, :USUAL_BYTES]
                frame = place(table, ring, filled, one["row"], packet, arrival, precise, now)
                if frame == DONE:
                    continue
                if frame != UNUSUAL:
                    size = NOBODY
                    found[count]["frame"] = frame
        found[count]["socket"] = number
        found[count]["size"] = size
        found[count]["moment"] = moment
        count += 1
    return ready, count


@compiled
def _send(sockets: Table, numbers: Integers, said: Integers, packets: Octets) -> None:
    """What was made, to where the sockets are aimed."""
    for at in range(len(numbers)):
        if said[at] != MADE or numbers[at] == NOBODY:
            continue
        one = sockets[numbers[at]]
        if one["length"] == 0:
            continue
        target = sockets.ctypes.data + numbers[at] * _SOCKET_BYTES + _ADDRESS_AT
        # What the kernel has no room for, or nobody takes, is lost: as on the network.
        _sendto(one["descriptor"], packets[at].ctypes.data, USUAL_BYTES, 0, target, one["length"])
        said[at] = NOBODY


class CompiledSockets:
    """RtpSockets on Linux."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._epoll = select.epoll()
        self._sockets = np.zeros(64, _SOCKET)
        self._free = list(range(63, -1, -1))
        self._numbers = np.zeros(1024, np.int64)
        self._takes: dict[int, tuple[Take, Leg | None]] = {}
        self._events = np.zeros(_MOST, _EVENT)
        self._slots = np.zeros((_MOST, _SLOT_BYTES), np.uint8)
        self._names = np.zeros((_MOST, _ADDRESS_BYTES), np.uint8)
        self._found = np.zeros(_MOST, _FOUND)
        self._vector, self._control = np.zeros(1, _VECTOR), np.zeros(2, _CONTROL)
        self._message = np.zeros(1, _MESSAGE)
        self._vector["length"] = _SLOT_BYTES
        self._message["vectors"], self._message["vector_count"] = self._vector.ctypes.data, 1
        self._message["control"] = self._control.ctypes.data
        self._views = [slot.data for slot in self._slots]

    def add(self, sock: socket.socket, take: Take, leg: Leg | None = None) -> int:
        """See RtpSockets."""
        if not self._free:
            size = len(self._sockets)
            self._sockets = np.concatenate([self._sockets, np.zeros(size, _SOCKET)])
            self._free = list(range(2 * size - 1, size - 1, -1))
        number, descriptor = self._free.pop(), sock.fileno()
        while descriptor >= len(self._numbers):
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        self._numbers[descriptor] = number
        one = self._sockets[number]
        one["descriptor"], one["row"], one["trusted"], one["length"] = descriptor, NOBODY, False, 0
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _STAMPED, 1)
        self._takes[number] = take, leg
        self._epoll.register(descriptor, _EPOLLIN)
        return number

    def aim(self, number: int, target: Source | None, *, trusted: bool) -> None:
        """See RtpSockets."""
        one = self._sockets[number]
        address = b""
        if target is not None:
            with contextlib.suppress(OSError):  # a name and no number: its carrier sends
                address = packed(target)
        one["address"][: len(address)] = list(address)
        one["length"] = len(address)
        _, leg = self._takes[number]
        if leg is not None:
            one["row"], one["trusted"] = leg.row.index, trusted and bool(address)

    def remove(self, number: int) -> None:
        """See RtpSockets."""
        self._epoll.unregister(int(self._sockets[number]["descriptor"]))
        self._sockets[number] = np.zeros((), _SOCKET)
        del self._takes[number]
        self._free.append(number)

    def receive(self, now: float, epoch: float, arrival: int) -> bool:
        """See RtpSockets. The kernel's time stamp says when a datagram came (socket(7))."""
        ready, count = _receive(
            self._epoll.fileno(),
            *self._rows.arrays,
            self._sockets,
            self._numbers,
            self._events,
            self._message,
            self._vector,
            self._control,
            self._slots,
            self._names,
            self._found,
            arrival,
            now,
            epoch,
            time.time() - now,
        )
        for at, (number, size, frame, moment) in enumerate(self._found[:count].tolist()):
            if number not in self._takes:
                continue  # closed by what came before it
            take, leg = self._takes[number]
            if size != NOBODY:
                source = unpacked(self._names[at].tobytes())
                _hand_on(take, Datagram(self._views[at][:size], source, moment, arrival))
            elif leg is not None:
                leg.deliver_late(frame, frame)
        return bool(ready > 0)

    def send(self, legs: Integers, said: Integers, packets: Any) -> None:
        """See RtpSockets."""
        _send(self._sockets, legs, said, packets)

    def close(self) -> None:
        """See RtpSockets."""
        self._epoll.close()


_FAMILY = struct.Struct("=H")
_FOUR, _SIX = struct.Struct("=H2s4s8x"), struct.Struct("=H2s4s16sI")


def packed(source: Source) -> bytes:
    """A socket's address as a sockaddr_in or sockaddr_in6 of Linux."""
    port = struct.pack("!H", source[1])
    if len(source) == 2 and ":" not in source[0]:
        return _FOUR.pack(socket.AF_INET, port, socket.inet_aton(source[0]))
    host, _, flow, scope = source if len(source) == 4 else (*source, 0, 0)
    number = socket.inet_pton(socket.AF_INET6, host)
    return _SIX.pack(socket.AF_INET6, port, struct.pack("!I", flow), number, scope)


def unpacked(address: bytes) -> Source:
    """The same back, as `recvfrom` gives it."""
    (family,) = _FAMILY.unpack_from(address)
    if family == socket.AF_INET:
        _, port, number = _FOUR.unpack_from(address)
        return socket.inet_ntoa(number), int.from_bytes(port, "big")
    _, port, flow, number, scope = _SIX.unpack_from(address)
    host = socket.inet_ntop(socket.AF_INET6, number)
    return host, int.from_bytes(port, "big"), int.from_bytes(flow, "big"), scope


def sockets(rows: Rows, arrivals: Arrivals) -> RtpSockets:
    """The best that this system has."""
    return CompiledSockets(rows) if LINUX else PlainSockets(rows, arrivals)


@cache
def prepare() -> None:
    """Compile what is not yet compiled, so that no packet waits for it: some ten seconds once,
    half a second where it was kept."""
    if not is_kept():
        _LOGGER.info("the media plane is compiled once, that takes some ten seconds")
    batch.prepare()
    if LINUX:
        nothing, nobody = CompiledSockets(Rows()), np.zeros(0, np.int64)
        nothing.receive(0.0, 0.0, 0)
        nothing.send(nobody, nobody, np.zeros((0, USUAL_BYTES), np.uint8))
        nothing.close()
