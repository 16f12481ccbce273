"""Two hosts behind Kamailio and nginx, on PostgreSQL and Redis: calls, kills, outages."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm import SPEECH_WORKERS, Farm, farm
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound, tone_share, ulaw_of
from world import DATA, finish, wait_for

from callcenter.events import AgentOffered, CallEnded, CallRang, RecordingSealed, UtteranceHeard

CALLER = "uac_record_routed.xml"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm(Path(tmp_path_factory.mktemp("farm"))) as started:
        yield started


@pytest.fixture
def agents(system: Farm) -> Iterator[dict[str, SoftAgent]]:
    """Signed in through nginx, at whatever web process it chose."""
    both = {name: SoftAgent(system.front, name) for name in ("dana", "omid")}
    for agent in both.values():
        agent.connect_audio().available()
    yield both
    for agent in both.values():
        agent.close()


def answer(agents: dict[str, SoftAgent], system: Farm, known: set[str]) -> tuple[str, SoftAgent]:
    """Whoever is rung by a new call answers it: (call, who)."""

    def rung() -> list[AgentOffered]:
        offers: list[AgentOffered] = system.front.facts(AgentOffered)
        return [offer for offer in offers if offer.call not in known]

    offer = wait_for(rung, "a new call rings")[0]
    agent = next(one for one in agents.values() if one.id == offer.agent)
    assert agent.answer_next() == offer.call
    return offer.call, agent


def hears(agent: SoftAgent) -> None:
    wait_for(lambda: agent.loudness() > 1000, "the agent hears the caller")


def say(figure: str) -> None:
    """Shown with `pytest -s`: no limit of a test, the machine may be busy."""
    sys.stderr.write(f"{figure}\n")


def node_of(system: Farm, call: str) -> str:
    rang: CallRang = system.front.facts(CallRang, call=call)[0]
    return rang.node


def test_agents_at_any_web_process_take_calls_of_any_node(
    system: Farm, agents: dict[str, SoftAgent]
) -> None:
    calls: dict[str, SoftAgent] = {}
    callers = []
    for _ in range(2):
        callers.append(system.front.sipp(CALLER, seconds=8))
        call, agent = answer(agents, system, set(calls))
        calls[call] = agent
    assert {node_of(system, call) for call in calls} == {"a", "b"}
    for agent in calls.values():
        hears(agent)
    floor = system.front.api("sara").get("/agents")["items"]
    assert {row["state"] for row in floor if row["username"] in agents} == {"on_call"}
    for caller in callers:
        finish(caller)
    for call, agent in calls.items():
        assert agent.wait("call.ended", call=call)["reason"] == "completed"
        assert len(agent.saw("call.ringing", call=call)) == 1
        assert len(system.front.facts(CallEnded, call=call)) == 1
        agents_sound, customer, _ = sealed_sound(system.front, call)
        assert tone_share(agents_sound, 1000) > 0.8
        assert frames_found(customer, 7 * 50, system.folder) >= 0.99
        assert system.front.api("sara").interaction(call)["outcome"] == "completed"
    for agent in agents.values():
        numbers = [payload["seq"] for _, payload in agent.events if "seq" in payload]
        assert numbers == sorted(set(numbers))


def test_each_host_s_own_speech_workers_caption_its_calls_for_agents_anywhere(
    system: Farm, agents: dict[str, SoftAgent]
) -> None:
    said = (ulaw_of(DATA / "speech" / "joe04.wav") + b"\xff" * 8000) * 4
    assert [len(host.pids("speech")) for host in system.hosts.values()] == [SPEECH_WORKERS] * 2
    known = _rang(system)
    calls: dict[str, SoftAgent] = {}
    callers = []
    for _ in range(2):
        callers.append(system.front.sipp(CALLER, seconds=20, sound=said))
        call, agent = answer(agents, system, known | set(calls))
        calls[call] = agent
    assert {node_of(system, call) for call in calls} == {"a", "b"}
    for call, agent in calls.items():
        caption = agent.wait("caption", call=call, leg="customer", kind="final")
        heard = system.front.wait_fact(UtteranceHeard, call=call, leg="customer")
        assert "invoice" in heard.text.lower()
        assert caption["text"]
    for caller in callers:
        finish(caller)


def test_an_outage_of_postgresql_and_of_redis_loses_no_call_and_doubles_no_pop(
    system: Farm, agents: dict[str, SoftAgent]
) -> None:
    """A20 with a call in progress: both servers are stopped and started again."""
    before = _rang(system)
    caller = system.front.sipp(CALLER, seconds=600)
    call, agent = answer(agents, system, before)
    wait_for(lambda: agent.loudness() > 1000, "the agent hears the caller")
    system.redis.stop()
    system.postgres.stop()
    wait_for(lambda: system.status() == 503, "/readyz turns red")
    agent.heard.clear()
    wait_for(lambda: agent.loudness() > 1000, "the two talk on")
    system.postgres.start()
    system.redis.start()
    wait_for(lambda: system.status() == 200, "/readyz turns green again")
    before = _rang(system)
    second = system.front.sipp(CALLER, seconds=3)
    later, other = answer(agents, system, before)
    finish(second)
    assert agent.ask("call.hangup", call=call)["ok"]
    caller.kill()
    for one, whose in ((call, agent), (later, other)):
        assert whose.wait("call.ended", call=one)["reason"] == "completed"
        assert len(whose.saw("call.ringing", call=one)) == 1
        assert len(system.front.facts(CallRang, call=one)) == 1
        assert len(system.front.facts(CallEnded, call=one)) == 1
        system.front.wait_fact(RecordingSealed, call=one)


def test_a_host_that_is_killed_loses_its_own_calls_only_and_the_other_takes_the_next(
    system: Farm, agents: dict[str, SoftAgent]
) -> None:
    known = _rang(system)
    calls: dict[str, SoftAgent] = {}
    for _ in range(2):
        system.front.sipp(CALLER, seconds=600)
        call, agent = answer(agents, system, known | set(calls))
        calls[call] = agent
    for call, agent in calls.items():  # every order finds the node of its call
        for what in ("call.hold", "call.resume", "recording.pause", "recording.resume"):
            assert agent.ask(what, call=call)["ok"], what
    lost = next(call for call in calls if node_of(system, call) == "a")
    kept = next(call for call in calls if node_of(system, call) == "b")
    known |= set(calls)

    system.hosts["a"].kill_all()
    killed = time.monotonic()
    system.front.sipp(CALLER, seconds=600)  # at once: Kamailio may not know yet
    rang = wait_for(lambda: _rang(system) - known, "the next call is taken")
    say(f"a new call was taken {time.monotonic() - killed:.2f} s after the kill")
    (next_call,) = rang
    assert node_of(system, next_call) == "b"

    end = system.front.wait_fact(CallEnded, call=lost)
    say(f"the lost call was ended {time.monotonic() - killed:.2f} s after the kill")
    assert (end.reason, end.by) == ("interrupted", "system")
    assert system.front.facts(CallEnded, call=kept) == []
    calls[kept].heard.clear()
    wait_for(lambda: calls[kept].loudness() > 1000, "the other call goes on")

    # Its agent is free again and takes the next call at the other node, wherever the socket is now.
    wait_for(lambda: all(one.socket.connected for one in agents.values()), "sockets are back")
    free = calls[lost]
    wait_for(lambda: system.front.facts(AgentOffered, call=next_call), "the agent is rung")
    wait_for(lambda: free.ask("resume", last_seq=0)["ok"], "what was missed is sent again")
    free.connect_audio("b")
    wait_for(lambda: free.ask("call.answer", call=next_call)["ok"], "the agent answers")
    wait_for(lambda: free.loudness() > 1000, "and hears the caller")
    for call in (kept, next_call):
        agent = calls.get(call, free)
        assert agent.ask("call.hangup", call=call)["ok"]
        assert system.front.wait_fact(CallEnded, call=call).reason == "completed"
    assert len(system.front.facts(CallEnded, call=lost)) == 1
    assert system.front.api("sara").interaction(lost)["outcome"] == "interrupted"

    # The host comes back and takes calls again; it knows of the sound that is at the other one.
    system.hosts["a"].start()
    known = _rang(system)
    for _ in range(10):  # Kamailio may not have found out yet
        caller = system.front.sipp(CALLER, seconds=1)
        call, _ = answer(agents, system, known)
        finish(caller)
        known.add(call)
        if node_of(system, call) == "a":
            return
    raise AssertionError("the host that came back was given no call")


def _rang(system: Farm) -> set[str]:
    return {fact.call for fact in system.front.facts(CallRang)}
