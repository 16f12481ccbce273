"""Whether what is said is kept: rules alone, time in numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from callcenter.config import Settings
from callcenter.errors import Conflict
from callcenter.telephony.policy import Switch, policy_of


def running(policy: str = "always", **more: object) -> Switch:
    switch = Switch(policy, 120.0, 900.0, **more)  # type: ignore[arg-type]
    switch.begun()
    return switch


def test_the_queues_word_comes_before_the_lines(make_settings: Callable[..., Settings]) -> None:
    lines = [
        {"number": "1", "queue": "quiet", "record": "always"},
        {"number": "2", "queue": "plain", "record": "on_demand"},
    ]
    queues = [{"name": "quiet", "record": "never"}, {"name": "plain"}]
    settings = make_settings(lines=lines, queues=queues)
    assert [policy_of(settings, line) for line in settings.lines] == ["never", "on_demand"]


@pytest.mark.parametrize(
    ("policy", "consent", "may"),
    [
        ("always", None, True),
        ("ask", "given", True),
        ("ask", "declined", False),
        ("ask", "not_asked", False),
        ("ask", None, False),
        ("on_demand", None, False),
        ("never", None, False),
    ],
)
def test_what_is_kept_from_the_answer_on(policy: str, consent: str | None, may: bool) -> None:
    assert Switch(policy, consent=consent).may_begin is may  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ["start", "stop", "pause", "resume"])
@pytest.mark.parametrize("policy", ["never", "ask"])
def test_where_nobody_may_record_every_order_is_refused(policy: str, action: str) -> None:
    switch = Switch(policy, consent="declined" if policy == "ask" else None)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        switch.order(action, "button", 0.0)  # type: ignore[arg-type]
    assert switch.state == "off"


@pytest.mark.parametrize("action", ["start", "stop"])
def test_only_on_demand_lets_the_agent_start_and_stop(action: str) -> None:
    with pytest.raises(Conflict, match="this line decides"):
        running().order(action, "button", 0.0)  # type: ignore[arg-type]


def test_on_demand_starts_stops_and_starts_again() -> None:
    switch = Switch("on_demand")
    assert not switch.may_begin
    with pytest.raises(Conflict, match="nothing is being recorded"):
        switch.order("pause", "button", 1.0)
    assert switch.order("start", "button", 2.0) == "start"
    assert switch.order("start", "button", 3.0) is None
    assert switch.order("stop", "button", 4.0) == "stop"
    assert switch.order("stop", "button", 5.0) is None
    assert switch.ring(1e9) is None  # stopped for good: nothing goes on by itself
    assert switch.order("start", "button", 6.0) == "resume"
    assert switch.state == "running"


def test_a_pause_ends_by_itself_and_not_before() -> None:
    switch = running()
    assert switch.order("pause", "button", 10.0) == "pause"
    assert switch.until == 130.0
    assert switch.ring(129.9) is None
    assert switch.ring(129.99) == "resume"
    assert switch.until is None
    assert switch.ring(500.0) is None


def test_asked_for_again_a_pause_lasts_longer_but_not_for_ever() -> None:
    switch = running()
    switch.order("pause", "form", 0.0)
    now = 0.0
    while (until := switch.until) is not None and until < 900.0:
        now += 60.0
        assert switch.order("pause", "form", now) == "longer"
        assert switch.until == min(now + 120.0, 900.0)
    assert switch.order("pause", "form", 890.0) is None
    assert switch.ring(900.0) == "resume"


def test_a_form_that_closes_ends_its_own_pause_and_no_pause_of_the_agents() -> None:
    switch = running()
    switch.order("pause", "form", 0.0)
    assert switch.order("resume", "form", 1.0) == "resume"
    switch.order("pause", "button", 2.0)
    assert switch.order("pause", "form", 3.0) == "longer"
    assert switch.order("resume", "form", 4.0) is None
    assert switch.state == "paused"
    assert switch.order("resume", "button", 5.0) == "resume"
    switch.order("pause", "form", 6.0)
    switch.order("pause", "button", 7.0)  # the agent wants it, too
    assert switch.order("resume", "form", 8.0) is None


def test_on_demand_a_pause_may_become_a_stop() -> None:
    switch = running("on_demand")
    switch.order("pause", "button", 0.0)
    assert switch.order("stop", "button", 1.0) == "stop"
    assert switch.until is None
    assert switch.order("pause", "button", 2.0) is None


def test_whoever_takes_the_customers_place_agreed_to_nothing() -> None:
    switch = running("ask", consent="given")
    assert switch.revoke() == "stop"
    assert switch.ring(1e9) is None
    for action in ("resume", "start", "pause"):
        with pytest.raises(Conflict, match="did not agree"):
            switch.order(action, "button", 1.0)
