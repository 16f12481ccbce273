"""Playout placed by timestamp, driven through a scripted link: no socket, no clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import pytest
from soundlink import Recorder, numbered, numbers_of, packet

from callcenter.telephony.media import g711
from callcenter.telephony.media.leg import Leg, Playback
from callcenter.telephony.ports import Codec

START = 1000  # the frame at which a script begins
Arriving = tuple[float, bytes]
"""A packet and the moment it comes, in frames from the script's start."""


class Link:
    """Plays packets into a leg at their moments; a bridged listener and a tap take notes."""

    def __init__(self, codec: Codec = Codec.PCMU) -> None:
        self.leg, self.listener = Leg("speaker"), Leg("listener")
        self.leg.use_codec(codec)
        self.leg.telephone_event = 101
        self.listener.listen_to(self.leg)
        self.sink = Recorder()
        self.heard: list[bytes] = []
        self.digits: list[str] = []
        self.leg.advance(START)
        self.leg.add_tap(self.sink, START)
        self.leg.add_digit_handler(self.digits.append)

    def play(self, arriving: Iterable[Arriving], frames: int) -> None:
        waiting = sorted(arriving, key=lambda pair: pair[0])
        for frame in range(START, START + frames):
            self.leg.advance(frame)
            while waiting and waiting[0][0] < frame + 1 - START:
                moment, data = waiting.pop(0)
                self.leg.receive(memoryview(data), int((START + moment) * 160))
            self.leg.step(frame)
            sent = self.listener.step(frame)
            assert sent is not None
            self.heard.append(bytes(sent[12:]))


def stream(count: int, *, sequence: int = 0, timestamp: int = 0, first: int = 0) -> list[bytes]:
    return [packet(sequence + n, timestamp + n * 160, numbered(first + n)) for n in range(count)]


def on_time(packets: list[bytes], start: float = 0.3) -> list[Arriving]:
    return [(start + n, data) for n, data in enumerate(packets)]


