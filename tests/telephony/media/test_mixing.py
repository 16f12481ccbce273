"""Several parties heard as one: without sockets, then three telephones on the media plane."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from soundlink import Recorder, packet
from test_media_loop import Phone, plane_with

from callcenter.telephony.adapters.media_loop import SocketLeg
from callcenter.telephony.media import g711
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.mixing import Mix
from callcenter.telephony.ports import Codec

FIRST = 100
"""The frame that is the present when the parties begin."""


def constant(level: int, codec: Codec = Codec.PCMU) -> bytes:
    return g711.encode(np.full(160, level, np.int16), codec)


def party(level: int | None, codec: Codec = Codec.PCMU, frames: int = 10) -> Leg:
    """A party that says one level from frame FIRST on, or nothing."""
    leg = Leg("party")
    leg.use_codec(codec)
    leg.advance(FIRST)
    if level is not None:
        for n in range(frames):
            leg.advance(FIRST + n)
            data = packet(n, n * 160, constant(level, codec), kind=codec.value)
            leg.receive(memoryview(data), (FIRST + n) * 160)
    return leg


def blended(mix: Mix, frame: int) -> np.ndarray:
    mix.sound.advance(frame)
    mix.blend(frame)
    heard = mix.sound.spoken(frame, Codec.PCMU)
    return g711.decode(heard, Codec.PCMU) if heard else np.zeros(160, np.int16)


def test_two_parties_are_added_whatever_their_laws() -> None:
    mix = Mix("mix", [party(4000), party(3000, Codec.PCMA)])
    assert blended(mix, FIRST + 3) == pytest.approx(np.full(160, 7000), rel=0.05)


def test_what_is_too_loud_is_cut_and_not_turned_over() -> None:
    mix = Mix("mix", [party(30000), party(30000)])
    assert blended(mix, FIRST + 3).min() > 31000


def test_one_party_alone_is_heard_byte_for_byte() -> None:
    mix = Mix("mix", [party(1234), party(None)])
    mix.sound.advance(FIRST + 3)
    mix.blend(FIRST + 3)
    assert mix.sound.spoken(FIRST + 3, Codec.PCMU) == constant(1234)


def test_the_sum_lies_where_the_sound_belongs() -> None:
    """Three frames behind the present are the playouts': frame FIRST is laid at FIRST."""
    mix, sink = Mix("mix", [party(4000), party(3000)]), Recorder()
    mix.sound.advance(FIRST)
    mix.sound.add_tap(sink, FIRST)
    for frame in range(FIRST, FIRST + 12):
        mix.sound.advance(frame)
        mix.blend(frame)
        mix.sound.step(frame)
    mix.sound.close_taps()
    places = [place for place, payload, _ in sink.written if g711.decode(payload, Codec.PCMU).any()]
    assert places[:3] == [0, 160, 320]


def test_a_deeper_playout_of_one_party_repeats_a_frame_and_leaves_none_out() -> None:
    one, other = party(4000), party(3000)
    mix = Mix("mix", [one, other])
    before = blended(mix, FIRST + 4)
    one._playout.delay = 4
    again = blended(mix, FIRST + 5)
    one._playout.delay = 3
    after = blended(mix, FIRST + 6)
    assert mix.sound.playout_frames == 4  # and does not get less
    for heard in (before, again, after):
        assert heard.mean() > 2500


def test_a_party_that_is_gone_is_heard_no_more() -> None:
    one, other = party(4000), party(3000)
    mix = Mix("mix", [one, other])
    assert (one.heard_by, other.heard_by) == (1, 1)
    mix.forget(one)
    mix.forget(one)
    assert blended(mix, FIRST + 3) == pytest.approx(np.full(160, 3000), rel=0.05)
    mix.close()
    assert (one.heard_by, other.heard_by) == (0, 0)


@pytest.mark.integration
def test_each_of_three_telephones_hears_the_two_others() -> None:
    """Two say a level each, one the numbered frames; every sum is known."""

    class Level(Phone):
        level = 0

        async def hold(self, leg: SocketLeg, count: int) -> None:
            start = asyncio.get_running_loop().time()
            for index in range(count):
                payload = g711.convert(constant(self.level), Codec.PCMU, self.codec)
                self.send(leg, packet(index, index * 160, payload, kind=self.codec.value))
                self.listen()
                due = start + (index + 1) * 0.02
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    async def script() -> None:
        phones = [Level(), Level(Codec.PCMA), Level()]
        for phone, level in zip(phones, (2000, 4000, 8000), strict=True):
            phone.level = level
        async with plane_with(*phones) as (plane, legs):
            mixes = []
            sink = Recorder()
            for number, leg in enumerate(legs):
                mixes.append(plane.mix(*[other for other in legs if other is not leg]))
                plane.hear(leg, mixes[number])
            tap = plane.tap(mixes[2], sink, start=asyncio.get_running_loop().time())
            await asyncio.gather(
                *(phone.hold(leg, 60) for phone, leg in zip(phones, legs, strict=True))
            )
            tap.close()
            heard = [
                np.concatenate([g711.decode(p, Codec.PCMU) for p in x.payloads]) for x in phones
            ]
            for sound, total in zip(heard, (12000, 10000, 6000), strict=True):
                middle = sound[len(sound) // 3 : len(sound) * 2 // 3]
                assert np.median(middle) == pytest.approx(total, rel=0.06)
            kept = g711.decode(sink.laid_out(), Codec.PCMU)
            assert np.median(kept[len(kept) // 3 : len(kept) * 2 // 3]) == pytest.approx(
                6000, rel=0.06
            )
            for mixed in mixes:
                mixed.close()
                mixed.close()
            assert [leg.sound.hears for leg in legs] == [None] * 3
            assert [leg.sound.heard_by for leg in legs] == [0] * 3
            legs[0].close()

    asyncio.run(script())
