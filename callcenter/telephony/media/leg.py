"""One party's sound without any socket: what it says goes in, what it hears comes out.

The media loop calls `advance` and then `step` once every 20 ms; transports call `receive` with
each datagram. Units as in `timeline`: frames of 20 ms and samples of 1/8000 s on the plane's
clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.media.dtmf import DigitDetector
from callcenter.telephony.media.keys import KeyPad
from callcenter.telephony.media.packing import Packing
from callcenter.telephony.media.playout import Playout
from callcenter.telephony.media.quality import Counts, Reception
from callcenter.telephony.media.reports import Reports
from callcenter.telephony.media.rows import Cell, Maybe, Row
from callcenter.telephony.media.timeline import BEHIND_FRAMES, Timeline
from callcenter.telephony.ports import FRAME_MILLISECONDS, FRAME_SAMPLES, Codec, FrameSink, Sound

_LOGGER = structlog.get_logger()
_CODECS = {codec.value: codec for codec in Codec}
_REORDER_FRAMES = 12  # so long recordings wait for a missing frame
FEED_FRAMES = 5
"""Taps get their frames so many at a time."""
REVIEW_FRAMES = 50
"""So often the playout's depth is looked at."""
TRAILING_FRAMES = 10
"""Silence sent after the last sound to a leg that may rest."""


class Tap:
    """A running tap of a leg. Position 0 is the frame that was the present at its start."""

    def __init__(self, leg: Leg, sink: FrameSink, start: int) -> None:
        self._leg = leg
        self._sink = sink
        self.start = start

    def deliver(self, frame: int, payload: bytes, codec: Codec) -> None:
        """Hand over what begins at `frame`; a sink that fails loses its tap, never the loop."""
        if frame < self.start:
            payload = payload[(self.start - frame) * FRAME_SAMPLES :]
            frame = self.start
            if not payload:
                return
        try:
            self._sink.write((frame - self.start) * FRAME_SAMPLES, payload, codec)
        except Exception:
            _LOGGER.exception("a tap failed and was closed", leg=self._leg.name)
            self.close()

    def close(self) -> None:
        """Stop delivering frames; what came already is delivered first."""
        self._leg.drop_tap(self)


class Playback:
    """A sound on its way into a leg; `done` when it ended or something else took its place."""

    def __init__(self, sound: Sound, done: asyncio.Future[None]) -> None:
        self.sound = sound
        self.index = 0
        self.done = done

    def next(self) -> bytes | None:
        """The next µ-law frame; None at the end."""
        try:
            frame = self.sound.frame(self.index)
        except Exception:
            _LOGGER.exception("a sound failed and was ended")
            return None
        self.index += 1
        return frame

    def finish(self) -> None:
        """Tell who waits."""
        if not self.done.done():
            self.done.set_result(None)


