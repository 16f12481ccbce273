"""Keys pressed on the telephone, as RFC 4733 events."""

from __future__ import annotations

from callcenter.telephony.media.rtp import distance

_KEYS = "0123456789*#ABCD"
_END = 0x80
_LONGEST_SEGMENT = 0xFFFF


class DigitDetector:
    """Tells each key once, though it comes in many packets (RFC 4733 section 2.5).

    All packets of one key carry the timestamp of its beginning; the end is sent three times.
    A key held for longer than 8 s goes on in segments, each with a timestamp of its own.
    """

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._event = -1
        self._duration = 0
        self._ended = True

    def feed(self, timestamp: int, payload: memoryview | bytes) -> str | None:
        """The key that begins with this packet, None where none does."""
        if len(payload) < 4 or payload[0] >= len(_KEYS):
            return None
        event, ended = payload[0], bool(payload[1] & _END)
        duration = payload[2] << 8 | payload[3]
        since = None if self._timestamp is None else distance(timestamp, self._timestamp, 32)
        if since is not None and since <= 0 and since > -80_000:
            if since == 0:
                self._duration = max(self._duration, duration)
                self._ended = self._ended or ended
            return None
        goes_on = not self._ended and event == self._event and since == _LONGEST_SEGMENT
        self._timestamp, self._event = timestamp, event
        self._duration, self._ended = duration, ended
        return None if goes_on else _KEYS[event]
