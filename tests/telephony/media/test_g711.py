"""G.711 against known values and, where Python still has it, audioop."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest

from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768, dtype=np.int16)


@pytest.mark.parametrize(
    ("codec", "code", "sample"),
    [
        (Codec.PCMU, 0x00, -32124),
        (Codec.PCMU, 0x80, 32124),
        (Codec.PCMU, 0xFF, 0),
        (Codec.PCMU, 0x7F, 0),
        (Codec.PCMA, 0xD5, 8),
        (Codec.PCMA, 0x55, -8),
        (Codec.PCMA, 0xAA, 32256),
        (Codec.PCMA, 0x2A, -32256),
    ],
)
def test_the_ends_and_the_middle_of_each_law(codec: Codec, code: int, sample: int) -> None:
    assert g711.decode(bytes([code]), codec)[0] == sample


@pytest.mark.parametrize("codec", list(Codec))
def test_every_table_equals_audioop(codec: Codec) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        audioop = pytest.importorskip("audioop")
    to_linear = {Codec.PCMU: audioop.ulaw2lin, Codec.PCMA: audioop.alaw2lin}[codec]
    from_linear = {Codec.PCMU: audioop.lin2ulaw, Codec.PCMA: audioop.lin2alaw}[codec]
    assert g711.decode(EVERY_CODE, codec).tobytes() == to_linear(EVERY_CODE, 2)
    assert g711.encode(EVERY_SAMPLE, codec) == from_linear(EVERY_SAMPLE.tobytes(), 2)


@pytest.mark.parametrize("codec", list(Codec))
def test_what_was_decoded_is_encoded_to_the_same_sound(codec: Codec) -> None:
    samples = g711.decode(EVERY_CODE, codec)
    again = g711.decode(g711.encode(samples, codec), codec)
    assert (again == samples).all()


@pytest.mark.parametrize(("source", "target"), [(c, d) for c in Codec for d in Codec])
def test_conversion_by_table_is_conversion_by_samples(source: Codec, target: Codec) -> None:
    expected = (
        EVERY_CODE if source is target else g711.encode(g711.decode(EVERY_CODE, source), target)
    )
    assert g711.convert(EVERY_CODE, source, target) == expected


def test_silence_stays_silence_in_the_other_law() -> None:
    assert g711.convert(b"\xff", Codec.PCMU, Codec.PCMA) == b"\xd5"
    assert abs(int(g711.decode(g711.convert(b"\xd5", Codec.PCMA, Codec.PCMU), Codec.PCMU)[0])) <= 8


def test_the_tables_never_change() -> None:
    both = g711.encode(EVERY_SAMPLE, Codec.PCMU) + g711.encode(EVERY_SAMPLE, Codec.PCMA)
    assert hashlib.sha256(both).hexdigest() == DIGEST


DIGEST = "7a1f636cf16294a7ef90e9e229d132e8a521c21818e97b03baa7d16e2085cda5"
