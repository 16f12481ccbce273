"""Opus for browsers that shall speak it: translated packet by packet, at the connection.

Its RTP clock is 48 kHz whatever it holds (RFC 7587 4.1): six of its units are one sample here.
Everything behind the connection is µ-law at 8 kHz, so narrow band is all that is asked for and
sent: 20 ms a packet, mono, with forward error correction where the browser can use it. The decoder
(libopus through libav) has no way to ask for that of a lost packet: what is missing is concealed
behind, as for every leg. Needs about 130 µs a packet to the browser, 80 µs from it.
"""

from __future__ import annotations

import math
from functools import partial

import av
import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Codec

CLOCK = 48_000
BITS_A_SECOND = 24_000
"""At most, on average, each way: more is not heard of telephone sound."""
_STEP = CLOCK // SAMPLE_RATE
_WORD = 0xFFFFFFFF
_NO_SOUND = 2  # octets: a packet that short says that silence begins (as WebRTC reads it, too)
_QUIETEST = 127  # -dBov (RFC 3389)
_LOSS_PERCENT = 10  # what error correction is made for
_COMPLEXITY = 5  # of 10: as WebRTC on telephones; the most costs an eighth more, unheard at 8 kHz
_TAPS = 145


def _low_pass() -> NDArray[np.float32]:
    """4 kHz of 48 kHz: a windowed sinc, flat to 3.4 kHz, 60 dB down from 4.6 kHz on."""
    place = np.arange(_TAPS) - _TAPS // 2
    return (np.sinc(place / _STEP) / _STEP * np.kaiser(_TAPS, 5.6)).astype(np.float32)


_LOW_PASS = _low_pass()
_codec = partial(av.AudioCodecContext.create, "libopus")


class _Decimator:
    """One sample of six, of a stream; it delays by 1.5 ms."""

    def __init__(self) -> None:
        self._before = np.zeros(_TAPS - _STEP, np.float32)

    def pass_through(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """A sixth of what came, which is a multiple of six."""
        whole = np.concatenate((self._before, samples), dtype=np.float32)
        self._before = whole[len(samples) :]
        windows: NDArray[np.float32] = np.ndarray(
            (len(samples) // _STEP, _TAPS),
            np.float32,
            whole,
            strides=(_STEP * whole.itemsize, whole.itemsize),
        )
        # einsum, not a product of matrices: that would wake BLAS's threads for 23,000 steps.
        narrow: NDArray[np.float32] = np.einsum("ij,j->i", windows, _LOW_PASS)
        return narrow.clip(-32768, 32767).astype(np.int16)


class _Unwrapped:
    """Time stamps of a stream without the wrap at 2^32, which is no multiple of six."""

    def __init__(self) -> None:
        self._latest = 0

    def of(self, timestamp: int) -> int:
        """That one, next to the latest."""
        return self._latest + rtp.distance(timestamp, self._latest & _WORD, 32)

    def follow(self, timestamp: int) -> int:
        """That one, the latest from now on."""
        self._latest = self.of(timestamp)
        return self._latest


class Opus:
    """Both directions of one browser; implements `Wire`. Packets are whole RTP packets, plain."""

    units = _STEP

    def __init__(self, payload_type: int, *, error_correction: bool) -> None:
        self._payload_type = payload_type
        self._decoder, self._encoder = _codec("r"), _codec("w")
        self._decoder.sample_rate, self._decoder.layout = CLOCK, "mono"
        self._encoder.sample_rate, self._encoder.layout = SAMPLE_RATE, "mono"
        self._encoder.format = av.AudioFormat("s16")
        self._encoder.bit_rate = BITS_A_SECOND
        self._encoder.options = {
            "application": "voip",
            "frame_duration": "20",
            "compression_level": str(_COMPLEXITY),
            "fec": str(int(error_correction)),
            "packet_loss": str(_LOSS_PERCENT),
        }
        self._down = _Decimator()
        self._theirs, self._ours = _Unwrapped(), _Unwrapped()
        self._saved = 0  # octets, against G.711

    def received(self, data: memoryview) -> memoryview | None:
        """A packet of the browser with its sound as PCMU, the beginning of silence as comfort
        noise (RFC 3389); None where it cannot be read or holds something else."""
        packet = rtp.parse(data)
        if packet is None or packet.payload_type != self._payload_type or not packet.payload:
            return None
        samples = self._decoded(bytes(packet.payload))
        if samples is None:
            return None
        kind, sound = Codec.PCMU.value, g711.encode(samples)
        if len(packet.payload) <= _NO_SOUND:
            kind, sound = rtp.COMFORT_NOISE, bytes([_level(samples)])
        timestamp = self._theirs.follow(packet.timestamp) // _STEP & _WORD
        second = kind | packet.marker << 7
        head = rtp.HEADER.pack(rtp.PLAIN, second, packet.sequence, timestamp, packet.ssrc)
        return memoryview(head + sound)

    def sent(self, packet: bytes | bytearray | memoryview) -> bytes | None:
        """A packet of 20 ms of PCMU for the browser, as Opus; None where it cannot be made."""
        _, second, sequence, timestamp, ssrc = rtp.HEADER.unpack_from(packet)
        payload = packet[rtp.HEADER_BYTES :]
        sound = self._encoded(g711.decode(payload, Codec.PCMU))
        self._saved += len(payload) - len(sound)
        wide = self._ours.follow(timestamp) * _STEP & _WORD
        kind = self._payload_type | second & 0x80
        return rtp.HEADER.pack(rtp.PLAIN, kind, sequence, wide, ssrc) + sound if sound else None

    def timestamp(self, ours: int) -> int:
        """Where sample time `ours` of what we send is on the browser's clock."""
        return self._ours.of(ours) * _STEP & _WORD

    def octets(self, ours: int) -> int:
        """Of payload that were sent, where `ours` were made."""
        return ours - self._saved

    def _decoded(self, payload: bytes) -> NDArray[np.int16] | None:
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            return None
        if not frames:
            return None
        return self._down.pass_through(np.concatenate([one.to_ndarray()[0] for one in frames]))

    def _encoded(self, samples: NDArray[np.int16]) -> bytes:
        """Empty where it is not the 20 ms that the encoder takes, or it fails."""
        if len(samples) != FRAME_SAMPLES:
            return b""
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        try:
            packets = self._encoder.encode(frame)
        except av.FFmpegError:
            return b""
        return bytes(packets[0]) if len(packets) == 1 else b""


def _level(samples: NDArray[np.int16]) -> int:
    """How loud, as RFC 3389 says it: decibels under the loudest square wave."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return min(round(-10 * math.log10(power / 32768**2)), _QUIETEST) if power else _QUIETEST
