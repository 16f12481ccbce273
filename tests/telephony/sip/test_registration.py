"""Our REGISTER against a scripted registrar, on a scripted clock."""

from __future__ import annotations

from typing import Any

import pytest
from sip_bench import FLOW, Scene, messages, tokens

from callcenter.telephony.sip.actions import Action, RegistrationChanged, Send
from callcenter.telephony.sip.digest import MD5, SHA256, Authenticator, Demand, Login, Proof
from callcenter.telephony.sip.message import Request, respond
from callcenter.telephony.sip.registration import (
    FIRST_PAUSE,
    KEEP_ALIVE,
    LONGEST_PAUSE,
    Account,
    Standing,
)
from callcenter.telephony.sip.stream import PING

LOGIN = Login("201", "open sesame")


class Registrar(Scene):
    """Answers what we send; `last` is our latest REGISTER."""

    def __init__(self, **account: Any) -> None:
        super().__init__()
        self.account = Account("pbx", "pbx.example", "201", LOGIN, **account)
        self.registration = self.ua.registration(self.account)
        self.take(self.ua.register(self.registration, FLOW, self.now))

    def take(self, actions: list[Action]) -> list[Action]:
        requests = messages([action for action in actions if not is_ping(action)])
        if requests:
            assert isinstance(requests[-1], Request)
            self.last = requests[-1]
        return actions

    def reply(self, status: int, *fields: tuple[str, str]) -> list[Action]:
        response = respond(self.last, status, tag="registrar")
        for name, value in fields:
            response.headers.add(name, value)
        response.set_body(b"")
        return self.take(self.send(bytes(response)))

    def until(self, seconds: float) -> list[float]:
        """When REGISTERs went out within the next seconds."""
        ran = self.run_until(seconds)
        self.take([action for _, action in ran])
        return [at for at, action in ran if isinstance(action, Send) and not is_ping(action)]

    @property
    def standing(self) -> Standing:
        return self.registration.standing


def is_ping(action: Action) -> bool:
    return isinstance(action, Send) and action.data == PING


def test_a_register_says_who_we_are_and_how_we_are_reached() -> None:
    scene = Registrar(expires=600)
    assert (scene.last.method, scene.last.uri) == ("REGISTER", "sip:pbx.example")
    get = scene.last.headers.get
    assert get("To") == "<sip:201@pbx.example>"
    assert (get("From") or "").startswith("<sip:201@pbx.example>;tag=")
    assert get("Contact") == "<sip:201@192.0.2.10:5060>"
    assert get("Expires") == "600"
    assert scene.standing is Standing.REGISTERING


def test_it_is_refreshed_at_half_to_nine_tenths_of_the_time_granted() -> None:
    scene = Registrar(expires=600)
    actions = scene.reply(200, ("Contact", "<sip:201@192.0.2.10:5060>;expires=100"))
    assert [a for a in actions if isinstance(a, RegistrationChanged)]
    assert scene.standing is Standing.REGISTERED
    call_id, number = scene.last.call_id, scene.last.cseq.number
    (first, *_) = scene.until(95)
    assert 50 <= first <= 90
    assert scene.last.call_id == call_id
    assert scene.last.cseq.number > number


@pytest.mark.parametrize(
    ("fields", "granted"),
    [
        ([("Expires", "60")], 60),
        ([], 300),
        ([("Contact", "<sip:201@192.0.2.99:5060>;expires=9000"), ("Expires", "60")], 60),
        ([("Contact", "<<>"), ("Expires", "nonsense")], 300),
    ],
)
def test_the_time_granted_is_found(fields: list[tuple[str, str]], granted: int) -> None:
    scene = Registrar()
    scene.reply(200, *fields)
    (first, *_) = scene.until(granted)
    assert 0.5 * granted <= first <= 0.9 * granted


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_is_answered_with_the_password(status: int) -> None:
    scene = Registrar()
    judge = Authenticator(Demand(LOGIN, "pbx"), tokens())
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    number = scene.last.cseq.number
    scene.reply(status, (name, judge.challenges("x", 0.0)[0][1]))
    assert scene.last.cseq.number == number + 1
    given = scene.last.headers.get("Authorization" if status == 401 else "Proxy-Authorization")
    scene.last.headers.add("Authorization", given or "")
    assert judge.judge(scene.last, "x", 1.0) is Proof.RIGHT
    scene.reply(200)
    assert scene.standing is Standing.REGISTERED


