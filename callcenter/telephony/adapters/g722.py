"""G.722 for telephones that have no G.711: translated packet by packet, at the socket.

Its RTP clock is 8000 by an old mistake that has to stay (RFC 3551 4.5.2), and it has 64 kbit/s as
G.711: so the octets of a packet, its time stamps and its sequence fit as they are, only the payload
and its type change. What it holds above 4 kHz is lost: everything behind the socket is telephone
sound. Needs about 60 µs a packet each way.
"""

from __future__ import annotations

from functools import partial

import av
import numpy as np
from numpy.typing import NDArray

from callcenter.telephony.media import g711, rtp
from callcenter.telephony.ports import G722 as PAYLOAD_TYPE
from callcenter.telephony.ports import Codec

_WIDE_RATE = 16_000
_FRAME = 320  # samples that the encoder takes at once: 160 octets
_TAPS = 63


def _half_band() -> NDArray[np.float32]:
    """A low pass at 4 kHz of 16 kHz: a windowed sinc, 60 dB down from 4.6 kHz on."""
    place = np.arange(_TAPS) - _TAPS // 2
    return (0.5 * np.sinc(place / 2) * np.kaiser(_TAPS, 5.6)).astype(np.float32)


_LOW_PASS = _half_band()
_codec = partial(av.AudioCodecContext.create, "g722")


class _Filter:
    """The low pass over a stream; it delays by 2 ms."""

    def __init__(self) -> None:
        self._before = np.zeros(_TAPS - 1, np.float32)

    def pass_through(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """As many samples as came."""
        whole = np.concatenate((self._before, samples))
        self._before = whole[len(samples) :]
        return np.convolve(whole, _LOW_PASS, "valid")


class G722:
    """Both directions of one telephone. Packets are whole RTP packets, plain."""

    def __init__(self) -> None:
        self._decoder, self._encoder = _codec("r"), _codec("w")
        for context in (self._decoder, self._encoder):
            context.sample_rate, context.layout = _WIDE_RATE, "mono"
        self._encoder.format = av.AudioFormat("s16")
        self._down, self._up = _Filter(), _Filter()
        self._samples = np.zeros(0, np.int16)  # that wait for a whole frame
        self._octets = b""  # that wait for a packet
        self._silence = self._encoded(np.zeros(_FRAME, np.int16))

    def received(self, data: memoryview) -> memoryview | None:
        """A packet of the telephone with its sound as PCMU; None where it cannot be read."""
        packet = rtp.parse(data)
        if packet is None or packet.payload_type != PAYLOAD_TYPE:
            return data  # keys, comfort noise
        if not packet.payload:
            return None  # to libav it would be the end of the stream
        try:
            frames = self._decoder.decode(av.Packet(bytes(packet.payload)))
        except av.FFmpegError:
            return None
        wide = np.concatenate([frame.to_ndarray()[0] for frame in frames] or [np.zeros(0)])
        narrow = self._down.pass_through(wide.astype(np.float32))[::2]
        sound = g711.encode(narrow.clip(-32768, 32767).astype(np.int16))
        kind = Codec.PCMU.value | packet.marker << 7
        head = rtp.HEADER.pack(rtp.PLAIN, kind, packet.sequence, packet.timestamp, packet.ssrc)
        return memoryview(head + sound)

    def sent(self, packet: bytes | bytearray | memoryview) -> bytes:
        """A packet of PCMU for the telephone, as G.722; keys as they are."""
        if packet[1] & 0x7F != Codec.PCMU.value:
            return bytes(packet)
        payload = packet[rtp.HEADER_BYTES :]
        narrow = g711.decode(payload, Codec.PCMU)
        wide = np.zeros(2 * len(narrow), np.float32)
        wide[::2] = 2.0 * narrow
        raised = self._up.pass_through(wide).clip(-32768, 32767).astype(np.int16)
        self._samples = np.concatenate((self._samples, raised))
        while len(self._samples) >= _FRAME:
            self._octets += self._encoded(self._samples[:_FRAME])
            self._samples = self._samples[_FRAME:]
        size = len(payload)
        if len(self._octets) < size:  # packets that are no whole frames: once, at the beginning
            self._octets = self._silence[: size - len(self._octets)] + self._octets
        sound, self._octets = self._octets[:size], self._octets[size:]
        kind = PAYLOAD_TYPE | packet[1] & 0x80
        return bytes((packet[0], kind)) + bytes(packet[2 : rtp.HEADER_BYTES]) + sound

    def _encoded(self, samples: NDArray[np.int16]) -> bytes:
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = _WIDE_RATE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))
