"""What of a call reaches the disk and the recognisers, byte by byte: real journals, scripted legs,
a clock that the test moves."""

from __future__ import annotations

import asyncio
import re
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import callcenter
from callcenter.ids import new_id
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.capture import ON_THE_WAY, Capture
from callcenter.telephony.fakes.media import FakeMediaPlane, tone
from callcenter.telephony.ports import FRAME_SAMPLES, SAMPLE_RATE, Codec
from callcenter.telephony.rounds import Rounds

LEGS = ("agent", "customer")
SILENT = 0xFF


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its time goes on as always, and jumps when the test says so."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped


class HeardLine:
    """A recogniser that keeps where it heard what."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes]] = []

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        self.heard.append((position, payload))

    def close(self) -> None:
        pass


class HeardSpeech:
    """See SpeechLink."""

    def __init__(self) -> None:
        self.lines: dict[str, HeardLine] = {}

    def open(self, call: str, leg: str, language: str) -> HeardLine:
        return self.lines.setdefault(leg, HeardLine())


class Talk:
    """Two who talk; it is also the desk, as far as a capture knows one."""

    def __init__(self, folder: Path, loop: SkippingLoop) -> None:
        self.call, self.folder, self.loop = new_id(), folder, loop
        self.media, self.speech = FakeMediaPlane(), HeardSpeech()
        self.recordings = DiskRecordings(folder, format="wav")
        self.rounds = Rounds(self.recordings)
        self.legs = {name: self.media.leg() for name in LEGS}
        desk: Any = self
        self.capture = Capture(self.call, "en", desk)

    async def begin(self, **more: Any) -> float:
        """Answered now; returns when that was."""
        start = self.loop.time()
        customer, agent = self.legs["customer"], self.legs["agent"]
        await self.capture.start(customer, agent, start, **more)
        return start

    async def say(self, seconds: float) -> None:
        """Both talk so long, that time passes, and a second goes to the disk."""
        for leg in self.legs.values():
            leg.speak(tone(seconds), at=self.loop.time())
        self.loop.skipped += seconds
        await self.capture.flush()

    def disk(self, leg: str) -> bytes:
        return (self.folder / ".journal" / self.call / f"{leg}.pcmu").read_bytes()

    def words(self, leg: str, begin: int, end: int) -> int:
        """Samples heard between the two. Sound lies on frames: one may reach beyond its end."""
        line = self.speech.lines[leg]
        places = [(at, at + len(payload)) for at, payload in line.heard]
        return sum(max(0, min(end, stop) - max(begin, at)) for at, stop in places)


def play(folder: Path, scene: Callable[[Talk], Awaitable[None]]) -> None:
    async def run() -> None:
        talk = Talk(folder, loop)
        try:
            await scene(talk)
        finally:
            await talk.capture.close()

    loop = SkippingLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def loud(data: bytes) -> int:
    """How many samples are not silent."""
    return sum(byte != SILENT for byte in data)


def samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def test_a_pause_is_silence_on_the_disk_from_its_first_byte(tmp_path: Path) -> None:
    async def scene(talk: Talk) -> None:
        await talk.begin()
        await talk.say(1)
        first = samples(talk.capture.pause())
        await talk.capture.flush()
        await talk.say(2)
        for leg in LEGS:
            data = talk.disk(leg)
            assert loud(data[:first]) > 0.9 * SAMPLE_RATE
            assert len(data) >= first + 2 * SAMPLE_RATE
            assert loud(data[first:]) == 0
            assert talk.words(leg, first + FRAME_SAMPLES, len(data)) == 0

    play(tmp_path, scene)


def test_what_was_written_ahead_of_the_pause_is_taken_back(tmp_path: Path) -> None:
    """Sound has its place by the sender's clock; a fast one is ahead of ours."""

    async def scene(talk: Talk) -> None:
        start = await talk.begin()
        for party in talk.legs.values():
            party.speak(tone(3), at=start)  # "arrives" at once, its place is the future
        talk.loop.skipped += 1
        await talk.capture.flush()
        first = samples(talk.capture.pause())
        talk.loop.skipped += 1
        await talk.capture.flush()
        for leg in LEGS:
            assert loud(talk.disk(leg)[:first]) > 0.9 * SAMPLE_RATE
            assert loud(talk.disk(leg)[first:]) == 0

    play(tmp_path, scene)


