"""Calls of ours against a scripted phone, on a scripted clock."""

from __future__ import annotations

from typing import Any

import pytest
from sip_bench import FLOW, OFFER, PEER, SOUND, Scene, events, messages, request, statuses

from callcenter.telephony.ports import Address, Codec, Direction
from callcenter.telephony.sip.actions import (
    Action,
    Answered,
    DigitPressed,
    Ended,
    Flow,
    MediaChanged,
    Progressed,
    Referred,
    Send,
)
from callcenter.telephony.sip.digest import MD5, SHA256, Authenticator, Demand, Login, Proof
from callcenter.telephony.sip.headers import parse_name_addr
from callcenter.telephony.sip.message import Request, respond
from callcenter.telephony.sip.outgoing import Invitation
from callcenter.telephony.sip.sdp import parse_sdp

ANSWER = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 8 101")
G729 = OFFER.replace("RTP/AVP 0 8 101", "RTP/AVP 18")
CONTACT = ("Contact", "<sip:phone@192.0.2.77:5080>")
LOGIN = Login("agent", "open sesame")
TCP = Flow("tcp://test", FLOW.local, PEER, "TCP")


class Phone(Scene):
    """The called side: answers our latest INVITE, collects what we send."""

    def __init__(self, flow: Flow = FLOW, **invitation: Any) -> None:
        super().__init__()
        caller = parse_name_addr('"My company" <sip:+982112345@192.0.2.10>')
        order = Invitation("call-9", "sip:+989121234567@192.0.2.20", caller, **invitation)
        self.out = self.ua.outgoing(order, flow, SOUND)
        self.invites: list[Request] = []
        self.take(self.ua.invite(self.out, self.now))

    def take(self, actions: list[Action]) -> list[Action]:
        sent = [m for m in messages(actions) if isinstance(m, Request)]
        self.invites += [m for m in sent if m.method == "INVITE"]
        return actions

    @property
    def invited(self) -> Request:
        return self.invites[-1]

    def reply(
        self,
        status: int,
        *fields: tuple[str, str],
        to: Request | None = None,
        tag: str = "phone",
        body: str = "",
    ) -> list[Action]:
        response = respond(to or self.invited, status, tag=tag if status > 100 else "")
        for name, value in fields:
            response.headers.add(name, value)
        response.set_body(body.encode(), "application/sdp" if body else None)
        return self.take(self.send(bytes(response)))

    def talk(self) -> list[Action]:
        return self.reply(200, CONTACT, body=ANSWER)

    def hang_up(self) -> list[Action]:
        return self.take(self.ua.hang_up(self.out, self.now))

    def asks(self, method: str, cseq: int, **kw: Any) -> list[Action]:
        """A request of the phone's within the dialog."""
        mine, theirs = self.out.dialog.local_tag, self.out.dialog.remote_tag
        return self.take(
            self.send(
                request(
                    method,
                    cseq=cseq,
                    call_id=self.out.dialog.call_id,
                    to_tag=mine,
                    from_=f"<sip:phone@192.0.2.20>;tag={theirs}",
                    branch=f"p{cseq}{method}",
                    **kw,
                )
            )
        )


def only(actions: list[Action], method: str) -> Request:
    (found,) = [m for m in messages(actions) if isinstance(m, Request) and m.method == method]
    return found


# --- a call ---


def test_the_invite_says_whom_and_who_and_offers_our_codecs() -> None:
    phone = Phone(fields=(("P-Preferred-Identity", "<sip:+982112345@192.0.2.10>"),))
    invite = phone.invited
    assert invite.uri == "sip:+989121234567@192.0.2.20"
    assert invite.headers.get("To") == "<sip:+989121234567@192.0.2.20>"
    assert invite.from_.name == "My company"
    assert invite.from_.tag
    assert invite.headers.get("Contact") == "<sip:192.0.2.10:5060>"
    assert invite.headers.get("P-Preferred-Identity") == "<sip:+982112345@192.0.2.10>"
    assert "BYE" in (invite.headers.get("Allow") or "")
    (audio,) = parse_sdp(invite.body).media
    assert (audio.port, audio.formats) == (SOUND.port, ("0", "8", "9", "101"))
    assert phone.ua.active() == 1


