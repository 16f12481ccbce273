"""Why did this call (not) pop? The answer over the API, of a call that went through the system."""

from __future__ import annotations

from web_world import World

from callcenter import events
from callcenter.ids import new_id


def test_a_call_is_explained_to_who_leads_and_to_nobody_else(world: World) -> None:
    agent = world.people["agent"]
    call = world.call()
    world.happens(
        events.CallQueued(call=call, queue="support", position=1, others={agent: "break"}),
        events.CallEnded(call=call, reason="abandoned", by="customer"),
    )
    found = world.client("supervisor").get(f"/calls/{call}/diagnosis").get_json()
    assert (found["verdict"], found["queue"]) == ("nobody_available", "support")
    assert [step["code"] for step in found["steps"]] == ["rang", "queued", "ended"]
    reasons = {one["agent"]["username"]: one["reason"] for one in found["agents"]}
    assert reasons.pop("agent") == "break"
    assert set(reasons.values()) <= {"not_signed_in"}
    assert world.client("agent").get(f"/calls/{call}/diagnosis").status_code == 403


def test_a_pop_is_found_in_the_outbox_with_its_times(world: World) -> None:
    agent = world.people["agent"]
    call = world.call()
    world.happens(
        events.CallQueued(call=call, queue="support", position=1),
        events.AgentOffered(call=call, agent=agent, queue="support", attempt=1),
    )
    found = world.client("supervisor").get(f"/calls/{call}/diagnosis").get_json()
    assert found["verdict"] == "unseen"
    assert [step["code"] for step in found["steps"]] == ["rang", "queued", "offered", "sent"]
    one = next(one for one in found["agents"] if one["agent"]["id"] == agent)
    assert one["reason"] == "offered"
    assert one["sent_ms"] == found["steps"][-1]["ms"]
    assert one["seen_ms"] is None


def test_an_unknown_call_is_404(world: World) -> None:
    assert world.client("supervisor").get(f"/calls/{new_id()}/diagnosis").status_code == 404
