"""Reliable provisional responses and early sound (RFC 3262, RFC 3960), in virtual time."""

from __future__ import annotations

import pytest
from sip_bench import OFFER, SOUND, Scene, events, messages, request, statuses

from callcenter.errors import SipFailure
from callcenter.telephony.ports import Codec
from callcenter.telephony.sip.actions import (
    Acknowledged,
    Action,
    AgreedEarly,
    Ended,
    Flow,
    MediaChanged,
)
from callcenter.telephony.sip.message import Response
from callcenter.telephony.sip.sdp import parse_sdp

MAY = "Supported: 100rel\r\n"
MUST = "Require: 100rel\r\n"
PCMA = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 8")


def only(actions: list[Action]) -> Response:
    (message,) = messages(actions)
    assert isinstance(message, Response)
    return message


def prack(scene: Scene, provisional: Response, cseq: int = 2, body: str = "") -> list[Action]:
    rack = f"RAck: {provisional.headers.get('RSeq')} 1 INVITE\r\n"
    return scene.within("PRACK", cseq, extra=rack, body=body)


def ringing(scene: Scene) -> Response:
    return only(scene.ua.ring(scene.call, scene.now))


def early(scene: Scene) -> Response:
    return only(scene.ua.early(scene.call, SOUND, scene.now))


# --- 180 ---


@pytest.mark.parametrize("wish", [MAY, MUST])
def test_a_reliable_180_is_repeated_until_its_prack(wish: str) -> None:
    scene = Scene()
    scene.invite(extra=wish)
    first = ringing(scene)
    assert first.headers.get("Require") == "100rel"
    assert 0 < int(first.headers.get("RSeq") or 0) < 2**31
    repeated = scene.run_until(4.0)
    assert [at for at, _ in repeated] == [0.5, 1.5, 3.5]
    assert all(messages([action]) == [first] for _, action in repeated)
    assert statuses(prack(scene, first)) == [200]
    assert scene.run_until(100.0) == []
    assert statuses(scene.answer()) == [200]


def test_without_the_option_a_180_is_sent_once() -> None:
    scene = Scene()
    scene.invite()
    assert ringing(scene).headers.get("RSeq") is None
    assert scene.run_until(100.0) == []


def test_without_a_prack_for_64_t1_the_invite_is_refused() -> None:
    scene = Scene()
    scene.invite(extra=MUST)
    ringing(scene)
    done = scene.run_until(32.0)
    assert [at for at, action in done if statuses([action]) == [180]] == [
        *(0.5, 1.5, 3.5, 7.5, 15.5, 31.5)
    ]
    assert [statuses([action]) for at, action in done if at == 32.0] == [[504], []]
    assert done[-1][1] == Ended(scene.call, "no_ack")


def test_it_is_repeated_over_tcp_too() -> None:
    scene = Scene()
    flow = Flow("tcp://test", SOUND, SOUND, "TCP")
    (incoming,) = events(scene.send(request(body=OFFER, extra=MUST), flow))
    actions = scene.ua.ring(incoming.call, scene.now)  # type: ignore[arg-type]
    assert statuses(actions) == [180]
    assert [at for at, _ in scene.run_until(1.0)] == [0.5]


@pytest.mark.parametrize(
    "rack", ["RAck: 1 1 INVITE", "RAck: {0} 2 INVITE", "RAck: {0} 1 UPDATE", "RAck: x", "X: y"]
)
def test_a_prack_of_something_else_gets_481_and_stops_nothing(rack: str) -> None:
    scene = Scene()
    scene.invite(extra=MUST)
    first = ringing(scene)
    extra = rack.format(first.headers.get("RSeq")) + "\r\n"
    assert statuses(scene.within("PRACK", 2, extra=extra)) == [481]
    assert [at for at, _ in scene.run_until(0.6)] == [0.5]


def test_a_repeated_prack_is_answered_again_and_a_second_one_with_481() -> None:
    scene = Scene()
    scene.invite(extra=MUST)
    first = ringing(scene)
    assert statuses(prack(scene, first)) == [200]
    assert statuses(prack(scene, first)) == [200]  # the same request: absorbed
    assert statuses(prack(scene, first, cseq=3)) == [481]


def test_answered_before_the_prack_it_is_repeated_no_more_and_a_late_prack_is_taken() -> None:
    scene = Scene()
    scene.invite(extra=MAY)
    first = ringing(scene)
    assert statuses(scene.answer()) == [200]
    assert statuses(prack(scene, first)) == [200]
    scene.ack()
    assert scene.run_until(100.0) == []


def test_cancel_ends_the_repetition() -> None:
    scene = Scene()
    scene.invite(extra=MUST)
    ringing(scene)
    assert statuses(scene.send(request("CANCEL"))) == [200, 487]
    assert [statuses([action]) for at, action in scene.run_until(100.0) if at > 33] == []


