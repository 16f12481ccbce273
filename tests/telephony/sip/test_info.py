"""Keys by INFO, and who calls on a trunk whose word is taken."""

from __future__ import annotations

import pytest
from sip_bench import OFFER, Scene, events, messages, request

from callcenter.telephony.ports import Caller
from callcenter.telephony.sip.actions import DigitPressed
from callcenter.telephony.sip.identity import caller_of
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"


def info(kind: str, body: str, extra: str = "") -> tuple[int, list[str]]:
    scene = Scene()
    scene.talking()
    data = request("INFO", cseq=2, branch="i", to_tag=scene.tag(), body=body, extra=extra).replace(
        b"application/sdp", kind.encode()
    )
    actions = scene.send(data)
    (response,) = messages(actions)
    assert isinstance(response, Response)
    again = scene.send(data)
    assert events(again) == []
    digits = [event.digit for event in events(actions) if isinstance(event, DigitPressed)]
    return response.status, digits


@pytest.mark.parametrize(
    ("kind", "body", "outcome"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", (200, ["5"])),
        (RELAY, "signal = *\nduration = 250", (200, ["*"])),
        (RELAY, "Duration=160\r\nSignal=11\r\n", (200, ["#"])),
        (f"{RELAY};x=1", "Signal=a\r\n", (200, ["A"])),
        (PLAIN, "7", (200, ["7"])),
        (PLAIN, "10\r\n", (200, ["*"])),
        (PLAIN, "16", (200, [])),
        (PLAIN, "77", (400, [])),
        (RELAY, "Signal=x\r\n", (400, [])),
        ("text/plain", "5", (415, [])),
        ("", "", (200, [])),
    ],
)
def test_a_key_is_told_once(kind: str, body: str, outcome: tuple[int, list[str]]) -> None:
    assert info(kind, body) == outcome


def test_a_package_is_refused_and_an_info_without_a_call_too() -> None:
    assert info(PLAIN, "5", "Info-Package: x\r\n") == (469, [])
    (response,) = messages(Scene().send(request("INFO")))
    assert isinstance(response, Response)
    assert response.status == 481


def invite(*identities: str, privacy: str = "none", from_: str | None = None) -> Request:
    fields = "".join(f"P-Asserted-Identity: {each}\r\n" for each in identities)
    message = parse(
        request(
            body=OFFER,
            extra=f"{fields}Privacy: {privacy}\r\n",
            from_=from_ or '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1',
        )
    )
    assert isinstance(message, Request)
    return message


ASSERTED = '"Sara" <sip:+972500000001@198.51.100.1>'


def test_the_networks_word_goes_before_from_on_a_trusted_trunk_only() -> None:
    spoofed = invite(ASSERTED, from_='"Bank" <sip:+972399999999@x>;tag=1')
    assert caller_of(spoofed, trusted=True) == Caller("+972500000001", "Sara")
    assert caller_of(spoofed) == Caller("+972399999999", "Bank")
    assert caller_of(invite(ASSERTED), trusted=True) == Caller("+972500000001", "Sara")
    assert caller_of(invite(ASSERTED)) == Caller(None, None)


def test_privacy_withholds_what_the_network_knows() -> None:
    assert caller_of(invite(ASSERTED, privacy="id"), trusted=True) == Caller(None, None)


@pytest.mark.parametrize(
    "identities",
    [
        ("<tel:+972-50-000-0001>",),
        (f"<sip:anonymous@x>, {ASSERTED}",),
        ("<<broken", ASSERTED),
        ("<sip:x", ASSERTED),
    ],
)
def test_the_first_usable_identity_counts(identities: tuple[str, ...]) -> None:
    assert caller_of(invite(*identities), trusted=True).number == "+972500000001"


def test_without_a_usable_identity_from_counts() -> None:
    message = invite("<sip:anonymous@x>", from_="<sip:201@x>;tag=1")
    assert caller_of(message, trusted=True) == Caller("201", None)
