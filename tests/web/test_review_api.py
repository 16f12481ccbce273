"""Review through the API: figures of a conversation, and who may see them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session
from test_records_api import audited, ended, problem, recorded
from web_world import World

from callcenter import events
from callcenter.crm.review.measuring import Measurer
from callcenter.crm.review.models import MomentLink
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


# --- Comments and links ----------------------------------------------------------------------


def test_a_comment_stands_at_its_moment_and_only_its_author_takes_it_back(world: World) -> None:
    interaction, _ = recorded(world, "agent")
    path = f"/interactions/{interaction}/comments"
    boss, agent = world.client("supervisor"), world.client("agent")
    late = boss.post(path, {"text": "לא לקטוע את הלקוח", "t0": 3.5, "t1": 4.5})
    assert late.status_code == 201
    assert late.get_json()["by"]["username"] == "supervisor"
    first = agent.post(path, {"text": "تأیید شد", "t0": 1.0}).get_json()
    assert (first["t1"], first["mine"]) == (None, True)
    seen = agent.get(path).get_json()["items"]
    assert [(one["t0"], one["mine"]) for one in seen] == [(1.0, True), (3.5, False)]
    problem(agent.post(f"{path}/{seen[1]['id']}/retraction"), 403, "forbidden")
    assert agent.post(f"{path}/{first['id']}/retraction").status_code == 204
    problem(agent.post(f"{path}/{first['id']}/retraction"), 404, "not-found")
    assert len(boss.get(path).get_json()["items"]) == 1


def test_comments_are_checked_and_for_those_who_may_hear_the_call(world: World) -> None:
    interaction, _ = recorded(world, "agent")
    path = f"/interactions/{interaction}/comments"
    agent = world.client("agent")
    for wrong in (
        {"text": " ", "t0": 1},
        {"text": "x", "t0": 1e9},
        {"text": "x", "t0": 5, "t1": 4},
        {"text": "x"},
    ):
        problem(agent.post(path, wrong), 422, "invalid")
    problem(world.client("other").get(path), 404, "not-found")
    problem(world.client("other").post(path, {"text": "x", "t0": 1}), 404, "not-found")
    problem(world.client("admin").get(path), 403, "reason-needed")


def test_a_link_to_a_moment_opens_for_who_may_hear_the_call_until_it_expires(world: World) -> None:
    interaction, _ = recorded(world, "agent")
    boss, agent = world.client("supervisor"), world.client("agent")
    made = boss.post(f"/interactions/{interaction}/moments", {"t0": 2.5, "days": 2})
    assert made.status_code == 201
    path = made.get_json()["path"]
    assert interaction not in path
    found = agent.get(path).get_json()
    assert (found["interaction"], found["t0"]) == (interaction, 2.5)
    assert [one.object for one in audited(world, "moment.open")] == [interaction]
    problem(world.client("other").get(path), 404, "not-found")
    problem(world.client().get(path), 401, "not-signed-in")
    problem(agent.get("/moments/forged"), 404, "not-found")
    with Session(world.engine) as session, session.begin():
        session.execute(update(MomentLink).values(expires_at=events.now()))
    problem(agent.get(path), 410, "expired")


def test_an_hour_of_waveform_is_answered_in_as_few_values_as_asked(world: World) -> None:
    _, recording = recorded(world, "agent")
    file = world.settings.recordings_dir / "2026/11/23/x.peaks"
    hour = bytes([0] * 49 + [200]) * 3600
    file.write_bytes(peaks.write(peaks.Peaks(hour, bytes(len(hour)))))
    agent = world.client("agent")
    answer = agent.get(f"/recordings/{recording}/peaks?columns=1200")
    found = answer.get_json()
    assert len(found["channels"]["agent"]) == 1200
    assert set(found["channels"]["agent"]) == {200}
    assert set(found["channels"]["customer"]) == {0}
    assert found["rate"] == 1200 / 3600
    assert len(answer.data) < 20_000
    whole = agent.get(f"/recordings/{recording}/peaks").get_json()
    assert len(whole["channels"]["agent"]) == 180_000
