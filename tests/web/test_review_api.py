"""Review through the API: figures of a conversation, and who may see them."""

from __future__ import annotations

from typing import Any

from test_records_api import ended, problem, recorded
from web_world import World

from callcenter import events
from callcenter.crm.review.measuring import Measurer
from callcenter.telephony.recording import peaks


def measured(world: World, agent: str = "agent") -> tuple[str, str]:
    """A call whose agent spoke from second 0 to 2, the customer from 1 to 3. → as `recorded`"""
    found = recorded(world, agent)
    loud, still = bytes([90]), bytes([0])
    heard = peaks.Peaks(loud * 100 + still * 150, still * 50 + loud * 100 + still * 100)
    assert Measurer(world.engine, lambda _: heard).round() == 1
    return found


def test_the_figures_of_a_call_come_once_it_is_measured(world: World) -> None:
    agent = world.client("agent")
    waiting, _ = recorded(world, "agent")
    found = agent.get(f"/interactions/{waiting}/conversation").get_json()
    assert (found["state"], found["marks"]) == ("waiting", [])
    bare = world.interaction(ended(world, "agent"))
    found = agent.get(f"/interactions/{bare}/conversation").get_json()
    assert (found["state"], found["agent"]["seconds"], found["agent"]["pace"]) == (
        "nothing",
        0,
        None,
    )


def test_figures_say_who_spoke_how_much_and_where_something_happened(world: World) -> None:
    interaction, _ = measured(world)
    found: dict[str, Any] = (
        world.client("agent").get(f"/interactions/{interaction}/conversation").get_json()
    )
    assert found["state"] == "measured"
    assert (found["agent"]["seconds"], found["customer"]["seconds"]) == (2.0, 2.0)
    assert (found["agent"]["share"], found["both_seconds"], found["talk_overs"]) == (0.5, 1.0, 1)
    assert (found["silence_seconds"], found["dead_airs"]) == (2.0, 0)
    assert found["marks"] == [{"kind": "talk_over", "t0": 1.0, "t1": 2.0}]
    assert found["quiet"] == [[3.0, 5.0]]


def test_figures_are_for_those_who_may_hear_the_call(world: World) -> None:
    interaction, _ = measured(world)
    path = f"/interactions/{interaction}/conversation"
    assert world.client("supervisor").get(path).status_code == 200
    problem(world.client("other").get(path), 404, "not-found")
    problem(world.client("admin").get(path), 403, "reason-needed")
    problem(world.client().get(path), 401, "not-signed-in")


def test_the_words_of_the_second_pass_are_counted(world: World) -> None:
    interaction, _ = measured(world)
    with_call = world.client("agent").get(f"/interactions/{interaction}").get_json()
    call = with_call["call_id"]
    said = events.UtteranceHeard(
        call=call,
        utterance="u9",
        leg="agent",
        text="good morning and welcome here",
        t0=0,
        t1=2,
        language="en",
        engine="whisper",
        revision=2,
    )
    world.happens(
        said,
        events.TranscriptCompleted(
            call=call, revision=2, engine="whisper", language="en", utterances=1
        ),
    )
    assert Measurer(world.engine, lambda _: None).round() == 1
    found = world.client("agent").get(f"/interactions/{interaction}/conversation").get_json()
    assert (found["agent"]["words"], found["agent"]["seconds"]) == (5, 2.0)
