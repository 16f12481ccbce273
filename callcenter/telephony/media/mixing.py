"""Several parties heard as one: the sum of what they say, as a leg of its own (a conference).

A mix has no transport. Once every 20 ms it takes what is heard of its sources at that moment, with
their playouts and what those put in place of missing sound, and lays the sum where the sound
belongs: as many frames behind the present as the deepest of these playouts. Whoever listens to
the mix or records it finds it there, aligned with the other parties.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from callcenter.telephony.media import g711
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.ports import Codec

_LAW = Codec.PCMU
_MOST, _LEAST = 32767, -32768


class Mix:
    """What `sources` say together. `sound` is the leg that others listen to."""

    def __init__(self, name: str, sources: Sequence[Leg]) -> None:
        self.sound = Leg(name)
        self.sound.sends = False
        self._sources: list[Leg] = []
        self._behind = 0
        for source in sources:
            source.heard_by += 1
            self._sources.append(source)

    def blend(self, frame: int) -> None:
        """Say what is due at `frame`; silence is not laid anywhere."""
        said = [source.spoken(frame, _LAW) for source in self._sources]
        deepest = max((source.playout_frames for source in self._sources), default=0)
        self._behind = max(self._behind, deepest)  # never back: that would leave a frame out
        self.sound.say(frame, _sum([one for one in said if one is not None]), self._behind)

    def forget(self, source: Leg) -> None:
        """That party is gone."""
        if source in self._sources:
            self._sources.remove(source)
            source.heard_by -= 1

    def close(self) -> None:
        """Nobody is listened to any more."""
        for source in list(self._sources):
            self.forget(source)


def _sum(frames: list[bytes]) -> bytes | None:
    """One frame of all; what is too loud for sixteen bits is cut (ITU-T G.711 has fourteen)."""
    if len(frames) < 2:
        return frames[0] if frames else None
    loud = np.sum([g711.decode(one, _LAW) for one in frames], axis=0, dtype=np.int32)
    return g711.encode(np.clip(loud, _LEAST, _MOST).astype(np.int16), _LAW)
