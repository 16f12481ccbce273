"""Faults of the whole telephone system: what the catalogue of research/reliability.md asks (A13–A19
beside test_kills and test_pops), on one running system without recognisers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fuzz import bombard
from target import SETTINGS, live_call
from torture import Sender
from torture_set import cases
from udp_peer import UdpPeer
from world import World, running, wait_for

from callcenter.database import open_database
from callcenter.events import CallEnded, CallQueued, CallRang
from callcenter.telephony import dialogs

FAULTS = Path(__file__).parent / "faults"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("faults"))
    with running(folder, recording={"format": "wav"}, **SETTINGS) as started:
        yield started


def test_dialogs_that_were_open_at_a_kill_get_their_bye_after_the_restart(world: World) -> None:
    """A14: the caller does not sit in silence. One peer answers the BYE, the other is deaf."""
    routes = f"Record-Route: <sip:127.0.0.1:{world.sip_port + 1};lr>\r\n"
    peer, deaf = UdpPeer(world.sip_port, extra=routes), UdpPeer(world.sip_port, answers_bye=False)
    for one in (peer, deaf):
        one.invite(to="400")  # the line that answers early: no agent is needed
        one.answered()
    engine = open_database(world.settings.database_url)
    wait_for(lambda: len(dialogs.left_open(engine, "local")) == 2, "both dialogs are kept")
    world.kill("telephony")
    for one in (peer, deaf):
        wait_for(partial(one.saw, "BYE "), "BYE after the restart", seconds=30)
    (bye,) = peer.saw("BYE ")
    assert bye.line == f"BYE sip:caller@127.0.0.1:{peer.own} SIP/2.0"
    assert (bye.header("Call-ID"), bye.header("From")) == (peer.call_id, peer.remote)
    assert bye.header("To").endswith(f";tag={peer.tag}")
    assert bye.header("Route") == f"<sip:127.0.0.1:{world.sip_port + 1};lr>"
    assert f"127.0.0.1:{world.sip_port};" in bye.header("Via"), "from the address of before"
    repeated = wait_for(lambda: len(deaf.saw("BYE ")) >= 3 and deaf.saw("BYE "), "repetitions")
    assert len({one.text for one in repeated}) == 1
    deaf.answers_bye = True  # it hears again: the next repetition is the last
    wait_for(lambda: not dialogs.left_open(engine, "local"), "both are forgotten")
    assert len(peer.saw("BYE ")) == 1
    assert [end.reason for end in world.facts(CallEnded)] == ["interrupted", "interrupted"]
    engine.dispose()
    for one in (peer, deaf):
        one.close()


def test_the_torture_set_kills_and_slows_nothing_while_somebody_calls(world: World) -> None:
    """A01, A02: RFC 4475, RFC 5118 and the abuse set over real sockets; the goals are reached."""
    (pid,) = world.pids("telephony")
    sender = Sender("127.0.0.1", world.sip_port)
    with live_call(world):
        score = sender.run(cases())
    sender.close()
    print("\n".join(score.lines()))  # noqa: T201 - the score, for who runs it with -s
    assert score.reached, score.lines()
    assert world.pids("telephony") == [pid]
    assert not [line for line in world.log_lines() if "Traceback" in line]


def test_mutants_leave_the_listener_alive_and_its_memory_flat(world: World) -> None:
    """The short form of `make fuzz`; the long one sends 5,000."""
    (pid,) = world.pids("telephony")
    with live_call(world):
        outcome = bombard(world.sip_port, pid, messages=1600, seed=4475)
    print(outcome.line())  # noqa: T201
    assert outcome.well, outcome.line()
    assert world.pids("telephony") == [pid]


def test_clock_jumps_change_no_duration_and_no_order(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A17: an hour forward, two back, beyond 2038, in the middle of a call."""
    folder = Path(tmp_path_factory.mktemp("clock"))
    clock = folder / "clock"
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    clock.write_text("+0", "ascii")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FAULTS))
        patch.setenv("FAKED_CLOCK", str(library))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(clock))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        world = World(folder, **SETTINGS)
        try:
            world.start()
        except BaseException:
            world.kill_all()
            raise
    try:
        peer = UdpPeer(world.sip_port)
        begun = time.monotonic()
        peer.invite(to="400")
        peer.answered()
        for jump in ("+3600", "-3600", "+20y"):
            clock.write_text(jump, "ascii")
            time.sleep(0.7)  # the call lasts while the clock stands differently
        spent = time.monotonic() - begun
        peer.send("BYE")
        end = world.wait_fact(CallEnded)
        assert abs(end.seconds - spent) < 1.0, (end.seconds, spent)
        facts = world.facts(CallRang, CallQueued, CallEnded)
        assert [type(fact) for fact in facts] == [CallRang, CallQueued, CallEnded]
        assert facts[-1].at.year > 2038, "the clock did jump"
        peer.close()
    finally:
        world.kill_all()
