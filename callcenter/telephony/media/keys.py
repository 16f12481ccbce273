"""Keys that an agent presses for the other side, on their way out (RFC 4733, ITU-T Q.23).

A telephone that said so gets events, any other the two tones in its sound. A key lasts 160 ms and
60 ms of the ordinary sound follow, longer than receivers ask for (ITU-T Q.24: about 40 ms each).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np

from callcenter.telephony.media import g711
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Codec

KEYS = "0123456789*#"
KEY_FRAMES = 8
GAP_FRAMES = 3
_END_REPEATS = 3  # RFC 4733 2.5.1.4: the end is sent three times
_END = 0x80
_VOLUME = 10  # -10 dBm0
_LEVEL = 10 ** (-10 / 20) / 2  # each of the two tones, of full scale
_LOW = (697.0, 770.0, 852.0, 941.0)
_HIGH = (1209.0, 1336.0, 1477.0)
_PAD = "123456789*0#"


@dataclass(frozen=True, slots=True)
class Stroke:
    """What is due in one frame. `since`: how many of its frames went before; `began`: the first of
    them, which is the event's timestamp, also where frames were skipped since."""

    key: str
    since: int
    began: int

    @property
    def event(self) -> bytes:
        """The payload of RFC 4733 2.3: event, end and volume, duration so far in samples."""
        ends = self.since >= KEY_FRAMES - 1
        lasted = min(self.since + 1, KEY_FRAMES) * FRAME_SAMPLES
        return bytes((KEYS.index(self.key), (_END if ends else 0) | _VOLUME)) + lasted.to_bytes(2)

    def tone(self, codec: Codec) -> bytes | None:
        """The 20 ms of both tones; None while only the event's end is repeated."""
        if self.since >= KEY_FRAMES:
            return None
        ulaw = _tones(self.key)[self.since * FRAME_SAMPLES : (self.since + 1) * FRAME_SAMPLES]
        return g711.convert(ulaw, Codec.PCMU, codec)


class KeyPad:
    """The keys that one leg is still to get, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._since = self._began = 0

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._waiting)

    def press(self, keys: str) -> None:
        """These, after what waits. Raises ValueError for what is no key."""
        if unknown := set(keys) - set(KEYS):
            raise ValueError(f"no keys of a telephone: {len(unknown)} of them")
        self._waiting.extend(keys)

    def next(self, frame: int) -> Stroke | None:
        """What is due at `frame`; None between two keys."""
        if self._since == 0:
            self._began = frame
        stroke = Stroke(self._waiting[0], self._since, self._began)
        self._since += 1
        if self._since == KEY_FRAMES + GAP_FRAMES:
            self._waiting.popleft()
            self._since = 0
        return stroke if stroke.since < KEY_FRAMES + _END_REPEATS - 1 else None


@cache
def _tones(key: str) -> bytes:
    row, column = divmod(_PAD.index(key), 3)
    time = np.arange(KEY_FRAMES * FRAME_SAMPLES) / SAMPLE_RATE
    both = np.sin(2 * np.pi * _LOW[row] * time) + np.sin(2 * np.pi * _HIGH[column] * time)
    return g711.encode((both * _LEVEL * 32767).astype(np.int16))