def test_a_call_from_invite_to_our_bye() -> None:
    phone = Phone()
    assert events(phone.reply(100)) == []
    assert events(phone.reply(180)) == [Progressed(phone.out, 180, None)]
    answered = phone.talk()
    assert phone.out.media is not None
    assert phone.out.media.codec is Codec.PCMA
    assert phone.out.media.address == Address("192.0.2.20", 40000)
    assert events(answered) == [Answered(phone.out, phone.out.media)]
    ack = only(answered, "ACK")
    assert ack.uri == "sip:phone@192.0.2.77:5080"
    assert str(ack.cseq) == "1 ACK"
    assert ack.to.tag == "phone"
    assert ack.via.branch != phone.invited.via.branch
    ended = phone.hang_up()
    bye = only(ended, "BYE")
    assert (bye.uri, str(bye.cseq)) == ("sip:phone@192.0.2.77:5080", "2 BYE")
    assert events(ended) == [Ended(phone.out, "hung_up")]
    assert phone.reply(200, to=bye) == []
    assert phone.ua.active() == phone.ua.unanswered() == 0


def test_the_phone_hangs_up() -> None:
    phone = Phone()
    phone.talk()
    bye = phone.asks("BYE", 1)
    assert statuses(bye) == [200]
    assert events(bye) == [Ended(phone.out, "bye")]
    assert phone.asks("BYE", 2) != []
    assert phone.ua.active() == 0


def test_the_way_back_goes_through_the_proxies_that_recorded_it() -> None:
    phone = Phone()
    routes = ("Record-Route", "<sip:192.0.2.6;lr>, <sip:192.0.2.5;lr>")
    ack = only(phone.reply(200, CONTACT, routes, body=ANSWER), "ACK")
    assert ack.headers.all("Route") == ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]
    bye = only(phone.hang_up(), "BYE")
    assert bye.headers.all("Route") == ["<sip:192.0.2.5;lr>", "<sip:192.0.2.6;lr>"]


def test_a_repeated_200_is_acknowledged_again_with_the_same_octets() -> None:
    phone = Phone()
    first = phone.talk()
    again = phone.talk()
    assert events(again) == []
    assert [a.data for a in again if isinstance(a, Send)] == [
        a.data for a in first if isinstance(a, Send)
    ]
    phone.hang_up()
    assert statuses(phone.talk()) == ["ACK"]


def test_early_media_is_told_once_it_is_there() -> None:
    phone = Phone()
    ((progress),) = events(phone.reply(183, CONTACT, body=ANSWER))
    assert isinstance(progress, Progressed)
    assert progress.status == 183
    assert progress.media is not None
    assert progress.media.address.port == 40000
    ((answered),) = events(phone.reply(200, CONTACT))
    assert answered == Answered(phone.out, progress.media)


def test_a_2xx_without_a_usable_answer_is_ended_at_once() -> None:
    for body in ("", G729, "nonsense"):
        phone = Phone()
        actions = phone.reply(200, CONTACT, body=body)
        assert statuses(actions) == ["ACK", "BYE"]
        assert events(actions) == [Ended(phone.out, "failed")]
        assert phone.out.status == 488


# --- forks ---


def test_of_several_phones_that_answer_the_first_is_the_call() -> None:
    phone = Phone()
    phone.reply(180, tag="kitchen")
    phone.reply(180, tag="office")
    phone.reply(200, CONTACT, tag="office", body=ANSWER)
    late = phone.reply(200, ("Contact", "<sip:k@192.0.2.88>"), tag="kitchen", body=ANSWER)
    assert statuses(late) == ["ACK", "BYE"]
    assert only(late, "BYE").uri == "sip:k@192.0.2.88"
    assert only(late, "BYE").to.tag == "kitchen"
    assert events(late) == []
    assert phone.out.dialog.remote_tag == "office"
    assert phone.ua.active() == 1
    assert statuses(phone.reply(200, CONTACT, tag="kitchen", body=ANSWER)) == ["ACK"]


def test_endless_forks_are_not_followed() -> None:
    phone = Phone()
    sent = sum(len(phone.reply(200, CONTACT, tag=f"fork{n}", body=ANSWER)) for n in range(100))
    assert sent < 40


# --- giving up ---


