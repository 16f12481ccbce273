"""Calls through the whole core with a scripted clock: no socket, no sleep."""

from __future__ import annotations

import pytest
from sip_bench import FLOW, OFFER, PEER, SOUND, Scene, events, messages, request, statuses

from callcenter.errors import SipFailure
from callcenter.telephony.ports import Address, Codec, Direction
from callcenter.telephony.sip.actions import (
    Acknowledged,
    Ended,
    Flow,
    IncomingInvite,
    MediaChanged,
    Send,
    Suspicious,
)
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.sdp import parse_sdp

PCMA_ONLY = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 8")
G729_ONLY = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 18")


def on_hold(word: str) -> str:
    return OFFER.replace("a=sendrecv", f"a={word}")


# --- a call ---


def test_a_call_from_invite_to_bye() -> None:
    scene = Scene()
    actions = scene.send(request(body=OFFER))
    assert statuses(actions) == [100]
    (incoming,) = events(actions)
    assert isinstance(incoming, IncomingInvite)
    scene.call = incoming.call
    assert statuses(scene.ua.ring(scene.call, scene.now)) == [180]
    assert statuses(scene.answer()) == [200]
    assert scene.call.media is not None
    assert scene.call.media.address == Address("192.0.2.20", 40000)
    assert events(scene.ack()) == [Acknowledged(scene.call, scene.call.media)]
    assert scene.ua.active() == 1
    bye = scene.within("BYE", 2)
    assert statuses(bye) == [200]
    assert events(bye) == [Ended(scene.call, "bye")]
    assert scene.ua.active() == 0


def test_180_and_200_carry_one_to_tag_a_contact_and_the_record_route() -> None:
    scene = Scene()
    scene.invite(extra="Record-Route: <sip:192.0.2.5;lr>\r\nRecord-Route: <sip:192.0.2.6;lr>\r\n")
    (ringing,) = messages(scene.ua.ring(scene.call, scene.now))
    (ok,) = messages(scene.answer())
    assert ringing.to.tag == ok.to.tag == scene.tag()
    for response in (ringing, ok):
        assert response.headers.get("Contact") == "<sip:192.0.2.10:5060>"
        assert response.headers.all("Record-Route") == ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]
        assert response.headers.get("Server") == "callcenter"
    assert ok.content_type == "application/sdp"
    assert parse_sdp(ok.body).media[0].port == SOUND.port


def test_a_repeated_invite_makes_no_second_call() -> None:
    scene = Scene()
    scene.invite()
    (ringing,) = messages(scene.ua.ring(scene.call, scene.now))
    for _ in range(5):
        again = scene.send(request(body=OFFER))
        assert events(again) == []
        assert messages(again) == [ringing]
    (ok,) = messages(scene.answer())
    assert messages(scene.send(request(body=OFFER))) == [ok]
    assert scene.ua.active() == 1


def test_the_same_invite_on_another_way_is_merged() -> None:
    scene = Scene()
    scene.invite()
    assert statuses(scene.send(request(body=OFFER, branch="other"))) == [482]
    assert scene.ua.active() == 1


def test_the_200_is_repeated_until_32_s_and_then_bye_ends_the_call() -> None:
    scene = Scene()
    scene.invite()
    assert statuses(scene.answer()) == [200]
    done = scene.run_until(40.0)
    repeated = [at for at, action in done if statuses([action]) == [200]]
    assert repeated == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    at_the_end = [(at, action) for at, action in done if at == 32.0]
    assert [statuses([action]) for _, action in at_the_end] == [["BYE"], []]
    assert at_the_end[1][1] == Ended(scene.call, "no_ack")
    assert scene.ua.active() == 0


def test_a_repeated_200_is_the_same_octets() -> None:
    scene = Scene()
    scene.invite()
    (first,) = scene.answer()
    ((_, again),) = scene.run_until(0.6)
    assert again == first


