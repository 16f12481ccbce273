"""Reads a sealed recording, whatever its format, as samples per channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from callcenter.errors import RecordingError
from callcenter.telephony.media.g711 import Samples
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.recording.cipher_file import CallKeys, open_sealed


def read_sound(path: Path, keys: CallKeys | None = None) -> dict[int, Samples]:
    """Channel → 8 kHz 16-bit samples. Raises RecordingError."""
    pieces: list[NDArray[Any]] = []
    try:
        with open_sealed(path, keys) as file, av.open(file, "r") as container:
            stream = container.streams.audio[0]
            layout = "stereo" if stream.channels == 2 else "mono"
            resampler = av.AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE)
            for frame in container.decode(stream):
                pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray() for piece in resampler.resample(None)]
    except (av.FFmpegError, IndexError, OSError) as error:
        raise RecordingError("a sealed recording cannot be read: check the disk") from error
    if not pieces:
        raise RecordingError("a sealed recording holds no sound")
    sound = np.concatenate(pieces, axis=1)
    return {channel: samples.astype(np.int16, copy=False) for channel, samples in enumerate(sound)}
