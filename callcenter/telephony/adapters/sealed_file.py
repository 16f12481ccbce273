"""Encodes two µ-law legs into one stereo file and reads it back: pydub and PyAV.

A two-hour call must not need gigabytes, so sound passes in blocks of ten seconds. pydub
assembles each block's stereo segment in memory; encoding is PyAV's, since pydub's own export
needs an ffmpeg program, writes whole files only and has no Opus without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import numpy as np

from callcenter.errors import RecordingError
from callcenter.telephony.media import g711
from callcenter.telephony.ports import SAMPLE_RATE, Codec
from callcenter.telephony.recording import peaks
from callcenter.telephony.recording.journal import SILENCE
from callcenter.telephony.recording.sealing import Format

with warnings.catch_warnings():  # audioop's farewell, and the ffmpeg program we do not need
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

BLOCK = 10 * SAMPLE_RATE
PACKET = 0.020
_CONTAINER = {"opus": "ogg", "flac": "flac", "wav": "wav"}
_CODEC = {"opus": "libopus", "flac": "flac", "wav": "pcm_s16le"}
_OPTIONS: dict[str, dict[str, str]] = {
    "opus": {
        "application": "voip",
        "frame_duration": "20",
        "compression_level": "5",
        # Two streams that do not know each other: below 32 kbit/s a coupled pair loses its
        # width (measured: both channels alike at 16 kbit/s), and who said what with it.
        "mapping_family": "255",
    },
    "flac": {},
    "wav": {},
}


def encode(
    legs: tuple[BinaryIO, BinaryIO], samples: int, target: BinaryIO, form: Format
) -> peaks.Peaks:
    """Write `samples` of both legs (left, right) to `target`; the peaks come for free."""
    found: tuple[list[bytes], list[bytes]] = ([], [])
    with av.open(target, "w", format=_CONTAINER[form]) as container:
        stream: Any = container.add_stream(_CODEC[form], rate=SAMPLE_RATE, options=_OPTIONS[form])
        stream.layout = "stereo"
        stream.format = "s16"
        if form == "opus":
            stream.bit_rate = 16_000
        for at, pair in _blocks(legs, samples):
            for lane, sound in zip(found, pair, strict=True):
                lane.append(peaks.measure(sound))
            container.mux(stream.encode(_frame(pair, at)))
        container.mux(stream.encode(None))
    return peaks.Peaks(b"".join(found[0]), b"".join(found[1]))


def _blocks(
    legs: tuple[BinaryIO, BinaryIO], samples: int
) -> Iterator[tuple[int, tuple[g711.Samples, g711.Samples]]]:
    for at in range(0, samples, BLOCK):
        size = min(BLOCK, samples - at)
        # A crash between the two legs' writes leaves one shorter: its end is silence.
        left, right = (leg.read(size).ljust(size, SILENCE) for leg in legs)
        yield at, (g711.decode(left, Codec.PCMU), g711.decode(right, Codec.PCMU))


def _frame(pair: tuple[g711.Samples, g711.Samples], at: int) -> av.AudioFrame:
    left, right = (
        AudioSegment(sound.tobytes(), sample_width=2, frame_rate=SAMPLE_RATE, channels=1)
        for sound in pair
    )
    stereo = AudioSegment.from_mono_audiosegments(left, right)
    packed = np.frombuffer(stereo.raw_data, np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
    frame.sample_rate = SAMPLE_RATE
    frame.pts = at
    return frame


def verify(file: BinaryIO, samples: int) -> None:
    """Decode the whole file; its length must be right to one packet (20 ms) in both channels.

    Raises RecordingError.
    """
    try:
        with av.open(file, "r") as container:
            stream = container.streams.audio[0]
            channels, rate = stream.channels, stream.rate
            found = sum(frame.samples for frame in container.decode(stream))
    except (av.FFmpegError, IndexError) as error:
        raise RecordingError("the sealed recording cannot be decoded; the journal stays") from error
    if channels != 2 or not rate or abs(found / rate - samples / SAMPLE_RATE) > PACKET:
        raise RecordingError("the sealed recording has the wrong length; the journal stays")
