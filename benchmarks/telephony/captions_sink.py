"""The other end of the live tap, on the load's core: takes what a speech worker takes.

    python benchmarks/telephony/captions_sink.py RUN_DIR

Recognition itself is left out: it costs the same for every engine and runs elsewhere. Prints
`ready`, and on SIGTERM the seconds of sound that came.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from callcenter.telephony.adapters.speech_socket import SpeechListener, socket_path
from callcenter.telephony.ports import SAMPLE_RATE
from callcenter.telephony.speech import wire


class Counter:
    """A desk that counts samples."""

    samples = 0

    def take(self, frame: wire.Frame) -> None:
        """The next frame."""
        if isinstance(frame, wire.Sound):
            Counter.samples += len(frame.payload)

    def gone(self) -> None:
        """The node ended."""


if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    listener = SpeechListener(socket_path(Path(sys.argv[1]), 0), Counter)
    print("ready", flush=True)
    stop.wait()
    listener.close()
    print(Counter.samples / SAMPLE_RATE, flush=True)
