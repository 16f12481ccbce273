"""One contract for journals: the disk and its twin place frames alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from callcenter.errors import RecordingError
from callcenter.events import LegName
from callcenter.ids import new_id
from callcenter.telephony.adapters import recordings
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.fakes.recording import MemoryRecordings
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec, Journal, RecordingStore
from callcenter.telephony.recording import peaks
from callcenter.telephony.recording.journal import MOST_FRAMES, LegBuffer, born

Kept = Callable[[str, LegName], bytes]
QUIET = b"\xff" * 160


def frame(number: int) -> bytes:
    return bytes([number % 250]) * 160


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RecordingStore, Kept]:
    if request.param == "disk":
        disk = DiskRecordings(tmp_path)
        return disk, lambda call, leg: (tmp_path / ".journal" / call / f"{leg}.pcmu").read_bytes()
    memory = MemoryRecordings()
    return memory, lambda call, leg: bytes(memory.opened[call].sound[leg])


@pytest.fixture
def call() -> str:
    return new_id()


@pytest.fixture
def journal(place: tuple[RecordingStore, Kept], call: str) -> Journal:
    return place[0].open_journal(call)


def put(journal: Journal, *numbers: int, leg: LegName = "agent") -> None:
    for number in numbers:
        journal.leg(leg).write(number * 160, frame(number), Codec.PCMU)


def test_frames_are_placed_gaps_are_silence_and_legs_equally_long(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 0, 3)
    journal.sync(4 * 160)
    assert place[1](call, "agent") == frame(0) + QUIET * 2 + frame(3)
    assert place[1](call, "customer") == QUIET * 4
    journal.close(5 * 160 + 7)
    assert len(place[1](call, "agent")) == len(place[1](call, "customer")) == 5 * 160 + 7


def test_frames_out_of_order_late_and_overlapping_find_their_place(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 2, 0)
    journal.sync(2 * 160 + 80)  # in the middle of a frame
    put(journal, 1)  # later than its sync
    journal.leg("agent").write(3 * 160 - 80, frame(9), Codec.PCMU)
    journal.leg("agent").write(-80, frame(7), Codec.PCMU)
    journal.close(4 * 160)
    kept = place[1](call, "agent")
    assert kept[:80] == frame(7)[:80]
    assert kept[80:160] == frame(0)[:80]
    assert kept[160:320] == frame(1)
    assert kept[320:400] == frame(2)[:80]
    assert kept[400:560] == frame(9)
    assert kept[560:] == QUIET[:80]


def test_a_frame_ahead_of_the_sync_waits_for_its_time(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 5)
    journal.sync(160)
    assert place[1](call, "agent") == QUIET
    journal.sync(6 * 160)
    assert place[1](call, "agent") == QUIET * 5 + frame(5)


def test_the_other_law_is_converted_by_table(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    sound = (8000 * np.sin(np.arange(160) / 5)).astype(np.int16)
    journal.leg("agent").write(0, g711.encode(sound, Codec.PCMA), Codec.PCMA)
    journal.close(160)
    heard = g711.decode(place[1](call, "agent"), Codec.PCMU).astype(int)
    assert np.abs(heard - sound).max() < 600


def test_a_pause_is_silence_from_its_first_byte_also_for_late_frames(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 0, 1, 2)
    journal.pause(160 + 80)
    journal.sync(3 * 160)
    assert place[1](call, "agent") == frame(0) + frame(1)[:80] + QUIET[:80] + QUIET
    put(journal, 2, 3, 4, 5)
    journal.resume(5 * 160)
    journal.close(6 * 160)
    kept = place[1](call, "agent")
    assert kept[240 : 5 * 160] == b"\xff" * 560
    assert kept[5 * 160 :] == frame(5)


def test_a_pause_known_too_late_is_silenced_on_the_disk(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 0, 1, 2, 3)
    journal.sync(4 * 160)
    journal.pause(160)
    journal.resume(3 * 160)
    journal.sync(4 * 160)
    assert place[1](call, "agent") == frame(0) + QUIET * 2 + frame(3)


@pytest.mark.parametrize("many", [2, 30])
def test_many_are_synced_together_each_up_to_its_own_position(
    place: tuple[RecordingStore, Kept], many: int
) -> None:
    store, kept = place
    calls = [new_id() for _ in range(many)]
    journals = [store.open_journal(call) for call in calls]
    for number, journal in enumerate(journals):
        put(journal, 0, 1, 2, leg="customer")
        if number == 1:
            journal.pause(160)
    due = [(journal, (1 + number % 3) * 160) for number, journal in enumerate(journals)]
    assert store.sync_all(due) == [None] * many
    for number, call in enumerate(calls):
        wanted = frame(0) + (QUIET * 2 if number == 1 else frame(1) + frame(2))
        assert kept(call, "customer") == wanted[: (1 + number % 3) * 160]
    for number, journal in enumerate(journals):
        put(journal, 1, 3, leg="customer")  # frame 1 again: late where the first sync was short
        journal.close(4 * 160)
        kept_now = kept(calls[number], "customer")
        assert kept_now[:160] == frame(0)
        assert kept_now[480:] == (QUIET if number == 1 else frame(3))


@pytest.mark.parametrize("refused", [True, False])
def test_one_that_cannot_be_written_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    disk, calls = DiskRecordings(tmp_path), [new_id() for _ in range(12)]
    journals = [disk.open_journal(call) for call in calls]
    for journal in journals:
        put(journal, 0)
    bad = journals[4]._files["agent"]
    os.close(bad)
    if refused:  # the file system as a whole cannot say: each finds out for itself
        monkeypatch.setattr(recordings, "sync_filesystem", lambda folder: False)
    outcomes = disk.sync_all([(journal, 160) for journal in journals])
    assert [number for number, one in enumerate(outcomes) if one] == [4]
    assert "cannot be written" in str(outcomes[4])
    files = [tmp_path / ".journal" / call / "agent.pcmu" for call in calls]
    assert [path.read_bytes() for path in files] == [
        b"" if number == 4 else frame(0) for number in range(12)
    ]
    journals[4]._files["agent"] = os.open(files[4], os.O_WRONLY)
    for journal in journals:
        journal.close(160)
    assert files[4].read_bytes() == frame(0)


def test_a_call_has_one_journal(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    with pytest.raises(RecordingError, match="cannot be started"):
        place[0].open_journal(call)


def test_the_last_position_is_what_is_on_the_disk(
    place: tuple[RecordingStore, Kept], journal: Journal, call: str
) -> None:
    put(journal, 0, 1, 2)
    journal.sync(320)
    assert place[0].last_position(call) == 320
    journal.discard()
    assert place[0].last_position(call) is None
    assert place[0].last_position(new_id()) is None


def test_what_was_not_confirmed_comes_again() -> None:
    buffer = LegBuffer()
    buffer.write(0, frame(1), Codec.PCMU)
    assert buffer.pieces(160, ()) == buffer.pieces(160, ())
    buffer.wrote(160, ())
    assert buffer.pieces(160, ()) == []


def test_a_stalled_disk_costs_a_minute_of_memory_and_no_more() -> None:
    buffer = LegBuffer()
    for number in range(2 * MOST_FRAMES):
        buffer.write(number * 160, frame(number), Codec.PCMU)
    (piece,) = buffer.pieces(2 * MOST_FRAMES * 160, ())
    assert piece.data[: MOST_FRAMES * 160] == QUIET * MOST_FRAMES
    assert piece.data[-160:] == frame(2 * MOST_FRAMES - 1)


def test_the_day_of_a_call_is_in_its_id() -> None:
    moment = born("0193a2f0-0000-7000-8000-000000000000")
    assert moment is not None
    assert moment.isoformat().startswith("2024-12-07T")
    assert born("no-uuid") is None


def test_peaks_survive_their_file_and_thin_to_the_highest() -> None:
    sound = np.zeros(8000, np.int16)
    sound[4000] = -32768
    found = peaks.Peaks(peaks.measure(sound), peaks.measure(sound // 2))
    assert peaks.read(peaks.write(found)) == found
    assert (len(found.agent), found.agent[25], sum(found.agent)) == (50, 255, 255)
    assert list(found.thinned(5).agent) == [0, 0, 255, 0, 0]
    with pytest.raises(RecordingError):
        peaks.read(b"nothing of the kind")