def placed(sink: Recorder) -> dict[int, int]:
    """Number of the frame at each 20 ms of the recording."""
    sound = sink.laid_out()
    frames = {at // 160: numbers_of([sound[at : at + 160]]) for at in range(0, len(sound), 160)}
    return {index: found[0] for index, found in frames.items() if found}


def test_a_clean_stream_is_heard_and_recorded_whole_and_in_order() -> None:
    link = Link()
    link.play(on_time(stream(100)), 120)
    assert numbers_of(link.heard) == list(range(100))
    assert link.sink.numbers == list(range(100))
    assert placed(link.sink) == {n: n for n in range(100)}


def test_sequence_and_timestamp_may_wrap() -> None:
    link = Link()
    link.play(on_time(stream(100, sequence=65500, timestamp=2**32 - 50 * 160)), 120)
    assert numbers_of(link.heard) == list(range(100))
    assert link.sink.numbers == list(range(100))


def test_duplicates_are_heard_once() -> None:
    link = Link()
    packets = on_time(stream(60))
    link.play(packets + [(at + 0.5, data) for at, data in packets], 90)
    assert numbers_of(link.heard) == list(range(60))
    assert link.sink.numbers == list(range(60))


def test_packets_that_overtake_each_other_by_ten_are_recorded_in_order() -> None:
    order = random.Random(7)
    link = Link()
    arriving = [(at + order.uniform(0, 10), data) for at, data in on_time(stream(200))]
    link.play(arriving, 240)
    numbers = link.sink.numbers
    assert len(numbers) >= 198
    assert numbers == sorted(numbers)
    assert numbers_of(link.heard) == sorted(set(numbers_of(link.heard)))


def test_jitter_of_40_ms_is_not_heard() -> None:
    order = random.Random(3)
    link = Link()
    packets = on_time(stream(200))
    jittered = [packets[0]] + [(at + order.uniform(0, 2), data) for at, data in packets[1:]]
    link.play(jittered, 230)
    assert numbers_of(link.heard) == list(range(200))


def test_lost_packets_leave_silence_of_their_length_in_the_recording() -> None:
    order = random.Random(5)
    kept = [n for n in range(200) if order.random() > 0.05]
    link = Link()
    packets = on_time(stream(200))
    link.play([packets[n] for n in kept], 230)
    assert placed(link.sink) == {n: n for n in kept}
    joined = {n for n in kept if n and n - 1 not in kept}  # faded in over what was concealed
    assert numbers_of(link.heard) == [n for n in kept if n not in joined]


def test_a_packet_that_is_half_a_second_late_is_recorded_at_its_place() -> None:
    link = Link()
    packets = on_time(stream(100))
    packets[40] = (packets[40][0] + 25, packets[40][1])
    link.play(packets, 130)
    assert placed(link.sink) == {n: n for n in range(100)}
    assert link.sink.numbers.index(40) > link.sink.numbers.index(60)
    assert 40 not in numbers_of(link.heard)


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
def test_any_packet_length_gives_the_same_sound(ptime: int) -> None:
    sound = b"".join(numbered(n) for n in range(60))
    size = ptime * 8
    packets = [
        (0.1 + (at + size) / 160, packet(n, at, sound[at : at + size]))
        for n, at in enumerate(range(0, len(sound), size))
    ]
    link = Link()
    link.play(packets, 90)
    assert link.sink.numbers == list(range(60))
    assert numbers_of(link.heard) == list(range(60))
    assert all(position % 160 == 0 for position, _, _ in link.sink.written)


def test_a_new_source_goes_on_at_once() -> None:
    link = Link()
    second = [packet(9 + n, 77 + n * 160, numbered(50 + n), ssrc=4711) for n in range(50)]
    link.play(on_time(stream(50)) + on_time(second, start=50.3), 130)
    assert link.sink.numbers == list(range(100))
    assert placed(link.sink) == {n: n for n in range(100)}


def test_a_jump_of_the_timestamp_costs_one_frame_and_no_time() -> None:
    link = Link()
    after = stream(50, sequence=50, timestamp=50 * 160 + 5_000_000, first=50)
    link.play(on_time(stream(50)) + on_time(after, start=50.3), 130)
    assert placed(link.sink) == {n: n for n in range(100) if n != 50}


def test_one_packet_from_nowhere_does_not_move_the_rest() -> None:
    link = Link()
    packets = on_time(stream(100))
    packets.append((50.1, packet(50_000, 3_000_000_000, numbered(3000))))
    link.play(packets, 130)
    assert placed(link.sink) == {n: n for n in range(100)}


def test_silence_of_the_sender_keeps_its_length() -> None:
    link = Link()
    after = stream(50, sequence=50, timestamp=150 * 160, first=50)
    link.play(on_time(stream(50)) + on_time(after, start=150.3), 230)
    assert placed(link.sink) == {n: n for n in range(50)} | {150 + n: 50 + n for n in range(50)}


def test_a_sender_whose_clock_stood_still_in_a_pause_is_placed_by_arrival_again() -> None:
    link = Link()
    after = stream(60, sequence=50, timestamp=50 * 160, first=50)
    link.play(on_time(stream(50)) + on_time(after, start=250.3), 340)
    late = {index: number for index, number in placed(link.sink).items() if number >= 50}
    assert len(late) >= 59
    assert all(abs(index - number - 200) <= 1 for index, number in late.items())


def test_comfort_noise_and_unknown_types_are_not_heard() -> None:
    link = Link()
    packets = on_time(stream(50))
    noise = [(10.4, packet(900, 10 * 160, b"\x40", kind=13)), (11.4, packet(901, 9, b"x" * 160))]
    other = [(12.4, packet(902, 12 * 160, numbered(999), kind=18))]
    link.play(packets + noise[:1] + other, 80)
    assert placed(link.sink) == {n: n for n in range(50)}


def test_a_change_of_the_payload_type_is_followed() -> None:
    link = Link()
    laws = [Codec.PCMU] * 30 + [Codec.PCMA] * 30
    packets = [
        packet(n, n * 160, g711.convert(numbered(n), Codec.PCMU, law), kind=law.value)
        for n, law in enumerate(laws)
    ]
    link.play(on_time(packets), 90)
    assert len(link.sink.written) == 60
    loud = g711.decode(link.sink.written[45][1], Codec.PCMU)
    assert int(loud.max()) > 20000
    assert link.sink.written[45][2] is Codec.PCMU


def test_the_drift_of_the_senders_clock_never_adds_up() -> None:
    """A clock 0.2 % fast, 40 times worse than a telephone's, for 80 s: 160 ms in all."""
    link = Link()
    packets = [(0.3 + n * 0.998, data) for n, data in enumerate(stream(4000))]
    link.play(packets, 4030)
    arrived = {n: int(at) for n, (at, _) in enumerate(packets)}
    errors = [abs(index - arrived[number]) for index, number in placed(link.sink).items()]
    assert max(errors) <= 2
    assert len(placed(link.sink)) >= 3980


def test_a_first_packet_that_came_late_costs_nothing_when_the_speaker_is_quiet() -> None:
    link = Link()
    quiet = [packet(30 + n, (30 + n) * 160, b"\xfe" * 160) for n in range(10)]
    after = stream(60, sequence=40, timestamp=40 * 160, first=40)
    packets = on_time(stream(30) + quiet + after)
    for n in range(4):  # the first four wait for a process that stands still
        packets[n] = (4.2, packets[n][1])
    link.play(packets, 130)
    assert link.sink.numbers == list(range(30)) + list(range(40, 100))
    late = {index - number for index, number in placed(link.sink).items()}
    assert late == {4, 0}
    assert set(numbers_of(link.heard)) >= set(range(4, 30)) | set(range(40, 100))


def test_a_first_packet_that_came_late_costs_a_loud_speaker_one_packet_in_five_seconds() -> None:
    link = Link()
    packets = on_time(stream(1500))
    packets[0] = packets[1] = packets[2] = (2.8, packets[2][1])
    packets = packets[2:]
    packets[0] = (5.2, packets[0][1])
    packets[1] = packets[2] = (5.25, packets[2][1])
    link.play(packets, 1530)
    missing = set(range(4, 1500)) - set(link.sink.numbers)
    assert 1 <= len(missing) <= 4
    end = {index: number for index, number in placed(link.sink).items() if number >= 1400}
    assert all(abs(index - number) <= 1 for index, number in end.items())


def test_digits_are_told_and_are_no_sound() -> None:
    link = Link()
    key = [(5.5 + n, packet(500 + n, 800, b"\x05\x0a\x03\x20", kind=101)) for n in range(5)]
    link.play(on_time(stream(5)) + key, 40)
    assert link.digits == ["5"]
    assert link.sink.numbers == list(range(5))


def test_two_taps_with_one_start_are_aligned_whenever_they_were_opened() -> None:
    link = Link()
    early, late = Recorder(), Recorder()
    link.leg.add_tap(early, START + 20)
    packets = on_time(stream(60))
    link.play(packets[:30], 30)
    link.leg.add_tap(late, START + 20)
    assert late.numbers == list(range(20, 30))
    for frame in range(START + 30, START + 65):  # taps get some frames at a time
        link.leg.advance(frame)
        if frame < START + 60:
            link.leg.receive(memoryview(packets[frame - START][1]), frame * 160 + 48)
        link.leg.step(frame)
    assert early.written == late.written
    assert early.numbers == list(range(20, 60))
    assert early.written[0][0] == 0


def test_closing_a_tap_delivers_what_still_waited_for_missing_frames() -> None:
    link = Link()
    packets = on_time(stream(30))
    del packets[25]
    link.play(packets, 30)
    assert link.sink.numbers == list(range(25))
    link.leg.close_taps()
    assert link.sink.numbers == [n for n in range(30) if n != 25]


def test_a_sink_that_fails_loses_its_tap_and_nothing_else() -> None:
    class Broken:
        def write(self, position: int, payload: bytes, codec: Codec) -> None:
            raise OSError("disk full")

    link = Link()
    link.leg.add_tap(Broken(), START)
    link.play(on_time(stream(30)), 50)
    assert link.sink.numbers == list(range(30))
    assert numbers_of(link.heard) == list(range(30))


def test_a_digit_handler_or_a_sound_that_fails_harms_nobody() -> None:
    class Broken:
        def frame(self, index: int) -> bytes | None:
            raise LookupError("gone")

    def handler(digit: str) -> None:
        raise RuntimeError(digit)

    link = Link()
    link.leg.add_digit_handler(handler)
    key = [(2.5, packet(500, 800, b"\x05\x8a\x03\x20", kind=101))]

    async def call() -> None:
        done = asyncio.get_running_loop().create_future()
        link.leg.play(Playback(Broken(), done))
        link.play(on_time(stream(20)) + key, 40)
        assert done.done()

    asyncio.run(call())
    assert link.digits == ["5"]
    assert link.sink.numbers == list(range(20))
