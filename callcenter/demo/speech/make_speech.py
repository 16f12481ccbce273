"""Makes the simulated customers' speech again: `python -m callcenter.demo.speech.make_speech`.

Text below, voices of flite (en) and espeak-ng (fa, he), then what a telephone line does to
them: 300-3400 Hz, 8 kHz, µ-law. Both programs come from Debian's packages of these names.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from callcenter.telephony.media import g711

HERE = Path(__file__).parent
RATE = 8000
PAUSE_SECONDS = 0.9
LEVEL = 16000.0
Sound = NDArray[np.float64]

ENGLISH = (
    "Good morning. I am calling about an order that has not arrived.",
    "You promised me delivery last Monday, and today is already Friday.",
    "I have called two times before, and nobody called me back.",
    "I would like to make a complaint about the late delivery.",
    "Please send the package this week, or give me my money back.",
    "Thank you for your help. Goodbye.",
)
PERSIAN = ("سلام. سفارش من هنوز نرسیده است.", "می‌خواهم شکایت ثبت کنم. ممنون.")
HEBREW = ("שלום. ההזמנה שלי עדיין לא הגיעה.", "אני רוצה להגיש תלונה. תודה.")


def main() -> None:
    """Write customer_en.wav, customer_fa.wav and customer_he.wav beside this file."""
    flite = ["flite", "-voice", "slt", "-t"]
    espeak = ["espeak-ng", "-s", "150", "-v"]
    write(HERE / "customer_en.wav", [spoken([*flite, text, "-o"]) for text in ENGLISH])
    write(HERE / "customer_fa.wav", [spoken([*espeak, "fa", text, "-w"]) for text in PERSIAN])
    write(HERE / "customer_he.wav", [spoken([*espeak, "he", text, "-w"]) for text in HEBREW])


def spoken(command: list[str]) -> Sound:
    """What the program says, at 8 kHz in the band of a telephone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return _telephone(np.asarray(soxr.resample(samples.astype(np.float64), rate, RATE)))


def _telephone(sound: Sound) -> Sound:
    spectrum = np.fft.rfft(sound)
    band = np.fft.rfftfreq(len(sound), 1 / RATE)
    spectrum[(band < 300) | (band > 3400)] = 0
    heard = np.fft.irfft(spectrum, len(sound))
    return np.asarray(heard * (LEVEL / max(1.0, float(np.abs(heard).max()))))


def write(path: Path, sentences: list[Sound]) -> None:
    """The sentences with pauses between them, as a WAV of µ-law (format 7)."""
    pause = np.zeros(int(PAUSE_SECONDS * RATE))
    samples = np.concatenate([part for one in sentences for part in (one, pause)])
    body = g711.encode(samples.astype(np.int16))
    shape = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    chunks = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in (
            (b"fmt ", shape),
            (b"fact", struct.pack("<I", len(body))),
            (b"data", body),
        )
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


if __name__ == "__main__":
    main()
