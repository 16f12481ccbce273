"""The media plane: one batching loop that moves the sound of all calls.

It wakes up every 10 ms, empties every socket that has something, and every 20 ms sends one
packet to each party. The times are absolute (`epoch + n * 10 ms`), so the clock never drifts;
after a stall it catches up with a few frames and skips the rest. Without legs it sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np
import structlog

from callcenter.telephony.adapters.g722 import G722
from callcenter.telephony.adapters.rtp_ports import PortPool
from callcenter.telephony.adapters.rtp_sockets import Datagram, prepare, sockets
from callcenter.telephony.adapters.srtp import Srtp
from callcenter.telephony.media.batch import LEFT, NOBODY, Arrivals, Batch
from callcenter.telephony.media.latch import Source, SourceLatch
from callcenter.telephony.media.leg import Leg, Playback, Tap
from callcenter.telephony.media.meter import Meter
from callcenter.telephony.media.mixing import Mix
from callcenter.telephony.media.rows import Rows
from callcenter.telephony.media.rtcp import is_rtcp
from callcenter.telephony.ports import (
    FRAME_SECONDS,
    SAMPLE_RATE,
    Address,
    Codec,
    Direction,
    FrameSink,
    MediaDescription,
    MediaLeg,
    Sound,
)

_LOGGER = structlog.get_logger()
_WAKES_PER_FRAME = 2
_WAKE_SECONDS = FRAME_SECONDS / _WAKES_PER_FRAME
_MOST_FRAMES = 5  # sent at once after a stall; what is older is skipped
_MOST_PACKETS = 64  # taken from one socket at a wake-up: a flood must not stop the clock
_FIRST_ROWS = 64
_HAIR = 8  # samples
_FRAMES_A_LOOK = 25  # RTCP that is due goes out within half a second
_NO_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_LISTENING = frozenset({Direction.SENDRECV, Direction.RECVONLY})


Packet = bytes | bytearray | memoryview


class Carrier(Protocol):
    """A leg together with its transport, as the loop sees it."""

    @property
    def sound(self) -> Leg:
        """The leg's sound."""

    def send(self, packet: Packet) -> None:
        """Bring one RTP packet to the party; never blocks, never raises."""

    def send_rtcp(self, packet: bytes) -> None:
        """Bring one RTCP compound to the party; never blocks, never raises."""