def test_giving_up_while_it_rings_is_a_cancel_with_the_branch_of_the_invite() -> None:
    phone = Phone()
    phone.reply(180)
    actions = phone.hang_up()
    assert events(actions) == [Ended(phone.out, "hung_up")]
    cancel = only(actions, "CANCEL")
    assert cancel.uri == phone.invited.uri
    assert str(cancel.via) == str(phone.invited.via)
    assert str(cancel.cseq) == "1 CANCEL"
    assert cancel.to.tag is None
    assert phone.reply(200, to=cancel) == []
    refused = phone.reply(487)
    assert statuses(refused) == ["ACK"]
    assert events(refused) == []
    assert phone.ua.active() == phone.ua.unanswered() == 0


def test_nothing_is_cancelled_before_the_other_side_was_heard() -> None:
    phone = Phone()
    assert statuses(phone.hang_up()) == []
    assert statuses(phone.reply(100)) == ["CANCEL"]
    assert statuses(phone.reply(180)) == []
    phone.reply(487)
    assert phone.ua.active() == 0


def test_an_answer_that_crosses_the_cancel_is_ended() -> None:
    phone = Phone()
    phone.reply(180)
    phone.hang_up()
    actions = phone.talk()
    assert statuses(actions) == ["ACK", "BYE"]
    assert events(actions) == []
    assert phone.ua.active() == 0


def test_a_phone_that_ignores_the_cancel_is_forgotten_after_64_t1() -> None:
    phone = Phone()
    phone.reply(180)
    phone.hang_up()
    phone.run_until(40.0)
    assert phone.ua.unanswered() == 0
    assert not phone.ua._calls
    assert not phone.ua._layer.clients


# --- refusals ---


@pytest.mark.parametrize("status", [300, 302, 404, 486, 503, 603])
def test_a_refusal_is_acknowledged_and_a_redirection_is_one(status: int) -> None:
    phone = Phone()
    actions = phone.reply(status, ("Contact", "<sip:elsewhere@203.0.113.9>"))
    assert statuses(actions) == ["ACK"]
    assert events(actions) == [Ended(phone.out, "refused")]
    assert phone.out.status == status
    assert len(phone.invites) == 1
    assert phone.ua.active() == 0


def test_where_nobody_answers_the_invite_is_repeated_and_given_up_after_32_s() -> None:
    phone = Phone()
    ran = phone.run_until(40.0)
    times = [at for at, action in ran if statuses([action]) == ["INVITE"]]
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert events([action for _, action in ran]) == [Ended(phone.out, "failed")]
    assert phone.out.status == 408
    assert phone.ua.active() == 0


def test_on_a_reliable_transport_nothing_is_repeated() -> None:
    phone = Phone(flow=TCP)
    assert [statuses([a]) for _, a in phone.run_until(40.0)] == [[]]
    assert phone.invited.headers.get("Contact") == "<sip:192.0.2.10:5060;transport=tcp>"


# --- credentials ---


