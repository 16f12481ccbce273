"""RTCP: captured bytes read, cut and mangled ones refused, what is written is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.telephony.media import rtcp
from callcenter.telephony.media.quality import Reception
from callcenter.telephony.media.reports import Reports
from callcenter.telephony.media.rtcp import Block, Description, Goodbye, Report, Sender
from callcenter.telephony.media.rtp import PacketWriter

# Written by hand after RFC 3550 6.4.1, 6.5 and 6.6.
SR_SDES = bytes.fromhex(
    "81c8000c" "1b2c3d4e" "ea1d0e5c80000000" "0001f400" "000001f4" "00013880"
    "0badcafe" "19000005" "0001ffff" "0000002a" "0e5b7fff" "00018000"
    "81ca0005" "1b2c3d4e" "010a" + b"alice@host".hex() + "00000000"
)  # fmt: skip
RR_BYE = bytes.fromhex("80c900011b2c3d4e81cb00031b2c3d4e06" + b"closed".hex() + "00")


def test_a_sender_s_report_is_read() -> None:
    block = Block(0x0BADCAFE, 0x19, 5, 0x1FFFF, 42, 0x0E5B7FFF, 0x18000)
    sender = Sender(0xEA1D0E5C80000000, 128_000, 500, 80_000)
    assert rtcp.parse(SR_SDES) == [
        Report(0x1B2C3D4E, sender, (block,)),
        Description(0x1B2C3D4E, "alice@host"),
    ]


def test_a_goodbye_with_a_reason_is_read() -> None:
    assert rtcp.parse(RR_BYE) == [Report(0x1B2C3D4E, None, ()), Goodbye((0x1B2C3D4E,))]


@pytest.mark.parametrize("whole", [SR_SDES, RR_BYE])
def test_a_compound_that_is_cut_off_is_refused_wherever_it_is_cut(whole: bytes) -> None:
    ends = {len(whole)}
    at = 0
    while at < len(whole):
        at += 4 + 4 * int.from_bytes(whole[at + 2 : at + 4])
        ends.add(at)
    for size in range(len(whole)):
        found = rtcp.parse(whole[:size])
        assert (found is not None) == (size in ends), size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes.fromhex("81ca00011b2c3d4e"),  # begins with SDES
        bytes.fromhex("40c900011b2c3d4e"),  # version 1
        bytes.fromhex("a0c900011b2c3d4e"),  # the first one padded
        bytes.fromhex("81c900011b2c3d4e"),  # a block is announced and missing
        bytes.fromhex("80c900011b2c3d4ea0cb000100000009"),  # more padding than there is
        bytes.fromhex("80c900011b2c3d4e81ca00021b2c3d4e01ff6162"),  # a text cut off
        bytes.fromhex("80c900011b2c3d4e9fcb00011b2c3d4e"),  # 31 sources in one word
    ],
)
def test_what_is_no_whole_compound_is_refused(data: bytes) -> None:
    assert rtcp.parse(data) is None


def test_padding_at_the_end_and_unknown_types_are_passed_over() -> None:
    unknown = bytes.fromhex("81cd00021b2c3d4e0000000080cc00011b2c3d4e")
    padded = bytes.fromhex("a0cb000100000004")
    assert rtcp.parse(RR_BYE[:8] + unknown + padded) == [
        Report(0x1B2C3D4E, None, ()),
        Goodbye(()),
    ]


@given(st.binary(max_size=200))
def test_any_octets_are_a_compound_or_none(data: bytes) -> None:
    for body in (data, RR_BYE[:8] + data, SR_SDES[:28] + data):
        rtcp.parse(body)


def test_rtcp_is_told_from_sound_on_one_port() -> None:
    assert rtcp.is_rtcp(memoryview(SR_SDES))
    for second in (0, 8, 13, 101, 128, 128 + 8, 128 + 101, 191, 224):
        assert not rtcp.is_rtcp(memoryview(bytes([0x80, second])))
    assert not rtcp.is_rtcp(memoryview(b"\x80"))


word = st.integers(0, 2**32 - 1)
blocks = st.builds(
    Block, word, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), word, word, word, word
)
senders = st.one_of(st.none(), st.builds(Sender, st.integers(0, 2**64 - 1), word, word, word))


@given(
    st.builds(Report, word, senders, st.lists(blocks, max_size=3).map(tuple)),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=40),
    st.booleans(),
)
def test_what_is_written_is_read_again(report: Report, cname: str, bye: bool) -> None:
    data = rtcp.compound(report, cname, bye=bye)
    assert len(data) % 4 == 0
    ends = [Goodbye((report.ssrc,))] if bye else []
    assert rtcp.parse(data) == [report, Description(report.ssrc, cname), *ends]


# --- two sides -------------------------------------------------------------------------------

WALL = 1_700_000_000.25


class Side:
    """One party: what it sends, what it receives, its reports."""

    def __init__(self) -> None:
        self.writer, self.reception = PacketWriter(), Reception()
        self.reports = Reports(self.reception, self.writer)

    def send(self, frame: int) -> tuple[int, int, int]:
        data = self.writer.packet(frame, bytes(160), 0, False)
        return int.from_bytes(data[2:4]), int.from_bytes(data[4:8]), int.from_bytes(data[8:12])

    def hear(self, header: tuple[int, int, int], arrival: float) -> None:
        sequence, timestamp, ssrc = header
        self.reception.take(sequence, ssrc)
        self.reception.timed(timestamp, arrival)


def test_both_sides_learn_loss_jitter_and_the_round_trip() -> None:
    """30 ms there, 50 ms back, 0.5 s between; every tenth packet is lost on the way there."""
    ours, theirs = Side(), Side()
    for frame in range(100):
        header = ours.send(frame)
        if frame % 10 != 9:
            theirs.hear(header, frame * 160 + 240)
    report = ours.reports.write(10.0, WALL + 10, 100 * 160)
    assert theirs.reports.take(report, 910.03, WALL + 10.03)
    answer = theirs.reports.write(910.53, WALL + 10.53, 0)
    assert ours.reports.take(answer, 10.58, WALL + 10.58)
    assert ours.reports.round_trip == pytest.approx(0.080, abs=0.001)
    assert ours.reports.remote_lost == 9  # the last one is not known to be lost
    assert ours.reports.remote_expected == 100
    assert ours.reports.remote_jitter == 0
    (block,) = rtcp.parse(answer)[0].blocks  # type: ignore[index, union-attr]
    assert block.fraction == 9 * 256 // 99


def test_a_receiver_only_reports_as_one_and_a_silent_side_says_so() -> None:
    ours = Side()
    assert rtcp.parse(ours.reports.write(1.0, WALL, 0))[0] == Report(ours.writer.ssrc, None, ())  # type: ignore[index]
    ours.send(0)
    first, *_ = rtcp.parse(ours.reports.write(2.0, WALL, 160)) or []
    assert isinstance(first, Report)
    assert first.sender is not None
    assert (first.sender.packets, first.sender.octets) == (1, 160)
    again, *_ = rtcp.parse(ours.reports.write(3.0, WALL, 320)) or []
    assert isinstance(again, Report)
    assert again.sender is None


def test_reports_of_other_streams_and_times_that_cannot_be_are_passed_over() -> None:
    ours = Side()
    strange = Block(ours.writer.ssrc ^ 1, 0, 77, 0, 0, 1, 0)
    ours.reports.take(rtcp.compound(Report(5, None, (strange,)), "x"), 1.0, WALL)
    assert ours.reports.remote_lost is None
    wrong = Block(ours.writer.ssrc, 0, 3, 0, 0, 12345, 0)
    ours.reports.take(rtcp.compound(Report(5, None, (wrong,)), "x"), 1.0, WALL)
    assert ours.reports.remote_lost == 3
    assert ours.reports.round_trip is None


def test_a_goodbye_is_noted_of_the_party_s_stream_only() -> None:
    ours = Side()
    ours.hear((1, 160, 0x1B2C3D4E), 0)
    ours.reports.take(rtcp.compound(Report(9, None, ()), "x", bye=True), 1.0, WALL)
    assert not ours.reports.ended
    ours.reports.take(RR_BYE, 1.0, WALL)
    assert ours.reports.ended


def test_reports_go_out_every_few_seconds_at_random() -> None:
    reports, due = Side().reports, set[float]()
    for _ in range(200):
        reports.schedule(100.0)
        due.add(reports.due)
    assert min(due) >= 102.0
    assert max(due) <= 106.3
    assert len(due) > 100
