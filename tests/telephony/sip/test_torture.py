"""The torture set through the core: RFC 4475, RFC 5118 and our own abuse messages.

The same over real sockets, with a live call: tests/e2e/test_faults.py.
"""

from __future__ import annotations

import random

import pytest
from sip_bench import FLOW, OFFER, Scene, events, messages, request, statuses
from torture_set import Case, allowed, cases, mutant

from callcenter.telephony.ports import Address
from callcenter.telephony.sip.actions import IncomingInvite, Send
from callcenter.telephony.sip.message import Response

ROUTED = {"100", "user", "probe"}


CASES = cases()


def outcome(scene: Scene, data: bytes) -> int | None:
    """The final response, else the last provisional one, of an application that knows ROUTED."""
    actions = scene.send(data)
    for event in events(actions):
        assert isinstance(event, IncomingInvite)
        if event.call.invite.target.user in ROUTED:
            actions += scene.ua.ring(event.call, scene.now)
        else:
            actions += scene.ua.reject(event.call, 404, scene.now)
    answers = [each.status for each in messages(actions) if isinstance(each, Response)]
    return answers[-1] if answers else None


def failures(name: str) -> dict[str, int | None]:
    found = {case.file: outcome(Scene(), case.data) for case in CASES if case.set == name}
    expected = {case.file: case.expect for case in CASES}
    return {file: got for file, got in found.items() if not allowed(got, expected[file])}


@pytest.mark.parametrize(("name", "size"), [("rfc4475", 49), ("rfc5118", 11), ("abuse", 25)])
def test_every_answer_is_one_that_the_index_allows(name: str, size: int) -> None:
    assert sum(case.set == name for case in CASES) == size
    assert failures(name) == {}


def test_one_listener_survives_them_all_in_a_row_and_a_live_call_goes_on() -> None:
    scene = Scene()
    call = scene.talking(call_id="live")
    for case in CASES:
        outcome(scene, case.data)
        probe = request("OPTIONS", call_id=f"probe-{case.file}", branch=f"p{case.file}")
        assert statuses(scene.send(probe)) == [200]
    assert scene.call is call
    assert statuses(scene.within("BYE", 9, call_id="live")) == [200]


def test_nothing_is_ever_sent_to_an_address_that_a_message_names() -> None:
    for case in CASES:
        scene = Scene()
        for action in scene.send(case.data):
            if isinstance(action, Send):
                assert action.flow.remote.host == FLOW.remote.host, case.file


def test_octets_after_the_content_length_ring_nobody() -> None:
    data = next(case.data for case in CASES if case.file == "dblreq.dat")
    assert b"\r\nINVITE " in data
    assert events(Scene().send(data)) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_message_cut_anywhere_raises_nothing(case: Case) -> None:
    data = case.data[:4000]
    for end in range(0, len(data), max(1, len(data) // 60)):
        Scene().send(data[:end])


def test_five_thousand_mutants_leave_a_live_call_alone_and_nothing_behind() -> None:
    chance = random.Random(20)
    scene = Scene()
    scene.talking(call_id="live")
    seeds = [case.data for case in CASES if 0 < len(case.data) < 4000]
    for number in range(5000):
        scene.now += 0.01
        scene.ua.poll(scene.now)
        outcome(scene, mutant(chance.choice(seeds), chance))
        if number % 100 == 0:
            probe = request("OPTIONS", call_id=f"m{number}", branch=f"m{number}")
            assert statuses(scene.send(probe)) == [200]
    assert statuses(scene.within("BYE", 9, call_id="live")) == [200]
    for call in list(scene.ua._calls.values()):
        scene.ua.hang_up(call, scene.now)
    scene.run_until(200.0)
    assert scene.ua.next_deadline() is None
    assert not scene.ua._layer.servers
    assert not scene.ua._calls


def test_a_message_over_the_limit_is_told_so() -> None:
    big = request(body=OFFER, extra=f"X-Filler: {'x' * 9000}\r\n")
    assert statuses(Scene().send(big)) == [513]


def test_the_scanner_learns_no_version() -> None:
    data = next(case.data for case in CASES if case.file == "ab_scanner.dat")
    (answer,) = messages(Scene().send(data))
    assert answer.headers.get("Server") == "callcenter"


def test_replies_go_to_the_source_even_when_via_names_a_third_party() -> None:
    data = next(case.data for case in CASES if case.file == "ab_reflect.dat")
    (send,) = Scene().send(data)
    assert isinstance(send, Send)
    assert send.flow.remote == Address(FLOW.remote.host, 5060)
