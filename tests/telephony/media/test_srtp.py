"""SRTP of telephones: keys, suites, what is forged or repeated."""

from __future__ import annotations

import secrets

import pytest
from soundlink import numbered, packet

from callcenter.telephony.adapters.srtp import Srtp
from callcenter.telephony.ports import SrtpKeys, Suite


def keys_of(suite: Suite) -> SrtpKeys:
    return SrtpKeys(suite, *(secrets.token_bytes(suite.key_bytes) for _ in range(2)))


def turned(keys: SrtpKeys) -> SrtpKeys:
    return SrtpKeys(keys.suite, keys.theirs, keys.ours)


@pytest.mark.parametrize("suite", list(Suite))
def test_what_one_side_protects_the_other_reads(suite: Suite) -> None:
    keys = keys_of(suite)
    ours, theirs = Srtp(keys), Srtp(turned(keys))
    for number in range(3):
        plain = packet(number, number * 160, numbered(number))
        wire = ours.protect(bytearray(plain))
        assert wire is not None
        assert numbered(number) not in wire
        assert bytes(theirs.unprotect(memoryview(wire)) or b"") == plain
        assert theirs.unprotect(memoryview(wire)) is None  # a repetition
    report = bytes.fromhex("80c90001000011d7")
    wire = ours.protect_rtcp(report)
    assert wire is not None
    assert bytes(theirs.unprotect_rtcp(memoryview(wire)) or b"") == report


@pytest.mark.parametrize("suite", list(Suite))
def test_what_is_forged_or_plain_is_refused(suite: Suite) -> None:
    keys = keys_of(suite)
    ours, theirs = Srtp(keys), Srtp(turned(keys))
    wire = ours.protect(packet(1, 160, numbered(1)))
    assert wire is not None
    forged = wire[:20] + bytes([wire[20] ^ 1]) + wire[21:]
    stranger = Srtp(keys_of(suite)).protect(packet(2, 320, numbered(2)))
    assert stranger is not None
    for data in (forged, stranger, packet(3, 480, numbered(3)), b"", b"\x80", wire[:13]):
        assert theirs.unprotect(memoryview(data)) is None
        assert theirs.unprotect_rtcp(memoryview(data)) is None
    assert theirs.unprotect(memoryview(wire)) is not None


def test_a_direction_whose_key_stays_goes_on_and_one_that_changes_begins_anew() -> None:
    first = keys_of(Suite.AES_CM_128_HMAC_SHA1_80)
    ours, theirs = Srtp(first), Srtp(turned(first))
    before = theirs.protect(packet(1, 160, numbered(1)))
    assert before is not None
    assert ours.unprotect(memoryview(before)) is not None
    changed = SrtpKeys(first.suite, secrets.token_bytes(30), first.theirs)
    again = Srtp(changed, ours)
    assert again.unprotect(memoryview(before)) is None  # known as a repetition: it went on
    wire = again.protect(packet(2, 320, numbered(2)))
    assert wire is not None
    assert theirs.unprotect(memoryview(wire)) is None
    assert Srtp(turned(changed), theirs).unprotect(memoryview(wire)) is not None


def test_a_packet_that_cannot_be_protected_is_not_sent() -> None:
    srtp = Srtp(keys_of(Suite.AES_CM_128_HMAC_SHA1_80))
    assert srtp.protect(b"\x80") is None
    assert srtp.protect(bytes(3000)) is None
    assert srtp.protect_rtcp(bytes(3000)) is None
