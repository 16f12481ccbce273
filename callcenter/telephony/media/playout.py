"""When a party's sound is heard, and what is heard in place of sound that is missing.

The playout runs some frames behind the present (the jitter buffer's depth). Once a second it looks
at how late packets came: where some came too late it plays later, up to `most`; where ten
seconds would have done with less it plays earlier, down to `least`, by leaving out a quiet frame.
"""

from __future__ import annotations

from collections import deque

from callcenter.telephony.media.concealment import HISTORY_SAMPLES, Concealer, comfort_noise
from callcenter.telephony.media.rows import Cell
from callcenter.telephony.media.timeline import QUIET, Timeline
from callcenter.telephony.ports import FRAME_MILLISECONDS, FRAME_SAMPLES, Codec

LEAST_FRAMES = 3  # 40 to 60 ms of jitter cost nothing
MOST_FRAMES = 12
_LATE_PACKETS = 2  # more in a second deepen the playout
_CALM_SECONDS = 10
_PATIENCE = 500  # frames that a surplus waits for a quiet one
_HISTORY_FRAMES = HISTORY_SAMPLES // FRAME_SAMPLES
_LONG_AGO = -1_000_000


class Playout:
    """Reads a timeline frame by frame. Units as there."""

    delay = Cell[int]("delay")
    late = Cell[int]("late")
    """Packets that came too late to be heard, in all."""
    latest = Cell[int]("latest")
    """How late the latest packet of this second came, in samples after its own time."""
    _at = Cell[int]("asked")  # the last frame that was asked for
    _index = Cell[int]("played")  # and which was heard then
    _straight = Cell[bool]("straight")  # as it came
    _repairing = Cell[bool]("repairing")  # the next one may not be heard as it came

    def __init__(
        self, timeline: Timeline, *, least: int = LEAST_FRAMES, most: int = MOST_FRAMES
    ) -> None:
        self._timeline = timeline
        self.row = timeline.row
        self._least, self._most = least, most
        self.delay = least
        self.latest = _LONG_AGO
        self._late_before = 0
        self._calm: deque[int] = deque(maxlen=_CALM_SECONDS)
        self._surplus = 0  # frames since the playout is deeper than needed; 0: it is not
        self._at = self._index = -1
        self._heard: bytes | None = None  # where it was not straight
        self._concealer = Concealer()
        self._noise = 0  # level of the comfort noise
        self._noise_from = self._noise_until = -1  # frames without sound in which it is heard

    @property
    def delay_milliseconds(self) -> int:
        """How far the playout is behind."""
        return self.delay * FRAME_MILLISECONDS

    def at(self, frame: int, codec: Codec) -> bytes | None:
        """What is heard at `frame`, in the timeline's law `codec`; None for silence."""
        if frame == self._at:
            return self._timeline.frame(self._index) if self._straight else self._heard
        self._at = frame
        index = frame - self.delay
        whole = self._timeline.filled(index) == FRAME_SAMPLES
        self._straight = whole and index > self._index and not self._repairing
        if self._straight:
            self._index = index
            return self._timeline.frame(index)
        self._heard = self._repaired(index, codec)
        self._repairing = self._surplus > 0 or self._concealer.active
        return self._heard

    def comfort(self, level: int, arrival: int) -> None:
        """The sender is silent from now on, with noise at -`level` dBov (RFC 3389)."""
        self._noise = level
        self._noise_from, self._noise_until = arrival // FRAME_SAMPLES - 1, 1 << 62

    def resumed(self, position: int) -> None:
        """Sound again, from that sample on; without comfort noise it changes nothing."""
        if position // FRAME_SAMPLES > self._noise_from:
            self._noise_until = min(self._noise_until, position // FRAME_SAMPLES)

    def review(self) -> None:
        """Once a second: deeper where packets came too late, less deep after calm seconds."""
        late, self._late_before = self.late - self._late_before, self.late
        latest, self.latest = self.latest, _LONG_AGO
        if latest == _LONG_AGO:
            return
        self._calm.append(latest)
        needed = max(self._calm) // FRAME_SAMPLES + 2
        if late > _LATE_PACKETS:
            self._surplus = 0
            self.delay = min(self.delay + 1, self._most)
        elif len(self._calm) < _CALM_SECONDS or max(needed, self._least) >= self.delay:
            self._surplus = 0
        elif not self._surplus:
            self._surplus = 1
        self._repairing = self._surplus > 0 or self._concealer.active

    # --- what is missing ---------------------------------------------------------------------

    def _repaired(self, index: int, codec: Codec) -> bytes | None:
        again = index <= self._index  # the playout was deepened a moment ago
        last, self._index = self._index if again else index - 1, max(index, self._index)
        if self._surplus and not again:
            index = self._shortened(index, codec)
        came = 0 if again else self._timeline.filled(index)
        if came == FRAME_SAMPLES:
            payload = self._timeline.frame(index)
            return self._concealer.join(payload, codec) if self._concealer.active else payload
        if not again and not came and self._noise_from <= index < self._noise_until:
            self._concealer.end()
            return comfort_noise(self._noise, index, codec)
        return self._concealed(index, last, came, codec)

    def _shortened(self, index: int, codec: Codec) -> int:
        """Leave a frame out if it is quiet, or missing, or none was for long; which comes now."""
        payload = self._timeline.frame(index)
        if payload.translate(None, QUIET[codec]) and self._surplus < _PATIENCE:
            self._surplus += 1
            return index
        if not self._concealer.active and self._timeline.filled(index - 1):
            self._concealer.begin(self._history(index - 1), codec)  # for a seam without a click
        self._surplus = 0
        self.delay -= 1
        self._index = index + 1
        return index + 1

    def _concealed(self, index: int, last: int, came: int, codec: Codec) -> bytes | None:
        concealer, payload = self._concealer, self._timeline.frame(index)
        if not concealer.active:
            if not self._timeline.filled(last):
                return payload if came else None  # nothing before to go on with
            if came and payload[: FRAME_SAMPLES - came].strip(bytes([codec.silence])):
                return self._cut_off(payload[:came], last, codec)
            concealer.begin(self._history(last), codec)
        if came:
            made = concealer.frame(codec, FRAME_SAMPLES - came)
            return made + concealer.join(payload[FRAME_SAMPLES - came :], codec)
        if concealer.exhausted:
            concealer.end()
            return None
        return concealer.frame(codec)

    def _cut_off(self, came: bytes, last: int, codec: Codec) -> bytes:
        """Only the beginning of a frame is there (packets that are not of 20 ms)."""
        history = self._history(last) + came
        self._concealer.begin(history[-HISTORY_SAMPLES:], codec)
        return came + self._concealer.frame(codec, FRAME_SAMPLES - len(came))

    def _history(self, last: int) -> bytes:
        """What was heard up to and with frame `last`."""
        frames = range(last - _HISTORY_FRAMES + 1, last + 1)
        return b"".join(map(self._timeline.frame, frames))
