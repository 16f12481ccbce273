"""The scripted twin of the media plane: no sockets, no clock, everything on the record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from callcenter.errors import NoFreePort
from callcenter.telephony.media import g711
from callcenter.telephony.ports import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    Address,
    Codec,
    FrameSink,
    LegQuality,
    MediaDescription,
    MediaLeg,
    Sound,
)


class FakeTap:
    """A running tap; closing it twice changes nothing."""

    def __init__(self, leg: FakeLeg, sink: FrameSink, start: float) -> None:
        self._leg = leg
        self.sink = sink
        self.start = start

    def close(self) -> None:
        """Stop delivering frames."""
        if self in self._leg.taps:
            self._leg.taps.remove(self)


class FakeMeter:
    """Reads what the script put into its leg's `quality`."""

    def __init__(self, leg: FakeLeg) -> None:
        self._leg = leg

    def read(self) -> LegQuality:
        """What the script says."""
        return self._leg.quality


class FakeLeg:
    """One party; `hears` is the other leg, a Sound, or None for silence."""

    def __init__(self, name: str, local: Address, on_close: Callable[[], None]) -> None:
        self.name: Final = name
        self.local: Final = local
        self.codec = Codec.PCMU
        self.alive_at = 0.0
        self.remote: MediaDescription | None = None
        self.hears: FakeLeg | Sound | None = None
        self.playing: asyncio.Future[None] | None = None
        self.taps: list[FakeTap] = []
        self.digit_handlers: list[Callable[[str], None]] = []
        self.closed = False
        self.got_keys = ""
        self.mixes: tuple[FakeLeg, ...] = ()
        self.quality = LegQuality(
            seconds=1.0,
            codec="PCMU",
            received=50,
            lost=0,
            late=0,
            jitter_ms=0.0,
            jitter_max_ms=0.0,
            sent=50,
            mos=4.38,
        )
        self._on_close = on_close

    def connect(self, remote: MediaDescription) -> None:
        """Take the peer's address and codec; again after a re-INVITE."""
        self.remote = remote
        self.codec = remote.codec

    def measure(self) -> FakeMeter:
        """Begin to measure."""
        return FakeMeter(self)

    def close(self) -> None:
        """Give the port back; the leg is silent from now on."""
        if not self.closed:
            self.closed = True
            self.taps.clear()
            self._on_close()

    def hear(self, what: FakeLeg | Sound | None) -> None:
        """Replace what the party hears; whoever waits for a sound is told."""
        if self.playing is not None and not self.playing.done():
            self.playing.set_result(None)
        self.playing = None
        self.hears = what

    # --- the script's side ---------------------------------------------------------------------

    def speak(self, payload: bytes, at: float) -> None:
        """The party says G.711 bytes (whole frames) from loop time `at` on."""
        for begin in range(0, len(payload), FRAME_SAMPLES):
            frame = payload[begin : begin + FRAME_SAMPLES]
            moment = at + begin / FRAME_SAMPLES * FRAME_SECONDS
            self.alive_at = moment
            for tap in list(self.taps):
                index = round((moment - tap.start) / FRAME_SECONDS)
                if index >= 0:
                    tap.sink.write(index * FRAME_SAMPLES, frame, self.codec)

    def press(self, digits: str) -> None:
        """The party presses keys."""
        for digit in digits:
            for handler in list(self.digit_handlers):
                handler(digit)


