"""What runs short is told to those who look after it; a full disk to everybody who saves."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from web_world import World

from callcenter.events import ResourcesSeen
from callcenter.web.context import Services


def tab(world: World, username: str) -> Any:
    browser = world.client(username)
    client = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    assert client.is_connected()
    return client


def alarms(client: Any) -> list[list[str]]:
    """The resources of each notice that came."""
    told = [one["args"][0] for one in client.get_received() if one["name"] == "notice"]
    return [[one["resource"] for one in body["alarms"]] for body in told]


def seen(**shares: float) -> ResourcesSeen:
    short = {name: share for name, share in shares.items() if share >= 0.9}
    return ResourcesSeen(node="local", shares=shares, alarms=short)


def test_alarms_reach_supervisors_and_administrators_and_nobody_else(world: World) -> None:
    tabs = {role: tab(world, role) for role in ("agent", "supervisor", "admin", "manager")}
    tell = world.runtime.follower._resources
    tell(seen(recordings_disk=0.5))
    assert all(alarms(client) == [] for client in tabs.values())
    for share in (0.93, 0.97):  # said again every few seconds, told once
        tell(seen(recordings_disk=share))
    assert alarms(tabs["supervisor"]) == alarms(tabs["admin"]) == [["recordings_disk"]]
    late = tab(world, "supervisor")
    assert alarms(late) == [["recordings_disk"]], "also to a page that is opened later"
    tell(seen(recordings_disk=0.4))
    assert alarms(tabs["supervisor"]) == alarms(late) == [[]]
    assert alarms(tabs["agent"]) == alarms(tabs["manager"]) == []


def test_alarms_and_shares_stand_in_the_metrics(world: World) -> None:
    world.runtime.follower._resources(seen(recordings_disk=0.93, calls=0.1))
    page = world.client().http.get("/metrics").get_data(as_text=True)
    label = '{node="local",resource="recordings_disk"}'
    assert f"callcenter_resource_used_ratio{label} 0.93" in page
    assert f"callcenter_resource_alarm{label} 1.0" in page
    assert 'callcenter_resource_alarm{node="local",resource="calls"} 0.0' in page


def test_a_full_disk_is_never_told_as_saved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = world.client("agent")

    def full(_: Services) -> Any:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(Services, "writing", full)
    answer = browser.post("/customers", {"name": "Sara"})
    problem = answer.get_json()
    assert (answer.status_code, problem["title"]) == (503, "Storage full")
    assert problem["type"].endswith(":storage-full")
    assert "nothing was saved" in problem["detail"]