class SocketLeg:
    """A telephone's leg on two UDP sockets of its own; implements `RtpLeg`."""

    def __init__(
        self, plane: BatchingMediaPlane, sockets: tuple[socket.socket, socket.socket], name: str
    ) -> None:
        self._plane = plane
        self._socket, self._rtcp_socket = sockets
        self._rtcp: Source | None = None  # where the telephone's RTCP goes; None: with its sound
        sock = self._socket
        host, port = sock.getsockname()[:2]
        self._local = Address(host, port)
        self._latch = SourceLatch()
        self._srtp: Srtp | None = None
        self._g722: G722 | None = None
        self._usual = True  # nothing stands between socket and sound
        self._aimed: tuple[Source | None, bool] = (None, False)
        self.sound = Leg(name)
        self.sound.sends = False
        self.number = plane.sockets.add(self._socket, self.take, self.sound)
        """The socket's, among those of the plane."""
        self._rtcp_number = plane.sockets.add(self._rtcp_socket, self.take_rtcp)

    @property
    def name(self) -> str:
        """For logs: no number, no person."""
        return self.sound.name

    @property
    def codec(self) -> Codec:
        """What this leg sends and receives."""
        return self.sound.codec

    @property
    def alive_at(self) -> float:
        """Loop time of the last packet that came from the party."""
        return self.sound.alive_at

    @property
    def local(self) -> Address:
        """Where the telephone sends its sound to."""
        return self._local

    def connect(self, remote: MediaDescription) -> None:
        """Take the peer's address and codec; again after a re-INVITE."""
        nowhere = remote.address.host in _NO_ADDRESS or remote.address.port == 0
        if not nowhere:
            host, port = remote.address.host, remote.address.port
            self._latch.tell(host, port, remote.signalling)
            rtcp = remote.rtcp or Address(host, port + 1)
            self._rtcp = None if remote.rtcp_mux else (rtcp.host, rtcp.port)
        if remote.srtp is None:
            self._srtp = None
        elif self._srtp is None or self._srtp.keys != remote.srtp:
            self._srtp = Srtp(remote.srtp, self._srtp)
        if not remote.g722:
            self._g722 = None
        elif self._g722 is None:
            self._g722 = G722()
        self._usual = self._srtp is None and self._g722 is None
        self.sound.carried_as = "G722" if remote.g722 else None
        self.sound.use_codec(remote.codec)
        self.sound.use_ptime(remote.ptime)
        self.sound.telephone_event = remote.telephone_event
        self.sound.sends = remote.direction in _LISTENING and not nowhere
        self._aim()

    def _aim(self) -> None:
        """What is usual needs neither latch nor carrier once it is known who the telephone is."""
        aimed = (self._latch.target if self._usual else None, self._latch.locked)
        if aimed != self._aimed:
            self._aimed = aimed
            self._plane.sockets.aim(self.number, aimed[0], trusted=aimed[1])

    def measure(self) -> Meter:
        """Begin to measure."""
        return Meter(self.sound, self._plane.now)

    def take(self, datagram: Datagram) -> None:
        """Take one that is not usual; only what is authentic teaches the latch."""
        if is_rtcp(datagram.data):
            if datagram.source == self._latch.target:
                self._take_rtcp(datagram)
            return
        plain = self._srtp.unprotect(datagram.data) if self._srtp else datagram.data
        if plain is None or not self._latch.accepts(datagram.source):
            return
        self._aim()
        precise = (datagram.moment - self._plane.epoch) * SAMPLE_RATE
        arrival = datagram.arrival if self._usual else int(precise)
        if self._g722 is not None:
            plain = self._g722.received(plain)
        if plain is not None:
            self._plane.arrivals.put(self.sound, plain, arrival, precise)

    def take_rtcp(self, datagram: Datagram) -> None:
        """Take one of the RTCP port; from the telephone's hosts only."""
        if datagram.source[0] in self._rtcp_hosts():
            self._take_rtcp(datagram)

    def _rtcp_hosts(self) -> set[str]:
        return {one[0] for one in (self._rtcp, self._latch.target) if one is not None}

    def _take_rtcp(self, datagram: Datagram) -> None:
        data, moment = datagram.data, datagram.moment
        plain = self._srtp.unprotect_rtcp(data) if self._srtp else data
        if plain is not None:
            self.sound.reports.take(plain, moment, self._plane.wall(moment))

    def send_rtcp(self, packet: bytes) -> None:
        """Bring one RTCP compound to the telephone, as it said in its SDP."""
        target, sock = self._rtcp, self._rtcp_socket
        if target is None:
            target, sock = self._latch.target, self._socket
        protected = self._srtp.protect_rtcp(packet) if self._srtp else packet
        if target is not None and protected is not None:
            with contextlib.suppress(OSError):
                sock.sendto(protected, target)

    def send(self, packet: Packet) -> None:
        """Bring one RTP packet to the telephone."""
        target = self._latch.target
        if target is not None and not self._usual:
            packet = self._g722.sent(packet) if self._g722 else packet
            protected = self._srtp.protect(packet) if self._srtp else packet
            if protected is not None:
                with contextlib.suppress(OSError):
                    self._socket.sendto(protected, target)
        elif target is not None:
            try:  # noqa: SIM105 - suppress() costs as much as a tenth of the call
                self._socket.sendto(packet, target)
            except OSError:
                pass

    def close(self) -> None:
        """Give the port back; the leg is silent from now on."""
        if not self.sound.closed:
            self._plane.report(self, bye=True)
            self._plane.remove(self)
            self._plane.release(self)

    def close_sockets(self) -> int:
        """Close; the port that is free now."""
        for number in (self.number, self._rtcp_number):
            self._plane.sockets.remove(number)
        self._socket.close()
        self._rtcp_socket.close()
        return self._local.port


class MixedLeg:
    """A leg that says what several others say; implements `MediaLeg` and `Carrier`."""

    def __init__(self, plane: BatchingMediaPlane, sources: Sequence[Leg], name: str) -> None:
        self._plane = plane
        self.mix = Mix(name, sources)

    @property
    def sound(self) -> Leg:
        """The sum."""
        return self.mix.sound

    @property
    def name(self) -> str:
        """For logs: no number, no person."""
        return self.sound.name

    @property
    def codec(self) -> Codec:
        """What the sum is in."""
        return self.sound.codec

    @property
    def alive_at(self) -> float:
        """Loop time of its beginning: nothing is received."""
        return self.sound.alive_at

    def measure(self) -> Meter:
        """Nothing is carried: it stays empty."""
        return Meter(self.sound, self._plane.now)

    def send(self, packet: Packet) -> None:
        """Nobody hears by it."""

    def send_rtcp(self, packet: bytes) -> None:
        """Nobody is reported to."""

    def close(self) -> None:
        """Whoever heard it hears silence."""
        if not self.sound.closed:
            self.mix.close()
            self._plane.remove(self)