@pytest.mark.parametrize(
    ("status", "field", "name"),
    [
        (401, "WWW-Authenticate", "Authorization"),
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
def test_credentials_are_given_when_asked_for(status: int, field: str, name: str) -> None:
    phone = Phone(login=LOGIN)
    judge = Authenticator(Demand(LOGIN, "trunk"), lambda: "5eed")
    challenge = judge.challenges("x", 1.0)[0][1]
    actions = phone.reply(status, (field, challenge))
    assert statuses(actions) == ["ACK", "INVITE"]
    first, second = phone.invites
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert first.call_id == second.call_id
    assert first.via.branch != second.via.branch
    assert first.body == second.body
    proof = Request("INVITE", second.uri, headers=second.headers, body=second.body)
    proof.headers.add("Authorization", second.headers.get(name) or "")
    assert judge.judge(proof, "x", 2.0) is Proof.RIGHT
    answered = phone.talk()
    assert only(answered, "ACK").headers.get(name) == second.headers.get(name)
    assert str(only(answered, "ACK").cseq) == "2 ACK"


def test_a_wrong_password_is_tried_once() -> None:
    phone = Phone(login=LOGIN)
    for number in range(2):
        challenge = Authenticator(Demand(LOGIN, "trunk"), lambda: "5eed").challenges("x", 1.0)
        actions = phone.reply(407, ("Proxy-Authenticate", challenge[0][1]))
        assert len(phone.invites) == 2, number
    assert events(actions) == [Ended(phone.out, "refused")]
    assert phone.out.status == 407


def test_md5_is_answered_only_where_it_is_allowed() -> None:
    demand = Demand(LOGIN, "trunk", (MD5,))
    challenge = Authenticator(demand, lambda: "5eed").challenges("x", 1.0)[0][1]
    for algorithms, invites in (((SHA256,), 1), ((SHA256, MD5), 2)):
        phone = Phone(login=LOGIN, algorithms=algorithms)
        phone.reply(407, ("Proxy-Authenticate", challenge))
        assert len(phone.invites) == invites


def test_a_bye_is_proven_too_where_that_is_asked() -> None:
    phone = Phone(login=LOGIN)
    phone.talk()
    bye = only(phone.hang_up(), "BYE")
    challenge = Authenticator(Demand(LOGIN, "trunk"), lambda: "5eed").challenges("x", 1.0)
    asked = phone.reply(407, ("Proxy-Authenticate", challenge[0][1]), to=bye)
    again = only(asked, "BYE")
    assert again.headers.get("Proxy-Authorization")
    assert again.cseq.number == bye.cseq.number + 1
    assert phone.reply(407, ("Proxy-Authenticate", challenge[0][1]), to=again) == []


def test_giving_up_while_credentials_are_asked_for_sends_no_second_invite() -> None:
    phone = Phone(login=LOGIN)
    phone.reply(100)
    phone.hang_up()
    challenge = Authenticator(Demand(LOGIN, "trunk"), lambda: "5eed").challenges("x", 1.0)
    assert statuses(phone.reply(407, ("Proxy-Authenticate", challenge[0][1]))) == ["ACK"]
    assert phone.ua.active() == 0


# --- while both talk ---


def test_the_phone_puts_us_on_hold_and_takes_us_back() -> None:
    phone = Phone()
    phone.talk()
    held = phone.asks("INVITE", 5, body=OFFER.replace("sendrecv", "sendonly"))
    assert statuses(held) == [200]
    ((change),) = events(held)
    assert isinstance(change, MediaChanged)
    assert change.media.direction is Direction.SENDONLY
    assert events(phone.asks("ACK", 5)) == []
    back = phone.asks("INVITE", 6, body=OFFER)
    phone.asks("ACK", 6)
    ((change),) = events(back)
    assert isinstance(change, MediaChanged)
    assert change.media.direction is Direction.SENDRECV
    assert phone.run_until(60.0) == []


def test_hanging_up_before_the_ack_of_a_re_invite_waits_for_it() -> None:
    phone = Phone()
    phone.talk()
    phone.asks("INVITE", 5, body=OFFER)
    assert statuses(phone.hang_up()) == []
    assert statuses(phone.asks("ACK", 5)) == ["BYE"]
    assert phone.ua.active() == 0


def test_update_and_keys_by_info_are_understood() -> None:
    phone = Phone()
    phone.talk()
    held = phone.asks("UPDATE", 3, body=OFFER.replace("sendrecv", "inactive"))
    assert statuses(held) == [200]
    assert [type(event) for event in events(held)] == [MediaChanged]
    info = request(
        "INFO",
        cseq=4,
        call_id=phone.out.dialog.call_id,
        to_tag=phone.out.dialog.local_tag,
        from_="<sip:phone@192.0.2.20>;tag=phone",
        branch="info",
        body="Signal=7\r\nDuration=160\r\n",
    ).replace(b"application/sdp", b"application/dtmf-relay")
    assert events(phone.send(info)) == [DigitPressed(phone.out, "7")]


def test_requests_of_nobody_we_talk_to_change_nothing() -> None:
    phone = Phone()
    phone.reply(180)
    phone.talk()
    assert phone.asks("ACK", 1) == []
    stranger = request(
        "BYE",
        cseq=9,
        call_id=phone.out.dialog.call_id,
        to_tag=phone.out.dialog.local_tag,
        from_="<sip:phone@192.0.2.20>;tag=other",
        branch="s",
    )
    assert statuses(phone.send(stranger)) == [481]
    assert phone.ua.active() == 1


def test_only_a_phone_of_ours_moves_a_call_by_refer() -> None:
    for ours, expected in ((True, [202, "NOTIFY"]), (False, [403])):
        phone = Phone(may_transfer=ours)
        phone.reply(200, CONTACT, body=ANSWER)
        actions = phone.asks("REFER", 1, extra="Refer-To: <sip:202@192.0.2.10>\r\n")
        assert statuses(actions) == expected
        told = [one for one in events(actions) if isinstance(one, Referred)]
        assert [one.referral.user for one in told] == (["202"] if ours else [])
