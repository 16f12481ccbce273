"""Digest: the figures of the RFCs, and what an attacker tries with nonces and counts."""

from __future__ import annotations

from typing import Any

import pytest
from sip_bench import OFFER, PEER, Scene, events, messages, request, tokens

from callcenter.telephony.sip.actions import Action, IncomingInvite, Suspicious
from callcenter.telephony.sip.digest import (
    MD5,
    NONCE_SECONDS,
    SHA256,
    Answerer,
    Authenticator,
    Demand,
    Login,
    Proof,
    digest,
    parse_digest,
    write_digest,
)
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.useragent import UserAgent

LOGIN = Login("trunk", "open sesame")
SOURCE = PEER.host


# --- the figures -----------------------------------------------------------------------------

RFC7616 = {
    "username": "Mufasa",
    "realm": "http-auth@example.org",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "uri": "/dir/index.html",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}
RFC2617 = {
    "username": "Mufasa",
    "realm": "testrealm@host.com",
    "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    "uri": "/dir/index.html",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "0a4f113b",
}


@pytest.mark.parametrize(
    ("values", "password", "response"),
    [
        (
            RFC7616 | {"algorithm": "SHA-256"},
            "Circle of Life",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (RFC7616 | {"algorithm": "MD5"}, "Circle of Life", "8ca523f5e9506fed4657c9700eebdbec"),
        (RFC2617, "Circle Of Life", "6629fae49393a05397450978507c4ef1"),
    ],
)
def test_the_responses_of_the_rfcs_come_out(
    values: dict[str, str], password: str, response: str
) -> None:
    assert digest(values, password, "GET", b"") == response


def test_parameters_survive_quotes_commas_and_case() -> None:
    text = 'DIGEST realm="a, \\"b\\"", NONCE="n=1", qop="auth,auth-int", stale=TRUE'
    values = parse_digest(text)
    assert values == {"realm": 'a, "b"', "nonce": "n=1", "qop": "auth,auth-int", "stale": "TRUE"}
    assert parse_digest(write_digest(values, bare_qop=False)) == values


@pytest.mark.parametrize(
    "text", ["", "Basic abc", "Digest", "Digest a", 'Digest a="b', "Digest a=1,a=2"]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_digest(text)


# --- both sides against each other -----------------------------------------------------------


def authenticator(**more: Any) -> Authenticator:
    return Authenticator(Demand(LOGIN, "callcenter", **more), tokens())


def challenge(judge: Authenticator, now: float = 0.0, status: int = 401) -> Response:
    response = Response(status, "")
    for name, value in judge.challenges(SOURCE, now):
        response.headers.add(name if status == 401 else "Proxy-Authenticate", value)
    return response


def invite(body: str = OFFER, **kw: Any) -> Request:
    message = parse(request(body=body, **kw))
    assert isinstance(message, Request)
    return message


def signed(
    judge: Authenticator, login: Login = LOGIN, algorithms: tuple[str, ...] = (SHA256,)
) -> Request:
    message = invite()
    credentials = Answerer(login, algorithms, tokens()).credentials(challenge(judge), message)
    assert credentials
    message.headers.add(*credentials)
    return message


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("algorithm", [SHA256, "SHA-512-256", MD5, "SHA-256-SESS"])
def test_the_right_password_is_right(algorithm: str, qop: str) -> None:
    judge = authenticator(algorithms=(algorithm,), qop=qop)
    base = algorithm.removesuffix("-SESS")
    assert judge.judge(signed(judge, algorithms=(base,)), SOURCE, 1.0) is Proof.RIGHT


@pytest.mark.parametrize("login", [Login("trunk", "guess"), Login("admin", "open sesame")])
def test_another_password_or_user_is_wrong(login: Login) -> None:
    judge = authenticator()
    assert judge.judge(signed(judge, login), SOURCE, 1.0) is Proof.WRONG


def test_with_auth_int_a_changed_body_is_wrong_and_with_auth_it_is_not() -> None:
    for qop, proof in (("auth-int", Proof.WRONG), ("auth", Proof.RIGHT)):
        judge = authenticator(qop=qop)
        message = signed(judge)
        message.body = message.body.replace(b"40000", b"40002")
        assert judge.judge(message, SOURCE, 1.0) is proof


def test_a_method_or_number_that_was_not_signed_is_wrong() -> None:
    judge = authenticator()
    stolen = signed(judge)
    other = invite(uri="sip:+97290000000@192.0.2.10")
    other.headers.add("Authorization", stolen.headers.get("Authorization") or "")
    assert judge.judge(other, SOURCE, 1.0) is Proof.WRONG
    stolen.method = "OPTIONS"
    assert judge.judge(stolen, SOURCE, 1.0) is Proof.WRONG


def test_a_replay_is_stale_and_the_next_count_is_right() -> None:
    judge = authenticator()
    answerer, first, second = Answerer(LOGIN, (SHA256,), tokens()), invite(), invite(cseq=2)
    asked = challenge(judge)
    first.headers.add(*(answerer.credentials(asked, first) or ("", "")))
    second.headers.add(*(answerer.credentials(asked, second) or ("", "")))
    proofs = [judge.judge(each, SOURCE, 1.0) for each in (first, first, second, first)]
    assert proofs == [Proof.RIGHT, Proof.STALE, Proof.RIGHT, Proof.STALE]


def test_an_old_nonce_one_of_another_source_and_a_forged_one_are_stale_not_wrong() -> None:
    judge = authenticator()
    message = signed(judge)
    assert judge.judge(message, SOURCE, NONCE_SECONDS + 1) is Proof.STALE
    assert judge.judge(message, "192.0.2.99", 1.0) is Proof.STALE
    assert (
        Authenticator(Demand(LOGIN, "callcenter"), tokens(50)).judge(message, SOURCE, 1.0)
        is Proof.STALE
    )


@pytest.mark.parametrize(
    ("written", "proof"),
    [
        ("Basic dHJ1bms6eA==", Proof.MISSING),
        ('Digest realm="elsewhere", nonce="1"', Proof.MISSING),
        ('Digest realm="callcenter"', Proof.STALE),
        ('Digest realm="callcenter", nonce="\udcff.\udcff"', Proof.STALE),
    ],
)
def test_broken_credentials_are_asked_for_again(written: str, proof: Proof) -> None:
    message = invite()
    message.headers.add("Authorization", written)
    assert authenticator().judge(message, SOURCE, 1.0) is proof


@pytest.mark.parametrize(
    "change",
    [('qop="', 'q="'), ("nc=0000000", "nc=x"), ("username", "u"), ('response="', 'response="é')],
)
def test_credentials_without_what_they_need_are_wrong(change: tuple[str, str]) -> None:
    judge = authenticator()
    message = signed(judge)
    written = (message.headers.get("Authorization") or "").replace("qop=auth", 'qop="auth"')
    assert change[0] in written
    message.headers.replace_first("Authorization", written.replace(*change))
    assert judge.judge(message, SOURCE, 1.0) is Proof.WRONG


def test_the_strongest_algorithm_is_offered_first_and_the_first_known_one_taken() -> None:
    judge = authenticator(algorithms=(SHA256, MD5))
    asked = challenge(judge)
    offered = [parse_digest(text)["algorithm"] for text in asked.headers.all("WWW-Authenticate")]
    assert offered == [SHA256, MD5]
    for known, taken in (((SHA256, MD5), SHA256), ((MD5,), MD5)):
        written = Answerer(LOGIN, known, tokens()).credentials(asked, invite())
        assert written
        assert parse_digest(written[1])["algorithm"] == taken


def test_md5_is_not_answered_unless_allowed() -> None:
    asked = Response(401, "")
    asked.headers.add("WWW-Authenticate", 'Digest realm="pbx", nonce="1"')
    assert Answerer(LOGIN, (SHA256,), tokens()).credentials(asked, invite()) is None
    written = Answerer(LOGIN, (SHA256, MD5), tokens()).credentials(asked, invite())
    assert written
    assert "qop" not in parse_digest(written[1])


def test_a_proxy_is_answered_in_its_own_header_field() -> None:
    written = Answerer(LOGIN, (SHA256,), tokens()).credentials(
        challenge(authenticator(), status=407), invite()
    )
    assert written
    assert written[0] == "Proxy-Authorization"


def test_a_refused_password_is_not_sent_again_unless_the_nonce_was_stale() -> None:
    judge, answerer = authenticator(), Answerer(LOGIN, (SHA256,), tokens())
    message = signed(judge)
    assert answerer.credentials(challenge(judge), message) is None
    stale = Response(401, "")
    stale.headers.add(*judge.challenges(SOURCE, 0.0, stale=True)[0])
    assert answerer.credentials(stale, message) is not None


# --- in the user agent -----------------------------------------------------------------------


class GuardedScene(Scene):
    def __init__(self) -> None:
        super().__init__()
        judge = authenticator()
        self.ua = UserAgent(tokens(), lambda source: judge)

    def signed(self, asked: Response, password: str = "open sesame", **kw: Any) -> bytes:
        answerer = Answerer(Login("trunk", password), (SHA256,), tokens())
        message = invite(**kw)
        name, value = answerer.credentials(asked, message) or ("", "")
        return request(body=OFFER, extra=f"{name}: {value}\r\n", **kw)


def suspicions(actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, Suspicious)]


def final(actions: list[Action]) -> Response:
    message = messages(actions)[-1]
    assert isinstance(message, Response)
    return message


def test_an_invite_gets_through_with_credentials_only_and_cancel_needs_none() -> None:
    scene = GuardedScene()
    actions = scene.send(request(body=OFFER))
    asked = final(actions)
    assert asked.status == 401
    assert suspicions(actions) == events(actions) == []
    assert scene.send(request("ACK", to_tag=asked.to.tag)) == []
    actions = scene.send(scene.signed(asked, cseq=2, branch="b2"))
    (incoming,) = events(actions)
    cancelled = scene.send(request("CANCEL", cseq=2, branch="b2"))
    assert sorted(m.status for m in messages(cancelled) if isinstance(m, Response)) == [200, 487]
    assert incoming.call.state.value == "ended"


def test_an_answered_call_is_ended_without_credentials() -> None:
    scene = GuardedScene()
    asked = final(scene.send(request(body=OFFER)))
    (incoming,) = events(scene.send(scene.signed(asked, cseq=2, branch="b2")))
    assert isinstance(incoming, IncomingInvite)
    scene.call = incoming.call
    scene.answer()
    scene.ack(2)
    assert final(scene.within("BYE", 3)).status == 200


def test_a_wrong_password_is_told_to_the_guard_and_asked_again() -> None:
    scene = GuardedScene()
    asked = final(scene.send(request(body=OFFER)))
    actions = scene.send(scene.signed(asked, "guess", cseq=2, branch="b2"))
    assert suspicions(actions) == [Suspicious(SOURCE, "digest")]
    again = final(actions)
    assert again.status == 401
    assert "stale" not in parse_digest(again.headers.get("WWW-Authenticate") or "")


def test_a_replayed_invite_is_told_that_its_nonce_is_stale() -> None:
    scene = GuardedScene()
    asked = final(scene.send(request(body=OFFER)))
    scene.send(scene.signed(asked, cseq=2, branch="b2"))
    actions = scene.send(scene.signed(asked, cseq=3, branch="b3"))
    assert suspicions(actions) == []
    assert parse_digest(final(actions).headers.get("WWW-Authenticate") or "")["stale"] == "true"


def test_the_method_is_looked_at_before_the_credentials() -> None:
    assert final(GuardedScene().send(request("REGISTER"))).status == 405
