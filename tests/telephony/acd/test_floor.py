"""Who gets whom, in memory, with the time written in."""

from typing import Any

import pytest

from callcenter.config import Queue
from callcenter.errors import CallGone, NotFound
from callcenter.telephony.acd.agent import AgentState
from callcenter.telephony.acd.floor import DEFER_SECONDS, Floor, Seat
from callcenter.telephony.acd.routing import DECLINED_SECONDS, Waiting


def make_floor(*agents: str, **queue: Any) -> Floor:
    """A floor with one queue; the agents became available one second after the other."""
    floor = Floor({"support": Queue(name="support", **queue)})
    for number, agent in enumerate(agents):
        floor.seat(seat_of(agent), 0.0)
        floor.choose(agent, "available", None, float(number))
    return floor


def seat_of(agent: str, state: AgentState | None = None) -> Seat:
    return Seat(agent, f"user-{agent}", None, "en", state or AgentState())


def pairs(floor: Floor, now: float = 100.0) -> list[tuple[str, str]]:
    return [(offer.call, offer.agent) for offer in floor.offers(now)]


def test_the_longest_idle_agent_is_rung_first() -> None:
    floor = make_floor("a", "b")
    floor.enqueue("c1", "support", 50.0)
    assert pairs(floor) == [("c1", "a")]


def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    floor = make_floor("a")
    assert [floor.enqueue(call, "support", 50.0) for call in ("c1", "c2", "c3")] == [1, 2, 3]
    assert pairs(floor) == [("c1", "a")]
    assert pairs(floor) == []


def test_an_agent_who_cannot_be_heard_is_rung_only_when_nobody_else_is_there() -> None:
    floor = make_floor("mute", "heard")
    floor.has_audio = lambda agent: agent == "heard"
    floor.enqueue("c1", "support", 50.0)
    floor.enqueue("c2", "support", 51.0)
    assert pairs(floor) == [("c1", "heard"), ("c2", "mute")]


def test_a_declined_call_goes_to_the_next_agent_and_comes_back_after_a_while() -> None:
    floor = make_floor("a", "b")
    floor.enqueue("c1", "support", 50.0)
    for agent in ("a", "b"):
        assert pairs(floor) == [("c1", agent)]
        floor.decline("c1", agent, 101.0, unanswered=False)
    assert pairs(floor, 101.0) == [], "both said no a moment ago"
    assert pairs(floor, 101.0 + DECLINED_SECONDS) == [("c1", "a")]


def test_the_floor_says_when_a_declined_call_may_ring_again() -> None:
    floor = make_floor("a")
    floor.enqueue("c1", "support", 50.0)
    floor.offers(100.0)
    floor.decline("c1", "a", 101.0, unanswered=False)
    assert not floor.forget_declined(101.0 + DECLINED_SECONDS - 0.1)
    assert floor.forget_declined(101.0 + DECLINED_SECONDS)
    assert pairs(floor, 101.0 + DECLINED_SECONDS) == [("c1", "a")]
    assert not floor.forget_declined(200.0)


def test_a_lone_agent_who_declines_is_not_rung_again_at_once_but_others_who_come_are() -> None:
    floor = make_floor("a")
    floor.enqueue("c1", "support", 50.0)
    assert pairs(floor) == [("c1", "a")]
    floor.decline("c1", "a", 101.0, unanswered=False)
    assert pairs(floor, 101.1) == []
    floor.enqueue("c2", "support", 102.0)
    assert pairs(floor, 102.0) == [("c2", "a")], "another caller may ring there"
    floor.seat(seat_of("b"), 103.0)
    floor.choose("b", "available", None, 103.0)
    assert pairs(floor, 103.0) == [("c1", "b")]


def test_an_offer_that_was_not_answered_may_come_back_at_once() -> None:
    floor = make_floor("a")
    floor.enqueue("c1", "support", 50.0)
    assert pairs(floor) == [("c1", "a")]
    floor.decline("c1", "a", 120.0, unanswered=True)
    assert pairs(floor, 120.0) == [("c1", "a")]


def test_an_unanswered_limit_sets_the_agent_to_not_answering() -> None:
    floor = make_floor("a", unanswered_limit=1)
    floor.enqueue("c1", "support", 50.0)
    floor.offers(100.0)
    (change,) = floor.decline("c1", "a", 120.0, unanswered=True)
    assert change.after.name == "not_answering"
    assert pairs(floor) == []


