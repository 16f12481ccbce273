"""UPDATE within a call (RFC 3311): hold without a three-way handshake, new targets, clashes."""

from __future__ import annotations

import pytest
from sip_bench import OFFER, Scene, events, messages, request, statuses

from callcenter.telephony.ports import Direction
from callcenter.telephony.sip.actions import Action, MediaChanged
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.sdp import parse_sdp

HOLD = OFFER.replace("a=sendrecv", "a=sendonly")


def response(actions: list[Action]) -> Response:
    (message,) = messages(actions)
    assert isinstance(message, Response)
    return message


def test_an_offer_is_answered_and_the_application_told_once() -> None:
    scene = Scene()
    scene.talking()
    actions = scene.within("UPDATE", 2, body=HOLD)
    answer = response(actions)
    assert answer.status == 200
    assert b"a=recvonly" in answer.body
    assert parse_sdp(answer.body).media
    assert answer.headers.get("Contact") == "<sip:192.0.2.10:5060>"
    (told,) = events(actions)
    assert isinstance(told, MediaChanged)
    assert told.media.direction is Direction.SENDONLY
    assert events(scene.within("UPDATE", 2, body=HOLD)) == []
    assert scene.run_until(40.0) == []  # nothing is repeated: no ACK is awaited


def test_without_an_offer_it_refreshes_the_target() -> None:
    scene = Scene()
    call = scene.talking()
    data = request("UPDATE", cseq=2, branch="u", to_tag=scene.tag())
    assert (
        response(scene.send(data.replace(b"caller@192.0.2.20", b"moved@192.0.2.20"))).status == 200
    )
    (bye,) = messages(scene.ua.hang_up(call, scene.now))
    assert isinstance(bye, Request)
    assert bye.uri == "sip:moved@192.0.2.20:5060"


def test_an_offer_before_our_answer_has_to_wait_and_the_call_goes_on() -> None:
    scene = Scene()
    scene.invite()
    refusal = response(scene.within("UPDATE", 2, body=HOLD))
    assert refusal.status == 500
    assert refusal.headers.get("Retry-After") is not None
    assert 200 in statuses(scene.answer())


def test_an_offer_while_ours_is_unanswered_is_a_clash() -> None:
    scene = Scene()
    scene.invite(body="")
    scene.answer()
    assert response(scene.within("UPDATE", 2, body=HOLD)).status == 491


@pytest.mark.parametrize(
    ("body", "status"), [("no sdp", 400), (OFFER.replace("0 8 101", "18"), 488)]
)
def test_a_bad_offer_changes_nothing(body: str, status: int) -> None:
    scene = Scene()
    call = scene.talking()
    before = call.media
    actions = scene.within("UPDATE", 2, body=body)
    assert response(actions).status == status
    assert events(actions) == []
    assert call.media == before


def test_an_update_of_no_call_is_told_so() -> None:
    assert statuses(Scene().send(request("UPDATE"))) == [481]
    assert statuses(Scene().send(request("UPDATE", to_tag="x"))) == [481]


def test_a_broken_contact_is_refused() -> None:
    scene = Scene()
    scene.talking()
    data = request("UPDATE", cseq=2, branch="u", to_tag=scene.tag())
    assert statuses(scene.send(data.replace(b"<sip:caller@192.0.2.20:5060>", b"<<>"))) == [400]