def test_the_ack_ends_the_repetition() -> None:
    scene = Scene()
    scene.talking()
    done = scene.run_until(100.0)
    assert done == []
    assert scene.ua.active() == 1


def test_an_ack_with_another_cseq_does_not_end_it() -> None:
    scene = Scene()
    scene.invite()
    scene.answer()
    assert scene.ack(cseq=7) == []
    assert [statuses([action]) for _, action in scene.run_until(0.6)] == [[200]]


# --- giving up and refusing ---


def test_cancel_is_answered_and_the_invite_gets_487() -> None:
    scene = Scene()
    scene.invite()
    actions = scene.send(request("CANCEL"))
    cancel, invite = messages(actions)
    assert isinstance(cancel, Response)
    assert isinstance(invite, Response)
    assert (cancel.status, cancel.cseq.method) == (200, "CANCEL")
    assert (invite.status, invite.cseq.method) == (487, "INVITE")
    assert cancel.to.tag == invite.to.tag == scene.tag()
    assert events(actions) == [Ended(scene.call, "cancelled")]
    with pytest.raises(SipFailure):
        scene.answer()


def test_cancel_after_the_200_changes_nothing() -> None:
    scene = Scene()
    scene.invite()
    scene.answer()
    assert statuses(scene.send(request("CANCEL"))) == [200]
    assert events(scene.ack()) != []
    assert scene.ua.active() == 1


def test_cancel_of_nothing_is_481() -> None:
    assert statuses(Scene().send(request("CANCEL"))) == [481]


def test_a_refusal_is_acknowledged_and_forgotten() -> None:
    scene = Scene()
    scene.invite()
    actions = scene.ua.reject(scene.call, 503, scene.now, retry_after=30)
    (refusal,) = messages(actions)
    assert refusal.headers.get("Retry-After") == "30"
    assert events(actions) == [Ended(scene.call, "refused")]
    assert scene.send(request("ACK", to_tag=scene.tag())) == []
    assert scene.run_until(60.0) == []


def test_bye_before_the_answer_ends_the_early_dialog() -> None:
    scene = Scene()
    scene.invite()
    actions = scene.within("BYE", 2)
    assert statuses(actions) == [200, 487]
    assert events(actions) == [Ended(scene.call, "cancelled")]


def test_hanging_up_before_the_answer_is_603() -> None:
    scene = Scene()
    scene.invite()
    actions = scene.ua.hang_up(scene.call, scene.now)
    assert statuses(actions) == [603]
    assert events(actions) == [Ended(scene.call, "hung_up")]


def test_hanging_up_says_bye_along_the_route_to_where_the_call_came_from() -> None:
    scene = Scene()
    scene.talking(extra="Record-Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr>\r\n")
    actions = scene.ua.hang_up(scene.call, scene.now)
    (send,) = [action for action in actions if isinstance(action, Send)]
    (bye,) = messages(actions)
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    assert bye.uri == "sip:caller@192.0.2.20:5060"
    assert bye.headers.all("Route") == ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]
    assert bye.from_.tag == scene.tag()
    assert bye.to.tag == "caller"
    assert bye.cseq.number == 1
    assert send.flow.remote == FLOW.remote
    assert events(actions) == [Ended(scene.call, "hung_up")]
    assert scene.ua.unanswered() == 1
    answer = bye_answer(bye)
    assert scene.send(answer) == []
    assert scene.ua.unanswered() == 0


def bye_answer(bye: Request) -> bytes:
    head = bytes(bye).replace(f"BYE {bye.uri} SIP/2.0".encode(), b"SIP/2.0 200 OK", 1)
    return head.replace(b"Max-Forwards: 70\r\n", b"")


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    scene = Scene()
    scene.invite()
    scene.answer()
    actions = scene.ua.hang_up(scene.call, scene.now)
    assert statuses(actions) == []
    assert events(actions) == [Ended(scene.call, "hung_up")]
    assert scene.ua.active() == 0
    assert statuses(scene.ack()) == ["BYE"]


