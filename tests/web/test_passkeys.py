"""The ceremonies of WebAuthn, against an authenticator of our own."""

from __future__ import annotations

import pytest
from authenticator import Authenticator

from callcenter.errors import PasskeyCopied, WrongCode
from callcenter.web.passkeys import Answer, Passkey, RelyingParty, asserted, registered

ORIGIN, CHALLENGE = "http://localhost:8080", b"c" * 32
PARTY = RelyingParty(ORIGIN, "Call centre")


def kept(device: Authenticator) -> Passkey:
    return registered(PARTY, CHALLENGE, device.create(CHALLENGE))


def shown(passkey: Passkey, challenge: bytes, answer: Answer) -> int:
    return asserted(PARTY, challenge, passkey.public_key, passkey.counter, answer)


def device(origin: str = ORIGIN, rp_id: str = "localhost", counter: int = 7) -> Authenticator:
    return Authenticator(origin, rp_id, counter)


def test_a_passkey_is_registered_and_shown() -> None:
    mine = device()
    passkey = kept(mine)
    mine.counter += 1
    assert passkey.credential == mine.credential
    assert shown(passkey, CHALLENGE, mine.get(CHALLENGE)) == 8


@pytest.mark.parametrize(
    "other", [device(origin="https://evil.example"), device(rp_id="evil.example")]
)
def test_another_site_cannot_register(other: Authenticator) -> None:
    with pytest.raises(WrongCode):
        kept(other)


@pytest.mark.parametrize(
    ("field", "value"), [("origin", "https://evil.example"), ("rp_id", "evil.example")]
)
def test_another_site_cannot_assert(field: str, value: str) -> None:
    mine = device()
    passkey = kept(mine)
    mine.counter += 1
    setattr(mine, field, value)
    with pytest.raises(WrongCode):
        shown(passkey, CHALLENGE, mine.get(CHALLENGE))


def test_another_challenge_is_refused() -> None:
    mine = device()
    passkey = kept(mine)
    mine.counter += 1
    with pytest.raises(WrongCode):
        shown(passkey, b"d" * 32, mine.get(CHALLENGE))


@pytest.mark.parametrize("counter", [0, 6, 7])
def test_a_cloned_counter_is_refused(counter: int) -> None:
    mine = device()
    passkey = kept(mine)
    mine.counter = counter
    with pytest.raises(PasskeyCopied):
        shown(passkey, CHALLENGE, mine.get(CHALLENGE))


def test_a_low_counter_that_the_key_did_not_sign_is_no_copy() -> None:
    mine, theirs = device(), device(counter=3)
    with pytest.raises(WrongCode) as refused:
        shown(kept(mine), CHALLENGE, theirs.get(CHALLENGE))
    assert not isinstance(refused.value, PasskeyCopied)


def test_a_device_that_does_not_count_is_let_in() -> None:
    mine = device(counter=0)
    assert shown(kept(mine), CHALLENGE, mine.get(CHALLENGE)) == 0


def test_another_key_is_refused() -> None:
    mine, theirs = device(), device(counter=8)
    with pytest.raises(WrongCode):
        shown(kept(mine), CHALLENGE, theirs.get(CHALLENGE))


def test_a_passkey_without_verification_is_refused() -> None:
    mine = device()
    passkey = kept(mine)
    mine.counter += 1
    with pytest.raises(WrongCode):
        shown(passkey, CHALLENGE, mine.get(CHALLENGE, flags=1))
