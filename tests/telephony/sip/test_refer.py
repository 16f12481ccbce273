"""REFER with NOTIFY and INVITE with Replaces: only whom we trust moves calls (RFC 3515, 3891)."""

from __future__ import annotations

import pytest
from sip_bench import OFFER, Scene, events, messages, request, statuses, tokens

from callcenter.telephony.sip.actions import Action, IncomingInvite, Referred
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.refer import Referral, Replaces
from callcenter.telephony.sip.useragent import UserAgent

TO_200 = "Refer-To: <sip:200@192.0.2.10>\r\n"


class TrustedScene(Scene):
    """The caller's trunk may transfer."""

    def __init__(self) -> None:
        super().__init__()
        self.ua = UserAgent(tokens(), may_transfer=lambda source: source == "192.0.2.20")

    def refer(self, cseq: int = 2, extra: str = TO_200) -> list[Action]:
        return self.within("REFER", cseq, extra=extra)

    def referral(self, cseq: int = 2, extra: str = TO_200) -> Referral:
        (told,) = events(self.refer(cseq, extra))
        assert isinstance(told, Referred)
        return told.referral

    def reply(self, to: Request, status: int) -> list[Action]:
        fields = "".join(
            f"{name}: {value}\r\n"
            for name in ("Via", "From", "To", "Call-ID", "CSeq")
            for value in to.headers.all(name)
        )
        return self.send(f"SIP/2.0 {status} X\r\n{fields}Content-Length: 0\r\n\r\n".encode())


def notify(actions: list[Action]) -> Request:
    (message,) = messages(actions)
    assert isinstance(message, Request)
    assert message.method == "NOTIFY"
    return message


def test_a_trusted_refer_is_accepted_and_told_how_it_goes() -> None:
    scene = TrustedScene()
    scene.talking()
    actions = scene.refer()
    accepted, trying = messages(actions)
    assert isinstance(accepted, Response)
    assert isinstance(trying, Request)
    assert (accepted.status, accepted.headers.get("Contact")) == (202, "<sip:192.0.2.10:5060>")
    assert trying.method == "NOTIFY"
    assert trying.headers.get("Event") == "refer"
    assert trying.headers.get("Subscription-State") == "active;expires=180"
    assert trying.headers.get("Content-Type") == "message/sipfrag;version=2.0"
    assert trying.body == b"SIP/2.0 100 Trying\r\n"
    assert trying.headers.get("Contact") == "<sip:192.0.2.10:5060>"
    scene.reply(trying, 200)
    (told,) = events(actions)
    assert isinstance(told, Referred)
    assert (told.referral.user, told.referral.attended) == ("200", False)
    last = notify(scene.ua.report(told.referral, 200, scene.now))
    assert last.body == b"SIP/2.0 200 OK\r\n"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"
    assert scene.ua.report(told.referral, 200, scene.now) == []


def test_whom_we_do_not_trust_gets_403_and_the_call_goes_on() -> None:
    scene = Scene()
    scene.talking()
    actions = scene.within("REFER", 2, extra=TO_200)
    assert statuses(actions) == [403]
    assert events(actions) == []
    assert scene.ua.active() == 1


def test_outside_of_a_call_nobody_may_send_us_to_somebody() -> None:
    assert statuses(TrustedScene().send(request("REFER", extra=TO_200))) == [403]
    assert statuses(TrustedScene().send(request("REFER", to_tag="x", extra=TO_200))) == [481]


@pytest.mark.parametrize("extra", ["", TO_200 + TO_200, "Refer-To: <<>\r\n"])
def test_a_refer_that_names_no_one_target_is_malformed(extra: str) -> None:
    scene = TrustedScene()
    scene.talking()
    assert statuses(scene.refer(extra=extra)) == [400]


def test_before_both_talk_nothing_is_moved() -> None:
    scene = TrustedScene()
    scene.invite()
    assert statuses(scene.refer()) == [603]


def test_the_second_refer_of_a_call_is_told_apart() -> None:
    scene = TrustedScene()
    scene.talking()
    scene.referral()
    second = notify(scene.ua.report(scene.referral(3), 404, scene.now))
    assert second.headers.get("Event") == "refer;id=3"
    assert second.body == b"SIP/2.0 404 Not Found\r\n"


