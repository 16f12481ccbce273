"""Session timers (RFC 4028) in virtual time: who refreshes, how, and what if nobody does."""

from __future__ import annotations

from typing import Any

import pytest
from sip_bench import OFFER, Scene, events, messages, request, statuses, tokens

from callcenter.telephony.ports import Codec
from callcenter.telephony.sip.actions import Action, Ended, MediaChanged
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.session_timer import Policy
from callcenter.telephony.sip.useragent import UserAgent

TIMER = "Supported: timer\r\n"
ALLOWS_UPDATE = "Allow: INVITE, ACK, BYE, UPDATE\r\n"
ALLOWS_INVITE = "Allow: INVITE, ACK, BYE\r\n"
US = TIMER + "Session-Expires: 120;refresher=uas\r\n"


class TimedScene(Scene):
    """With an interval of our own of 600 seconds."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__()
        self.ua = UserAgent(tokens(), timers=policy or Policy(600, 90))

    def answered(self, extra: str, **kw: Any) -> Response:
        self.invite(extra=extra, **kw)
        (ok,) = messages(self.answer())
        assert isinstance(ok, Response)
        self.ack()
        return ok

    def reply(self, to: Request, status: int, extra: str = "", body: str = "") -> list[Action]:
        fields = "".join(
            f"{name}: {value}\r\n"
            for name in ("Via", "From", "To", "Call-ID", "CSeq")
            for value in to.headers.all(name)
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = f"SIP/2.0 {status} X\r\n{fields}{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
        return self.send((text + body).encode())

    def next_request(self, seconds: float) -> tuple[float, Request]:
        for at, action in self.run_until(seconds):
            for message in messages([action]):
                assert isinstance(message, Request)
                return at, message
        pytest.fail("nothing was sent")


# --- who refreshes ---


@pytest.mark.parametrize(
    ("extra", "said", "required"),
    [
        ("", None, None),  # a peer that knows no timers: none
        (TIMER, "600;refresher=uac", "timer"),
        (TIMER + "Session-Expires: 200\r\n", "200;refresher=uac", "timer"),
        (TIMER + "x: 200;refresher=uac\r\n", "200;refresher=uac", "timer"),  # compact
        (US, "120;refresher=uas", None),
        ("Session-Expires: 200\r\n", "200;refresher=uas", None),  # a proxy's wish
        (TIMER + "Session-Expires: 4000\r\n", "600;refresher=uac", "timer"),
        (TIMER + "Session-Expires: 4000\r\nMin-SE: 900\r\n", "900;refresher=uac", "timer"),
        ("Require: timer\r\nSession-Expires: 200\r\n", "200;refresher=uac", "timer"),
        (TIMER + "Session-Expires: soon\r\n", "600;refresher=uac", "timer"),
    ],
)
def test_the_200_says_how_long_and_who(extra: str, said: str | None, required: str | None) -> None:
    ok = TimedScene().answered(extra)
    assert ok.headers.get("Session-Expires") == said
    assert ok.headers.get("Require") == required


def test_with_nothing_set_only_a_peers_wish_is_followed() -> None:
    off = Policy(0, 90)
    assert TimedScene(off).answered(TIMER).headers.get("Session-Expires") is None
    wished = TimedScene(off).answered(TIMER + "Session-Expires: 5000\r\n")
    assert wished.headers.get("Session-Expires") == "5000;refresher=uac"


def test_too_short_a_wish_gets_422_and_rings_nobody() -> None:
    scene = TimedScene(Policy(600, 120))
    actions = scene.send(request(body=OFFER, extra=TIMER + "Session-Expires: 119\r\n"))
    (refusal,) = messages(actions)
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.reason) == (422, "Session Interval Too Small")
    assert refusal.headers.get("Min-SE") == "120"
    assert events(actions) == []


@pytest.mark.parametrize(("seconds", "said"), [(100, "100;refresher=uas"), (89, None)])
def test_a_short_wish_of_a_proxy_may_not_be_lengthened(seconds: int, said: str | None) -> None:
    ok = TimedScene(Policy(600, 120)).answered(f"Session-Expires: {seconds}\r\n")
    assert ok.headers.get("Session-Expires") == said


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_within_a_call_a_short_wish_gets_422_too_and_the_call_goes_on(method: str) -> None:
    scene = TimedScene()
    scene.answered(TIMER)
    extra = TIMER + "Session-Expires: 10\r\n"
    assert statuses(scene.within(method, 2, body=OFFER, extra=extra)) == [422]
    assert scene.ua.active() == 1


# --- the peer refreshes ---


def test_a_peer_that_does_not_refresh_gets_bye_32_s_before_the_end() -> None:
    scene = TimedScene()
    scene.answered(TIMER)
    done = scene.run_until(600.0)
    assert (done[0][0], statuses([done[0][1]])) == (600.0 - 32.0, ["BYE"])
    assert [event for _, action in done for event in events([action])] == [
        Ended(scene.call, "expired")
    ]
    assert scene.ua.active() == 0


def test_of_a_short_interval_a_third_is_the_margin() -> None:
    scene = TimedScene()
    scene.answered(TIMER + "Session-Expires: 90\r\n")
    assert scene.run_until(90.0)[0][0] == 60.0


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_each_refresh_of_the_peer_starts_the_time_anew(method: str) -> None:
    scene = TimedScene()
    scene.answered(TIMER)
    body = OFFER if method == "INVITE" else ""
    for number in range(2, 6):
        assert scene.run_until(500.0) == []
        extra = TIMER + "Session-Expires: 600;refresher=uac\r\n"
        actions = scene.within(method, number, body=body, extra=extra)
        assert statuses(actions) == [200]
        assert messages(actions)[0].headers.get("Session-Expires") == "600;refresher=uac"
        if method == "INVITE":
            scene.ack(number)
    assert scene.run_until(600.0)[0][0] == 568.0


def test_a_refresh_without_the_wish_of_a_peer_without_timers_ends_the_watch() -> None:
    scene = TimedScene()
    scene.answered("Session-Expires: 200\r\n")
    assert statuses(scene.within("UPDATE", 2)) == [200]
    assert scene.run_until(10_000.0) == []


def test_two_refreshes_at_once_are_a_clash_and_ours_is_made_again() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_INVITE)
    _, ours = scene.next_request(60.0)
    assert statuses(scene.within("INVITE", 2, body=OFFER)) == [491]
    assert statuses(scene.reply(ours, 491)) == ["ACK"]
    at, again = scene.next_request(3.0)
    assert at < 2.0
    assert again.cseq.number == ours.cseq.number + 1


# --- we refresh ---


def test_at_half_of_the_time_an_update_refreshes_and_so_on() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    for _ in range(3):
        at, update = scene.next_request(60.0)
        assert (at, update.method, update.body) == (60.0, "UPDATE", b"")
        assert update.headers.get("Session-Expires") == "120;refresher=uac"
        assert "timer" in (update.headers.get("Supported") or "")
        assert scene.reply(update, 200, "Session-Expires: 120;refresher=uac\r\n") == []
    assert scene.ua.active() == 1


def test_where_the_peer_knows_no_update_a_re_invite_says_the_same_again() -> None:
    scene = TimedScene()
    ok = scene.answered(US + ALLOWS_INVITE)
    at, invite = scene.next_request(60.0)
    assert (at, invite.method) == (60.0, "INVITE")
    assert invite.body == ok.body  # the very description: nothing changes
    assert invite.headers.get("Contact") == "<sip:192.0.2.10:5060>"
    answer = "Session-Expires: 120;refresher=uac\r\n"
    (ack,) = messages(scene.reply(invite, 200, answer, OFFER))
    assert isinstance(ack, Request)
    assert (ack.method, ack.cseq.number) == ("ACK", invite.cseq.number)
    assert ack.via.branch != invite.via.branch
    assert statuses(scene.reply(invite, 200, answer, OFFER)) == ["ACK"]  # its 200 was repeated
    assert scene.next_request(60.0)[1].method == "INVITE"


def test_a_peer_may_answer_a_re_invite_with_another_codec_or_address() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_INVITE)
    _, invite = scene.next_request(60.0)
    moved = OFFER.replace("audio 40000 RTP/AVP 0 8", "audio 40010 RTP/AVP 8 0")
    (told,) = events(scene.reply(invite, 200, "Session-Expires: 120;refresher=uac\r\n", moved))
    assert isinstance(told, MediaChanged)
    assert (told.media.codec, told.media.address.port) == (Codec.PCMA, 40010)


def test_a_refused_re_invite_changes_nothing_and_the_end_comes_in_time() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_INVITE)
    call = scene.call
    before = call.media
    _, invite = scene.next_request(60.0)
    assert statuses(scene.reply(invite, 488)) == ["ACK"]
    assert call.media == before
    (at, _), *_ = [one for one in scene.run_until(60.0) if statuses([one[1]]) == ["BYE"]]
    assert at == 120 - 32 - 60


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_knows_no_such_call_gets_bye_at_once(status: int) -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    _, update = scene.next_request(60.0)
    actions = scene.reply(update, status)
    assert statuses(actions) == ["BYE"]
    assert events(actions) == [Ended(scene.call, "expired")]


def test_a_peer_that_does_not_answer_the_refresh_is_gone() -> None:
    scene = TimedScene(Policy(600, 90))
    scene.answered(TIMER + "Session-Expires: 200;refresher=uas\r\n" + ALLOWS_UPDATE)
    done = scene.run_until(200.0)
    ends = [at for at, action in done for event in events([action])]
    assert ends == [100.0 + 32.0]


def test_a_peer_that_wants_a_longer_time_gets_it() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    _, update = scene.next_request(60.0)
    (again,) = messages(scene.reply(update, 422, "Min-SE: 300\r\n"))
    assert isinstance(again, Request)
    assert again.headers.get("Session-Expires") == "300;refresher=uac"
    assert again.headers.get("Min-SE") == "300"
    scene.reply(again, 200, "Session-Expires: 300;refresher=uac\r\n")
    assert scene.next_request(150.0)[0] == 150.0
    assert statuses(scene.reply(again, 422, "Min-SE: 300\r\n")) == []  # the same once more: no


def test_an_answer_without_the_field_ends_the_watch() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    _, update = scene.next_request(60.0)
    scene.reply(update, 200)
    assert scene.run_until(10_000.0) == []


def test_the_peer_may_take_over_the_refreshing() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    _, update = scene.next_request(60.0)
    scene.reply(update, 200, "Session-Expires: 120;refresher=uas\r\n")
    done = scene.run_until(120.0)
    assert (done[0][0], statuses([done[0][1]])) == (88.0, ["BYE"])


def test_nothing_fires_after_the_end() -> None:
    scene = TimedScene()
    scene.answered(US + ALLOWS_UPDATE)
    scene.within("BYE", 2)
    scene.run_until(40.0)
    assert scene.ua.next_deadline() is None