# --- 183: early sound ---


def test_early_sound_without_the_option_and_the_200_describes_the_same() -> None:
    scene = Scene()
    scene.invite()
    progress = early(scene)
    assert (progress.status, progress.reason) == (183, "Session Progress")
    assert parse_sdp(progress.body).media[0].port == SOUND.port
    assert only(scene.answer()).body == progress.body
    (told,) = events(scene.ack())
    assert isinstance(told, Acknowledged)


def test_a_reliable_183_holds_the_answer_back_until_its_prack() -> None:
    scene = Scene()
    scene.invite(extra=MAY)
    progress = early(scene)
    assert progress.headers.get("RSeq")
    assert scene.answer() == []
    assert statuses(prack(scene, progress)) == [200, 200]
    assert statuses(scene.ack()) == []
    assert scene.run_until(100.0) == []


def test_after_a_reliable_183_the_200_needs_no_body() -> None:
    scene = Scene()
    scene.invite(extra=MAY)
    prack(scene, early(scene))
    ok = only(scene.answer())
    assert ok.body == b""
    assert ok.headers.get("Content-Type") is None
    assert scene.call.media is not None


def test_180_then_183_go_out_one_after_the_other_with_rising_numbers() -> None:
    scene = Scene()
    scene.invite(extra=MUST)
    first = ringing(scene)
    assert scene.ua.early(scene.call, SOUND, scene.now) == []
    ok, second = messages(prack(scene, first))
    assert isinstance(ok, Response)
    assert isinstance(second, Response)
    assert (ok.cseq.method, second.status) == ("PRACK", 183)
    assert int(second.headers.get("RSeq") or 0) == int(first.headers.get("RSeq") or 0) + 1
    assert scene.answer() == []
    assert statuses(prack(scene, second, cseq=3)) == [200, 200]


def test_a_prack_may_make_a_new_offer() -> None:
    scene = Scene()
    call = scene.invite(extra=MAY)
    actions = prack(scene, early(scene), body=PCMA)
    assert b"RTP/AVP 8" in only(actions).body
    (told,) = events(actions)
    assert isinstance(told, MediaChanged)
    assert call.media is not None
    assert call.media.codec is Codec.PCMA


def test_without_an_offer_ours_goes_into_the_183_and_the_answer_comes_with_prack() -> None:
    scene = Scene()
    scene.invite(body="", extra=MAY)
    progress = early(scene)
    assert b"m=audio" in progress.body
    actions = prack(scene, progress, body=PCMA)
    assert statuses(actions) == [200]
    (told,) = events(actions)
    assert isinstance(told, AgreedEarly)
    assert told.media.codec is Codec.PCMA
    assert only(scene.answer()).body == b""
    assert [type(event) for event in events(scene.ack())] == [Acknowledged]


def test_a_prack_that_owes_an_answer_and_has_none_ends_the_call() -> None:
    scene = Scene()
    scene.invite(body="", extra=MAY)
    actions = prack(scene, early(scene))
    assert statuses(actions) == [488, 488]
    assert events(actions) == [Ended(scene.call, "failed")]


def test_without_an_offer_and_the_option_there_is_no_early_sound() -> None:
    scene = Scene()
    call = scene.invite(body="")
    assert scene.ua.early(call, SOUND, scene.now) == []
    assert call.media is None
    assert statuses(scene.answer()) == [200]


def test_a_180_that_would_need_an_offer_is_plain_or_left_out() -> None:
    scene = Scene()
    scene.invite(body="", extra=MAY)
    assert ringing(scene).headers.get("RSeq") is None
    scene = Scene()
    scene.invite(body="", extra=MUST)
    assert scene.ua.ring(scene.call, scene.now) == []
    assert b"m=audio" in early(scene).body


def test_an_update_may_change_what_was_agreed_early() -> None:
    scene = Scene()
    scene.invite(extra=MAY)
    progress = early(scene)
    assert statuses(scene.within("UPDATE", 2, body=PCMA)) == [500]
    prack(scene, progress, cseq=3)
    actions = scene.within("UPDATE", 4, body=PCMA)
    assert b"RTP/AVP 8" in only(actions).body
    assert [type(event) for event in events(actions)] == [MediaChanged]


def test_a_second_invite_before_the_answer_has_to_wait_also_after_early_sound() -> None:
    scene = Scene()
    scene.invite(extra=MAY)
    prack(scene, early(scene))
    assert statuses(scene.within("INVITE", 3, body=PCMA)) == [500]


def test_nobody_hears_us_early_after_cancel() -> None:
    scene = Scene()
    call = scene.invite()
    scene.send(request("CANCEL"))
    with pytest.raises(SipFailure):
        scene.ua.early(call, SOUND, scene.now)


def test_a_prack_outside_of_a_call_is_told_so() -> None:
    assert statuses(Scene().send(request("PRACK", to_tag="x"))) == [481]
