"""Loss and jitter as RFC 3550 counts them; the MOS estimate against known values."""

from __future__ import annotations

import pytest
from soundlink import numbered, packet

from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.meter import Meter
from callcenter.telephony.media.quality import Reception, mean_opinion


def received(*sequences: int, ssrc: int = 7) -> Reception:
    reception = Reception()
    for sequence in sequences:
        reception.take(sequence % 65536, ssrc)
    return reception


def test_what_is_expected_follows_the_sequence_over_its_wrap() -> None:
    reception = received(*range(65_500, 65_600))
    assert (reception.expected, reception.received) == (100, 100)
    assert reception.highest == 65_599


def test_disorder_and_repetition_are_no_loss() -> None:
    assert received(3, 1, 2, 5, 4).expected == 5
    twice = received(1, 2, 2, 3)
    assert (twice.expected, twice.received) == (3, 4)


def test_a_new_source_begins_a_new_count_and_the_sum_stays() -> None:
    reception = received(*range(10))
    for sequence in (40_000, 40_001, 40_003):
        reception.take(sequence, 8)
    assert (reception.expected, reception.received) == (14, 13)
    block = reception.block(0, 0)
    assert block is not None
    assert (block.ssrc, block.lost, block.fraction, block.highest) == (8, 1, 64, 40_003)


def test_packets_that_were_passed_over_unread_are_not_lost() -> None:
    reception = received(*range(65_530, 65_536))
    reception.rest()
    for sequence in (500, 501):
        reception.take(sequence, 7)
    assert (reception.expected, reception.received) == (8, 8)
    assert reception.highest == 65_536 + 501


def test_the_fraction_is_of_the_time_since_the_last_report() -> None:
    reception = received(0, 1, 2, 3)
    first = reception.block(0, 0)
    for sequence in (4, 6, 8):
        reception.take(sequence, 7)
    second, third = reception.block(0, 0), reception.block(0, 0)
    assert [block and block.fraction for block in (first, second, third)] == [0, 2 * 256 // 5, 0]


def test_jitter_is_smoothed_as_in_the_rfc() -> None:
    """Appendix A.8 in floating point: J += (|D| - J) / 16, here D = 80 at every packet."""
    reception, expected = received(0), 0.0
    for number in range(50):
        reception.timed(number * 160, number * 160 + 80 * (number % 2))
        if number:
            expected += (80 - expected) / 16
    assert reception.jitter == pytest.approx(expected)
    assert reception.jitter_most == pytest.approx(expected)


def test_a_jump_of_the_timestamp_or_a_pause_is_no_jitter() -> None:
    reception = received(0)
    for number in range(10):
        reception.timed((number * 160 - 800) % 2**32, number * 160)
    reception.timed(5_000_000, 1600)
    reception.timed(5_000_160, 1760)
    reception.paused()
    reception.timed(5_000_320, 99_000)
    assert reception.jitter == 0


@pytest.mark.parametrize(
    ("loss", "delay", "mos"),
    [
        (0.0, 0, 4.41),  # R = 93.2
        (0.0, 150, 4.33),  # 89.6
        (0.01, 80, 4.28),  # 87.6
        (0.05, 80, 3.84),  # 75.5
        (0.20, 80, 2.53),  # 49.1
        (0.0, 400, 3.05),  # 59.1
        (1.0, 400, 1.0),
    ],
)
def test_the_opinion_follows_the_e_model(loss: float, delay: float, mos: float) -> None:
    assert mean_opinion(loss, delay) == pytest.approx(mos, abs=0.01)


def test_more_loss_or_delay_is_never_better() -> None:
    values = [mean_opinion(loss / 100, 80) for loss in range(101)]
    assert values == sorted(values, reverse=True)
    values = [mean_opinion(0.02, delay) for delay in range(0, 2000, 20)]
    assert values == sorted(values, reverse=True)


def test_a_measurement_counts_from_its_beginning() -> None:
    leg, now = Leg("one"), [100.0]

    def say(numbers: list[int]) -> None:
        for number in numbers:
            leg.advance(1000 + number)
            data = packet(number, number * 160, numbered(number))
            leg.receive(memoryview(data), (1000 + number) * 160)
            leg.step(1000 + number)

    say([0, 1, 5])
    meter = Meter(leg, lambda: now[0])
    say([n for n in range(6, 106) if n % 10])
    leg.receive(memoryview(packet(105, 105 * 160, numbered(105))), 1105 * 160)  # again
    now[0] += 2.04
    quality = meter.read()
    assert (quality.seconds, quality.codec) == (2.0, "PCMU")
    assert (quality.received, quality.lost, quality.late) == (90, 10, 0)
    assert quality.mos is not None
    assert 3.3 < quality.mos < 3.9
    assert (quality.remote_mos, quality.remote_lost, quality.round_trip_ms) == (None, None, None)


def test_of_next_to_nothing_no_opinion_is_formed() -> None:
    assert Meter(Leg("one"), lambda: 0.0).read().mos is None
