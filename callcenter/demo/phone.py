"""Phones the running system as a customer would: real SIP and RTP through pyVoIP."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from callcenter.demo import wav
from callcenter.errors import SipFailure
from callcenter.telephony.ports import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE

ANSWER_SECONDS = 120.0
TALK_SECONDS = 10.0
SILENCE = b"\x80"
_AHEAD = 3  # frames written before their time, against a late thread
_TIMERS = (0.5, 1.5, 3.5, 7.5)  # INVITE again, seconds after the first (RFC 3261, timer A)
_PATIENCE = 15.0  # without any answer

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CallReport:
    """What happened in an answered call. All times in seconds."""

    answered_after: float
    seconds: float
    spoken: float
    heard: float
    ended_by: str
    keys: str = ""

    def __str__(self) -> str:
        text = (
            f"answered after {self.answered_after:.1f} s; talked {self.seconds:.1f} s: "
            f"said {self.spoken:.1f} s, heard {self.heard:.1f} s that was not silence; "
            f"{self.ended_by} hung up"
        )
        if self.keys:
            text += "; the keys went as tones in the sound, since pyVoIP sends no RFC 4733 events"
        return text


def place_call(
    *,
    to: str,
    caller: str | None,
    host: str,
    port: int,
    play: Path | None = None,
    dtmf: str = "",
    seconds: float | None = None,
    answer_seconds: float = ANSWER_SECONDS,
    on_progress: Progress = lambda _: None,
) -> CallReport:
    """Call `to`, say what is in `play` (a tone without), hang up after it or after `seconds`.

    `caller`: the number shown, None withholds it. `on_progress` is told calling, ringing,
    answered. Raises SipFailure with one sentence when nobody answers, the line is busy or the
    call is refused; Invalid when `play` is no sound.
    """
    from callcenter.demo.telephone import Telephone, press

    speech = wav.read(play) if play else _tone([440.0], TALK_SECONDS)
    phone = Telephone(host, port, caller or "anonymous")
    phone.start()
    try:
        on_progress("calling")
        began = time.monotonic()
        call = phone.dial(to)
        _await_answer(phone.client, call, began + answer_seconds, on_progress)
        waited = time.monotonic() - began
        on_progress("answered")
        talk = _Talk(call, speech, seconds)
        keys = threading.Thread(target=press, args=(call, dtmf), name="keys", daemon=True)
        keys.start()
        talk.run()
        keys.join(1.0)
        ended_by = "the other side" if talk.ended else "the caller"
        if not talk.ended:
            _hang_up(phone.client, call)
        return CallReport(waited, talk.seconds, talk.spoken, talk.heard, ended_by, dtmf)
    finally:
        phone.stop()


def _await_answer(client: Any, call: Any, deadline: float, on_progress: Progress) -> None:
    from callcenter.demo.telephone import is_up

    began, again, ringing = time.monotonic(), list(_TIMERS), False
    while not is_up(call):
        now = time.monotonic()
        refused = [reply for reply in client.replies if reply.status >= 300]
        if refused:
            raise SipFailure(_refusal(refused[0].status, refused[0].phrase))
        if not client.replies and now - began > _PATIENCE:
            raise SipFailure(f"nothing answers at {client.server}:{client.port}: is it running?")
        if now > deadline:
            _give_up(client)
            raise SipFailure("nobody answered in time; the call was given up")
        if again and not client.replies and now - began > again[0]:
            again.pop(0)
            client.send(client.sent)
        if not ringing and any(reply.status == 180 for reply in list(client.replies)):
            ringing = True
            on_progress("ringing")
        time.sleep(0.01)


def _refusal(status: int, phrase: str) -> str:
    if status in (486, 600):
        return f"the line is busy ({status} {phrase})"
    if status in (408, 480, 487):
        return f"nobody answered ({status} {phrase})"
    if status == 404:
        return f"there is no such line ({status} {phrase})"
    return f"the call was rejected ({status} {phrase})"


def _give_up(client: Any) -> None:
    """CANCEL, and a moment for the 487 to come and be acknowledged."""
    for _ in range(4):
        client.cancel()
        if _within(0.5, lambda: any(reply.status >= 300 for reply in client.replies)):
            return


def _hang_up(client: Any, call: Any) -> None:
    """BYE until it is answered, at most four times."""
    call.hangup()
    for _ in range(3):
        if _within(0.5, lambda: any(reply.method == "BYE" for reply in client.replies)):
            return
        client.bye(call.request)


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.01)
    return happened()


class _Talk:
    """The conversation: pieces of 160 bytes by the clock, and an ear on what comes back."""

    def __init__(self, call: Any, speech: bytes, seconds: float | None) -> None:
        self._call = call
        self._speech = speech
        # pyVoIP sends a little slower than real time (49.7 pieces a second): let it finish.
        whole = len(speech) / SAMPLE_RATE * 1.01 + 0.3
        self._limit = seconds if seconds is not None else whole
        self._said = 0
        self._heard = 0
        self._began = time.monotonic()
        self.seconds = 0.0
        self.ended = False

    @property
    def spoken(self) -> float:
        """Seconds of the speech that went out."""
        return min(self._said, self.seconds * SAMPLE_RATE) / SAMPLE_RATE

    @property
    def heard(self) -> float:
        """Seconds that came back and were not silence."""
        return self._heard * FRAME_SECONDS

    def run(self) -> None:
        """Talk until the time is over or the other side hangs up."""
        from callcenter.demo.telephone import is_up

        tick = 0
        while tick * FRAME_SECONDS < self._limit and not self.ended:
            self._speak_until(tick + _AHEAD)
            self._listen()
            tick += 1
            time.sleep(max(0.0, self._began + tick * FRAME_SECONDS - time.monotonic()))
            self.ended = not is_up(self._call)
        self.seconds = time.monotonic() - self._began

    def _speak_until(self, frame: int) -> None:
        while self._said < min(frame * FRAME_SAMPLES, len(self._speech)):
            piece = self._speech[self._said : self._said + FRAME_SAMPLES]
            self._call.write_audio(piece.ljust(FRAME_SAMPLES, SILENCE))
            self._said += len(piece)

    def _listen(self) -> None:
        piece = np.frombuffer(self._call.read_audio(FRAME_SAMPLES, False), np.uint8)
        # Zeros are what pyVoIP's buffer holds where a packet is missing.
        loud = (np.abs(piece.astype(np.int16) - 128) > 3) & (piece != 0)
        self._heard += int(loud.mean() > 0.1)


def _tone(frequencies: list[float], seconds: float) -> bytes:
    moments = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    level = 12000.0 / len(frequencies)
    waves = [np.sin(2 * math.pi * frequency * moments) for frequency in frequencies]
    return wav.unsigned(level * np.sum(waves, axis=0))
