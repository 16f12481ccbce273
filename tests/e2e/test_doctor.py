"""`callcenter doctor` against a running system: a browser that sees, one that is away, and none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from soft_agent import SoftAgent
from world import World, running, wait_for

from callcenter.events import CallEnded, CallRang

pytestmark = pytest.mark.integration

QUIET = {"live": dict.fromkeys(("fa", "he", "en"), "off"), "second_pass": "off"}
HOPS = [
    "web: /readyz",
    "SIP: INVITE → 100",
    "SIP: INVITE → 180",
    "log: call recorded",
    "match: record written",
    "queue: offered to an agent",
    "push: sent to the agent's browser",
    "browser: the pop was seen",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(Path(tmp_path_factory.mktemp("doctor")), speech=QUIET) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        yield started


@contextmanager
def sitting(world: World) -> Iterator[SoftAgent]:
    agent = SoftAgent(world, "dana").connect_audio().available()
    try:
        yield agent
    finally:
        agent.close()


def hops(output: str) -> list[tuple[bool, float | None, str]]:
    found = re.findall(r"^(ok|FAIL) +(?:([\d.]+) ms|-) +(.+)$", output, re.M)
    return [(ok == "ok", float(ms) if ms else None, name) for ok, ms, name in found]


def last_call(world: World) -> str:
    return str(world.facts(CallRang)[-1].call)


def test_each_hop_of_a_call_that_was_seen_has_its_time_and_the_call_is_put_away(
    world: World,
) -> None:
    with sitting(world) as dana:

        def see(payload: dict[str, Any]) -> None:
            dana.socket.emit("pop.seen", {"seq": payload["seq"]})

        dana.socket.on("call.ringing", see)
        ran = world.command("doctor", "--seconds", "60")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found = hops(ran.stdout)
        assert len(found) == len(HOPS), ran.stdout
        times = []
        for (ok, ms, name), expected in zip(found, HOPS, strict=True):
            assert ok, ran.stdout
            assert name.startswith(expected), ran.stdout
            assert ms is not None
            times.append(ms)
        assert times[-3:] == sorted(times[-3:]), ran.stdout  # offered, sent, seen
        assert "All hops were reached." in ran.stdout

        call = last_call(world)
        assert world.wait_fact(CallEnded, call=call).reason == "abandoned"
        assert dana.api.interaction(call)["handled_at"]

        past = world.command("doctor", "--call", call)
        assert past.returncode == 0, past.stdout + past.stderr
        assert "The pop was shown" in past.stdout
        assert re.search(r"dana: the call rang here; pop \d+ sent after", past.stdout)
        sara = world.api("sara")
        assert sara.get(f"/calls/{call}/diagnosis")["verdict"] == "seen"


def test_a_browser_that_says_nothing_and_an_agent_on_a_break_are_named(world: World) -> None:
    with sitting(world) as dana:
        ran = world.command("doctor", "--seconds", "12")
        assert ran.returncode == 1, ran.stdout
        assert [ok for ok, _, _ in hops(ran.stdout)] == [True] * 7 + [False], ran.stdout
        assert "no browser of the agent said that it was seen" in ran.stdout

        wait_for(
            lambda: dana.ask("agent.state", state="break")["ok"], "dana is free to have a break"
        )
        ran = world.command("doctor", "--seconds", "12")
        assert ran.returncode == 1, ran.stdout
        assert "dana: on a break" in ran.stdout
        past = world.command("doctor", "--call", last_call(world))
        assert past.returncode == 1, past.stdout + past.stderr
        assert "none of them is free" in past.stdout


def test_a_system_that_is_down_fails_at_the_first_hop(tmp_path: Path) -> None:
    world = World(tmp_path, speech=QUIET)
    assert world.command("db", "upgrade").returncode == 0
    ran = world.command("doctor", "--seconds", "1")
    assert ran.returncode == 1, ran.stdout
    assert [ok for ok, _, _ in hops(ran.stdout)] == [False, False], ran.stdout
    assert "is it up?" in ran.stdout


def test_a_call_that_is_not_in_the_log_is_said_in_one_sentence(world: World) -> None:
    ran = world.command("doctor", "--call", "nothing")
    assert ran.returncode == 1
    assert "there is no such call" in ran.stderr
    assert "Traceback" not in ran.stderr
