"""Faults of the whole telephone system: what the catalogue of research/reliability.md asks (A13–A19
beside test_kills and test_pops), on one running system without recognisers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from fuzz import FLAT, SLACK, bombard, resident
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound
from target import SETTINGS, live_call
from torture import Sender
from torture_set import cases
from udp_peer import UdpPeer
from world import World, finish, running, wait_for

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


def flood(port: int, seconds: float) -> int:
    """300 OPTIONS and 50 INVITE a second from an address of no trunk; how many were sent."""
    sent, begun = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.200.0.3", 0))
        while (spent := time.monotonic() - begun) < seconds:
            while sent < spent * 350:
                method = "INVITE" if sent % 7 == 0 else "OPTIONS"
                text = (
                    f"{method} sip:100@127.0.0.1 SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP 127.200.0.3;branch=z9hG4bK{sent}\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:x@x>;tag=1\r\nTo: <sip:100@x>\r\nCall-ID: flood-{sent}\r\n"
                    f"CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
                )
                stranger.sendto(text.encode(), ("127.0.0.1", port))
                sent += 1
            time.sleep(0.005)
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(1)  # silence
    return sent


def test_a_flood_from_a_stranger_costs_no_sound_no_page_and_no_memory(world: World) -> None:
    """A11, shortened: ten seconds, one recorded call and four that wait."""
    world.add_user("dana")
    world.add_user("sara", "supervisor")
    (pid,) = world.pids("telephony")
    dana = SoftAgent(world, "dana").connect_audio().available()
    caller = world.sipp("uac_record.xml", to="700", seconds=14)
    call = dana.answer_next()
    waiting = world.sipp("uac_record.xml", "-r", "4", to="400", calls=4, seconds=60)
    sara, before = world.api("sara"), resident(pid)
    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood, world.sip_port, 10.0)
        times = []
        while not flooding.done():
            begun = time.monotonic()
            sara.get("/interactions")
            times.append(time.monotonic() - begun)
            time.sleep(0.1)
        sent = flooding.result()
    finish(caller)
    assert world.wait_fact(CallEnded, call=call).reason == "completed"
    _, customer, _ = sealed_sound(world, call)
    assert frames_found(customer, 14 * 50, world.folder) >= 0.99
    p95 = sorted(times)[int(len(times) * 0.95)]
    assert p95 < 5.0, f"pages took {p95:.2f} s"
    assert resident(pid) < before * FLAT + SLACK
    lines = [line for line in world.log_lines() if "SECURITY sip" in line]
    mine = [line for line in lines if "127.200.0.3" in line]
    assert 1 <= len(mine) <= 2, "a line a minute"
    health = httpx.get(world.base + "/readyz", timeout=10, trust_env=False).json()
    assert health["telephony"]["sip"]["refused"]["source is of no trunk"] >= sent * 0.9
    assert waiting.poll() is None, "those who wait still wait"
    waiting.kill()
    dana.close()


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