class BatchingMediaPlane:
    """Implements `MediaPlane`. Make it inside a running loop; `close` it at the end."""

    def __init__(self, rtp_ports: tuple[int, int]) -> None:
        prepare()
        self._loop = asyncio.get_running_loop()
        self.epoch = self._loop.time()
        self._wall = time.time() - self.epoch  # the wall clock may be set; this one goes on evenly
        self._ports = PortPool(*rtp_ports)
        self._rows = Rows(_FIRST_ROWS)
        self.arrivals = Arrivals(self._rows, self._loop.time)
        self.sockets = sockets(self._rows, self.arrivals)
        self._carriers: list[Carrier] = []
        self._mixes: list[Mix] = []
        self._arrange()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_number = 0
        self._frame = 0  # the last one that was stepped
        self._opened = 0
        self.skipped_frames = 0
        """Frames that were never sent because the process stood still for too long."""

    # --- legs --------------------------------------------------------------------------------

    def open_rtp(self, host: str) -> SocketLeg:
        """A leg on a free even port of `host`. Raises NoFreePort."""
        sockets = self._ports.bind(host)
        self._opened += 1
        leg = SocketLeg(self, sockets, f"rtp-{self._opened}")
        self.add(leg)
        return leg

    def add(self, carrier: Carrier) -> None:
        """Take a leg into the loop."""
        now = self._loop.time()
        carrier.sound.alive_at = now
        carrier.sound.reports.schedule(now, first=True)
        carrier.sound.row.move(self._rows)
        carrier.sound.advance(self._present())
        self._carriers.append(carrier)
        self._arrange()
        if self._timer is None:
            self._frame = self._present()
            self._wake_number = int((self._loop.time() - self.epoch) / _WAKE_SECONDS)
            self._schedule()

    def remove(self, carrier: Carrier) -> None:
        """Take a leg out of the loop; who heard it hears silence."""
        leg = carrier.sound
        self.arrivals.settle()
        leg.closed = True
        leg.listen_to(None)
        for other in self._carriers:
            if other.sound.hears is leg:
                other.sound.listen_to(None)
        leg.close_taps()
        leg.row.move(Rows())
        for mix in self._mixes:
            mix.forget(leg)
        self._carriers = [other for other in self._carriers if other is not carrier]
        self._arrange()

    def _arrange(self) -> None:
        """The carriers' legs, and where they are in the table."""
        self._batch = Batch(self._rows, [carrier.sound for carrier in self._carriers])
        self._numbers = np.array(
            [one.number if isinstance(one, SocketLeg) else NOBODY for one in self._carriers],
            np.int64,
        )
        self._mixes = [one.mix for one in self._carriers if isinstance(one, MixedLeg)]

    def ports(self) -> tuple[int, int]:
        """How many RTP ports are taken or cool down, and how many there are."""
        return self._ports.used(), self._ports.size

    def release(self, leg: SocketLeg) -> None:
        """Close a leg's socket."""
        self._ports.give_back(leg.close_sockets())

    def close(self) -> None:
        """End the loop and every leg."""
        for carrier in list(self._carriers):
            if isinstance(carrier, SocketLeg | MixedLeg):
                carrier.close()
            else:
                self.remove(carrier)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.sockets.close()

    # --- what is heard -----------------------------------------------------------------------

    def bridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Let the two hear each other; replaces whatever either heard before.

        A third party that was bridged to one of them hears silence from now on.
        """
        pair = (_sound(one), _sound(other))
        for leg in pair:
            former = leg.hears
            if former is not None and former not in pair and former.hears is leg:
                former.listen_to(None)
        pair[0].listen_to(pair[1])
        pair[1].listen_to(pair[0])

    def unbridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Both hear silence."""
        _sound(one).listen_to(None)
        _sound(other).listen_to(None)

    def mix(self, *legs: MediaLeg) -> MixedLeg:
        """A leg that says what all of these say, until it is closed; nobody hears by it."""
        self._opened += 1
        mixed = MixedLeg(self, [_sound(leg) for leg in legs], f"mix-{self._opened}")
        self.add(mixed)
        return mixed

    def hear(self, leg: MediaLeg, other: MediaLeg) -> None:
        """Let `leg` hear `other`, which goes on hearing what it heard."""
        _sound(leg).listen_to(_sound(other))

    def play(self, leg: MediaLeg, sound: Sound) -> Awaitable[None]:
        """Let the leg hear `sound` instead; done at its end or when replaced."""
        playback = Playback(sound, self._loop.create_future())
        if _sound(leg).closed:
            playback.finish()
        else:
            _sound(leg).play(playback)
        return playback.done

    def silence(self, leg: MediaLeg) -> None:
        """Let the leg hear silence."""
        _sound(leg).listen_to(None)

    def tap(self, leg: MediaLeg, sink: FrameSink, *, start: float) -> Tap:
        """Hand `sink` what the leg's party says; position 0 is loop time `start`.

        Positions are whole multiples of 160: 0 is the frame that was the present at `start`, alike
        for all legs. Frames come in order, at most 240 ms late where packets are missing; a packet
        that is later still is delivered out of order, at its place.
        """
        return _sound(leg).add_tap(sink, int((start - self.epoch) / FRAME_SECONDS))

    def press(self, leg: MediaLeg, keys: str) -> None:
        """Let the party's telephone get these keys (0 to 9, *, #), one after the other."""
        _sound(leg).press(keys)

    def on_digit(self, leg: MediaLeg, handler: Callable[[str], None]) -> None:
        """Call `handler` once per key the party pressed (RFC 4733)."""
        _sound(leg).add_digit_handler(handler)

    # --- quality -----------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def wall(self, moment: float) -> float:
        """A moment of the loop's clock in seconds since 1970, by a clock that goes evenly."""
        return self._wall + moment

    def report(self, carrier: Carrier, *, bye: bool = False) -> None:
        """Send the leg's RTCP report and plan the next one."""
        now, reports = self._loop.time(), carrier.sound.reports
        carrier.send_rtcp(reports.write(now, self.wall(now), self.arrival(now), bye=bye))
        reports.schedule(now)

    def _report_where_due(self, now: float) -> None:
        for carrier in self._carriers:
            if carrier.sound.reports.due <= now:
                self.report(carrier)

    # --- the loop ----------------------------------------------------------------------------

    def arrival(self, now: float) -> int:
        """Samples since the plane's start at loop time `now`; a timer may fire a hair early."""
        return int((now - self.epoch) * SAMPLE_RATE) + _HAIR

    def _present(self) -> int:
        return int((self._loop.time() - self.epoch) / FRAME_SECONDS)

    def _schedule(self) -> None:
        self._wake_number += 1
        at = self.epoch + self._wake_number * _WAKE_SECONDS
        self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if not self._carriers:
            return
        try:
            self._turn()
        except Exception:
            _LOGGER.exception("a turn of the media loop failed")
        now = int((self._loop.time() - self.epoch) / _WAKE_SECONDS)
        self._wake_number = max(self._wake_number, now)
        self._schedule()

    def _turn(self) -> None:
        now = self._loop.time()
        # A timer may fire a hair early: half a wake-up of tolerance keeps frame and time in step.
        present = int((now - self.epoch + _WAKE_SECONDS / 2) / FRAME_SECONDS)
        if present > self._frame:
            self._batch.advance(present)
        else:
            self._send_owed()
        self._drain(now)
        if present - self._frame > _MOST_FRAMES:
            self.skipped_frames += present - self._frame - _MOST_FRAMES
            self._frame = present - _MOST_FRAMES
        if self._frame // _FRAMES_A_LOOK != present // _FRAMES_A_LOOK:
            self._report_where_due(now)
        while self._frame < present:
            self._frame += 1
            self._send_owed()
            self._step(self._frame)

    def _step(self, frame: int) -> None:
        """Taps and parties get what is theirs of one frame."""
        # all of one moment: a tap may open or close a leg
        carriers, batch, numbers = self._carriers, self._batch, self._numbers
        for mix in self._mixes:
            mix.blend(frame)
        batch.step(frame)
        said = batch.departures(frame)
        self.sockets.send(numbers, said, batch.packets)
        for at in np.flatnonzero(said != NOBODY).tolist():
            left = said[at] == LEFT
            packet = batch.legs[at].packet(frame) if left else batch.views[at]
            if packet is not None:
                carriers[at].send(packet)

    def _send_owed(self) -> None:
        """What does not wait for the next frame: packets of 10 ms."""
        if not self._batch.owes():
            return
        for carrier in self._carriers:
            if carrier.sound.owed:
                carrier.send(carrier.sound.next_packet())

    def _drain(self, now: float) -> None:
        """One datagram of each socket that has some, again until none has, up to a limit."""
        self.arrivals.settle()
        arrival = self.arrival(now)
        for _ in range(_MOST_PACKETS):
            some = self.sockets.receive(now, self.epoch, arrival)
            self.arrivals.settle()
            if not some:
                return


def _sound(leg: MediaLeg) -> Leg:
    """The sound of a leg that this plane made."""
    sound = getattr(leg, "sound", None)
    if not isinstance(sound, Leg):
        raise TypeError(f"{leg!r} is no leg of this media plane")
    return sound
