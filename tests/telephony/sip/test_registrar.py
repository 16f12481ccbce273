"""Desk phones register: bytes in, responses out, on a scripted clock (RFC 3261 10.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sip_bench import FLOW, OFFER, SOUND, US, messages, request, tokens
from torture_set import FOLDER

from callcenter.telephony.ports import Address
from callcenter.telephony.sip.actions import (
    Action,
    Flow,
    IncomingInvite,
    PhoneMoved,
    PhoneMoves,
    Send,
    Suspicious,
)
from callcenter.telephony.sip.digest import (
    MD5,
    NONCE_SECONDS,
    SHA256,
    Answerer,
    Authenticator,
    Demand,
    Login,
    parse_digest,
)
from callcenter.telephony.sip.headers import NameAddr
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.outgoing import Invitation
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.registrar import KEEP_ALIVE, Phones, callable_uri, same_uri
from callcenter.telephony.sip.uri import parse_uri
from callcenter.telephony.sip.useragent import UserAgent

HOME = "198.51.100."  # where phones may register from; no trunk is there
DESK = Flow("udp://test", US, Address(HOME + "7", 5062))
MINE = "<sip:201@198.51.100.7:5062>"
PASSWORDS = {"201": "open sesame", "202": "let me in"}


class Desk:
    """A registrar with 201 (SHA-256) and 202 (MD5), a clock, and phones."""

    def __init__(self, **more: Any) -> None:
        demands = [
            Demand(Login(name, password), "callcenter", (MD5 if name == "202" else SHA256,))
            for name, password in PASSWORDS.items()
        ]
        judge = Authenticator(demands[0], tokens(500), *demands[1:])
        phones = Phones(judge, self.permits, **more)
        self.ua = UserAgent(tokens(), phones=phones, calls_us=lambda source: source == "192.0.2.20")
        self.now = 100.0
        self.disk: list[PhoneMoves] = []
        self.disk_is_well = True
        self.cseq = 0
        self.moved: list[str] = []

    @staticmethod
    def permits(source: str, extension: str | None) -> bool:
        only = source.startswith(HOME) and (extension != "202" or source.endswith(".9"))
        return only

    def send(self, data: bytes, flow: Flow = DESK) -> list[Action]:
        """What comes of it, once the disk did its part."""
        actions = self.ua.receive(data, flow, self.now)
        for moves in [one for one in actions if isinstance(one, PhoneMoves)]:
            self.disk.append(moves)
            actions += self.ua.kept(moves, self.disk_is_well, self.now)
        self.moved += [one.extension for one in actions if isinstance(one, PhoneMoved)]
        return actions

    def register(
        self,
        *contacts: str,
        user: str = "201",
        flow: Flow = DESK,
        password: str | None = None,
        algorithm: str = SHA256,
        **kw: Any,
    ) -> Response:
        """A REGISTER with the credentials that it is asked for; the last answer."""
        asked = self.ask(*contacts, user=user, flow=flow, **kw)
        self.cseq += 1
        login = Login(user, password or PASSWORDS.get(user, "guess"))
        bare = register(*contacts, user=user, cseq=self.cseq, **kw)
        found = Answerer(login, (algorithm,), tokens(900)).credentials(asked, parsed(bare))
        signed = f"{found[0]}: {found[1]}\r\n" if found else ""
        extra = signed + kw.pop("extra", "")
        whole = register(*contacts, user=user, cseq=self.cseq, extra=extra, **kw)
        return final(self.send(whole, flow))

    def ask(self, *contacts: str, flow: Flow = DESK, **kw: Any) -> Response:
        """The same without any."""
        self.cseq += 1
        return final(self.send(register(*contacts, cseq=self.cseq, **kw), flow))

    def places(self, user: str = "201") -> list[str]:
        return [one.contact for one in self.ua.places(user, self.now)]

    def pass_time(self, seconds: float) -> list[Action]:
        self.now += seconds
        actions = self.ua.poll(self.now)
        self.moved += [one.extension for one in actions if isinstance(one, PhoneMoved)]
        return actions


def register(
    *contacts: str,
    user: str = "201",
    cseq: int = 1,
    extra: str = "",
    call_id: str = "reg-1",
    to: str | None = None,
    via: str = "198.51.100.7:5062;rport",
) -> bytes:
    lines = "".join(f"Contact: {contact}\r\n" for contact in contacts)
    return (
        "REGISTER sip:192.0.2.10 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{call_id}{cseq}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@192.0.2.10>;tag=phone\r\n"
        f"To: <sip:{to or user}@192.0.2.10>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n"
        f"{lines}{extra}Content-Length: 0\r\n\r\n"
    ).encode()


def parsed(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def final(actions: list[Action]) -> Response:
    message = messages(actions)[-1]
    assert isinstance(message, Response)
    return message


def contacts(response: Response) -> list[str]:
    return response.headers.all("Contact")


# --- who -------------------------------------------------------------------------------------


def test_a_phone_registers_once_it_has_shown_its_password() -> None:
    desk = Desk()
    asked = desk.ask(MINE)
    written = asked.headers.all("WWW-Authenticate")
    assert asked.status == 401
    assert [parse_digest(one)["algorithm"] for one in written] == [SHA256]
    assert desk.places() == []
    done = desk.register(MINE, extra="Expires: 600\r\n")
    assert (done.status, contacts(done)) == (200, [f"{MINE};expires=600"])
    assert desk.places() == ["sip:201@198.51.100.7:5062"]
    assert (desk.moved, len(desk.disk)) == (["201"], 1)


def test_nothing_is_said_before_it_is_on_disk_and_503_when_it_cannot_be() -> None:
    desk = Desk()
    asked = desk.ask(MINE)
    found = Answerer(Login("201", "open sesame"), (SHA256,), tokens(900)).credentials(
        asked, parsed(register(MINE, cseq=2))
    )
    assert found
    whole = register(MINE, cseq=2, extra=f"{found[0]}: {found[1]}\r\n")
    (moves,) = desk.ua.receive(whole, DESK, desk.now)
    assert isinstance(moves, PhoneMoves)
    assert desk.ua.receive(whole, DESK, desk.now) == []  # repeated meanwhile
    assert desk.places() == []
    refused = final(desk.ua.kept(moves, False, desk.now))
    assert (refused.status, desk.places()) == (503, [])
    assert refused.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("user", "algorithm", "status"),
    [("201", SHA256, 200), ("201", MD5, 401), ("202", MD5, 200), ("202", SHA256, 401)],
)
def test_a_phone_is_asked_for_what_it_knows(user: str, algorithm: str, status: int) -> None:
    desk = Desk()
    home = replace(DESK, remote=Address(HOME + "9", 5062))
    answer = desk.register(f"<sip:{user}@198.51.100.9>", user=user, algorithm=algorithm, flow=home)
    assert answer.status == status


def test_a_wrong_password_and_a_wrong_extension_look_alike_and_count() -> None:
    desk = Desk()
    answers = []
    for user in ("201", "299"):
        asked = desk.ask(MINE, user=user)
        desk.cseq += 1
        bare = parsed(register(MINE, user=user, cseq=desk.cseq))
        found = Answerer(Login(user, "guess"), (SHA256,), tokens(900)).credentials(asked, bare)
        assert found
        extra = f"{found[0]}: {found[1]}\r\n"
        actions = desk.send(register(MINE, user=user, cseq=desk.cseq, extra=extra))
        assert [one for one in actions if isinstance(one, Suspicious)] == [
            Suspicious(DESK.remote.host, "digest")
        ]
        answers.append((final(actions).status, len(final(actions).headers)))
    assert answers == [(401, len(asked.headers))] * 2
    assert desk.disk == []


def test_a_phone_registers_itself_only_and_from_its_own_network_only() -> None:
    desk = Desk()
    asked = desk.ask(MINE)
    theirs = register(MINE, to="202", cseq=2)
    found = Answerer(Login("201", "open sesame"), (SHA256,), tokens(900)).credentials(
        asked, parsed(theirs)
    )
    assert found
    extra = f"{found[0]}: {found[1]}\r\n"
    assert final(desk.send(register(MINE, to="202", cseq=2, extra=extra))).status == 403
    desk.cseq = 2
    assert desk.register(MINE, user="202", algorithm=MD5).status == 403
    assert desk.disk == []


def test_an_old_nonce_is_asked_anew_and_counts_against_nobody() -> None:
    desk = Desk()
    asked = desk.ask(MINE)
    found = Answerer(Login("201", "open sesame"), (SHA256,), tokens(900)).credentials(
        asked, parsed(register(MINE, cseq=2))
    )
    assert found
    desk.now += NONCE_SECONDS + 1
    actions = desk.send(register(MINE, cseq=2, extra=f"{found[0]}: {found[1]}\r\n"))
    assert parse_digest(final(actions).headers.get("WWW-Authenticate") or "")["stale"] == "true"
    assert not [one for one in actions if isinstance(one, Suspicious)]


# --- where and for how long ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "header", "granted"),
    [
        (MINE, "", "3600"),
        (MINE, "Expires: 600\r\n", "600"),
        (f"{MINE};expires=300", "Expires: 600\r\n", "300"),
        (MINE, "Expires: 999999\r\n", "3600"),
        (MINE, "Expires: soon\r\n", "3600"),
        (MINE, "Expires: -1\r\n", "3600"),
        (f"{MINE};expires={'9' * 90}", "", "3600"),
        (MINE, "Expires: 60\r\n", "60"),
    ],
)
def test_how_long_a_registration_lasts(contact: str, header: str, granted: str) -> None:
    done = Desk().register(contact, extra=header)
    assert (done.status, contacts(done)) == (200, [f"{MINE};expires={granted}"])


def test_too_brief_an_interval_changes_nothing() -> None:
    desk = Desk()
    answer = desk.register(MINE, extra="Expires: 59\r\n")
    assert (answer.status, answer.reason) == (423, "Interval Too Brief")
    assert answer.headers.get("Min-Expires") == "60"
    assert desk.places() == []


def test_a_registration_ends_by_itself_and_is_renewed_before() -> None:
    desk = Desk()
    desk.register(MINE, extra="Expires: 60\r\n")
    desk.pass_time(40)
    assert contacts(desk.register(MINE, extra="Expires: 60\r\n")) == [f"{MINE};expires=60"]
    desk.pass_time(59)
    assert len(desk.places()) == 1
    desk.moved.clear()
    desk.pass_time(1.5)
    assert (desk.places(), desk.moved) == ([], ["201"])


def test_several_places_each_with_its_own_time() -> None:
    desk = Desk()
    done = desk.register(f"{MINE};expires=600, <sip:201@198.51.100.8>;expires=120")
    assert sorted(contacts(done)) == [
        "<sip:201@198.51.100.7:5062>;expires=600",
        "<sip:201@198.51.100.8>;expires=120",
    ]
    desk.pass_time(121)
    asked = desk.register()  # no Contact: only a question
    assert contacts(asked) == ["<sip:201@198.51.100.7:5062>;expires=479"]
    assert len(desk.disk) == 1


def test_one_place_leaves_with_expires_0_and_all_with_a_star() -> None:
    desk = Desk()
    desk.register(MINE, "<sip:201@198.51.100.8>")
    assert contacts(desk.register(f"{MINE};expires=0")) == ["<sip:201@198.51.100.8>;expires=3600"]
    desk.register(MINE)
    done = desk.register("*", extra="Expires: 0\r\n")
    assert (done.status, contacts(done), desk.places()) == (200, [], [])
    assert desk.disk[-1].bindings == ()


@pytest.mark.parametrize(
    ("values", "header"),
    [(("*",), ""), (("*",), "Expires: 60\r\n"), (("*", MINE), "Expires: 0\r\n")],
)
def test_a_star_stands_alone_with_expires_0(values: tuple[str, ...], header: str) -> None:
    desk = Desk()
    desk.register(MINE)
    assert desk.register(*values, extra=header).status == 400
    assert len(desk.places()) == 1


def test_what_was_overtaken_changes_nothing() -> None:
    desk = Desk()
    desk.cseq = 10
    desk.register(MINE)
    desk.cseq = 5
    assert desk.register(f"{MINE};expires=0").status == 500
    desk.cseq = 7
    assert desk.register("*", extra="Expires: 0\r\n").status == 500
    assert len(desk.places()) == 1
    assert desk.register(f"{MINE};expires=0", call_id="after-a-reboot").status == 200
    assert desk.places() == []


def test_a_phone_that_moved_is_in_one_place_still() -> None:
    desk = Desk()
    uuid = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
    desk.register(f"<sip:201@198.51.100.7:5062>{uuid}")
    desk.register(f"<sip:201@198.51.100.7:6000>{uuid}", call_id="reg-2")
    assert desk.places() == ["sip:201@198.51.100.7:6000"]


def test_more_places_than_allowed_are_refused() -> None:
    desk = Desk(contacts=2)
    many = [f"<sip:201@198.51.100.{host}>" for host in (7, 8, 9)]
    assert desk.register(*many).status == 403
    assert desk.register(*many[:2]).status == 200
    assert desk.register(many[2]).status == 403


@pytest.mark.parametrize(
    "contact",
    ["mailto:a@b.example", "<sip:201@[2001:db8>", "sip:", "<sip:201@a" + "a" * 600 + ">", '"'],
)
def test_a_contact_that_cannot_be_called_is_refused(contact: str) -> None:
    desk = Desk()
    assert desk.register(contact).status == 400
    assert desk.places() == []


def test_an_extension_that_is_insisted_on_and_unknown_is_refused() -> None:
    answer = Desk().register(MINE, extra="Require: path\r\n")
    assert (answer.status, answer.headers.get("Unsupported")) == (420, "path")


def test_requests_of_one_phone_are_done_one_after_the_other() -> None:
    desk = Desk()
    asked = desk.ask(MINE)
    held: list[PhoneMoves] = []
    said: list[Response] = []
    answerer = Answerer(Login("201", "open sesame"), (SHA256,), tokens(900))
    for cseq in range(2, 13):
        contact = f"<sip:201@198.51.100.7:{5060 + cseq % 3}>"
        found = answerer.credentials(asked, parsed(register(contact, cseq=cseq)))
        assert found
        data = register(contact, cseq=cseq, extra=f"{found[0]}: {found[1]}\r\n")
        actions = desk.ua.receive(data, DESK, desk.now)
        held += [one for one in actions if isinstance(one, PhoneMoves)]
        said += [one for one in messages(actions) if isinstance(one, Response)]
    assert (len(held), [one.status for one in said]) == (1, [503, 503])  # one done, eight wait
    while held:
        actions = desk.ua.kept(held.pop(), True, desk.now)
        held += [one for one in actions if isinstance(one, PhoneMoves)]
        said += [one for one in messages(actions) if isinstance(one, Response)]
    assert [one.status for one in said[2:]] == [200] * 9
    assert len(desk.places()) == 3


def test_a_restarted_process_knows_where_the_phones_are() -> None:
    desk, after = Desk(), Desk()
    desk.register(MINE, extra="Expires: 600\r\n")
    after.ua.restore("201", desk.ua.places("201", desk.now), after.now)
    assert after.places() == ["sip:201@198.51.100.7:5062"]
    after.pass_time(601)
    assert (after.places(), after.moved) == ([], ["201"])


# --- the way to it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("via", "port"),
    [("10.0.0.5:5060;rport", 40001), ("10.0.0.5:5070", 5070), ("10.0.0.5", 5060)],
)
def test_calls_go_the_way_that_the_register_came(via: str, port: int) -> None:
    desk = Desk()
    nat = replace(DESK, remote=Address(HOME + "7", 40001))
    desk.register("<sip:201@10.0.0.5:5060;x=1?Route=evil>", flow=nat, via=via)
    (place,) = desk.ua.places("201", desk.now)
    assert place.flow.remote == Address(HOME + "7", port)
    target = callable_uri(place.contact)
    assert target == "sip:201@10.0.0.5:5060;x=1"
    call = desk.ua.outgoing(
        Invitation("c-1", target, NameAddr(parse_uri("sip:100@192.0.2.10"))), place.flow, SOUND
    )
    (sent,) = [one for one in desk.ua.invite(call, desk.now) if isinstance(one, Send)]
    assert sent.flow.remote == Address(HOME + "7", port)
    assert parsed(sent.data).uri == target


def test_the_door_of_a_nat_is_kept_open_while_a_phone_is_registered() -> None:
    desk = Desk()
    desk.register(MINE, extra="Expires: 60\r\n")
    assert Send(b"\r\n\r\n", DESK) in desk.pass_time(KEEP_ALIVE)
    desk.pass_time(60)
    assert not [one for one in desk.pass_time(KEEP_ALIVE) if isinstance(one, Send)]
    assert not [one for one in desk.pass_time(KEEP_ALIVE) if isinstance(one, Send)]


def test_addresses_are_compared_as_the_rfc_says() -> None:
    def same(one: str, other: str) -> bool:
        return same_uri(parse_uri(one), parse_uri(other))

    assert same("sip:201@Host.example;x=1", "sip:201@host.example;lr")
    assert not same("sip:201@host", "sip:201@host:5060")
    assert not same("sip:201@host", "sip:201@host;transport=tcp")
    assert not same("sip:201@host;rinstance=a", "sip:201@host;rinstance=b")
    assert not same("sip:201@host", "sips:201@host")
    assert not same("sip:201@host", "sip:Alice@host")


# --- what strangers hear ---------------------------------------------------------------------


def test_a_phones_network_hears_silence_before_it_registers_and_401_to_calls_after() -> None:
    desk = Desk()
    for method in ("INVITE", "OPTIONS", "BYE", "REFER", "MESSAGE"):
        body = OFFER if method == "INVITE" else ""
        actions = desk.send(request(method, body=body, branch=method, call_id=method))
        assert actions == [Suspicious(DESK.remote.host, "stranger")]
    assert messages(desk.send(b"INVITE sip:100@192.0.2.10 SIP/2.0\r\nVia: broken\r\n\r\n")) == []
    desk.register(MINE)
    assert final(desk.send(request("OPTIONS", branch="o", call_id="o"))).status == 200
    refused = final(desk.send(request(body=OFFER, branch="i", call_id="i")))
    assert refused.status == 401


def calls(
    desk: Desk,
    user: str = "201",
    flow: Flow = DESK,
    signs: str | None = None,
    password: str | None = None,
    extra: str = "",
) -> list[Action]:
    """The phone of `user` calls 202, with the credentials (those of `signs`) it is asked for."""
    desk.cseq += 1
    name = f"call{desk.cseq}"

    def invite(cseq: int, more: str = "") -> bytes:
        return request(
            branch=f"{name}{cseq}",
            call_id=name,
            cseq=cseq,
            from_=f"<sip:{user}@192.0.2.10>;tag=phone",
            uri="sip:202@192.0.2.10",
            body=OFFER,
            extra=extra + more,
        )

    asked = final(desk.send(invite(1), flow))
    assert asked.status == 401
    signer = signs or user
    login = Login(signer, password or PASSWORDS[signer])
    answerer = Answerer(login, (SHA256, MD5), tokens(900))
    signed = answerer.credentials(asked, parsed(invite(2)))
    assert signed is not None
    return desk.send(invite(2, f"{signed[0]}: {signed[1]}\r\n"), flow)


def incoming(actions: list[Action]) -> list[IncomingInvite]:
    return [one for one in actions if isinstance(one, IncomingInvite)]


def test_a_registered_phone_that_proves_itself_may_call() -> None:
    desk = Desk()
    desk.register(MINE)
    (told,) = incoming(calls(desk))
    assert (told.phone, told.replaces) == ("201", None)
    assert told.call.invite.target.user == "202"


def test_a_wrong_password_calls_nobody_and_counts() -> None:
    desk = Desk()
    desk.register(MINE)
    wrong = calls(desk, password="guess")
    assert final(wrong).status == 401
    assert Suspicious(DESK.remote.host, "digest") in wrong
    assert incoming(wrong) == []


def test_a_phone_calls_as_itself_and_from_where_it_is_registered() -> None:
    desk = Desk()
    there = replace(DESK, remote=Address(HOME + "9", 5062))
    desk.register("<sip:202@198.51.100.9>", user="202", flow=there, algorithm=MD5)
    desk.register(MINE)
    for user, flow, signs in (("202", DESK, "202"), ("201", there, "201"), ("202", there, "201")):
        refused = calls(desk, user, flow, signs)
        assert final(refused).status in ((401,) if signs != user else (403,))
        assert incoming(refused) == []
    assert len(incoming(calls(desk, "202", there))) == 1


def test_a_phones_invite_replaces_nobody() -> None:
    desk = Desk()
    desk.register(MINE)
    (told,) = incoming(calls(desk))
    desk.ua.answer(told.call, SOUND, desk.now)
    ours = told.call.dialog.local_tag
    wish = f"Replaces: {told.call.invite.call_id};to-tag={ours};from-tag=phone\r\n"
    refused = calls(desk, extra=wish)
    assert final(refused).status == 403
    assert incoming(refused) == []


def test_a_trunks_register_is_refused_as_ever() -> None:
    desk = Desk()
    assert desk.ask(MINE, flow=FLOW).status == 405
    assert desk.ua.receive(
        register(MINE, cseq=9), replace(FLOW, remote=Address("203.0.113.1", 1)), 1.0
    ) == [Suspicious("203.0.113.1", "stranger")]


@pytest.mark.parametrize(
    "path", sorted((FOLDER / "msgs").glob("*.dat")), ids=lambda path: str(path.stem)
)
def test_nothing_of_the_torture_set_registers_or_breaks_anything(path: Any) -> None:
    desk = Desk()
    desk.register(MINE)
    before = desk.places()
    desk.send(path.read_bytes())
    desk.pass_time(1)
    assert desk.places() == before
    assert len(desk.disk) == 1