class FakeMediaPlane:
    """Implements `MediaPlane`; `legs` holds all that were opened, in order."""

    def __init__(self, ports: int = 100) -> None:
        self._ports = ports
        self._free = list(range(20000, 20000 + 2 * ports, 2))
        self.legs: list[FakeLeg] = []

    def leg(self, name: str = "browser") -> FakeLeg:
        """A leg that has no port, as a browser's."""
        return self._new(name, Address("127.0.0.1", 0), lambda: None)

    def open_rtp(self, host: str) -> FakeLeg:
        """A leg on a free even port of `host`. Raises NoFreePort."""
        if not self._free:
            raise NoFreePort("every RTP port is in use; widen sip.rtp_ports")
        port = self._free.pop(0)
        return self._new(f"rtp-{port}", Address(host, port), lambda: self._free.append(port))

    def ports(self) -> tuple[int, int]:
        """How many are taken, and how many there are."""
        return self._ports - len(self._free), self._ports

    def bridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Let the two hear each other; replaces whatever either heard before."""
        pair = (_fake(one), _fake(other))
        for leg in pair:
            former = leg.hears
            if isinstance(former, FakeLeg) and former not in pair and former.hears is leg:
                former.hear(None)
        pair[0].hear(pair[1])
        pair[1].hear(pair[0])

    def unbridge(self, one: MediaLeg, other: MediaLeg) -> None:
        """Both hear silence."""
        _fake(one).hear(None)
        _fake(other).hear(None)

    def mix(self, *legs: MediaLeg) -> FakeLeg:
        """A leg that says what all of these say, until it is closed; nobody hears by it."""
        mixed = self._new("mix", Address("127.0.0.1", 0), lambda: None)
        mixed.mixes = tuple(_fake(leg) for leg in legs)
        return mixed

    def hear(self, leg: MediaLeg, other: MediaLeg) -> None:
        """Let `leg` hear `other`, which goes on hearing what it heard."""
        _fake(leg).hear(_fake(other))

    def play(self, leg: MediaLeg, sound: Sound) -> Awaitable[None]:
        """Let the leg hear `sound` instead; done when replaced or by `finish_playing`."""
        fake = _fake(leg)
        fake.hear(sound)
        fake.playing = asyncio.get_running_loop().create_future()
        return fake.playing

    def go_on_playing(self, leg: MediaLeg, frames: range) -> None:
        """The party hears these frames of its sound."""
        heard = _fake(leg).hears
        assert not isinstance(heard, FakeLeg)
        assert heard is not None
        for index in frames:
            heard.frame(index)

    def finish_playing(self, leg: MediaLeg) -> None:
        """The sound that the leg hears comes to its end."""
        _fake(leg).hear(None)

    def silence(self, leg: MediaLeg) -> None:
        """Let the leg hear silence."""
        _fake(leg).hear(None)

    def tap(self, leg: MediaLeg, sink: FrameSink, *, start: float) -> FakeTap:
        """Hand `sink` what the leg's party says; position 0 is loop time `start`."""
        fake = _fake(leg)
        tap = FakeTap(fake, sink, start)
        fake.taps.append(tap)
        return tap

    def press(self, leg: MediaLeg, keys: str) -> None:
        """Let the party's telephone get these keys (0 to 9, *, #), one after the other."""
        _fake(leg).got_keys += keys

    def on_digit(self, leg: MediaLeg, handler: Callable[[str], None]) -> None:
        """Call `handler` once per key the party pressed (RFC 4733)."""
        _fake(leg).digit_handlers.append(handler)

    def _new(self, name: str, local: Address, on_close: Callable[[], None]) -> FakeLeg:
        def closed() -> None:
            leg.hear(None)
            for other in self.legs:
                if other.hears is leg:
                    other.hear(None)
            on_close()

        leg = FakeLeg(name, local, closed)
        self.legs.append(leg)
        return leg


def silence(seconds: float, codec: Codec = Codec.PCMU) -> bytes:
    """Digital silence in whole frames, for `speak`."""
    return bytes([codec.silence]) * (round(seconds / FRAME_SECONDS) * FRAME_SAMPLES)


def tone(seconds: float, codec: Codec = Codec.PCMU) -> bytes:
    """A loud square wave of 400 Hz in whole frames, for `speak`."""
    period = bytes([0x90] * 10 + [0x10] * 10)
    ulaw = period * (round(seconds / FRAME_SECONDS) * FRAME_SAMPLES // len(period))
    return g711.convert(ulaw, Codec.PCMU, codec)


def _fake(leg: MediaLeg) -> FakeLeg:
    if not isinstance(leg, FakeLeg):
        raise TypeError(f"{leg!r} is no leg of this media plane")
    return leg
