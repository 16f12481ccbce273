"""The agents' telephones of the soak: each says its own numbered frames, by a clock of its own.

    python benchmarks/telephony/talkers.py HOST PORT

An echo says nothing of where the agent's sound lies in the recording: it comes back as late as
it was played. These do not listen. A leg whose first packet comes to HOST:PORT is answered with
frame 0 (`mkaudio`), then with one every 20 ms after it, until it has been still for two seconds;
what was missed in a stall is sent at once, as by a telephone's sound card. Runs until SIGTERM,
then prints how many frames it sent and how late the latest was.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "data" / "sipp"))

import mkaudio

_FRAME_SECONDS = 0.02
_STILL_SECONDS = 2.0
_TURN_SECONDS = 0.002
_NUMBERS = 1 << 15  # mkaudio's frames have 15 bits


@dataclass(slots=True)
class Talk:
    """What is said to one leg, since `began` (monotonic)."""

    began: float
    heard: float
    ssrc: int
    number: int = 0


class Talkers:
    """All telephones, behind one socket: a leg is known by where its packets come from."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((host, port))
        self._socket.setblocking(False)
        self._talks: dict[tuple[str, int], Talk] = {}
        self._frames = [mkaudio.frame(number) for number in range(_NUMBERS)]
        self.sent = 0
        self.latest = 0.0
        """Seconds after its time that the latest frame was sent."""

    def run(self) -> None:
        """One turn: what came, then what is due."""
        self._listen(time.monotonic())
        now = time.monotonic()
        for leg in [leg for leg, talk in self._talks.items() if now - talk.heard > _STILL_SECONDS]:
            del self._talks[leg]
        for leg, talk in self._talks.items():
            while (late := now - talk.began - talk.number * _FRAME_SECONDS) >= 0:
                self._say(leg, talk)
                self.latest = max(self.latest, late)

    def _listen(self, now: float) -> None:
        while True:
            try:
                _, leg = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            if talk := self._talks.get(leg):
                talk.heard = now
            else:
                self._talks[leg] = Talk(now, now, ssrc=hash((leg, now)) & 0xFFFFFFFF)

    def _say(self, leg: tuple[str, int], talk: Talk) -> None:
        number = talk.number
        head = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, talk.ssrc)
        talk.number += 1
        self.sent += 1
        with suppress(OSError):  # the leg has closed
            self._socket.sendto(head + self._frames[number % _NUMBERS], leg)


def main() -> None:
    """Until SIGTERM."""
    talkers, going = Talkers(sys.argv[1], int(sys.argv[2])), [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    print("ready", flush=True)
    while going:
        talkers.run()
        time.sleep(_TURN_SECONDS)
    print(f"{talkers.sent} frames, the latest {talkers.latest * 1000:.0f} ms late", flush=True)


if __name__ == "__main__":
    main()