def test_an_answer_takes_the_call_out_of_the_queue_and_a_second_one_is_too_late() -> None:
    floor = make_floor("a", "b")
    floor.enqueue("c1", "support", 50.0)
    floor.offers(100.0)
    (change,) = floor.answer("c1", "a", 101.0)
    assert (change.after.name, change.after.call) == ("on_call", "c1")
    assert floor.waiting == []
    for agent in ("a", "b"):
        with pytest.raises(CallGone):
            floor.answer("c1", agent, 102.0)


def test_only_agents_of_the_queue_are_rung() -> None:
    floor = make_floor("a", "b", agents=["user-b"])
    floor.enqueue("c1", "support", 50.0)
    assert pairs(floor) == [("c1", "b")]


def test_a_transferred_call_waits_for_its_agent_and_then_for_anybody() -> None:
    floor = make_floor("a", "b")
    floor.enqueue("waiting", "support", 40.0)
    floor.offers(90.0)
    floor.enqueue("moved", "support", 50.0, first=True, only="a")
    assert pairs(floor) == []
    floor.decline("waiting", "a", 101.0, unanswered=False)
    assert pairs(floor) == [("moved", "a"), ("waiting", "b")]


def test_wrap_ups_end_by_themselves_in_time() -> None:
    floor = make_floor("a")
    floor.enqueue("c1", "support", 50.0)
    floor.offers(100.0)
    floor.answer("c1", "a", 101.0)
    floor.finish_call("a", 110.0, wrap_up=60)
    assert floor.next_due() == 170.0
    assert floor.end_due_wrap_ups(169.9) == []
    (change,) = floor.end_due_wrap_ups(170.0)
    assert (change.before.name, change.after.name) == ("wrap_up", "available")
    assert floor.next_due() is None


def test_seating_an_agent_again_keeps_the_state() -> None:
    floor = make_floor("a")
    assert floor.seat(seat_of("a"), 200.0) == []
    assert floor.state_of("a").name == "available"


@pytest.mark.parametrize(
    ("known", "resumed"),
    [
        ("available", "available"),
        ("on_call", "available"),
        ("ringing", "available"),
        ("wrap_up", "available"),
        ("break", "break"),
        ("offline", "offline"),
        ("not_answering", "offline"),
    ],
)
def test_after_a_restart_of_telephony_an_agent_goes_on_where_it_makes_sense(
    known: Any, resumed: str
) -> None:
    floor = make_floor()
    floor.seat(seat_of("a", AgentState(name=known)), 5.0)
    assert floor.state_of("a").name == resumed


def test_whoever_leaves_is_offline_and_unknown() -> None:
    floor = make_floor("a")
    (change,) = floor.unseat("a", 7.0)
    assert change.after.name == "offline"
    assert floor.unseat("a", 8.0) == []
    with pytest.raises(NotFound):
        floor.state_of("a")


def test_everybody_who_could_take_a_call_has_a_reason_not_to_have_it() -> None:
    floor = make_floor("idle", "later", "mute", "resting", "declined", agents=["*"])
    floor.choose("resting", "break", "lunch", 60.0)
    floor.has_audio = lambda agent: agent != "mute"
    floor.queues["other"] = Queue(name="other", agents=["user-elsewhere"])
    floor.queues["support"] = Queue(
        name="support",
        agents=[f"user-{name}" for name in ("idle", "later", "mute", "resting", "declined")],
    )
    floor.seat(seat_of("elsewhere"), 0.0)
    floor.choose("elsewhere", "available", None, 1.0)
    floor.enqueue("c1", "support", 50.0)
    assert floor.standings("c1")["idle"] == "available"
    floor.waiting[0].tried.add("declined")
    assert pairs(floor) == [("c1", "idle")]
    assert floor.standings("c1", "idle") == {
        "later": "less_idle",
        "mute": "no_audio",
        "resting": "break",
        "declined": "tried",
        "elsewhere": "not_in_queue",
    }
    floor.waiting[0].only = "later"
    assert floor.standings("c1", "later")["mute"] == "reserved"
    assert floor.standings("nobody's") == {}


def test_an_older_call_at_another_node_goes_first_unless_that_node_tarries() -> None:
    floor = make_floor("a")
    floor.enqueue("here", "support", 51.0)
    floor.others_wait([Waiting("there", "support", 50.0)])
    assert pairs(floor, 100.0) == []
    assert pairs(floor, 100.0 + DEFER_SECONDS) == [("here", "a")]


def test_a_turn_that_was_left_is_forgotten_with_the_call() -> None:
    floor = make_floor("a")
    floor.enqueue("here", "support", 51.0)
    for at in (100.0, 200.0):
        floor.others_wait([Waiting("there", "support", 50.0)])
        assert pairs(floor, at) == []
        floor.others_wait([])
    assert pairs(floor, 200.0) == [("here", "a")]
