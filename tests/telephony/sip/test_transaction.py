"""The four transactions with a scripted clock (RFC 3261 17, RFC 6026)."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sip_bench import FLOW, request

from callcenter.telephony.sip.actions import Action, Flow, Send
from callcenter.telephony.sip.client import InviteClient, NonInviteClient
from callcenter.telephony.sip.message import Request, Response
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.responses import build
from callcenter.telephony.sip.server import InviteServer, NonInviteServer
from callcenter.telephony.sip.timers import Agenda, Timed
from callcenter.telephony.sip.transaction import Layer, State, server_key

TCP = replace(FLOW, transport="TCP")


class Stage:
    """A transaction layer, its clock and what it sent: (seconds, status or method)."""

    def __init__(self) -> None:
        self.agenda = Agenda()
        self.now = 0.0
        self.sent: list[tuple[float, int | str]] = []
        self.layer = Layer(self.agenda, self._sent)

    def _sent(self, action: Action) -> None:
        assert isinstance(action, Send)
        message = parse(action.data)
        what = message.status if isinstance(message, Response) else message.method
        self.sent.append((self.now, what))

    def run(self, until: float = 1000.0) -> None:
        while (deadline := self.agenda.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            self.agenda.fire(deadline)

    def times(self, what: int | str) -> list[float]:
        return [at for at, each in self.sent if each == what]


def read(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def invite_server(stage: Stage, flow: Flow = FLOW) -> InviteServer:
    return InviteServer(stage.layer, read(request()), flow).opened()


def options_server(stage: Stage, flow: Flow = FLOW) -> NonInviteServer:
    return NonInviteServer(stage.layer, read(request("OPTIONS")), flow).opened()


def answer(status: int, method: str = "INVITE") -> Response:
    return build(read(request(method)), status, "tag")


class Outcome:
    def __init__(self) -> None:
        self.seen: list[int | None] = []

    def __call__(self, response: Response | None, now: float) -> None:
        self.seen.append(response.status if response else None)


# --- timers ---


class Recorder(Timed):
    def __init__(self, agenda: Agenda) -> None:
        super().__init__(agenda)
        self.fired: list[tuple[str, float]] = []

    def expire(self, timer: str, now: float) -> None:
        self.fired.append((timer, now))


def test_timers_fire_in_order_once_and_not_when_stopped_or_moved() -> None:
    agenda = Agenda()
    owner = Recorder(agenda)
    owner.start("B", 2.0)
    owner.start("A", 1.0)
    owner.start("gone", 1.5)
    owner.stop("gone")
    owner.start("A", 3.0)
    assert agenda.next_deadline() == 2.0
    agenda.fire(2.5)
    assert owner.fired == [("B", 2.5)]
    agenda.fire(10.0)
    assert owner.fired == [("B", 2.5), ("A", 10.0)]
    assert agenda.next_deadline() is None


# --- INVITE server ---


def test_a_refusal_is_repeated_by_timer_g_and_given_up_by_timer_h() -> None:
    stage = Stage()
    server = invite_server(stage)
    server.respond(answer(486), 0.0)
    stage.run()
    assert stage.times(486) == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert stage.now == 32.0
    assert server.state is State.TERMINATED
    assert not stage.layer.servers


def test_the_ack_stops_timer_g_and_timer_i_absorbs_more_of_them() -> None:
    stage = Stage()
    server = invite_server(stage)
    server.respond(answer(486), 0.0)
    stage.run(0.6)
    assert server.receive(read(request("ACK")), 0.6) is False
    assert server.state is State.CONFIRMED
    server.receive(read(request("ACK")), 0.7)
    stage.run()
    assert stage.times(486) == [0, 0.5]
    assert stage.now == 0.6 + 5.0
    assert not stage.layer.servers


def test_over_a_reliable_transport_nothing_is_repeated_and_i_is_zero() -> None:
    stage = Stage()
    server = invite_server(stage, TCP)
    server.respond(answer(486), 0.0)
    server.receive(read(request("ACK")), 1.0)
    stage.run()
    assert stage.times(486) == [0]
    assert stage.now == 1.0


def test_a_repeated_invite_gets_the_last_response_again_octet_by_octet() -> None:
    actions: list[Action] = []
    layer = Layer(Agenda(), actions.append)
    server = InviteServer(layer, read(request()), FLOW).opened()
    server.trying()
    for status in (180, 200):
        server.respond(answer(status), 0.0)
        server.receive(read(request()), 0.0)
        assert actions[-1] == actions[-2]


def test_accepted_lasts_for_timer_l_and_hands_acks_on() -> None:
    stage = Stage()
    server = invite_server(stage)
    server.respond(answer(200), 0.0)
    assert server.state is State.ACCEPTED
    assert server.receive(read(request("ACK")), 0.1) is True
    server.respond(answer(486), 0.2)
    stage.run()
    assert [what for _, what in stage.sent] == [200]
    assert stage.now == 32.0


# --- other servers ---


def test_a_repeated_request_is_answered_again_until_timer_j() -> None:
    stage = Stage()
    server = options_server(stage)
    server.receive(read(request("OPTIONS")), 0.0)
    assert stage.sent == []
    server.respond(answer(200, "OPTIONS"), 0.0)
    server.receive(read(request("OPTIONS")), 1.0)
    server.respond(answer(500, "OPTIONS"), 2.0)
    stage.run()
    assert [what for _, what in stage.sent] == [200, 200]
    assert stage.now == 32.0
    assert not stage.layer.servers


def test_timer_j_is_zero_over_a_reliable_transport() -> None:
    stage = Stage()
    options_server(stage, TCP).respond(answer(200, "OPTIONS"), 3.0)
    stage.run()
    assert stage.now == 3.0


# --- clients ---


def test_a_request_is_repeated_by_timer_e_and_given_up_by_timer_f() -> None:
    stage, outcome = Stage(), Outcome()
    client = NonInviteClient(stage.layer, read(request("BYE")), FLOW, outcome).opened()
    client.begin(0.0)
    stage.run()
    assert stage.times("BYE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert outcome.seen == [None]
    assert stage.now == 32.0
    assert not stage.layer.clients


def test_after_a_provisional_response_it_is_repeated_every_t2() -> None:
    stage, outcome = Stage(), Outcome()
    client = NonInviteClient(stage.layer, read(request("BYE")), FLOW, outcome).opened()
    client.begin(0.0)
    client.receive(answer(100, "BYE"), 0.1)
    stage.run(10.0)
    assert stage.times("BYE") == [0, 0.5, 4.5, 8.5]
    client.receive(answer(200, "BYE"), 10.0)
    client.receive(answer(200, "BYE"), 10.1)
    stage.run()
    assert outcome.seen == [100, 200]
    assert stage.now == 15.0


def test_an_invite_is_repeated_by_timer_a_and_given_up_by_timer_b() -> None:
    stage, outcome = Stage(), Outcome()
    InviteClient(stage.layer, read(request()), FLOW, outcome).opened().begin(0.0)
    stage.run()
    assert stage.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert outcome.seen == [None]
    assert stage.now == 32.0


def test_a_refused_invite_is_acknowledged_each_time_until_timer_d() -> None:
    stage, outcome = Stage(), Outcome()
    client = InviteClient(stage.layer, read(request()), FLOW, outcome).opened()
    client.begin(0.0)
    client.receive(answer(180), 0.1)
    client.receive(answer(486), 0.2)
    client.receive(answer(486), 0.7)
    stage.run()
    assert [what for _, what in stage.sent] == ["INVITE", "ACK", "ACK"]
    assert outcome.seen == [180, 486]
    assert stage.now == pytest.approx(32.2)


def test_an_accepted_invite_hands_every_200_on_until_timer_m() -> None:
    stage, outcome = Stage(), Outcome()
    client = InviteClient(stage.layer, read(request()), FLOW, outcome).opened()
    client.begin(0.0)
    client.receive(answer(200), 1.0)
    client.receive(answer(200), 1.5)
    client.receive(answer(486), 1.6)
    stage.run()
    assert outcome.seen == [200, 200]
    assert stage.now == 33.0


def test_client_and_server_agree_over_a_link_that_loses_two_thirds() -> None:
    chance = random.Random(7)
    for _ in range(50):
        outcome = lossy_exchange(chance)
        assert outcome in ([200], [None])
    assert lossy_exchange(random.Random(1), loss=0.0) == [200]


def lossy_exchange(chance: random.Random, loss: float = 0.66) -> list[int | None]:
    """BYE through two layers joined by a bad link; what the client made of it."""
    agenda, outcome = Agenda(), Outcome()
    executed: list[Request] = []
    clock = 0.0

    def to_server(action: Action) -> None:
        assert isinstance(action, Send)
        if chance.random() < loss:
            return
        bye = read(action.data)
        known = servers.servers.get(server_key(bye))
        if isinstance(known, NonInviteServer):
            known.receive(bye, clock)
            return
        executed.append(bye)
        NonInviteServer(servers, bye, FLOW).opened().respond(build(bye, 200, "t"), clock)

    def to_client(action: Action) -> None:
        assert isinstance(action, Send)
        response = parse(action.data)
        if chance.random() >= loss and isinstance(response, Response):
            client.receive(response, clock)

    clients, servers = Layer(agenda, to_server), Layer(agenda, to_client)
    client = NonInviteClient(clients, read(request("BYE")), FLOW, outcome).opened()
    client.begin(clock)
    while (deadline := agenda.next_deadline()) is not None:
        clock = deadline
        agenda.fire(clock)
    assert len(executed) <= 1
    assert not clients.clients
    assert not servers.servers
    return outcome.seen


# --- matching ---


def test_ack_and_cancel_find_the_invite_and_other_branches_do_not() -> None:
    invite = read(request())
    assert server_key(read(request("ACK"))) == server_key(invite)
    assert server_key(read(request("CANCEL")), "INVITE") == server_key(invite)
    assert server_key(read(request(branch="b2"))) != server_key(invite)
    assert server_key(read(request(via="192.0.2.99"))) != server_key(invite)


def test_without_a_unique_branch_two_callers_do_not_collide() -> None:
    old = request().replace(b";branch=z9hG4bKb1", b";branch=1")
    other = old.replace(b"call-1", b"call-2")
    assert server_key(read(old)) == server_key(read(old))
    assert server_key(read(old)) != server_key(read(other))