def test_after_the_pause_only_what_is_said_after_it_is_kept(tmp_path: Path) -> None:
    async def scene(talk: Talk) -> None:
        start = await talk.begin()
        await talk.say(1)
        first = samples(talk.capture.pause())
        await talk.say(2)
        last = samples(talk.capture.resume())
        assert last - first >= 2 * SAMPLE_RATE + ON_THE_WAY
        for party in talk.legs.values():
            party.speak(tone(0.5), at=start + 2.4)  # was on the way when the pause ended
        await talk.say(2)
        for leg in LEGS:
            data = talk.disk(leg)
            assert loud(data[first:last]) == 0
            assert talk.words(leg, first + FRAME_SAMPLES, last) == 0
            assert loud(data[last:]) > SAMPLE_RATE
            assert talk.words(leg, last, len(data)) > SAMPLE_RATE

    play(tmp_path, scene)


def test_a_side_that_speaks_on_another_leg_during_a_pause_is_not_heard_either(
    tmp_path: Path,
) -> None:
    async def scene(talk: Talk) -> None:
        await talk.begin()
        first = samples(talk.capture.pause())
        talk.legs["agent"] = talk.media.leg()
        talk.capture.leave("agent")
        talk.capture.follow("agent", talk.legs["agent"])
        await talk.say(1)
        assert loud(talk.disk("agent")[first:]) == 0
        assert talk.words("agent", first, 10 * SAMPLE_RATE) == 0
        last = samples(talk.capture.resume())
        await talk.say(1)
        assert loud(talk.disk("agent")[last:]) > 0.5 * SAMPLE_RATE

    play(tmp_path, scene)


@pytest.mark.parametrize("unheard", [False, True])
def test_what_a_side_said_before_its_turn_is_not_kept_where_it_comes_late(
    tmp_path: Path, unheard: bool
) -> None:
    """A tap begins with what the leg said in the last second: to a colleague, for instance."""

    async def scene(talk: Talk) -> None:
        start = await talk.begin()
        await talk.say(1)
        talk.capture.leave("agent")
        talk.loop.skipped += 2
        agent = talk.legs["agent"]
        position = samples(talk.loop.time() - start)
        talk.capture.follow("agent", agent, unheard=unheard)
        agent.speak(tone(1.1), at=start + position / SAMPLE_RATE - 1)  # 0.1 s of it at the turn
        await talk.say(1)
        turn = position + (ON_THE_WAY if unheard else 0)
        data = talk.disk("agent")
        assert loud(data[SAMPLE_RATE + FRAME_SAMPLES : turn - FRAME_SAMPLES]) == 0
        assert talk.words("agent", SAMPLE_RATE + FRAME_SAMPLES, turn - FRAME_SAMPLES) == 0
        assert loud(data[turn + FRAME_SAMPLES :]) > (0.5 if unheard else 0.9) * SAMPLE_RATE

    play(tmp_path, scene)


def test_begun_in_the_middle_nothing_of_before_is_kept(tmp_path: Path) -> None:
    async def scene(talk: Talk) -> None:
        start = talk.loop.time()
        talk.loop.skipped += 2
        customer, agent = talk.legs["customer"], talk.legs["agent"]
        facts = await talk.capture.start(customer, agent, start, since=talk.loop.time(), by="a")
        first = samples(facts[0].position)  # type: ignore[attr-defined]
        assert first >= 2 * SAMPLE_RATE
        for party in talk.legs.values():
            party.speak(tone(2), at=start)
        await talk.say(1)
        for leg in LEGS:
            data = talk.disk(leg)
            assert loud(data[:first]) == 0
            assert talk.words(leg, 0, first) == 0
            assert loud(data[first:]) > 0.9 * SAMPLE_RATE

    play(tmp_path, scene)