def test_a_wrong_password_is_told_and_not_tried_in_a_row() -> None:
    scene = Registrar()
    judge = Authenticator(Demand(LOGIN, "pbx"), tokens())
    for _ in range(2):
        scene.reply(401, *judge.challenges("x", 0.0))
    assert scene.standing is Standing.REFUSED
    assert "password" in scene.registration.detail
    (first, *_) = scene.until(FIRST_PAUSE + 1)
    assert first >= FIRST_PAUSE / 2


def test_md5_is_used_only_where_the_account_allows_it() -> None:
    for algorithms, standing in (
        ((SHA256,), Standing.REFUSED),
        ((SHA256, MD5), Standing.REGISTERED),
    ):
        scene = Registrar(algorithms=algorithms)
        scene.reply(401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", algorithm=MD5'))
        scene.reply(200)
        assert scene.standing is standing
        assert ("MD5" in scene.registration.detail) == (standing is Standing.REFUSED)


def test_a_registrar_that_wants_a_longer_time_gets_it_once() -> None:
    scene = Registrar(expires=60)
    scene.reply(423, ("Min-Expires", "1800"))
    assert scene.last.headers.get("Expires") == "1800"
    scene.reply(423, ("Min-Expires", "1800"))
    assert scene.standing is Standing.REFUSED
    scene.reply(200)
    scene = Registrar(expires=60)
    scene.reply(423, ("Min-Expires", "9999999"))
    assert scene.standing is Standing.REFUSED


def test_a_silent_registrar_is_tried_again_after_longer_and_longer_pauses() -> None:
    scene = Registrar()
    pauses = []
    for _ in range(10):
        scene.until(32.0)  # repeated by timer E, given up by timer F
        assert scene.standing is Standing.UNREACHABLE
        before = scene.last.cseq.number
        deadline = scene.ua.next_deadline()
        assert deadline is not None
        pauses.append(deadline - scene.now)
        scene.until(pauses[-1])
        assert scene.last.cseq.number == before + 1
    assert FIRST_PAUSE / 2 <= pauses[0] <= FIRST_PAUSE
    assert all(pause <= LONGEST_PAUSE for pause in pauses)
    assert pauses[-1] >= LONGEST_PAUSE / 2
    scene.reply(200)
    assert (scene.standing, scene.registration.detail) == (Standing.REGISTERED, "")


def test_retry_after_is_respected() -> None:
    scene = Registrar()
    scene.reply(503, ("Retry-After", "120 (busy)"))
    assert scene.registration.detail == "The registrar answers 503."
    assert scene.until(119) == []
    assert scene.until(2) != []


def test_a_redirection_is_not_followed() -> None:
    scene = Registrar()
    scene.reply(302, ("Contact", "<sip:192.0.2.99>"))
    assert scene.standing is Standing.REFUSED


def test_the_way_through_a_nat_is_kept_open_while_registered() -> None:
    scene = Registrar()
    scene.reply(200)
    pings = [at for at, action in scene.run_until(3 * KEEP_ALIVE + 1) if is_ping(action)]
    assert pings == [KEEP_ALIVE, 2 * KEEP_ALIVE, 3 * KEEP_ALIVE]


def test_at_the_end_it_is_removed_and_nothing_follows() -> None:
    scene = Registrar()
    scene.reply(200)
    scene.take(scene.ua.unregister(scene.registration, scene.now))
    assert scene.last.headers.get("Expires") == "0"
    assert scene.ua.unanswered() == 1
    scene.reply(200)
    assert (scene.ua.unanswered(), scene.standing) == (0, Standing.REMOVED)
    assert scene.until(10_000) == []