def test_hung_up_and_never_acknowledged_says_bye_after_32_s_and_ended_only_once() -> None:
    scene = Scene()
    scene.invite()
    scene.answer()
    scene.ua.hang_up(scene.call, scene.now)
    done = scene.run_until(33.0)
    assert [at for at, action in done if statuses([action]) == ["BYE"]] == [32.0, 32.5]
    assert events([action for _, action in done]) == []


def test_a_bye_that_crosses_ours_changes_nothing() -> None:
    scene = Scene()
    scene.talking()
    scene.ua.hang_up(scene.call, scene.now)
    actions = scene.within("BYE", 2)
    assert statuses(actions) == [481]
    assert events(actions) == []


def test_a_strict_router_gets_its_own_uri_as_request_uri() -> None:
    scene = Scene()
    scene.talking(extra="Record-Route: <sip:192.0.2.5>\r\n")
    (bye,) = messages(scene.ua.hang_up(scene.call, scene.now))
    assert isinstance(bye, Request)
    assert bye.uri == "sip:192.0.2.5"
    assert bye.headers.all("Route") == ["<sip:caller@192.0.2.20:5060>"]


# --- within the dialog ---


def test_a_repeated_bye_is_answered_both_times() -> None:
    scene = Scene()
    scene.talking()
    first, again = scene.within("BYE", 2), scene.within("BYE", 2)
    assert statuses(first) == statuses(again) == [200]
    assert events(again) == []
    assert statuses(scene.send(request("BYE", cseq=2, branch="x", to_tag=scene.tag()))) == [481]


def test_a_request_out_of_order_is_500_and_changes_nothing() -> None:
    scene = Scene()
    scene.talking(cseq=5)
    assert statuses(scene.within("BYE", 4)) == [500]
    assert scene.ua.active() == 1


@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS", "INFO"])
def test_a_request_of_an_unknown_dialog_is_481(method: str) -> None:
    assert statuses(Scene().send(request(method, to_tag="nobody"))) == [481]


def test_a_stray_ack_is_absorbed() -> None:
    assert Scene().send(request("ACK", to_tag="nobody")) == []


@pytest.mark.parametrize(
    ("word", "theirs", "ours"),
    [
        ("sendonly", Direction.SENDONLY, "recvonly"),
        ("inactive", Direction.INACTIVE, "inactive"),
        ("sendrecv", Direction.SENDONLY, "recvonly"),
    ],
)
def test_hold_and_resume(word: str, theirs: Direction, ours: str) -> None:
    scene = Scene()
    scene.talking()
    body = on_hold(word)
    if word == "sendrecv":
        body = body.replace("c=IN IP4 192.0.2.20", "c=IN IP4 0.0.0.0")
    actions = scene.within("INVITE", 2, body=body)
    (ok,) = messages(actions)
    assert parse_sdp(ok.body).media[0].has(ours)
    (changed,) = events(actions)
    assert isinstance(changed, MediaChanged)
    assert changed.media.direction is theirs
    assert scene.ack(2) == []
    actions = scene.within("INVITE", 3, body=OFFER)
    (changed,) = events(actions)
    assert isinstance(changed, MediaChanged)
    assert changed.media.direction is Direction.SENDRECV
    assert scene.ack(3) == []
    assert scene.run_until(40.0) == []


def test_every_description_of_ours_has_a_new_version() -> None:
    scene = Scene()
    scene.invite()
    (first,) = messages(scene.answer())
    scene.ack()
    (second,) = messages(scene.within("INVITE", 2, body=on_hold("sendonly")))
    origins = [
        (parse_sdp(each.body).session.first("o") or "").split()[1:3] for each in (first, second)
    ]
    assert origins[0][0] == origins[1][0]
    assert [origin[1] for origin in origins] == ["1", "2"]


def test_a_codec_change_is_told() -> None:
    scene = Scene()
    scene.talking()
    (changed,) = events(scene.within("INVITE", 2, body=PCMA_ONLY))
    assert isinstance(changed, MediaChanged)
    assert changed.media.codec is Codec.PCMA