class Leg:
    """One party: its timeline, its taps, its digits, and what it hears.

    `rests`: nothing needs to be sent while the party hears silence (a browser); a telephone
    gets a continuous stream.
    """

    alive_at = Cell[float]("alive")
    """Loop time of the last packet that came."""
    sends = Cell[bool]("sends")
    """False while the party does not want to hear anything (hold)."""
    _now = Cell[int]("now")  # the present frame
    _cursor = Cell[int]("cursor")  # the next frame for the taps
    _stepped = Cell[int]("stepped")  # the last that was stepped; behind the present after a stall
    _comforted = Cell[bool]("comforted")
    _marker = Cell[bool]("marker")
    _trailing = Cell[int]("trailing")
    _hears = Maybe("hears")  # the row of who is heard, where it is in the same table
    _tapped = Cell[bool]("tapped")
    _packs = Cell[bool]("packs")
    _kind = Cell[int]("kind")  # the first two octets of nearly every packet
    _law = Cell[int]("law")
    _quiet = Cell[int]("silence")

    def __init__(self, name: str, *, rests: bool = False) -> None:
        self._name = name
        self.row = Row()
        self._codec = Codec.PCMU
        self.carried_as: str | None = None
        """What its packets hold, where the transport translates."""
        self._rests = rests
        self.telephone_event: int | None = None
        self.closed = False
        self.sends = True
        self.hears: Leg | None = None
        self.heard_by = 0
        self._playback: Playback | None = None
        self._timeline = Timeline(self._codec, self.row)
        self._playout = Playout(self._timeline)
        self.reception = Reception(self.row)
        self._digits = DigitDetector()
        self._on_digit: list[Callable[[str], None]] = []
        self._taps: list[Tap] = []
        self._writer = rtp.PacketWriter(self.row)
        self.reports = Reports(self.reception, self._writer)
        self._marker = True
        self._packing: Packing | None = None
        self._keypad = KeyPad()
        self._speak(self._codec)
        self.owed = False
        """Whether `next_packet` has one to be sent before the next step (packets under 20 ms)."""

    @property
    def name(self) -> str:
        """For logs: no number, no person."""
        return self._name

    @property
    def codec(self) -> Codec:
        """What this leg sends and receives."""
        return self._codec

    @property
    def ssrc(self) -> int:
        """The synchronisation source of what the party hears (RFC 3550)."""
        return self._writer.ssrc

    def use_codec(self, codec: Codec) -> None:
        """From now on speak `codec`; what was heard before is translated."""
        self._timeline.recode(codec)
        self._speak(codec)

    def _speak(self, codec: Codec) -> None:
        self._codec = codec
        self._silence = bytes([codec.silence]) * FRAME_SAMPLES
        self._kind, self._law = rtp.PLAIN << 8 | codec.value, codec.value
        self._quiet = codec.silence

    def use_ptime(self, milliseconds: int) -> None:
        """From now on send packets of that length, a multiple of 10 ms."""
        usual = milliseconds == FRAME_MILLISECONDS
        self._packing = None if usual else Packing(milliseconds)
        self._packs = not usual or bool(self._keypad)
        self.owed = False

    # --- what the party says ---------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether anybody listens to this party."""
        return self.heard_by > 0 or bool(self._taps) or bool(self._on_digit)

    def receive(self, data: memoryview, arrival: int, moment: float | None = None) -> bool:
        """Take one datagram of the party; False when it is none of ours.

        `arrival` says where sound is placed; `moment` is the same, where it is known better.
        """
        precise = arrival if moment is None else moment
        packet = rtp.parse(data)
        if packet is None:
            return False
        kind, _, sequence, timestamp, ssrc, payload = packet
        codec = _CODECS.get(kind)
        if codec is None:
            return self._not_sound(packet, arrival)
        self.reception.take(sequence, ssrc)
        self.reception.timed(timestamp, precise)
        if codec is not self._codec:
            payload = memoryview(g711.convert(bytes(payload), codec, self._codec))
        position = self._timeline.place(sequence, timestamp, ssrc, payload, arrival)
        if position is not None:
            self._placed(position, len(payload), arrival)
        return True

    def _placed(self, position: int, size: int, arrival: int) -> None:
        playout = self._playout
        if arrival - position > playout.latest:
            playout.latest = arrival - position
        if self._comforted:
            self._comforted = False
            playout.resumed(position)
        self._check_late(position, size)

    def _not_sound(self, packet: rtp.Packet, arrival: int) -> bool:
        """Keys and comfort noise: part of the stream, but no sound of their own."""
        keys = packet.payload_type == self.telephone_event
        if not keys and packet.payload_type != rtp.COMFORT_NOISE:
            return False
        self.reception.take(packet.sequence, packet.ssrc)
        self.reception.paused()
        if keys:
            digit = self._digits.feed(packet.timestamp, packet.payload)
            if digit is not None:
                self._tell_digit(digit)
        elif packet.payload:
            self._comforted = True
            self._playout.comfort(packet.payload[0] & 0x7F, arrival)
        return True

    def _tell_digit(self, digit: str) -> None:
        for handler in list(self._on_digit):
            try:
                handler(digit)
            except Exception:
                _LOGGER.exception("a handler of digits failed", leg=self._name)

    def _check_late(self, position: int, size: int) -> None:
        frame = position // FRAME_SAMPLES
        if frame <= self._stepped - self._playout.delay:
            self._playout.late += 1
        if self._taps and frame < self._cursor:
            self.deliver_late(frame, (position + size - 1) // FRAME_SAMPLES)

    def deliver_late(self, first: int, last: int) -> None:
        """Hand over frames for which the taps did not wait."""
        for index in range(first, min(last + 1, self._cursor)):
            self._deliver(index)

    def look_at_anchor(self) -> None:
        """See Timeline."""
        self._timeline.look_at_anchor()

    @property
    def playout_milliseconds(self) -> int:
        """How far others hear this party behind the present."""
        return self._playout.delay_milliseconds

    @property
    def playout_frames(self) -> int:
        """The same in frames."""
        return self._playout.delay

    def counts(self, now: float) -> Counts:
        """Where the counters stand."""
        reception, reports = self.reception, self.reports
        return Counts(
            at=now,
            expected=reception.expected,
            received=reception.received,
            duplicates=self._timeline.duplicates,
            late=self._playout.late,
            sent=self._writer.packets,
            remote_expected=reports.remote_expected,
            remote_lost=reports.remote_lost,
        )

    def say(self, frame: int, payload: bytes | None, behind: int) -> None:
        """Sound that is made here and not received: a frame that lies `behind` frames before
        `frame` and is heard at once. None: silence."""
        self._playout.delay = behind
        if payload is not None:
            self._timeline.put(frame - behind, payload)

    def forget_stream(self) -> None:
        """The transport changed: the next packet begins a new stream."""
        self._timeline.reset()

    # --- taps and digits -------------------------------------------------------------------

    def add_tap(self, sink: FrameSink, start: int) -> Tap:
        """Deliver every frame from `start` on, also those of the last second."""
        tap = Tap(self, sink, start)
        oldest = max(start, self._now - BEHIND_FRAMES)
        if self._taps:
            self.feed_taps(self._stepped)
        else:
            self._cursor = max(oldest, self._now - _REORDER_FRAMES)
        for index in range(oldest, self._cursor):
            if self._timeline.filled(index):
                tap.deliver(index, self._timeline.frame(index), self._codec)
        self._taps.append(tap)
        self._tapped = True
        return tap

    def drop_tap(self, tap: Tap) -> None:
        """Give a tap what came and still waits for missing frames, and forget it."""
        if tap not in self._taps:
            return
        self._taps.remove(tap)
        self._tapped = bool(self._taps)
        for index in range(max(self._cursor, self._now - BEHIND_FRAMES), self._now + 2):
            if self._timeline.filled(index):
                tap.deliver(index, self._timeline.frame(index), self._codec)

    def close_taps(self) -> None:
        """The party is gone: close every tap."""
        for tap in list(self._taps):
            tap.close()

    def add_digit_handler(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with each key."""
        self._on_digit.append(handler)

    def _deliver(self, index: int, count: int = 1) -> None:
        self.deliver(index, self._timeline.run(index, count))

    def deliver(self, index: int, payload: bytes) -> None:
        """Hand the taps what begins at frame `index`."""
        for tap in list(self._taps):
            tap.deliver(index, payload, self._codec)

    def feed_taps(self, present: int) -> None:
        """In order; a frame that is not whole is waited for, then given as far as it came."""
        cursor = max(self._cursor, self._now - BEHIND_FRAMES)
        while cursor <= present:
            whole = self._timeline.whole(cursor, present + 1)
            if whole:
                self._deliver(cursor, whole)
            elif cursor > present - _REORDER_FRAMES:
                break
            elif self._timeline.filled(cursor):
                self._deliver(cursor)
            cursor += whole or 1
        self._cursor = cursor

    def press(self, keys: str) -> None:
        """Let the party's telephone get these keys. Raises ValueError for what is none."""
        self._keypad.press(keys)
        self._packs = self._packing is not None or bool(self._keypad)

    # --- what the party hears --------------------------------------------------------------

    def listen_to(self, other: Leg | None) -> None:
        """Hear `other`, or silence; whatever was heard before ends."""
        self.stop_playback()
        if self.hears is not None:
            self.hears.heard_by -= 1
        self.hears = other
        self._hears = None
        if other is not None:
            other.heard_by += 1
            self._hears = other.row.index if other.row.rows is self.row.rows else None
        self._marker = True

    def play(self, playback: Playback) -> None:
        """Hear a sound instead."""
        self.listen_to(None)
        self._playback = playback

    def stop_playback(self) -> None:
        """End the sound that is played."""
        if self._playback is not None:
            self._playback.finish()
            self._playback = None

    def spoken(self, frame: int, codec: Codec) -> bytes | None:
        """What others hear of this party at `frame`, in their law; None where nothing came."""
        heard = self._playout.at(frame, self._codec)
        if heard is None or codec is self._codec:
            return heard
        return g711.convert(heard, self._codec, codec)

    def advance(self, frame: int) -> None:
        """The present is `frame`: packets may come for the second around it."""
        self._now = frame
        self._timeline.advance(frame)

    def step(self, frame: int) -> bytearray | None:
        """The packet the party gets for `frame`; None when it gets none. Feeds the taps."""
        self._stepped = frame
        if frame % FEED_FRAMES == 0:
            self.attend(frame)
        return self.packet(frame)

    def attend(self, frame: int) -> None:
        """What is due every `FEED_FRAMES` frames: feed the taps, look at the playout's depth."""
        if self._taps:
            self.feed_taps(frame)
        if frame % REVIEW_FRAMES == 0:
            self.review()

    def review(self) -> None:
        """See Playout."""
        self._playout.review()

    def packet(self, frame: int) -> bytearray | None:
        """The packet the party gets for `frame`; None when it gets none."""
        payload = self._heard(frame)
        if self._keypad:
            stroke = self._keypad.next(frame)
            self._packs = self._packing is not None or bool(self._keypad)
            if stroke and self.telephone_event is not None and self.sends:
                began, first = stroke.began * FRAME_SAMPLES, stroke.since == 0
                return self._writer.packet_at(began, stroke.event, self.telephone_event, first)
            payload = stroke.tone(self._codec) or payload if stroke else payload
        if not self.sends or (payload is None and self._may_rest()):
            self._marker = True
            return None
        if self._packing is not None:
            self._packing.add(frame, payload or self._silence)
            return self.next_packet() if self._packing.full else None
        marker, self._marker = self._marker, False
        return self._writer.packet(frame, payload or self._silence, self._codec.value, marker)

    def next_packet(self) -> bytearray:
        """The next packet of a party whose packets are not of 20 ms; only when one is full."""
        assert self._packing is not None
        position, payload = self._packing.take()
        self.owed = self._packing.full
        marker, self._marker = self._marker, False
        return self._writer.packet_at(position, payload, self._codec.value, marker)

    def _heard(self, frame: int) -> bytes | None:
        if self.hears is not None:
            payload = self.hears.spoken(frame, self._codec) or self._silence
        elif self._playback is not None:
            sound = self._playback.next()
            if sound is None:
                self.stop_playback()
                return None
            payload = g711.convert(sound, Codec.PCMU, self._codec)
        else:
            return None
        self._trailing = TRAILING_FRAMES
        return payload

    def _may_rest(self) -> bool:
        if not self._rests:
            return False
        self._trailing -= 1
        return self._trailing < 0