def test_the_sealed_file_is_silent_in_the_pause_and_says_where_it_was(tmp_path: Path) -> None:
    spans: list[float] = []

    async def scene(talk: Talk) -> None:
        await talk.begin()
        await talk.say(1)
        spans.append(talk.capture.pause())
        await talk.say(1)
        spans.append(talk.capture.resume())
        await talk.say(1)
        await talk.capture.close()
        sealed = await asyncio.to_thread(talk.recordings.seal, talk.call)
        ((begin, end),) = sealed.pauses
        assert (begin, end) == pytest.approx((spans[0], spans[1]), abs=0.02)
        with wave.open(str(tmp_path / sealed.path), "rb") as file:
            sound = file.readframes(file.getnframes())  # 4 bytes a sample: left and right
        rounding = 0.001
        inside = sound[samples(begin + rounding) * 4 : samples(end - rounding) * 4]
        assert set(inside) == {0}
        assert set(sound[: samples(begin) * 4]) != {0}

    play(tmp_path, scene)


def test_nobody_listens_past_the_pause() -> None:
    """Whoever is to hear a call has to be a sink of its capture: nothing else taps a leg."""
    root = Path(callcenter.__file__).parent
    taps = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"(?<!def )\b(?:media|plane|_media)\.tap\(|\.add_tap\(", path.read_text())
    ]
    assert sorted(taps) == ["telephony/adapters/media_loop.py", "telephony/capture.py"]


def test_an_announcement_lies_in_the_agents_lane_where_the_customer_heard_it(
    tmp_path: Path,
) -> None:
    """Frame by frame, also where the loop sends several at once; the agent is not heard then."""
    words = [bytes([at]) * FRAME_SAMPLES for at in range(1, 61)]

    async def scene(talk: Talk) -> None:
        start = await talk.begin()
        await talk.say(1)
        talk.capture.announce()
        first = samples(talk.loop.time() - start)
        for at in range(0, 50, 5):  # a second, a tenth at a time
            talk.legs["agent"].speak(tone(0.1), at=talk.loop.time())
            for word in words[at : at + 5]:
                talk.capture.say(word)
            talk.loop.skipped += 0.1
        talk.loop.skipped += 2  # the loop stood still
        second = samples(talk.loop.time() - start)
        for word in words[50:]:
            talk.capture.say(word)
        talk.loop.skipped += 0.2
        talk.capture.announced()
        last = samples(talk.loop.time() - start)
        ago = talk.loop.time() - 0.5
        talk.legs["agent"].speak(tone(0.5), at=ago)  # said before it was over, comes late
        await talk.say(1)
        lane = talk.disk("agent")
        for begin, said in ((first, b"".join(words[:50])), (second, b"".join(words[50:]))):
            place = lane.find(said)
            assert abs(begin - place) <= samples(0.1), "at its place, none missing"
        assert loud(lane[: first - FRAME_SAMPLES]) > 0.9 * SAMPLE_RATE
        assert loud(lane[last:]) > 0.9 * SAMPLE_RATE - ON_THE_WAY
        inside = (first + FRAME_SAMPLES, last + ON_THE_WAY - FRAME_SAMPLES)
        assert talk.words("agent", *inside) == 0, "no captions of it"
        assert loud(talk.disk("customer")[inside[0] : last - FRAME_SAMPLES]) == 0

    play(tmp_path, scene)


def test_a_pause_takes_back_what_of_an_announcement_was_written(tmp_path: Path) -> None:
    async def scene(talk: Talk) -> None:
        await talk.begin()
        await talk.say(1)
        talk.capture.announce()
        for _ in range(5):
            talk.capture.say(b"\x10" * FRAME_SAMPLES)  # reaches beyond the present
        first = samples(talk.capture.pause())
        talk.loop.skipped += 1
        talk.capture.say(b"\x10" * FRAME_SAMPLES)
        await talk.capture.flush()
        assert loud(talk.disk("agent")[first:]) == 0
        last = samples(talk.capture.resume())
        talk.loop.skipped += 1
        for _ in range(5):
            talk.capture.say(b"\x10" * FRAME_SAMPLES)
        talk.loop.skipped += 1
        await talk.capture.flush()
        assert talk.disk("agent")[last:].count(0x10) == 5 * FRAME_SAMPLES

    play(tmp_path, scene)