def test_a_re_invite_that_changes_nothing_is_answered_and_not_told() -> None:
    scene = Scene()
    scene.talking()
    actions = scene.within("INVITE", 2, body=OFFER)
    assert statuses(actions) == [200]
    assert events(actions) == []


def test_a_re_invite_with_nothing_in_common_leaves_the_call_as_it_was() -> None:
    scene = Scene()
    call = scene.talking()
    before = call.media
    assert statuses(scene.within("INVITE", 2, body=G729_ONLY)) == [488]
    assert call.media == before
    assert scene.ua.active() == 1


def test_a_re_invite_never_acknowledged_ends_the_call() -> None:
    scene = Scene()
    scene.talking()
    scene.within("INVITE", 2, body=OFFER)
    done = scene.run_until(40.0)
    assert Ended(scene.call, "no_ack") in [action for _, action in done]


def test_a_re_invite_before_the_answer_is_500_with_retry_after() -> None:
    scene = Scene()
    scene.invite()
    (refusal,) = messages(scene.within("INVITE", 2, body=OFFER))
    assert isinstance(refusal, Response)
    assert refusal.status == 500
    assert refusal.headers.get("Retry-After") is not None


def test_options_within_a_dialog_is_200() -> None:
    scene = Scene()
    scene.talking()
    assert statuses(scene.within("OPTIONS", 2)) == [200]


def test_refer_is_refused_and_the_call_goes_on() -> None:
    scene = Scene()
    scene.talking()
    assert statuses(scene.within("REFER", 2, extra="Refer-To: <sip:700@127.0.0.1>\r\n")) == [403]
    assert scene.ua.active() == 1


# --- late offer ---


def test_a_late_offer_is_ours_and_the_ack_answers_it() -> None:
    scene = Scene()
    call = scene.invite(body="")
    (ok,) = messages(scene.answer())
    assert parse_sdp(ok.body).media[0].formats == ("0", "8", "9", "101")
    assert call.media is None
    (told,) = events(scene.ack(body=PCMA_ONLY))
    assert isinstance(told, Acknowledged)
    assert told.media.codec is Codec.PCMA


@pytest.mark.parametrize("body", ["", G729_ONLY, "v=garbage"])
def test_an_ack_without_a_usable_answer_ends_the_call(body: str) -> None:
    scene = Scene()
    scene.invite(body="")
    scene.answer()
    actions = scene.ack(body=body)
    assert statuses(actions) == ["BYE"]
    assert events(actions) == [Ended(scene.call, "failed")]


def test_a_re_invite_while_our_offer_is_open_is_491() -> None:
    scene = Scene()
    scene.invite(body="")
    scene.answer()
    assert statuses(scene.within("INVITE", 2, body=OFFER)) == [491]


def test_a_re_invite_without_offer_is_told_after_its_ack() -> None:
    scene = Scene()
    scene.talking()
    assert events(scene.within("INVITE", 2)) == []
    (changed,) = events(scene.ack(2, body=PCMA_ONLY))
    assert isinstance(changed, MediaChanged)
    assert changed.media.codec is Codec.PCMA


# --- requests that are refused ---


@pytest.mark.parametrize(
    ("data", "status", "field"),
    [
        (request("REGISTER"), 405, "Allow"),
        (request("BOGUS"), 501, "Allow"),
        (request(body=OFFER, uri="http://192.0.2.10"), 416, None),
        (request(body=OFFER, extra="Require: 100rel, other\r\n"), 420, "Unsupported"),
        (request(body=OFFER).replace(b"application/sdp", b"text/plain"), 415, "Accept"),
        (request(body=OFFER, extra="Content-Encoding: gzip\r\n"), 415, "Accept-Encoding"),
        (request(body=OFFER, extra="Accept: text/plain\r\n"), 406, None),
        (request(body="no sdp"), 400, None),
        (request(body=OFFER.replace("40000", "99999")), 400, None),
        (request(body=G729_ONLY), 488, None),
        (request(body=OFFER.replace("RTP/AVP", "RTP/SAVP")), 488, None),
        (request("BYE"), 481, None),
    ],
)
def test_what_cannot_be_served_is_refused_and_rings_nobody(
    data: bytes, status: int, field: str | None
) -> None:
    actions = Scene().send(data)
    (refusal,) = messages(actions)
    assert isinstance(refusal, Response)
    assert refusal.status == status
    assert field is None or refusal.headers.get(field)
    assert refusal.to.tag
    assert events(actions) == []