def test_who_wants_to_hear_nothing_hears_nothing() -> None:
    scene = TrustedScene()
    scene.talking()
    actions = scene.refer(extra=TO_200 + "Refer-Sub: false\r\nSupported: norefersub\r\n")
    (accepted,) = messages(actions)
    assert accepted.headers.get("Refer-Sub") == "false"
    (told,) = events(actions)
    assert isinstance(told, Referred)
    assert scene.ua.report(told.referral, 200, scene.now) == []


def test_a_sender_that_is_gone_is_told_nothing_more() -> None:
    scene = TrustedScene()
    scene.talking()
    actions = scene.refer()
    (told,) = events(actions)
    assert isinstance(told, Referred)
    trying = messages(actions)[1]
    assert isinstance(trying, Request)
    scene.reply(trying, 481)
    assert scene.ua.report(told.referral, 200, scene.now) == []


def test_after_the_end_of_the_call_nothing_is_told() -> None:
    scene = TrustedScene()
    scene.talking()
    referral = scene.referral()
    scene.within("BYE", 3)
    assert scene.ua.report(referral, 200, scene.now) == []


def test_replaces_within_refer_to_is_seen() -> None:
    scene = TrustedScene()
    scene.talking()
    target = "Refer-To: <sip:200@192.0.2.10?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n"
    assert scene.referral(extra=target).attended


# --- Replaces ---


def replaces(scene: Scene, *, more: str = "", to: str | None = None) -> bytes:
    old = scene.call.dialog
    header = f"Replaces: {old.call_id};to-tag={to or old.local_tag};from-tag={old.remote_tag}{more}"
    return request(body=OFFER, call_id="new", branch="new", extra=header + "\r\n")


def test_an_invite_that_replaces_a_call_names_it() -> None:
    scene = TrustedScene()
    old = scene.talking()
    actions = scene.send(replaces(scene))
    assert statuses(actions) == [100]
    (incoming,) = events(actions)
    assert isinstance(incoming, IncomingInvite)
    assert incoming.replaces is old
    assert statuses(scene.ua.hang_up(old, scene.now)) == ["BYE"]


def test_nobody_else_may_replace_a_call() -> None:
    scene = Scene()
    scene.talking()
    actions = scene.send(replaces(scene))
    assert statuses(actions) == [403]
    assert events(actions) == []


def test_what_is_not_there_or_not_confirmed_cannot_be_replaced() -> None:
    scene = TrustedScene()
    scene.talking()
    assert statuses(scene.send(replaces(scene, to="wrong"))) == [481]
    early = TrustedScene()
    early.invite()
    assert statuses(early.send(replaces(early))) == [481]


def test_early_only_does_not_replace_a_confirmed_call() -> None:
    scene = TrustedScene()
    scene.talking()
    assert statuses(scene.send(replaces(scene, more=";early-only"))) == [486]


def test_a_call_that_was_just_hung_up_is_not_replaced() -> None:
    scene = TrustedScene()
    call = scene.invite()
    scene.answer()
    scene.ua.hang_up(call, scene.now)  # its BYE waits for the ACK
    assert statuses(scene.send(replaces(scene))) == [603]


@pytest.mark.parametrize(
    "header", ["Replaces: abc", "Replaces: abc;to-tag=1", "Replaces: a;to-tag=1;from-tag=2, b"]
)
def test_a_replaces_that_names_no_one_dialog_is_malformed(header: str) -> None:
    data = request(body=OFFER, extra=header + "\r\n")
    assert statuses(TrustedScene().send(data)) == [400]


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        (
            "<sip:202@192.0.2.10?Replaces=a%40b%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs>",
            Replaces("a@b", "ours", "theirs"),
        ),
        (
            "<sip:202@192.0.2.10?X=1&replaces=a%3Bfrom-tag%3Dtheirs%3Bto-tag%3Dours%3Bearly-only>",
            Replaces("a", "ours", "theirs", early_only=True),
        ),
        ("<sip:202@192.0.2.10?Replaces=a%3Bto-tag%3Dours>", None),
        ("<sip:202@192.0.2.10?Replaces=>", None),
        ("<sip:202@192.0.2.10?X=replaces>", None),
        ("<sip:202@192.0.2.10>", None),
    ],
)
def test_a_refer_names_the_call_that_is_to_be_replaced(uri: str, named: Replaces | None) -> None:
    scene = TrustedScene()
    scene.talking()
    assert scene.referral(extra=f"Refer-To: {uri}\r\n").replaces == named
