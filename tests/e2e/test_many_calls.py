"""Twenty callers at once and five agents: none is lost, every recording is complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound
from world import PATIENCE, finish, running, wait_for

from callcenter.events import AgentOffered, CallAnswered, CallEnded, CallRang, RecordingSealed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CALLS, AGENTS, SECONDS = 20, 5, 6.0


def answer_all(agent: SoftAgent, stop: threading.Event, refused: list[str]) -> None:
    """Take every call that rings, and be free again as soon as it is over."""
    taken: set[str] = set()
    while not stop.wait(0.05):
        for pop in agent.saw("call.ringing"):
            call = pop["call"]["id"]
            if call not in taken:
                taken.add(call)
                answer = agent.ask("call.answer", call=call)
                if not answer["ok"]:
                    refused.append(str(answer))


def test_twenty_calls_at_once_with_five_agents(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = Path(tmp_path_factory.mktemp("many"))
    # Sound and queue are on trial here; captions have tests of their own.
    quiet = {"live": {"en": "off", "fa": "off", "he": "off"}, "second_pass": "off"}
    queue = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}]
    sections = {"recording": {"format": "wav"}, "queues": queue, "speech": quiet}
    with running(folder, **sections) as world:
        world.add_user("sara", "supervisor")
        names = [f"agent{number}" for number in range(AGENTS)]
        for name in names:
            world.add_user(name)
        agents = [SoftAgent(world, name).connect_audio().available() for name in names]
        stop, refused = threading.Event(), list[str]()
        threads = [
            threading.Thread(target=answer_all, args=(agent, stop, refused)) for agent in agents
        ]
        callers = world.sipp("uac_record.xml", "-r", "20", calls=CALLS, seconds=SECONDS)
        world.wait_fact(CallRang, count=CALLS)
        # With nobody answering yet, five ring and fifteen wait.
        world.wait_fact(AgentOffered, count=AGENTS)
        floor = world.api("sara").get("/queues")["items"][0]
        assert floor["waiting"] == CALLS
        for thread in threads:
            thread.start()
        finish(callers, seconds=10 * PATIENCE)
        stop.set()
        for thread in threads:
            thread.join()

        ends = wait_for(
            lambda: (found := world.facts(CallEnded)) and len(found) == CALLS and found,
            "every call has one end",
        )
        assert {end.reason for end in ends} == {"completed"}
        assert len({end.call for end in ends}) == CALLS
        assert refused == []
        assert {fact.agent for fact in world.facts(CallAnswered)} == {agent.id for agent in agents}
        wait_for(lambda: len(world.facts(RecordingSealed)) == CALLS, "every recording is sealed")
        for end in ends:
            _, customer, _ = sealed_sound(world, end.call)
            assert frames_found(customer, int(SECONDS * 50), folder) >= 0.99
        for agent in agents:
            agent.close()