def test_options_says_what_we_can() -> None:
    (ok,) = messages(Scene().send(request("OPTIONS")))
    assert isinstance(ok, Response)
    assert ok.status == 200
    assert ok.headers.get("Allow") == (
        "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER"
    )
    assert ok.headers.get("Supported") == "100rel, timer, replaces, norefersub"
    assert ok.headers.get("Accept") == "application/sdp"


def test_keep_alives_are_silent() -> None:
    assert Scene().send(b"\r\n\r\n") == []
    assert Scene().send(b"") == []


def test_a_malformed_ack_or_response_is_never_answered() -> None:
    scene = Scene()
    for data in (request("ACK").replace(b"Call-ID", b"X"), b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"):
        assert scene.send(data) == [Suspicious(PEER.host, "malformed")]


# --- the way back ---


@pytest.mark.parametrize(
    ("via", "remote", "goes_to", "stamped"),
    [
        ("192.0.2.1:5060;rport", ("192.0.2.20", 7777), 7777, "received=192.0.2.20;rport=7777"),
        ("192.0.2.20:6000", ("192.0.2.20", 7777), 6000, None),
        ("192.0.2.20", ("192.0.2.20", 7777), 5060, None),
        ("proxy.example.com:6000", ("192.0.2.20", 7777), 6000, "received=192.0.2.20"),
        ("192.0.2.9:6000;maddr=192.0.2.66", ("192.0.2.20", 7777), 6000, "received=192.0.2.20"),
    ],
)
def test_replies_go_to_the_source(
    via: str, remote: tuple[str, int], goes_to: int, stamped: str | None
) -> None:
    flow = Flow("udp://test", FLOW.local, Address(*remote))
    actions = Scene().send(request("OPTIONS", via=via), flow)
    (send,) = actions
    assert isinstance(send, Send)
    assert send.flow.remote == Address(remote[0], goes_to)
    written = messages(actions)[0].headers.get("Via") or ""
    assert (stamped in written) if stamped else ("received" not in written)


def test_vias_below_the_top_come_back_in_their_order() -> None:
    data = request("OPTIONS", extra="Via: SIP/2.0/TCP a.example, SIP/2.0/UDP b.example\r\n")
    (ok,) = messages(Scene().send(data))
    assert ok.headers.all("Via")[1] == "SIP/2.0/TCP a.example, SIP/2.0/UDP b.example"


def test_an_rfc_2543_caller_without_tag_and_branch_is_served() -> None:
    scene = Scene()
    data = request(body=OFFER, from_="<sip:+1@192.0.2.20>").replace(b";branch=z9hG4bKb1", b"")
    (incoming,) = events(scene.send(data))
    assert isinstance(incoming, IncomingInvite)


def test_nothing_is_left_behind_after_many_calls() -> None:
    scene = Scene()
    for number in range(50):
        scene.talking(call_id=f"c{number}", branch=f"i{number}")
        scene.send(
            request("BYE", cseq=2, branch=f"y{number}", to_tag=scene.tag(), call_id=f"c{number}")
        )
    scene.run_until(100.0)
    ua = scene.ua
    assert ua.active() == 0
    assert ua.next_deadline() is None
    assert not ua._layer.servers
    assert not ua._layer.clients
    assert not ua._invited
